"""The predictor: from a decision's row, or the key of one that is known, to the answer of the arm that it falls to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from mainspring.answers import Prediction
from mainspring.clock import format_instant, parse_span
from mainspring.declare import Decision, System
from mainspring.errors import ServingError
from mainspring.features.online import OnlineState
from mainspring.features.online.one_row import row_function
from mainspring.model import Model
from mainspring.serving.current_rows import CurrentRows
from mainspring.serving.decision_rows import DecisionRows
from mainspring.serving.router import LoadedArm, Router

__all__ = ["Asked", "Predicted", "Predictor", "Prepared", "answer_field", "decision_time", "prediction_of"]


class Asked(NamedTuple):
    """One decision that is asked for: the row of the decision's table, or only its key."""

    given: Any
    by_key: bool = False
    explain: bool = False


class Predicted(NamedTuple):
    """An answer, with the decision's row (instants in microseconds, `_at` is the decision's time) and its features."""

    prediction: Prediction
    row: dict[str, Any]
    features: dict[str, Any]


class Prepared(NamedTuple):
    """A decision that is ready to be asked of its arm; the row's instants are in microseconds, `_at` is the decision's time."""

    row: dict[str, Any]
    features: dict[str, Any]
    arm: LoadedArm


class Predictor:
    """Answers decisions of one system from the state that facts have been put into.

    A decision is made at the time that its row tells, but never later than now: asked for early, features are as of now;
    asked for late, they are as of the time at which it was due, as they would have been. On a schedule it is made at the
    last tick. `router` may be exchanged at any time between two calls. Not for several threads at once.
    """

    def __init__(self, system: System, state: OnlineState, router: Router) -> None:
        self.system, self.state, self.router = system, state, router
        self.rows = DecisionRows(system.decision.table)
        self._due = decision_time(system.decision)
        self.current = CurrentRows(system.decision, self._due)
        self._holds = row_function(system.decision.where, {}) if system.decision.where is not None else None

    def prepare(self, asked: Asked, now: int) -> Prepared:
        """Find the row, the features and the arm of a decision.

        Raises ServingError (SERVE_ROW, SERVE_UNKNOWN), DataError (DATA_FORGOTTEN).
        """
        row = self._known_row(asked.given, now) if asked.by_key else self.rows.read(asked.given, now)
        row["_at"] = now
        due = self._due(row, now)
        if due is None:
            raise ServingError(
                "SERVE_ROW",
                "The row does not tell when the decision is made.",
                exists=f"It is made at {self.system.decision.time!r}.",
                fix="Send the columns that tell it.",
            )
        row["_at"] = min(due, now)
        if self._holds is not None and self._holds(row, ()) is not True:
            raise ServingError(
                "SERVE_ROW",
                "No decision is made for this row.",
                exists=f"Decisions are made where {self.system.decision.where!r}.",
                fix="Ask for rows for which that is true.",
            )
        return Prepared(row, self.state.answer(row), self.router.pick(row))

    @property
    def task(self) -> str:
        """What kind of label is predicted: "binary", "regression" or "multiclass"."""
        return self.router.champion.model.model.task

    def due(self, row: Mapping[str, Any], now: int) -> int | None:
        """Return when the decision of a row is made; on a schedule the last tick before `now`."""
        return self._due(row, now)

    def _known_row(self, given: Any, now: int) -> dict[str, Any]:
        key = self.rows.key(given)
        row = self.current.find(key, now)
        if row is None:
            raise ServingError(
                "SERVE_UNKNOWN",
                f"No row of {self.rows.table.__name__} with the key {', '.join(map(str, key))} was known in time.",
                exists="Rows whose decision is over, and those that were not pushed, are not known.",
                fix="Push the row first (POST /v1/facts/{table}), or ask with the whole row.",
            )
        return row


def prediction_of(
    prepared: Prepared, answer: float | tuple[float, ...], prediction_id: str, *, explain: bool = False
) -> Prediction:
    """Return the answer of a model to a prepared decision as it is told.

    Raises BundleError (BUNDLE_INPUT) when the model cannot explain itself.
    """
    row, features, arm = prepared
    model = arm.model
    return Prediction(
        prediction_id=prediction_id,
        decided_at=format_instant(row["_at"]),
        model=arm.arm.model,
        arm=arm.arm.name,
        **answer_field(model.model, answer),
        decision=model.decide_one(answer),
        interval=model.interval_one(answer) if model.model.task == "regression" else None,  # type: ignore[arg-type]
        features=dict(features) if explain else None,
        contributions=model.contributions_one(features) if explain else None,
    )


def answer_field(model: Model, answer: Any) -> dict[str, Any]:
    """Return the field of a prediction that a model's answer belongs in, and what it holds."""
    if model.task == "multiclass":
        return {"classes": dict(zip(model.classes, answer, strict=True))}
    return {"probability" if model.task == "binary" else "value": answer}


def decision_time(decision: Decision) -> Callable[[Mapping[str, Any], int], int | None]:
    """Return what tells when the decision of a row is made (None: the row does not tell); on a schedule the last tick by now."""
    if decision.every is None:
        time = row_function(decision.time, {})
        return lambda row, now: time(row, ())
    every, offset = parse_span(decision.every), parse_span(decision.offset)
    return lambda row, now: (now - offset) // every * every + offset
