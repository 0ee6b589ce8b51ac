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
from mainspring.serving.current_rows import CurrentRows
from mainspring.serving.decision_rows import DecisionRows
from mainspring.serving.router import LoadedArm, Router

__all__ = ["Asked", "Predicted", "Predictor", "answer_of"]


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


class Predictor:
    """Answers decisions of one system from the state that facts have been put into.

    A decision is made at the time that its row tells, but never later than now: asked for early, features are as of now;
    asked for late, they are as of the time at which it was due, as they would have been. On a schedule it is made at the
    last tick. `router` may be exchanged at any time between two calls. Not for several threads at once.
    """

    def __init__(self, system: System, state: OnlineState, router: Router) -> None:
        self.system, self.state, self.router = system, state, router
        self.rows = DecisionRows(system.decision.table)
        self._due = _decision_time(system.decision)
        self.current = CurrentRows(system.decision, self._due)
        self._holds = row_function(system.decision.where, {}) if system.decision.where is not None else None

    def predict(self, asked: Asked, now: int, prediction_id: str) -> Predicted:
        """Answer one decision.

        Raises ServingError (SERVE_ROW, SERVE_UNKNOWN), DataError (DATA_FORGOTTEN), BundleError (BUNDLE_INPUT).
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
        features = self.state.answer(row)
        arm = self.router.pick(row)
        prediction = answer_of(arm, features, row["_at"], prediction_id, explain=asked.explain)
        return Predicted(prediction, row, features)

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


def answer_of(
    arm: LoadedArm, features: Mapping[str, Any], at: int, prediction_id: str, *, explain: bool = False
) -> Prediction:
    """Return what an arm answers to features as of an instant (microseconds).

    Raises BundleError (BUNDLE_INPUT).
    """
    model = arm.model
    answer = model.predict_one(features)
    told: dict[str, Any] = {}
    if isinstance(answer, tuple):
        told["classes"] = dict(zip(model.model.classes, answer, strict=True))
    else:
        told["probability" if model.model.task == "binary" else "value"] = answer
    return Prediction(
        prediction_id=prediction_id,
        decided_at=format_instant(at),
        model=arm.arm.model,
        arm=arm.arm.name,
        decision=model.decide_one(answer),
        features=dict(features) if explain else None,
        contributions=model.contributions_one(features) if explain else None,
        **told,
    )


def _decision_time(decision: Decision) -> Callable[[Mapping[str, Any], int], int | None]:
    if decision.every is None:
        time = row_function(decision.time, {})
        return lambda row, now: time(row, ())
    every, offset = parse_span(decision.every), parse_span(decision.offset)
    return lambda row, now: (now - offset) // every * every + offset
