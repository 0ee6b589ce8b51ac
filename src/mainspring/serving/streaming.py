"""Decisions that are asked for on a topic are answered on a topic: of the server's own log, or of another broker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from mainspring.errors import ServingError, StreamError, WorkspaceError
from mainspring.serving.records import ANSWERS, write
from mainspring.serving.service import Service
from mainspring.stream import Consumer, Message, Record

__all__ = ["ANSWERING_GROUP", "DecisionStream"]

ANSWERING_GROUP = "serve"
"""The group that has answered what is asked."""
_PAGE = 500
_RETRY_SECONDS = 2.0
_PATIENCE_SECONDS = 0.5
_log = logging.getLogger("mainspring.serving")
T = TypeVar("T")


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
            if self._wake is not None:
                await self._wake.wait()
                self._wake.clear()
            while records := await _at_last(self._poll):
                await _at_last(partial(self._answer, records))
                await _at_last(partial(asyncio.to_thread, self._consumer.commit))

    async def _poll(self) -> list[Record]:
        patience = 0.0 if self._wake is not None else _PATIENCE_SECONDS
        return await asyncio.to_thread(self._consumer.poll, _PAGE, patience)

    async def _answer(self, records: Sequence[Record]) -> None:
        answered = await self._service.answer_asked(records)
        messages = [Message(topic=ANSWERS, value=write(each), id=each.id) for each in answered]
        await asyncio.gather(*[self._service.journal.write(message) for message in messages])
        if self._wake is not None:  # the server's own topic, in which it finds what is asked for twice
            self._service.answered_before = records[-1].offset + 1


async def _at_last(attempt: Callable[[], Awaitable[T]]) -> T:
    """Try until it works: what was answered before is remembered, so answering again changes nothing."""
    while True:
        try:
            return await attempt()
        except (ServingError, WorkspaceError, StreamError) as error:
            _log.warning("decisions are not answered for now: %s", error)
            await asyncio.sleep(_RETRY_SECONDS)
