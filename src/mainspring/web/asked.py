"""What passes between a server and the process that makes its pages: plain values."""

from __future__ import annotations

from msgspec import Struct

from mainspring.ledger.records import Role
from mainspring.web.traffic import TrafficTold

__all__ = ["CSRF_PLACE", "WHO_PLACE", "Asked", "ServerTold", "Shown"]

CSRF_PLACE, WHO_PLACE = "@@form-token@@", "@@who@@"
"""Where the server puts what is a session's own, so that one page serves all who may see the same."""


class ServerTold(Struct, frozen=True, kw_only=True):
    """What only the server knows of itself. `now` is the system's own time, microseconds."""

    now: int
    follows_facts: bool = False
    traffic: TrafficTold = TrafficTold()
    problems: list[str] = []
    skew_predictions: int = 0  # whose features were computed again in batch
    skew_different: dict[str, int] = {}  # by feature: how many of its values batch does not confirm


class Asked(Struct, frozen=True, kw_only=True):
    """A page that is asked for. `path` is what follows /ui/, `wall` real time, microseconds."""

    path: str
    query: dict[str, str] = {}
    role: Role = "read"
    wall: int
    server: ServerTold


class Shown(Struct, frozen=True):
    """A page as it was made."""

    status: int
    html: str
