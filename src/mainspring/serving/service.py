"""The service: facts in, predictions out, everything in the journal before it is acknowledged. It knows nothing of HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import count

import msgspec

from mainspring.answers import Failure, Kept, Outcome, Prediction
from mainspring.clock import Clock, format_instant
from mainspring.errors import BundleError, DataError, MainspringError, ServingError, StreamError, WorkspaceError
from mainspring.serving.facts_clock import FactsClock
from mainspring.serving.feedback import read_labels
from mainspring.serving.given_rows import read_rows
from mainspring.serving.intake import Intake, Taken, latest_known
from mainspring.serving.journal import Journal
from mainspring.serving.limits import Limits
from mainspring.serving.predictor import Asked, Predicted, Predictor, Prepared, prediction_of
from mainspring.serving.records import (
    DECISIONS,
    FACTS,
    OUTCOMES,
    PREDICTIONS,
    Answered,
    DecisionAsked,
    FactsSent,
    OutcomesTold,
    PredictionMade,
    read_decision,
    read_facts,
    write,
)
from mainspring.serving.remembered import Remembered
from mainspring.stream import Message, Record

__all__ = ["Service", "failure_of"]

_log = logging.getLogger("mainspring.serving")
_RETRY_SECONDS = 2
_FORGET_AFTER = 50_000
_MOST_PENDING = 100_000
_ROWS_A_TURN = 50  # of a long request: then others have a turn
_REFUSALS = (ServingError, DataError, BundleError)


class Service:
    """One system being served, for the coroutines of one event loop.

    Guarantees: what `push`, `predict`, `ask_later` and `tell` return is durable; facts are in the state in the order in
    which the log has them; `replay` of the log's facts, from the history that the service began with, finds the same state
    again. A decision knows exactly the facts that arrived by its time: one that is still on its way to the disk is not
    known, and a decision made meanwhile is as of the instant before it arrived; a fact that comes after a decision has a
    later arrival, if only by a microsecond. So batch, which reads the lake afterwards, finds the same features.
    """

    def __init__(
        self,
        predictor: Predictor,
        intake: Intake,
        journal: Journal,
        clock: Clock,
        limits: Limits | None = None,
        wall: Clock | None = None,
    ) -> None:
        """`wall` is real time, where `clock` follows facts."""
        self.wall = wall or clock
        self.predictor, self.intake, self.journal, self.clock = predictor, intake, journal, clock
        self.limits = limits or Limits()
        self.remembered = Remembered()
        self.missing: Counter[str] = Counter()  # by feature: how often it was missing in a prediction
        self.fresh: dict[str, int] = {}  # by table: from when its newest fact is visible
        self.lags: Counter[str] = Counter()  # by table: how long accepted facts took to come in all, in microseconds
        self.asked_to_answer = asyncio.Event()  # there is something on the topic of decisions
        self.answered_before = 0  # the offset in that topic up to which everything is answered
        self._ids, self._numbers = secrets.token_hex(8) + "-", count(1)
        self._learned = 0  # facts accepted since the state last forgot
        self._told = 0  # when somebody last said what came true
        self._on_their_way: list[int] = []  # when facts arrived that are not durable yet
        self.decided = 0  # the latest instant as of which a decision was answered
        self.newest: int | None = None  # what a clock says that follows facts
        self.facts_end = 0  # the offset in the topic of facts up to which all of them are in the state
        self.whole = True  # the state has all facts of the lake and the log up to there

    # -- facts ---------------------------------------------------------------------------------------------------------

    async def push(self, table: str, body: bytes, content_type: str, event_id: str | None = None) -> Taken:
        """Keep the facts of a request and put those that are sound and new into the state.

        `event_id` names the request: sent again under the same name, the log has it once. Rows that are known already
        change nothing in any case.

        Raises ServingError (SERVE_TABLE, SERVE_BODY, SERVE_UNAVAILABLE) and ContractError for a whole column that cannot be
        read; then nothing was kept.
        """
        self.intake.table(table)
        frame = read_rows(body, content_type, self.limits)
        if not frame.height:
            return Taken(table=table, given=0, already_there=0, rejected=0, rejections=(), facts=frame)
        rows = self.intake.read(table, frame)
        arrived_at = max(self.clock.now(), self.decided + 1)
        until = latest_known(max(arrived_at, self.wall.now()))
        sent = FactsSent(table=table, arrived_at=arrived_at, content_type=content_type, body=body, until=until)
        # A name means the same request only with the same content: else the log would keep the first and forget the other.
        name = secrets.token_hex(12) if event_id is None else _digest(event_id, table, content_type, body)
        self._on_their_way.append(arrived_at)
        try:
            (offset,) = await self._keep([Message(topic=FACTS, value=write(sent), id=name)])
        except asyncio.CancelledError:
            self.whole = False  # the log may have them
            raise
        finally:
            self._on_their_way.remove(arrived_at)
        self.facts_end = max(self.facts_end, offset + 1)
        return self._learn(self.intake.take(table, rows, arrived_at, until), arrived_at)

    def replay(self, record: Record) -> None:
        """Put the facts of a record of the log into the state, as `push` did when they arrived."""
        sent = read_facts(record.value)
        rows = self.intake.read(sent.table, read_rows(sent.body, sent.content_type, self.limits))
        self._learn(self.intake.take(sent.table, rows, sent.arrived_at, sent.until), sent.arrived_at)
        self.facts_end = record.offset + 1

    def freshen(self, newest: Mapping[str, int]) -> None:
        """Learn from when the newest facts of tables are visible (microseconds)."""
        self.fresh = {name: max(at, self.fresh.get(name, 0)) for name, at in {**self.fresh, **newest}.items()}

    def settled(self) -> int:
        """Return the instant up to which everything that has arrived is in the state: now, or before what is on its way."""
        return min([self.clock.now(), *(arrived_at - 1 for arrived_at in self._on_their_way)])

    @property
    def follows_facts(self) -> bool:
        """Whether time is what the facts say."""
        return isinstance(self.clock, FactsClock)

    async def begin_again(self, predictor: Predictor, intake: Intake, now: int, newest: Mapping[str, int]) -> None:
        """Go on from another instant, with a state and an intake of then; what is on its way ends in its own time."""
        while self._on_their_way:
            await asyncio.sleep(0.001)
        predictor.router = self.predictor.router
        self.predictor, self.intake, self.clock = predictor, intake, FactsClock(now)
        self.decided = self._told = self._learned = 0
        self.fresh, self.whole = dict(newest), False

    def begin_after(self, decided: int) -> None:
        """Learn that decisions up to an instant were answered before this service began: new facts arrive later."""
        self.decided = max(self.decided, decided)

    # -- decisions -----------------------------------------------------------------------------------------------------

    async def predict(self, asked: Asked, *, event_id: str | None = None) -> Prediction:
        """Answer one decision, once the answer is in the journal.

        `event_id` names the request: asked again for the same under the same name, the same is answered, for the last fifty
        thousand predictions since the server began.

        Raises ServingError (SERVE_ROW, SERVE_UNKNOWN, SERVE_UNAVAILABLE), DataError (DATA_FORGOTTEN), BundleError
        (BUNDLE_INPUT).
        """
        (answer,) = await self.predict_many([asked], event_id=event_id)
        if isinstance(answer, MainspringError):
            raise answer
        return answer

    def answer_now(self, asked: Asked) -> tuple[Predicted, Message] | None:
        """Answer one decision without waiting: for who journals the message, and says `answered` once it is durable.

        None where the model answers many at once, and so takes its time. Raises as `predict` does, but SERVE_UNAVAILABLE.
        """
        now, prepared = self._prepare(asked)
        if prepared.arm.batcher is not None:
            return None
        return self._made(asked, now, prepared, prepared.arm.model.predict_one(prepared.features), self._new_id())

    @staticmethod
    def not_kept(error: BaseException) -> ServingError:
        """Return what is told of a message that could not be kept; raise what nobody expected."""
        if not isinstance(error, WorkspaceError | StreamError):
            raise error
        return _unavailable(error.problem)

    async def predict_many(
        self, many: Sequence[Asked], *, event_id: str | None = None
    ) -> list[Prediction | MainspringError]:
        """Answer many decisions, or say why not, one by one; their answers are in the journal all or none.

        Raises ServingError (SERVE_UNAVAILABLE).
        """
        answers: list[Prediction | tuple[Predicted, Message] | MainspringError] = []
        for begin in range(0, len(many), _ROWS_A_TURN):
            some = many[begin : begin + _ROWS_A_TURN]
            if self.predictor.router.champion.batcher is not None:  # its answers are computed together
                answers += await asyncio.gather(*[self._answer_or_refuse(asked, event_id) for asked in some])
            else:
                answers += [await self._answer_or_refuse(asked, event_id) for asked in some]
                await asyncio.sleep(0)
        await self._keep([each[1] for each in answers if isinstance(each, tuple)])
        return [self.answered(each[0]) if isinstance(each, tuple) else each for each in answers]

    async def _answer_or_refuse(
        self, asked: Asked, event_id: str | None
    ) -> Prediction | tuple[Predicted, Message] | MainspringError:
        name = None if event_id is None else _name_of(event_id, asked)
        if name is not None and isinstance(before := self.remembered.answer(name), Prediction):
            return before
        try:
            return await self._answer(asked, name or self._new_id())
        except _REFUSALS as error:
            await asyncio.sleep(0)  # a row that is refused has taken long: others have a turn
            return error

    async def ask_later(self, asked: DecisionAsked, *, event_id: str | None = None) -> str:
        """Accept a decision that is answered as soon as there is time; return the id of its prediction.

        The question is durable: it is answered after a restart as well.

        Raises ServingError (SERVE_UNAVAILABLE).
        """
        value = write(asked)
        name = self._new_id() if event_id is None else _digest(event_id, value)
        if self.remembered.n_pending >= _MOST_PENDING:
            raise _unavailable(f"{_MOST_PENDING:,} decisions wait for their answers already.")
        if self.remembered.asked(name):
            try:
                offset = await self.journal.write(Message(topic=DECISIONS, value=value, id=name))
            except BaseException as error:
                self.remembered.withdrawn(name)
                raise self.not_kept(error) from error
            if offset < self.answered_before:  # asked and answered so long ago that only the lake knows
                self.remembered.withdrawn(name)
            else:
                self.asked_to_answer.set()
        return name

    async def answer_asked(self, records: Sequence[Record]) -> list[Answered]:
        """Answer decisions that were asked for on a topic, in their order, once the answers are in the journal.

        A prediction has the id of the record that asked for it: one that comes again gets the same answer, as far as that
        is remembered, and the journal keeps the first in any case.

        Raises ServingError (SERVE_UNAVAILABLE); then nothing was answered.
        """
        messages: list[Message] = []
        answers: dict[str, Prediction | Predicted | Failure] = {}
        for place, record in enumerate(records):
            if record.id in answers:  # a broker that does not tell them apart
                continue
            answer: Prediction | Predicted | Failure | None = self.remembered.answer(record.id)
            if answer is None:
                try:
                    answer, message = await self._answer(self._question(record), record.id)
                    messages.append(message)
                except _REFUSALS as error:
                    answer = failure_of(error)
                except Exception:  # of whatever kind: one record must not hold up all that come after it
                    _log.exception("the decision %s failed", record.id)
                    answer = Failure(code="UNEXPECTED", message=f"The decision {record.id} failed.")
            answers[record.id] = answer
            if place % _ROWS_A_TURN == _ROWS_A_TURN - 1:
                await asyncio.sleep(0)
        await self._keep(messages)
        told = []
        for name, answer in answers.items():
            final = self.answered(answer) if isinstance(answer, Predicted) else answer
            self.remembered.answered(name, final)
            told.append(
                Answered(id=name, error=final) if isinstance(final, Failure) else Answered(id=name, prediction=final)
            )
        return told

    def _question(self, record: Record) -> Asked:
        """What a record of a topic asks for.

        Raises ServingError (SERVE_BODY).
        """
        if refused := self.limits.refuse_body(record.value):
            raise refused
        try:
            asked = read_decision(record.value)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ServingError(
                "SERVE_BODY",
                f"The decision cannot be read: {error}.",
                fix='Send {"row": {…}} or {"key": {…}} as JSON.',
            ) from error
        by_key = asked.row is None
        return Asked(asked.key if by_key else asked.row, by_key, asked.explain)

    # -- outcomes ------------------------------------------------------------------------------------------------------

    async def tell(self, body: bytes, event_id: str | None = None) -> Kept:
        """Keep what somebody says came true of predictions: [{"prediction_id", "label"}, …].

        It is known from now on, and counts instead of what the facts said before. Ids are not looked up: a label for a
        prediction that there never was is kept and joins nothing.

        Raises ServingError (SERVE_BODY, SERVE_UNAVAILABLE).
        """
        task = self.predictor.task
        given, labels, rejections = read_labels(body, task, self.limits)
        name = secrets.token_hex(12) if event_id is None else _digest(event_id, body)
        if labels and not self.remembered.heard(name):
            # Never twice the same instant: what is said later is what counts.
            arrived_at = self._told = max(self.clock.now(), self.decided, self._told) + 1
            told = OutcomesTold(arrived_at=arrived_at, labels=labels)
            await self._keep([Message(topic=OUTCOMES, value=write(told), id=name)])
            self.learn_outcomes(name, told)
        rejected = len(rejections)
        return Kept(
            table=OUTCOMES,
            given=given,
            accepted=len(labels),
            already_there=given - rejected - len(labels),
            rejected=rejected,
            rejections=tuple(rejections[:100]),
        )

    def learn_outcomes(self, name: str, told: OutcomesTold) -> None:
        """Remember outcomes that the log has, told by the request of a name."""
        self._told = max(self._told, told.arrived_at)
        known_at = format_instant(told.arrived_at)
        for prediction_id, label in told.labels.items():
            said = bool(label) if self.predictor.task == "binary" else label
            self.remembered.told(prediction_id, Outcome(label=said, known_at=known_at, source="feedback"))
        self.remembered.hear(name)

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _answer(self, asked: Asked, prediction_id: str) -> tuple[Predicted, Message]:
        """Answer one decision as of now; what is to be journalled comes with it."""
        now, prepared = self._prepare(asked)
        arm = prepared.arm
        if arm.batcher is None:
            answer = arm.model.predict_one(prepared.features)
        else:
            answer = await arm.batcher.predict_one(prepared.features)
        return self._made(asked, now, prepared, answer, prediction_id)

    def _prepare(self, asked: Asked) -> tuple[int, Prepared]:
        now = self.settled()
        prepared = self.predictor.prepare(asked, now)
        self.decided = max(self.decided, prepared.row["_at"])  # at once: what arrives from now on comes after it
        return now, prepared

    def _made(
        self, asked: Asked, now: int, prepared: Prepared, answer: float | tuple[float, ...], prediction_id: str
    ) -> tuple[Predicted, Message]:
        row, features, _ = prepared
        prediction = prediction_of(prepared, answer, prediction_id, explain=asked.explain)
        predicted = Predicted(prediction, row, features)
        if asked.explain:  # the journal has the features in any case, and contributions follow from them
            prediction = msgspec.structs.replace(prediction, features=None, contributions=None)
        made = PredictionMade(
            prediction=prediction,
            answered_at=now,
            row=row,
            features=features,
            shadows=self.predictor.router.shadows,
        )
        return predicted, Message(topic=PREDICTIONS, value=write(made), id=prediction_id)

    def answered(self, predicted: Predicted) -> Prediction:
        """Remember an answer that is durable."""
        prediction = predicted.prediction
        self.remembered.answered(prediction.prediction_id, prediction)
        self.missing.update([name for name, value in predicted.features.items() if value is None])
        return prediction

    def _new_id(self) -> str:
        return f"{self._ids}{next(self._numbers):x}"

    def _learn(self, taken: Taken, arrived_at: int) -> Taken:
        predictor = self.predictor
        state = predictor.state
        if taken.accepted and taken.table in state.tables:
            state.add(taken.table, taken.facts)
        if taken.accepted and taken.table == predictor.rows.table.__schema__.name:
            predictor.current.add(taken.facts, state.watermark)
        newest = self.intake.newest(taken, arrived_at)
        if newest is not None:
            self.freshen({taken.table: newest.visible})
            self.lags[taken.table] += newest.lag
        seen = max(arrived_at, newest.known_at if newest is not None else arrived_at)
        self.newest = seen if self.newest is None else max(seen, self.newest)
        if isinstance(self.clock, FactsClock):
            self.clock.saw(seen)
        # The next fact on its way may make it that much earlier.
        state.advance(min(self.settled(), self.clock.now() - 1))
        state.forget(taken.accepted)  # a few at a time: nobody waits for it
        self._learned += taken.accepted
        if self._learned > _FORGET_AFTER:
            predictor.current.forget(state.watermark)
            self._learned = 0
        return taken

    async def _keep(self, messages: Sequence[Message]) -> Sequence[int]:
        """Wait until messages are durable and return their offsets; written in one turn of the loop, all or none are kept."""
        try:
            if len(messages) == 1:
                return [await self.journal.write(messages[0])]
            return await asyncio.gather(*[self.journal.write(message) for message in messages])
        except (WorkspaceError, StreamError) as error:
            raise self.not_kept(error) from error


def failure_of(error: MainspringError) -> Failure:
    """Return an error as it is told to clients."""
    return Failure(code=error.code, message=error.problem, exists=error.exists, fix=error.fix)


def _unavailable(why: str) -> ServingError:
    return ServingError(
        "SERVE_UNAVAILABLE",
        f"It could not be kept: {why}",
        fix=f"Send it again in {_RETRY_SECONDS} seconds; nothing of it was kept.",
    )


def _name_of(event_id: str, asked: Asked) -> str:
    given = sorted(asked.given.items()) if isinstance(asked.given, dict) else asked.given
    return _digest(event_id, repr(given), str(asked.by_key), str(asked.explain))


def _digest(*parts: str | bytes) -> str:
    """A name of 24 characters that only the same parts have."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part if isinstance(part, bytes) else part.encode()
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.hexdigest()[:24]
