"""What a server still has in mind of what it answered, so that it can be asked for again without reading a disk."""

from __future__ import annotations

from collections import OrderedDict

from mainspring.answers import Failure, Outcome, Prediction

__all__ = ["REMEMBERED", "Remembered"]

REMEMBERED = 50_000
"""How many answers a service has in mind."""


class Remembered:
    """The newest answers, outcomes and open questions by prediction id, and requests that told outcomes; the lake has what is older."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        # Of a plain dict the first entry is found only behind all that were deleted before it.
        self._answers = OrderedDict[str, Prediction | Failure]()
        self._outcomes = OrderedDict[str, Outcome]()
        self._heard = OrderedDict[str, None]()
        self._pending: set[str] = set()

    def asked(self, prediction_id: str) -> bool:
        """Remember that a decision was accepted and is yet to be answered; say whether that is new."""
        if prediction_id in self._pending or prediction_id in self._answers:
            return False
        self._pending.add(prediction_id)
        return True

    def answered(self, prediction_id: str, answer: Prediction | Failure) -> None:
        """Remember an answer; it is no longer pending."""
        self._pending.discard(prediction_id)
        self._answers[prediction_id] = answer
        if len(self._answers) > self._limit:
            self._answers.popitem(last=False)

    def withdrawn(self, prediction_id: str) -> None:
        """Forget that a decision was asked for: it could not be kept."""
        self._pending.discard(prediction_id)

    def told(self, prediction_id: str, outcome: Outcome) -> None:
        """Remember what somebody said came true; the newest is what counts."""
        self._outcomes.pop(prediction_id, None)
        self._outcomes[prediction_id] = outcome
        if len(self._outcomes) > self._limit:
            self._outcomes.popitem(last=False)

    def hear(self, request: str) -> None:
        """Remember the name of a request that told outcomes."""
        self._heard[request] = None
        if len(self._heard) > self._limit:
            self._heard.popitem(last=False)

    def heard(self, request: str) -> bool:
        """Say whether a request of that name told its outcomes already: they count from then on, not from now."""
        return request in self._heard

    def answer(self, prediction_id: str) -> Prediction | Failure | None:
        """Return an answer, None where it is not in mind."""
        return self._answers.get(prediction_id)

    def outcome(self, prediction_id: str) -> Outcome | None:
        """Return what somebody said, None where it is not in mind."""
        return self._outcomes.get(prediction_id)

    def is_pending(self, prediction_id: str) -> bool:
        """Say whether a decision is yet to be answered."""
        return prediction_id in self._pending

    @property
    def n_pending(self) -> int:
        return len(self._pending)
