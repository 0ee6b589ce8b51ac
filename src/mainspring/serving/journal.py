"""The journal: what was sent and what was answered, on disk before anybody is told so.

Requests that wait at the same time share one submission, and so one flush of the disk: group commit, seen from the event
loop. There is one submission on its way at a time; what comes meanwhile goes with the next.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from functools import partial

from mainspring.stream import Broker, Message

__all__ = ["Journal"]


class Journal:
    """Writes messages to a broker for the coroutines of one event loop."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self._waiting: list[tuple[Message, asyncio.Future[int]]] = []
        self._busy = False

    def write(self, message: Message) -> asyncio.Future[int]:
        """Return a future that resolves with the message's offset once it is durable.

        The future raises WorkspaceError or StreamError when it could not be kept.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        self._waiting.append((message, future))
        if not self._busy:
            self._busy = True
            loop.call_soon(self._submit, loop)  # what else this turn of the loop brings goes along
        return future

    async def drained(self) -> None:
        """Wait until everything written so far is durable or was refused."""
        while self._busy:
            await asyncio.sleep(0.001)

    def _submit(self, loop: asyncio.AbstractEventLoop) -> None:
        batch, self._waiting = self._waiting, []
        if not batch:
            self._busy = False
            return
        try:
            submitted = self.broker.submit([message for message, _ in batch])
        except Exception as error:
            self._done(loop, batch, None, error)
            return
        submitted.add_done_callback(partial(self._from_writer, loop, batch))

    def _from_writer(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: list[tuple[Message, asyncio.Future[int]]],
        submitted: Future[list[int]],
    ) -> None:
        error = submitted.exception()
        offsets = None if error is not None else submitted.result()
        loop.call_soon_threadsafe(self._done, loop, batch, offsets, error)

    def _done(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: list[tuple[Message, asyncio.Future[int]]],
        offsets: list[int] | None,
        error: BaseException | None,
    ) -> None:
        for place, (_, future) in enumerate(batch):
            if future.cancelled():
                continue
            if error is not None or offsets is None:
                future.set_exception(error or RuntimeError("the broker gave no offsets"))
            else:
                future.set_result(offsets[place])
        self._submit(loop)
