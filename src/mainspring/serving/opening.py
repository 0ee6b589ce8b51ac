"""From a workspace to a service: the models that are deployed, the facts of the lake, and what the log has after them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import msgspec
import polars as pl

from mainspring.clock import DAY, Clock, parse_span
from mainspring.declare import System
from mainspring.features import plan
from mainspring.features.online import OnlineState, StoredSnapshot
from mainspring.lake import Lake
from mainspring.serving.checkpoint import Checkpoint, Kept
from mainspring.serving.deployed import Deployed
from mainspring.serving.facts_clock import FactsClock
from mainspring.serving.intake import Intake
from mainspring.serving.journal import Journal
from mainspring.serving.limits import Limits
from mainspring.serving.past import find_predictions
from mainspring.serving.predictor import Predictor
from mainspring.serving.records import (
    ANSWERS,
    DECISIONS,
    FACTS,
    OUTCOMES,
    PREDICTIONS,
    Answered,
    read_outcomes,
    read_prediction,
)
from mainspring.serving.remembered import REMEMBERED
from mainspring.serving.router import Router
from mainspring.serving.service import Service
from mainspring.serving.sink import LAKE_GROUP, PREDICTIONS_TABLE
from mainspring.serving.streaming import ANSWERING_GROUP
from mainspring.stream import EmbeddedLog, Record, Retention
from mainspring.stream.consumer import LogConsumer
from mainspring.workspace import Workspace

__all__ = ["Beginning", "Opened", "newest_visible", "open_on", "open_service", "predictor_of"]

_PAGE = 1000
_OVER_AFTER = 7 * DAY
_KEPT_FOR = 7 * DAY  # in the log, of what is in the lake


@dataclass(frozen=True, eq=False)
class Opened:
    """A service ready to answer, its log, its arms, where its state is kept, and what it began with."""

    service: Service
    log: EmbeddedLog
    deployed: Deployed
    checkpoint: Checkpoint
    began: Beginning


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
    """Open the deployed models of a system and everything that they need to answer.

    `clock` is the wall clock; with `follow_facts` time is what the facts say instead; None: where the newest fact is more
    than a week old. `grace` (microseconds) is how late a decision may be asked for; `durability` is that of the log.

    Raises ServingError (SERVE_MODEL), BundleError, WorkspaceError.
    """
    deployed = Deployed(system, workspace)
    for arm in deployed.router.arms:
        progress(f"model {arm.model}, {arm.role}" + (f" for {arm.share:.0%}" if arm.role != "shadow" else ""))
    log = EmbeddedLog(
        workspace.log / system.name,
        clock,
        durability="relaxed" if durability == "relaxed" else "full",
        retention=Retention(age=_KEPT_FOR),
    )
    checkpoint = Checkpoint(workspace.kept_state(system.name), system, log)
    service, began = open_on(
        system,
        deployed.router,
        log,
        lake,
        clock,
        follow_facts=follow_facts,
        grace=grace,
        limits=limits,
        checkpoint=checkpoint,
    )
    place = "in the state that was kept" if began.kept else "in the lake"
    progress(f"{sum(began.known.values()):,} facts {place}, {began.replayed:,} requests after them in the log")
    return Opened(service, log, deployed, checkpoint, began)


def open_on(
    system: System,
    router: Router,
    log: EmbeddedLog,
    lake: Lake,
    clock: Clock,
    *,
    follow_facts: bool | None = None,
    grace: int = 0,
    limits: Limits | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[Service, Beginning]:
    """Open the service of arms on a log and a lake; return it, and what it began with.

    It begins with what `checkpoint` kept, where that is of use, and else with all facts of the lake.

    Raises WorkspaceError (WORKSPACE_BUSY) when another server of the system runs.
    """
    log.append([])  # takes the writer's lock: a second server is told so before it begins
    # Where the lake ends in the log is asked before the lake is read: what comes in between is in both, and told apart.
    facts, predictions = log.consumer(FACTS, LAKE_GROUP), log.consumer(PREDICTIONS, LAKE_GROUP)
    begun = None
    if checkpoint is not None and (found := checkpoint.read(lake.histories(system.tables))) is not None:
        begun = _as_kept(system, router, *found, partial(_clock, clock, follow_facts), grace)
        if begun is not None:
            facts.seek(begun.facts_end)
    if begun is None:
        begun = _from_lake(system, router, lake, partial(_clock, clock, follow_facts), grace)
    service = Service(begun.predictor, begun.intake, Journal(log), begun.clock, limits, clock)
    service.newest, service.facts_end = begun.newest, facts.position
    _remember_predictions(service, lake, predictions, begun.answered)
    _remember_questions(service, lake, log)
    _remember_outcomes(service, log.consumer(OUTCOMES, LAKE_GROUP))
    service.freshen(begun.fresh)
    known = {name: len(known) for name, known in begun.intake.known().items()}
    replayed = _replay(service, facts)
    return service, Beginning(known, replayed, begun.facts_end >= 0)


class Beginning(NamedTuple):
    """What a service began with."""

    known: Mapping[str, int]  # facts, by table
    replayed: int  # requests with facts that the log had after them
    kept: bool  # by a checkpoint, and not from the lake


class _Begun(NamedTuple):
    predictor: Predictor
    intake: Intake
    clock: Clock
    newest: int | None
    fresh: Mapping[str, int]
    facts_end: int = -1  # the offset in the log up to which all facts are there already, where that is known
    answered: tuple[int, int] = (-1, 0)  # the offset of a prediction, and as of when all before it were answered


def _clock(wall: Clock, follow_facts: bool | None, newest: int | None) -> Clock:
    """The clock of a service whose newest fact is of then."""
    follows = newest is not None and wall.now() - newest > _OVER_AFTER if follow_facts is None else follow_facts
    return FactsClock(newest if newest is not None else wall.now()) if follows else wall


def _from_lake(
    system: System, router: Router, lake: Lake, clock_of: Callable[[int | None], Clock], grace: int
) -> _Begun:
    history = {table.__schema__.name: lake.read(table) for table in system.tables}
    newest = _newest(system, history)
    clock = clock_of(newest)
    predictor = predictor_of(system, router, history, clock.now(), grace)
    fresh = {name: newest_visible(frame) for name, frame in history.items()}
    return _Begun(predictor, Intake(system, history), clock, newest, fresh)


def _as_kept(
    system: System,
    router: Router,
    kept: Kept,
    stored: StoredSnapshot,
    clock_of: Callable[[int | None], Clock],
    grace: int,
) -> _Begun | None:
    """What a checkpoint has; None where it cannot answer what the service may be asked: kept with another grace or clock."""
    clock = clock_of(kept.newest)
    state = stored.state(plan(system.features), grace=_whole_grace(system, grace))
    if state is None or state.watermark > clock.now() - 1 - state.grace:
        return None
    state.advance(clock.now() - 1)
    predictor = Predictor(system, state, router)
    predictor.current.restore(kept.versions)
    predictor.current.forget(state.watermark)
    answered = kept.predictions_end, kept.decided
    return _Begun(predictor, Intake(system, kept.hashes()), clock, kept.newest, kept.fresh, kept.facts_end, answered)


def predictor_of(
    system: System, router: Router, history: Mapping[str, pl.DataFrame], now: int, grace: int
) -> Predictor:
    """Return a predictor whose state holds a history, for decisions from `now` less the grace on (microseconds).

    On a schedule the grace is at least the time from tick to tick: a decision is made at the last one, which may be that old.
    """
    state = OnlineState(plan(system.features), grace=_whole_grace(system, grace))
    for name in state.tables:
        state.add(name, history[name])
    state.advance(now - 1)
    state.forget()
    predictor = Predictor(system, state, router)
    predictor.current.add(history[system.decision.table.__schema__.name], state.watermark)
    return predictor


def _whole_grace(system: System, grace: int) -> int:
    return max(grace, 0 if system.decision.every is None else parse_span(system.decision.every))


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


def newest_visible(facts: pl.DataFrame) -> int:
    """Return from when the newest of some facts is visible (microseconds); 0 for none, or facts that always were."""
    latest = facts["_visible_at"].to_physical().max()
    return latest if isinstance(latest, int) else 0


def _remember_predictions(service: Service, lake: Lake, predictions: LogConsumer, known: tuple[int, int]) -> None:
    """Learn as of when decisions were answered, by the lake and by what the log has after it, and what was answered there.

    Also what the log still has from before, so that a request that comes again, because its server was killed before it
    had the answer, is answered as it was the first time. `known` is what a checkpoint knows: the offset up to which nothing
    was answered as of later than an instant. The lake is read only where the log does not go back to there.
    """
    end, decided = known
    begin = max(0, predictions.position - REMEMBERED)
    first = None
    predictions.seek(begin)
    for record in _rest(predictions):
        first = record.offset if first is None else first
        made = read_prediction(record.value)
        service.begin_after(int(made.row["_at"]))
        service.remembered.answered(record.id, made.prediction)
    if end < begin or (first is not None and end < first):
        stored = lake.read(PREDICTIONS_TABLE, columns=["decided_at"])["decided_at"].to_physical().max()
        decided = stored if isinstance(stored, int) else 0
    service.begin_after(decided)


def _remember_questions(service: Service, lake: Lake, log: EmbeddedLog) -> None:
    """Learn which decisions were asked for and are yet to be answered, and what was answered to the others."""
    for answer in _last_answers(log):
        told = answer.error or answer.prediction
        if told is not None:
            service.remembered.answered(answer.id, told)
    decisions = log.consumer(DECISIONS, ANSWERING_GROUP)
    service.answered_before = decisions.position
    asked = [record.id for record in _rest(decisions)]  # nothing is committed: the stream answers them
    if not asked:
        return
    for prediction in find_predictions(lake, asked, service.predictor.task):
        service.remembered.answered(prediction.prediction_id, prediction)
    for prediction_id in asked:
        service.remembered.asked(prediction_id)
    service.asked_to_answer.set()


def _remember_outcomes(service: Service, outcomes: LogConsumer) -> None:
    """Learn what somebody said came true that the lake has not got yet, and when and by which requests it was last said."""
    outcomes.seek(max(0, outcomes.position - _PAGE))
    for record in _rest(outcomes):
        service.learn_outcomes(record.id, read_outcomes(record.value))


def _last_answers(log: EmbeddedLog) -> Iterator[Answered]:
    """Yield what was last answered to decisions that were asked for on a topic."""
    answers = log.consumer(ANSWERS, ANSWERING_GROUP)
    answers.seek(max(0, log.end(ANSWERS) - REMEMBERED))
    yield from (msgspec.json.decode(record.value, type=Answered) for record in _rest(answers))
    log.forget(ANSWERS, ANSWERING_GROUP)  # nobody reads on from here: retention need not wait


def _replay(service: Service, consumer: LogConsumer) -> int:
    """Put into the state what the log has and the lake has not; facts that both have are told apart by the intake."""
    replayed = 0
    for record in _rest(consumer):  # nothing is committed: the lake has not got them
        service.replay(record)
        replayed += 1
    return replayed


def _rest(consumer: LogConsumer) -> Iterator[Record]:
    """Yield every record from a consumer's position on, commit nothing, and close it."""
    while records := consumer.poll(_PAGE):
        yield from records
    consumer.close()
