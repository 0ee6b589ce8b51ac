"""Decisions that are asked for on a topic are answered on a topic: of the server's own log, or of another broker."""

from __future__ import annotations

import asyncio
import logging

from mainspring.errors import ServingError, StreamError, WorkspaceError
from mainspring.serving.records import ANSWERS, write
from mainspring.serving.service import Service
from mainspring.stream import Consumer, Message

__all__ = ["ANSWERING_GROUP", "DecisionStream"]

ANSWERING_GROUP = "serve"
"""The group that has answered what is asked."""
_PAGE = 500
_RETRY_SECONDS = 2.0
_PATIENCE_SECONDS = 0.5
_log = logging.getLogger("mainspring.serving")


class DecisionStream:
    """Answers the decisions of a topic in their order, for as long as `run` is awaited.

    At least once: a record is committed after its prediction is in the journal and its answer on the topic ANSWERS of the
    server's log, under the record's id. What cannot be kept is tried again; what cannot be decided is answered with the
    reason. `wake` tells that there is something to read; without it the topic is asked all the time.
    """

    def __init__(self, service: Service, consumer: Consumer, *, wake: asyncio.Event | None = None) -> None:
        self._service, self._consumer, self._wake = service, consumer, wake

    async def run(self) -> None:
        """Answer until cancelled."""
        while True:
            try:
                if self._wake is not None:
                    await self._wake.wait()
                    self._wake.clear()
                await self._answer_all()
            except (WorkspaceError, StreamError) as error:  # of reading or committing: what was answered is remembered
                _log.warning("decisions are not answered for now: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
                if self._wake is not None:
                    self._wake.set()

    async def _answer_all(self) -> None:
        patience = 0.0 if self._wake is not None else _PATIENCE_SECONDS
        while records := await asyncio.to_thread(self._consumer.poll, _PAGE, patience):
            while True:
                try:
                    answered = await self._service.answer_asked(records)
                    messages = [Message(topic=ANSWERS, value=write(each), id=each.id) for each in answered]
                    await asyncio.gather(*[self._service.journal.write(message) for message in messages])
                    break
                except (ServingError, WorkspaceError, StreamError) as error:
                    _log.warning("decisions are not answered for now: %s", error)
                    await asyncio.sleep(_RETRY_SECONDS)
            await asyncio.to_thread(self._consumer.commit)
