"""The service: facts in, predictions out, everything in the journal before it is acknowledged. It knows nothing of HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import msgspec

from mainspring.clock import Clock
from mainspring.errors import BundleError, DataError, MainspringError, ServingError, StreamError, WorkspaceError
from mainspring.serving.facts_clock import FactsClock
from mainspring.serving.given_rows import read_rows
from mainspring.serving.intake import Intake, Taken
from mainspring.serving.journal import Journal
from mainspring.serving.limits import Limits
from mainspring.serving.predictor import Prediction, Predictor
from mainspring.stream import Message, Record

__all__ = ["FACTS", "PREDICTIONS", "FactsSent", "PredictionMade", "Service"]

FACTS, PREDICTIONS = "facts", "predictions"
"""The topics of the log."""
_RETRY_SECONDS = 2
_ANSWERS_REMEMBERED = 10_000
_FORGET_AFTER = 50_000


class FactsSent(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A request with facts, as the log keeps it: all rows as they were sent, sound or not."""

    table: str
    arrived_at: int
    content_type: str
    body: bytes


class PredictionMade(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction, as the log keeps it: what was answered, and all it was made from."""

    prediction: Prediction
    answered_at: int
    row: dict[str, Any]
    features: dict[str, Any]


_encode_facts = msgspec.msgpack.Encoder().encode
_decode_facts = msgspec.msgpack.Decoder(FactsSent).decode
_encode_prediction = msgspec.msgpack.Encoder().encode


class Service:
    """One system being served, for the coroutines of one event loop.

    Guarantees: what `push` and `predict` return is durable; facts are in the state in the order in which the log has them;
    `replay` of the log's facts, from the history that the service began with, finds the same state again. A decision knows
    exactly the facts that arrived by its time: one that is still on its way to the disk is not known, and a decision made
    meanwhile is as of the instant before it arrived; a fact that comes after a decision has a later arrival, if only by a
    microsecond. So batch, which reads the lake afterwards, finds the same features.
    """

    def __init__(
        self, predictor: Predictor, intake: Intake, journal: Journal, clock: Clock, limits: Limits | None = None
    ) -> None:
        self.predictor, self.intake, self.journal, self.clock = predictor, intake, journal, clock
        self.limits = limits or Limits()
        self._ids, self._numbers = secrets.token_hex(8) + "-", count(1)
        self._learned = 0  # facts accepted since the state last forgot
        self._decided = 0  # the latest instant as of which a decision was answered
        self._on_their_way: list[int] = []  # when facts arrived that are not durable yet
        self._answered: dict[str, Prediction] = {}

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
        arrived_at = max(self.clock.now(), self._decided + 1)
        sent = FactsSent(table=table, arrived_at=arrived_at, content_type=content_type, body=body)
        # A name means the same request only with the same content: else the log would keep the first and forget the other.
        name = secrets.token_hex(12) if event_id is None else _digest(event_id, table, content_type, body)
        message = Message(topic=FACTS, value=_encode_facts(sent), id=name)
        self._on_their_way.append(arrived_at)
        try:
            await self._keep([message])
        finally:
            self._on_their_way.remove(arrived_at)
        return self._learn(self.intake.take(table, rows, arrived_at), arrived_at)

    async def predict(
        self, values: Mapping[str, Any], *, explain: bool = False, event_id: str | None = None
    ) -> Prediction:
        """Answer one decision, once the answer is in the journal.

        `event_id` names the request: asked again for the same row under the same name, the same is answered, for the last ten
        thousand named requests since the server began.

        Raises ServingError (SERVE_ROW, SERVE_UNAVAILABLE), DataError (DATA_FORGOTTEN), BundleError (BUNDLE_INPUT).
        """
        (answer,) = await self.predict_many([values], explain=explain, event_id=event_id)
        if isinstance(answer, MainspringError):
            raise answer
        return answer

    async def predict_many(
        self, rows: Sequence[Mapping[str, Any]], *, explain: bool = False, event_id: str | None = None
    ) -> list[Prediction | MainspringError]:
        """Answer many decisions, or say why not, row by row; their answers are in the journal all or none.

        Raises ServingError (SERVE_UNAVAILABLE).
        """
        answers: list[Prediction | MainspringError] = []
        messages: list[Message] = []
        named: dict[str, Prediction] = {}
        for values in rows:
            name = None if event_id is None else _digest(event_id, *map(str, sorted(values.items())), str(explain))
            if name is not None and name in self._answered:
                answers.append(self._answered[name])
                continue
            now = self.settled()
            prediction_id = name or f"{self._ids}{next(self._numbers):x}"
            try:
                prediction, row, features = self.predictor.predict(values, now, prediction_id, explain=explain)
            except (ServingError, DataError, BundleError) as error:
                answers.append(error)
                await asyncio.sleep(0)  # a row that is refused has taken long: others have a turn
                continue
            self._decided = max(self._decided, row["_at"])
            made = PredictionMade(prediction=prediction, answered_at=now, row=row, features=features)
            messages.append(Message(topic=PREDICTIONS, value=_encode_prediction(made), id=prediction_id))
            answers.append(prediction)
            if name is not None:
                named[name] = prediction
        await self._keep(messages)
        self._answered.update(named)
        while len(self._answered) > _ANSWERS_REMEMBERED:
            del self._answered[next(iter(self._answered))]
        return answers

    def settled(self) -> int:
        """Return the instant up to which everything that has arrived is in the state: now, or before what is on its way."""
        return min([self.clock.now(), *(arrived_at - 1 for arrived_at in self._on_their_way)])

    def begin_after(self, decided: int) -> None:
        """Learn that decisions up to an instant were answered before this service began: new facts arrive later."""
        self._decided = max(self._decided, decided)

    def replay(self, record: Record) -> None:
        """Put the facts of a record of the log into the state, as `push` did when they arrived."""
        sent = _decode_facts(record.value)
        rows = self.intake.read(sent.table, read_rows(sent.body, sent.content_type, self.limits))
        self._learn(self.intake.take(sent.table, rows, sent.arrived_at), sent.arrived_at)

    def _learn(self, taken: Taken, arrived_at: int) -> Taken:
        state = self.predictor.state
        if taken.accepted and taken.table in state.tables:
            state.add(taken.table, taken.facts)
        if isinstance(self.clock, FactsClock):
            self.clock.saw(max(arrived_at, self.intake.newest(taken) or arrived_at))
        state.advance(
            min(self.settled(), self.clock.now() - 1)
        )  # the next fact on its way may make it that much earlier
        self._learned += taken.accepted
        if self._learned > _FORGET_AFTER and self._learned > state.size().n_facts:
            state.forget()  # also keys that nothing is known of any more; seldom, for it copies what stays
            self._learned = 0
        return taken

    async def _keep(self, messages: Sequence[Message]) -> None:
        """Wait until messages are durable; written in one turn of the loop, they are kept all or none."""
        try:
            await asyncio.gather(*[self.journal.write(message) for message in messages])
        except (WorkspaceError, StreamError) as error:
            raise ServingError(
                "SERVE_UNAVAILABLE",
                f"It could not be kept: {error.problem}",
                fix=f"Send it again in {_RETRY_SECONDS} seconds; nothing of it was kept.",
            ) from error


def _digest(*parts: str | bytes) -> str:
    """A name of 24 characters that only the same parts have."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part if isinstance(part, bytes) else part.encode()
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.hexdigest()[:24]
