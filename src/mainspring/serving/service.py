"""The service: facts in, predictions out, everything in the journal before it is acknowledged. It knows nothing of HTTP."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from itertools import count
from typing import Any

import msgspec

from mainspring.clock import Clock
from mainspring.errors import ServingError, StreamError, WorkspaceError
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
        rows = self.intake.read(table, read_rows(body, content_type, self.limits))
        arrived_at = max(self.clock.now(), self._decided + 1)
        sent = FactsSent(table=table, arrived_at=arrived_at, content_type=content_type, body=body)
        message = Message(topic=FACTS, value=_encode_facts(sent), id=event_id or secrets.token_hex(12))
        self._on_their_way.append(arrived_at)
        try:
            await self._keep(message)
            return self._learn(self.intake.take(table, rows, arrived_at), arrived_at)
        finally:
            self._on_their_way.remove(arrived_at)

    async def predict(
        self, values: Mapping[str, Any], *, explain: bool = False, event_id: str | None = None
    ) -> Prediction:
        """Answer one decision, once the answer is in the journal.

        `event_id` names the request and becomes the prediction's id: asked again under the same name, the same is answered,
        for the last ten thousand named requests since the server began.

        Raises ServingError (SERVE_ROW, SERVE_UNAVAILABLE), DataError (DATA_FORGOTTEN), BundleError (BUNDLE_INPUT).
        """
        if event_id is not None and event_id in self._answered:
            return self._answered[event_id]
        now = min([self.clock.now(), *(arrived_at - 1 for arrived_at in self._on_their_way)])
        prediction_id = event_id or f"{self._ids}{next(self._numbers):x}"
        prediction, row, features = self.predictor.predict(values, now, prediction_id, explain=explain)
        self._decided = max(self._decided, row["_at"])
        made = PredictionMade(prediction=prediction, answered_at=now, row=row, features=features)
        await self._keep(Message(topic=PREDICTIONS, value=_encode_prediction(made), id=prediction_id))
        if event_id is not None:
            self._answered[event_id] = prediction
            if len(self._answered) > _ANSWERS_REMEMBERED:
                del self._answered[next(iter(self._answered))]
        return prediction

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
        state.advance(self.clock.now())
        self._learned += taken.accepted
        if self._learned > _FORGET_AFTER and self._learned > state.size().n_facts:
            state.forget()  # also keys that nothing is known of any more; seldom, for it copies what stays
            self._learned = 0
        return taken

    async def _keep(self, message: Message) -> None:
        try:
            await self.journal.write(message)
        except (WorkspaceError, StreamError) as error:
            raise ServingError(
                "SERVE_UNAVAILABLE",
                f"It could not be kept: {error.problem}",
                fix=f"Send it again in {_RETRY_SECONDS} seconds; nothing of it was kept.",
            ) from error
