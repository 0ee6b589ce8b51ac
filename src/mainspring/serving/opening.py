"""From a workspace to a service: the models that are deployed, the facts of the lake, and what the log has after them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import msgspec
import polars as pl

from mainspring.clock import DAY, Clock, parse_span
from mainspring.declare import System
from mainspring.features import plan
from mainspring.features.online import OnlineState
from mainspring.lake import Lake
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

__all__ = ["Opened", "newest_visible", "open_on", "open_service", "predictor_of"]

_PAGE = 1000
_OVER_AFTER = 7 * DAY
_KEPT_FOR = 7 * DAY  # in the log, of what is in the lake


@dataclass(frozen=True, eq=False)
class Opened:
    """A service ready to answer, its log, its arms, and what it began with."""

    service: Service
    log: EmbeddedLog
    deployed: Deployed
    history: Mapping[str, int]  # facts of the lake, by table
    replayed: int  # requests with facts that the log had after them


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
    service, history, replayed = open_on(
        system, deployed.router, log, lake, clock, follow_facts=follow_facts, grace=grace, limits=limits
    )
    progress(f"{sum(history.values()):,} facts in the lake, {replayed:,} requests after them in the log")
    return Opened(service, log, deployed, history, replayed)


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
) -> tuple[Service, dict[str, int], int]:
    """Open the service of arms on a log and a lake; return it, the facts of the lake by table, and the requests replayed.

    Raises WorkspaceError (WORKSPACE_BUSY) when another server of the system runs.
    """
    log.append([])  # takes the writer's lock: a second server is told so before it begins
    # Where the lake ends in the log is asked before the lake is read: what comes in between is in both, and told apart.
    facts, predictions = log.consumer(FACTS, LAKE_GROUP), log.consumer(PREDICTIONS, LAKE_GROUP)
    history = {table.__schema__.name: lake.read(table) for table in system.tables}
    newest = _newest(system, history)
    follows = newest is not None and clock.now() - newest > _OVER_AFTER if follow_facts is None else follow_facts
    used: Clock = FactsClock(newest if newest is not None else clock.now()) if follows else clock
    predictor = predictor_of(system, router, history, used.now(), grace)
    service = Service(predictor, Intake(system, history), Journal(log), used, limits, clock)
    _remember_predictions(service, lake, predictions)
    _remember_questions(service, lake, log)
    _remember_outcomes(service, log.consumer(OUTCOMES, LAKE_GROUP))
    service.freshen({name: newest_visible(frame) for name, frame in history.items()})
    replayed = _replay(service, facts)
    return service, {name: frame.height for name, frame in history.items()}, replayed


def predictor_of(
    system: System, router: Router, history: Mapping[str, pl.DataFrame], now: int, grace: int
) -> Predictor:
    """Return a predictor whose state holds a history, for decisions from `now` less the grace on (microseconds).

    On a schedule the grace is at least the time from tick to tick: a decision is made at the last one, which may be that old.
    """
    every = 0 if system.decision.every is None else parse_span(system.decision.every)
    state = OnlineState(plan(system.features), grace=max(grace, every))
    for name in state.tables:
        state.add(name, history[name])
    state.advance(now - 1)
    state.forget()
    predictor = Predictor(system, state, router)
    predictor.current.add(history[system.decision.table.__schema__.name], state.watermark)
    return predictor


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


def _remember_predictions(service: Service, lake: Lake, predictions: LogConsumer) -> None:
    """Learn as of when decisions were answered, by the lake and by what the log has after it, and what was answered there.

    Also what the log still has from before, so that a request that comes again, because its server was killed before it
    had the answer, is answered as it was the first time.
    """
    stored = lake.read(PREDICTIONS_TABLE, columns=["decided_at"])["decided_at"].to_physical().max()
    service.begin_after(stored if isinstance(stored, int) else 0)
    predictions.seek(max(0, predictions.position - REMEMBERED))
    for record in _rest(predictions):
        made = read_prediction(record.value)
        service.begin_after(int(made.row["_at"]))
        service.remembered.answered(record.id, made.prediction)


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
