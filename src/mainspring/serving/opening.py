"""From a workspace to a service: the newest bundle, the facts of the lake, and what the log has that the lake has not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mainspring.clock import DAY, Clock
from mainspring.declare import System
from mainspring.errors import ServingError
from mainspring.features import plan
from mainspring.features.online import OnlineState
from mainspring.lake import Lake
from mainspring.model.bundle import Bundle, load_bundle
from mainspring.model.fast import compile_model
from mainspring.serving.facts_clock import FactsClock
from mainspring.serving.intake import Intake
from mainspring.serving.journal import Journal
from mainspring.serving.limits import Limits
from mainspring.serving.predictor import Predictor
from mainspring.serving.service import FACTS, Service
from mainspring.serving.sink import LAKE_GROUP
from mainspring.stream import EmbeddedLog
from mainspring.workspace import Workspace

__all__ = ["Opened", "newest_bundle", "open_service"]

_PAGE = 1000
_OVER_AFTER = 7 * DAY


@dataclass(frozen=True, eq=False)
class Opened:
    """A service ready to answer, its log, and what it began with."""

    service: Service
    log: EmbeddedLog
    bundle: Path
    history: Mapping[str, int]  # facts of the lake, by table
    replayed: int  # requests with facts that the log had after them
    follows_facts: bool  # time is what the facts say


def open_service(
    system: System,
    workspace: Workspace,
    lake: Lake,
    clock: Clock,
    *,
    follow_facts: bool | None = None,
    grace: int = 0,
    durability: str = "full",
    limits: Limits | None = None,
    progress: Callable[[str], None] = lambda told: None,
) -> Opened:
    """Open the newest model of a system and everything that it needs to answer.

    `clock` is the wall clock; with `follow_facts` time is what the facts say instead; None: where the newest fact is more
    than a week old. `grace` (microseconds) is how late a decision may be asked for; `durability` is that of the log.

    Raises ServingError (SERVE_MODEL), BundleError, WorkspaceError.
    """
    bundle = newest_bundle(system, workspace)
    progress(f"model {bundle.folder.name}")
    history = {table.__schema__.name: lake.read(table) for table in system.tables}
    newest = _newest(history)
    follows = newest is not None and clock.now() - newest > _OVER_AFTER if follow_facts is None else follow_facts
    used: Clock = FactsClock(newest or 0) if follows else clock
    state = OnlineState(plan(system.features), grace=grace)
    for name in state.tables:
        state.add(name, history[name])
    state.advance(used.now())
    state.forget()
    progress(f"{sum(frame.height for frame in history.values()):,} facts")
    log = EmbeddedLog(workspace.log / system.name, clock, durability="relaxed" if durability == "relaxed" else "full")
    log.append([])  # takes the writer's lock: a second server of the system is told so before it begins
    predictor = Predictor(system, state, compile_model(bundle.model), bundle.folder.name)
    service = Service(predictor, Intake(system, history), Journal(log), used, limits)
    replayed = _replay(service, log)
    progress(f"{replayed:,} requests from the log")
    return Opened(service, log, bundle.folder, {name: f.height for name, f in history.items()}, replayed, follows)


def newest_bundle(system: System, workspace: Workspace) -> Bundle:
    """Load the bundle of the newest finished run of a system.

    Raises ServingError (SERVE_MODEL) when there is none, or it was built for another declaration; BundleError.
    """
    for run in workspace.ledger.runs(system=system.name):
        for record in workspace.ledger.models(run.name) if run.status == "finished" else ():
            if record.bundle is None:
                continue
            bundle = load_bundle(workspace.locate(record.bundle), threads=1)
            if bundle.manifest.fingerprint != system.fingerprint:
                raise ServingError(
                    "SERVE_MODEL",
                    f"The newest model of {system.name} was built for another declaration than the file holds now.",
                    exists=f"It is {bundle.folder.name}, of run {run.name}.",
                    fix="Run the file again: mainspring run FILE",
                )
            return bundle
    raise ServingError(
        "SERVE_MODEL",
        f"The workspace {workspace.root} has no model of {system.name}.",
        fix="Make one: mainspring run FILE",
    )


def _newest(history: Mapping[str, pl.DataFrame]) -> int | None:
    times = [frame["_visible_at"].to_physical().max() for frame in history.values()]
    return max((int(time) for time in times if isinstance(time, int)), default=None)


def _replay(service: Service, log: EmbeddedLog) -> int:
    """Put into the state what the log has and the lake has not; facts that both have are told apart by the intake."""
    consumer = log.consumer(FACTS, LAKE_GROUP)
    replayed = 0
    while records := consumer.poll(_PAGE):
        for record in records:
            service.replay(record)
        replayed += len(records)
    consumer.close()  # nothing is committed: the lake has not got them
    return replayed
