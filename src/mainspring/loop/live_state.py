"""What the ledger keeps of a live loop between two steps: plain data, which whoever looks at a system can read as well."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from mainspring.ledger import KeptLoop
from mainspring.loop.state import LoopState, Train
from mainspring.monitoring.inputs_seen import LookedAt

__all__ = ["Asked", "Heard", "LiveState", "read_live"]


class Heard(Struct, frozen=True):
    """How far the lake has been heard, in its order of ingestion; `after` is the last prediction before the loop began."""

    after: int
    predictions: int
    outcomes: int = -1
    features: int = -1
    features_until: int = 0  # microseconds


class Asked(Struct, frozen=True):
    """A training that a loop asked for. `began_at` is when the loop began: classes of a label are those known by then.

    The first model of a loop has no parent.
    """

    train: Train
    began_at: int

    @property
    def first(self) -> bool:
        """Whether it is the first model, which has no champion to beat."""
        return not self.train.parent


class LiveState(Struct, frozen=True, kw_only=True):
    """What is kept of a loop between two steps: its own state, and how far the world has been heard. Plain data."""

    began_at: int  # microseconds, as all times here: the system's own time
    every: int
    run_model: str  # the newest model that a person had made when the loop began
    deployment: int  # the newest deployment that it knows of
    heard: Heard
    looked_at: LookedAt | None = None
    asked: Asked | None = None  # a training that goes on
    loop: LoopState | None = None  # None while its first model is trained

    @property
    def now(self) -> int:
        """The instant of the newest step."""
        return self.began_at if self.loop is None else self.loop.now


def read_live(kept: KeptLoop, declaration: str) -> LiveState | None:
    """Return what the ledger keeps of the loop of a declaration (its fingerprint).

    None where it is of another one, or of a version of Mainspring that kept other things: the loop then begins again.
    """
    if kept.declaration != declaration:
        return None
    try:
        return msgspec.msgpack.decode(kept.state, type=LiveState)
    except msgspec.DecodeError:
        return None
