"""From a workspace to a service: the newest bundle, the facts of the lake, and what the log has that the lake has not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mainspring.clock import DAY, Clock, parse_span
from mainspring.declare import System
from mainspring.errors import ServingError
from mainspring.features import plan
from mainspring.features.online import OnlineState
from mainspring.lake import Lake
from mainspring.model.bundle import Bundle, load_bundle
from mainspring.model.fast import CompiledModel, compile_model
from mainspring.serving.facts_clock import FactsClock
from mainspring.serving.intake import Intake
from mainspring.serving.journal import Journal
from mainspring.serving.limits import Limits
from mainspring.serving.predictor import Predictor
from mainspring.serving.service import FACTS, PREDICTIONS, Service
from mainspring.serving.sink import LAKE_GROUP, PREDICTIONS_TABLE, decided_at
from mainspring.stream import EmbeddedLog, Retention
from mainspring.stream.consumer import LogConsumer
from mainspring.workspace import Workspace

__all__ = ["Opened", "newest_bundle", "open_on", "open_service"]

_PAGE = 1000
_OVER_AFTER = 7 * DAY
_KEPT_FOR = 7 * DAY  # in the log, of what is in the lake


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
    log = EmbeddedLog(
        workspace.log / system.name,
        clock,
        durability="relaxed" if durability == "relaxed" else "full",
        retention=Retention(age=_KEPT_FOR),
    )
    service, history, replayed = open_on(
        system,
        compile_model(bundle.model),
        bundle.folder.name,
        log,
        lake,
        clock,
        follow_facts=follow_facts,
        grace=grace,
        limits=limits,
    )
    progress(f"{sum(history.values()):,} facts in the lake, {replayed:,} requests after them in the log")
    return Opened(service, log, bundle.folder, history, replayed, isinstance(service.clock, FactsClock))


def open_on(
    system: System,
    model: CompiledModel,
    version: str,
    log: EmbeddedLog,
    lake: Lake,
    clock: Clock,
    *,
    follow_facts: bool | None = None,
    grace: int = 0,
    limits: Limits | None = None,
) -> tuple[Service, dict[str, int], int]:
    """Open the service of a model on a log and a lake; return it, the facts of the lake by table, and the requests replayed.

    Raises WorkspaceError (WORKSPACE_BUSY) when another server of the system runs.
    """
    log.append([])  # takes the writer's lock: a second server is told so before it begins
    # Where the lake ends in the log is asked before the lake is read: what comes in between is in both, and told apart.
    facts, predictions = log.consumer(FACTS, LAKE_GROUP), log.consumer(PREDICTIONS, LAKE_GROUP)
    history = {table.__schema__.name: lake.read(table) for table in system.tables}
    newest = _newest(system, history)
    follows = newest is not None and clock.now() - newest > _OVER_AFTER if follow_facts is None else follow_facts
    used: Clock = FactsClock(newest if newest is not None else clock.now()) if follows else clock
    state = OnlineState(plan(system.features), grace=grace)
    for name in state.tables:
        state.add(name, history[name])
    state.advance(used.now() - 1)
    state.forget()
    service = Service(Predictor(system, state, model, version), Intake(system, history), Journal(log), used, limits)
    service.begin_after(_decided(lake, predictions))
    replayed = _replay(service, facts)
    return service, {name: frame.height for name, frame in history.items()}, replayed


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


def _newest(system: System, history: Mapping[str, pl.DataFrame]) -> int | None:
    """When the newest fact was known, or arrived where that was later: what a clock that follows facts would say."""
    times = []
    for table in system.tables:
        known_at, frame = table.__schema__.known_at, history[table.__schema__.name]
        if known_at is None or not frame.height:
            continue
        known, visible = (frame[name].to_physical() for name in (known_at.name, "_visible_at"))
        on_time = visible == known + parse_span(known_at.lag)
        times.append(int(pl.select(pl.when(on_time).then(known).otherwise(visible).max()).item()))
    return max(times, default=None)


def _decided(lake: Lake, predictions: LogConsumer) -> int:
    """The latest instant as of which a decision was answered, by the lake and by what the log has after it."""
    stored = lake.read(PREDICTIONS_TABLE, columns=["decided_at"])["decided_at"].to_physical().max()
    latest = stored if isinstance(stored, int) else 0
    while records := predictions.poll(_PAGE):
        latest = max(latest, *(decided_at(record) for record in records))
    predictions.close()
    return latest


def _replay(service: Service, consumer: LogConsumer) -> int:
    """Put into the state what the log has and the lake has not; facts that both have are told apart by the intake."""
    replayed = 0
    while records := consumer.poll(_PAGE):
        for record in records:
            service.replay(record)
        replayed += len(records)
    consumer.close()  # nothing is committed: the lake has not got them
    return replayed
