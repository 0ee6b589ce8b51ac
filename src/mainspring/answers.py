"""What a server answers, as typed records: the same for the server that writes them and the client that reads them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = [
    "Arm",
    "ArmRole",
    "Arms",
    "Failure",
    "Judged",
    "Kept",
    "Outcome",
    "Pending",
    "Prediction",
    "Rejection",
]

ArmRole = Literal["champion", "challenger", "shadow"]
"""A champion answers what no challenger does; a shadow is asked as well and never answers."""


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
    interval: tuple[float, float] | None = None  # where the model has one
    age_seconds: float | None = None  # of a prediction that was made ahead: how long ago that was
    features: dict[str, Any] | None = None
    contributions: Any = None


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """A row that was not taken: its position in the request, the rule that it breaks, and a sentence for people."""

    row: int
    reason: str
    message: str


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the rows of a request: accepted + already_there + rejected == given.

    `table` is the table of the facts, or "outcomes". `rejections` tells of the first hundred rejected rows.
    """

    table: str
    given: int
    accepted: int
    already_there: int
    rejected: int
    rejections: tuple[Rejection, ...] = ()


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came true of a prediction: by facts, as the label is declared, or by what somebody said (feedback)."""

    label: bool | float | str
    known_at: str  # ISO 8601
    source: Literal["facts", "feedback"]


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction and what came true of it; None while nothing is known."""

    prediction: Prediction
    outcome: Outcome | None = None


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that was accepted and is yet to be answered; `location` is the path at which to ask for it."""

    prediction_id: str
    location: str
    status: Literal["pending"] = "pending"


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why something was not done: a code to look up, what is wrong, what there is instead, what to do next."""

    code: str
    message: str
    exists: str = ""
    fix: str = ""


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """One model version that receives traffic.

    `share` is the part of the keys for which it answers; a shadow's is 0.
    """

    name: str
    role: ArmRole
    model: str
    share: float


class Arms(msgspec.Struct, frozen=True, kw_only=True):
    """The arms of a system, since when, set by whom and why."""

    arms: tuple[Arm, ...]
    since: str | None = None  # ISO 8601; None where nobody has set any: the newest model answers all
    by: str = ""
    reason: str = ""
