"""What the log keeps: the records of each topic, and how they are written."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.answers import Failure, Prediction

__all__ = [
    "ANSWERS",
    "DECISIONS",
    "FACTS",
    "OUTCOMES",
    "PREDICTIONS",
    "Answered",
    "DecisionAsked",
    "FactsSent",
    "OutcomesTold",
    "PredictionMade",
    "read_decision",
    "read_facts",
    "read_outcomes",
    "read_prediction",
    "write",
]

Scalar = bool | int | float | str | None
FACTS = "facts"
DECISIONS = "decisions"  # asked for, to be answered later
PREDICTIONS = "predictions"  # the journal
ANSWERS = "answers"  # to what was asked on DECISIONS, as JSON for whoever listens
OUTCOMES = "outcomes"


class FactsSent(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A request with facts: all rows as they were sent, sound or not."""

    table: str
    arrived_at: int
    content_type: str
    body: bytes
    until: int = 2**62  # rows that say they will be known later were rejected: a wrong clock made them


class DecisionAsked(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that is to be answered as soon as there is time: the row, or only the key of one that is known.

    Written as JSON, so that other programs may ask.
    """

    row: dict[str, Scalar] | None = None
    key: dict[str, Scalar] | str | int | None = None
    explain: bool = False


class PredictionMade(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction: what was answered, all it was made from, and which models are to be asked the same (shadows)."""

    prediction: Prediction
    answered_at: int
    row: dict[str, Any]
    features: dict[str, Any]
    shadows: dict[str, str] = {}  # the model of each arm


class Answered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to a decision that was asked for on a topic: a prediction, or why there is none."""

    id: str
    prediction: Prediction | None = None
    error: Failure | None = None


class OutcomesTold(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What somebody said came true: the label of each prediction, a class by its name, yes and no as 1 and 0."""

    arrived_at: int
    labels: dict[str, float | str]


_pack = msgspec.msgpack.Encoder().encode
_json = msgspec.json.Encoder().encode
read_facts = msgspec.msgpack.Decoder(FactsSent).decode
read_prediction = msgspec.msgpack.Decoder(PredictionMade).decode
read_outcomes = msgspec.msgpack.Decoder(OutcomesTold).decode
read_decision = msgspec.json.Decoder(DecisionAsked).decode


def write(record: FactsSent | PredictionMade | OutcomesTold | DecisionAsked | Answered) -> bytes:
    """Return a record as its topic keeps it."""
    return _json(record) if isinstance(record, DecisionAsked | Answered) else _pack(record)
