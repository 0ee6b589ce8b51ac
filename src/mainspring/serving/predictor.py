"""One decision: from its row through the online state and the model to an answer, in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mainspring.clock import format_instant, parse_span
from mainspring.declare import System
from mainspring.errors import ServingError
from mainspring.features.online import OnlineState
from mainspring.features.online.one_row import row_function
from mainspring.model.fast import CompiledModel
from mainspring.serving.decision_rows import DecisionRows

__all__ = ["Prediction", "Predictor"]


class Prediction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is answered for one decision. Exactly one of `probability`, `value` and `classes` is there, by the task."""

    prediction_id: str
    decided_at: str  # ISO 8601: features are as of then
    model: str
    arm: str
    probability: float | None = None
    value: float | None = None
    classes: dict[str, float] | None = None
    decision: bool | str | float | None = None
    features: dict[str, Any] | None = None
    contributions: Any = None


class Predictor:
    """Answers decisions of one system with one model, from the state that facts have been put into.

    A decision is made at the time that its row tells, but never later than now: asked for early, features are as of now;
    asked for late, they are as of the time at which it was due, as they would have been. On a schedule it is made at the
    last tick. Not for several threads at once.
    """

    def __init__(self, system: System, state: OnlineState, model: CompiledModel, version: str) -> None:
        self.system, self.state, self.model, self.version = system, state, model, version
        self.rows = DecisionRows(system.decision.table)
        self._at = self._decision_time()
        self._holds = row_function(system.decision.where, {}) if system.decision.where is not None else None

    def predict(
        self, values: Mapping[str, Any], now: int, prediction_id: str, *, explain: bool = False
    ) -> tuple[Prediction, dict[str, Any], dict[str, Any]]:
        """Answer one decision; return the answer, the decision's row with `_at`, and its features.

        Raises ServingError (SERVE_ROW), DataError (DATA_FORGOTTEN), BundleError (BUNDLE_INPUT).
        """
        row = self.rows.read(values, now)
        row["_at"] = now
        due = self._at(row, now)
        if due is None:
            raise ServingError(
                "SERVE_ROW",
                "The row does not tell when the decision is made.",
                exists=f"It is made at {self.system.decision.time!r}.",
                fix="Send the columns that tell it.",
            )
        row["_at"] = at = min(due, now)
        if self._holds is not None and self._holds(row, ()) is not True:
            raise ServingError(
                "SERVE_ROW",
                "No decision is made for this row.",
                exists=f"Decisions are made where {self.system.decision.where!r}.",
                fix="Ask for rows for which that is true.",
            )
        features = self.state.answer(row)
        answer = self.model.predict_one(features)
        prediction = Prediction(
            prediction_id=prediction_id,
            decided_at=format_instant(at),
            model=self.version,
            arm="champion",
            **self._told(answer),
            decision=self.model.decide_one(answer),
            features=features if explain else None,
            contributions=self.model.contributions_one(features) if explain else None,
        )
        return prediction, row, features

    def _told(self, answer: float | tuple[float, ...]) -> dict[str, Any]:
        if isinstance(answer, tuple):
            return {"classes": dict(zip(self.model.model.classes, answer, strict=True))}
        return {"probability" if self.model.model.task == "binary" else "value": answer}

    def _decision_time(self) -> Callable[[Mapping[str, Any], int], int | None]:
        decision = self.system.decision
        if decision.every is None:
            time = row_function(decision.time, {})
            return lambda row, now: time(row, ())
        every, offset = parse_span(decision.every), parse_span(decision.offset)
        return lambda row, now: (now - offset) // every * every + offset
