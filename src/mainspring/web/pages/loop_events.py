"""What the loop did, read once: of each look only what came since."""

from __future__ import annotations

from itertools import pairwise

from mainspring.ledger import LoopEvent
from mainspring.loop.deployed_when import Period, periods_of
from mainspring.web.source import Source

__all__ = ["KINDS", "events_of", "kind_of", "life_of", "periods_now"]

KINDS = {"trainings": "Trainings", "rollouts": "Rollouts", "alerts": "Alerts"}
"""What a loop does, by the word in a link."""


def kind_of(event: LoopEvent) -> str:
    """Return which of KINDS an event is of."""
    if event.what.startswith("alert"):
        return "alerts"
    return "trainings" if event.what in ("train", "passed over") else "rollouts"


def events_of(source: Source) -> list[LoopEvent]:
    """Return all that the loop of the system did, the newest first: events are numbered from 1, and none goes.

    Raises WorkspaceError.
    """
    system, loops = source.system.name, source.ledger.loops
    held: list[LoopEvent] = source.once("events", None, list)
    newest = next(iter(loops.events(system, limit=1)), None)
    missing = (0 if newest is None else newest.number) - len(held)
    if missing < 0:  # another ledger has taken the place of this one
        held.clear()
        missing = 0 if newest is None else newest.number
    if newest is not None and missing:
        # More may have come since the newest was asked for: those are read at the next look.
        came = [each for each in loops.events(system, limit=missing + 64) if len(held) < each.number <= newest.number]
        held[:0] = came
    return held


def periods_now(source: Source) -> list[Period]:
    """Return the deployments of the system, the oldest first, each with when it held. Raises WorkspaceError."""
    current = source.ledger.deployments.current(source.system.name)
    mark = 0 if current is None else current.number, len(events_of(source))
    return source.once("periods", mark, lambda: periods_of(source.ledger, source.system.name))


def life_of(events: list[LoopEvent]) -> list[LoopEvent]:
    """Return of events, the newest first, those since time was last turned back: they lie in the order of their time."""
    for place, (later, earlier) in enumerate(pairwise(events)):
        if earlier.at > later.at:
            return events[: place + 1]
    return events
