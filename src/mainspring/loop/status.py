"""How a served system is: what its loop knows and does, which models answer, what is amiss. Read from the ledger alone.

No server is asked, so this tells of one that stands still as well: the newest step says when it was taken.
"""

from __future__ import annotations

from msgspec import Struct

from mainspring.answers import Arm
from mainspring.declare import System
from mainspring.ledger import KeptAlert, LoopEvent
from mainspring.loop.champion_quality import Quality, quality_of
from mainspring.loop.deployed_when import arm_since, periods_of
from mainspring.loop.doing import Doing, Next, doing_of, next_of
from mainspring.loop.live_state import read_live
from mainspring.loop.monitors import settled_of
from mainspring.loop.state import Policy
from mainspring.monitoring.objectives import ObjectiveRow, objective_rows
from mainspring.serving.deployed import newest_model
from mainspring.workspace import Workspace

__all__ = ["ArmStatus", "LoopStatus", "Status", "status_of"]

_EVENTS = 10


class ArmStatus(Struct, frozen=True, kw_only=True):
    """An arm that answers or listens, and since when that model has that role, with whatever share.

    `since` is the system's own time, `set_at` real time, microseconds; None where nobody deployed anything.
    """

    name: str
    role: str
    model: str
    share: float
    since: int | None = None
    set_at: int | None = None
    by: str = ""
    why: str = ""


class LoopStatus(Struct, frozen=True, kw_only=True):
    """What a loop knows after its newest step. `at` is the system's own time, `taken_at` real time, microseconds."""

    step: int
    at: int
    taken_at: int
    every: int  # microseconds between two steps
    doing: Doing
    next: Next
    quality: Quality | None  # None while the first model is trained


class Status(Struct, frozen=True, kw_only=True):
    """How a system is, for a terminal or a page: plain values. `alerts` are the open ones; they and `events` the newest first.

    `loop` None: there is none, and `no_loop` says why.
    """

    system: str
    loop: LoopStatus | None
    no_loop: str = ""
    arms: list[ArmStatus]
    objectives: list[ObjectiveRow] = []
    alerts: list[KeptAlert]
    events: list[LoopEvent]


def status_of(system: System, workspace: Workspace) -> Status:
    """Return how a system is.

    Raises ServingError (SERVE_MODEL) where it has no model yet, DeclarationError, WorkspaceError.
    """
    ledger, kept = workspace.ledger, workspace.ledger.loops.kept(system.name)
    loop, no_loop, objectives = None, "", objective_rows(system, {}, None, 0)
    state = None if kept is None else read_live(kept, system.fingerprint)
    if kept is None:
        no_loop = "No loop has begun yet."
    elif state is None:
        no_loop = "The loop that is kept was of another declaration or version: it begins anew when this one is served."
    else:
        policy = Policy.of(system, system.retrain, system.rollout)
        if state.loop is not None:
            settled = settled_of(policy, state.loop)
            objectives = objective_rows(system, state.loop.operations, settled, state.loop.now)
        loop = LoopStatus(
            step=kept.step,
            at=kept.at,
            taken_at=kept.written_at,
            every=state.every,
            doing=doing_of(policy, state, ledger.loops.events(system.name)),
            next=next_of(policy, state),
            quality=None if state.loop is None else quality_of(policy, state.loop),
        )
    return Status(
        system=system.name,
        loop=loop,
        no_loop=no_loop,
        arms=_arms(system, workspace),
        objectives=objectives,
        alerts=ledger.alerts.open(system.name),
        events=ledger.loops.events(system.name, limit=_EVENTS),
    )


def _arms(system: System, workspace: Workspace) -> list[ArmStatus]:
    """The arms that answer, or listen, now."""
    periods = periods_of(workspace.ledger, system.name)
    if not periods:
        return [
            ArmStatus(
                name="champion",
                role="champion",
                model=newest_model(system, workspace),
                share=1.0,
                why="nothing is deployed: the newest model answers",
            )
        ]

    def told(arm: Arm) -> ArmStatus:
        since = arm_since(periods, arm)
        return ArmStatus(
            name=arm.name, role=arm.role, model=arm.model, share=arm.share,
            since=since.begin, set_at=since.set_at, by=since.by, why=since.reason,
        )  # fmt: skip

    return [told(arm) for arm in periods[-1].arms]
