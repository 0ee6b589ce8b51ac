"""Which arms were set when, in the system's own time: the ledger's deployments, told by what the loop did."""

from __future__ import annotations

from itertools import pairwise

from msgspec import Struct

from mainspring.answers import Arm
from mainspring.ledger import Deployment, Ledger, LoopEvent

__all__ = ["ARMS_SET", "Period", "arm_since", "is_about_arms", "periods_of"]

ARMS_SET = ("begun", "shadow", "canary", "ab", "promoted", "rolled back", "passed over")
"""What a loop does with arms, by the words of its events."""


class Period(Struct, frozen=True, kw_only=True):
    """From when until when a deployment held.

    `begin` and `end` are the system's own time, microseconds, `set_at` is real time. Of what nobody told the loop, `begin` is
    real time too. `end` None: it holds still, or until time was turned back.
    """

    number: int  # of the deployment
    begin: int
    end: int | None
    set_at: int
    by: str
    reason: str
    arms: tuple[Arm, ...]


def periods_of(ledger: Ledger, system: str) -> list[Period]:
    """Return the deployments of a system, the oldest first, each with when it held.

    Raises WorkspaceError.
    """
    deployments = [*reversed(ledger.deployments.history(system))]
    events = [event for event in reversed(ledger.loops.events(system)) if is_about_arms(event)]
    begins = _begins(deployments, events)
    ends = [*(later if later >= begin else None for begin, later in pairwise(begins)), None]
    return [
        Period(number=each.number, begin=begin, end=end, set_at=each.at, by=each.by, reason=each.reason, arms=each.arms)
        for each, begin, end in zip(deployments, begins, ends, strict=False)
    ]


def arm_since(periods: list[Period], arm: Arm) -> Period:
    """Return the period in which an arm of the newest one got its model and role, whatever its share was since.

    Raises IndexError where there is no period.
    """
    found = periods[-1]
    for period in reversed(periods):
        if not any(each.model == arm.model and each.role == arm.role for each in period.arms):
            break
        found = period
    return found


def is_about_arms(event: LoopEvent) -> bool:
    """Return whether a loop set arms by what it did, or could have."""
    return event.what in ARMS_SET


def _begins(deployments: list[Deployment], events: list[LoopEvent]) -> list[int]:
    """The system's time of each deployment: that of the step which set it, or which found that somebody had."""
    by_loop = {(event.written_at, f"{event.what}: {event.told}"): event.at for event in events}
    found = [event for event in events if event.what == "begun"]
    begins = []
    for place, each in enumerate(deployments):
        until = deployments[place + 1].at if place + 1 < len(deployments) else None
        heard = (
            event.at for event in found if each.at <= event.written_at and (until is None or event.written_at < until)
        )
        begins.append(by_loop.get((each.at, each.reason)) or next(heard, each.at))
    return begins
