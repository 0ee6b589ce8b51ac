"""The journal: what was sent and what was answered, on disk before anybody is told so.

Requests that wait at the same time share one submission, and so one flush of the disk: group commit, seen from the event
loop. There is one submission on its way at a time; what comes meanwhile goes with the next. A prompt broker is waited for
by the loop itself: two changes of threads take longer than a quick disk. One that took longer than ten milliseconds writes
aside for a second, and the loop goes on meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from mainspring.stream import Broker, Message

__all__ = ["Journal"]

_PROMPT_SECONDS, _ASIDE_SECONDS = 0.01, 1.0


Done = Callable[[BaseException | None], None]
"""Is told that a message is durable (None), or why it could not be kept."""


class Journal:
    """Writes messages to a broker for the coroutines of one event loop."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self._waiting: list[tuple[Message, Done | asyncio.Future[int]]] = []
        self._busy = False
        self._aside_until = 0.0  # until then the disk is slow: the loop does not wait for it

    def write(self, message: Message) -> asyncio.Future[int]:
        """Return a future that resolves with the message's offset once it is durable.

        The future raises WorkspaceError or StreamError when it could not be kept.
        """
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._add(message, future)
        return future

    def keep(self, message: Message, done: Done) -> None:
        """As `write`, and call `done` instead: less to do for each message."""
        self._add(message, done)

    async def drained(self) -> None:
        """Wait until everything written so far is durable or was refused."""
        while self._busy:
            await asyncio.sleep(0.001)

    def _add(self, message: Message, waiter: Done | asyncio.Future[int]) -> None:
        self._waiting.append((message, waiter))
        if not self._busy:
            self._busy = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self._submit, loop)  # what else this turn of the loop brings goes along

    def _submit(self, loop: asyncio.AbstractEventLoop) -> None:
        batch, self._waiting = self._waiting, []
        if not batch:
            self._busy = False
            return
        messages = [message for message, _ in batch]
        offsets: list[int] | None = None
        try:
            if self.broker.prompt and loop.time() >= self._aside_until:
                begin = loop.time()
                offsets = self.broker.append(messages)
                if loop.time() - begin > _PROMPT_SECONDS:
                    self._aside_until = loop.time() + _ASIDE_SECONDS
            else:
                submitted = self.broker.submit(messages)
                submitted.add_done_callback(partial(self._from_writer, loop, batch))
                return
        except Exception as error:
            self._done(loop, batch, None, error)
            return
        self._done(loop, batch, offsets, None)

    def _from_writer(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: list[tuple[Message, Done | asyncio.Future[int]]],
        submitted: Future[list[int]],
    ) -> None:
        error = submitted.exception()
        offsets = None if error is not None else submitted.result()
        loop.call_soon_threadsafe(self._done, loop, batch, offsets, error)

    def _done(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: list[tuple[Message, Done | asyncio.Future[int]]],
        offsets: list[int] | None,
        error: BaseException | None,
    ) -> None:
        if offsets is None and error is None:
            error = RuntimeError("the broker gave no offsets")
        for place, (_, waiter) in enumerate(batch):
            if not isinstance(waiter, asyncio.Future):
                _tell(loop, waiter, error)
            elif waiter.cancelled():
                continue
            elif error is not None:
                waiter.set_exception(error)
            else:
                waiter.set_result(offsets[place])  # type: ignore[index]
        self._submit(loop)  # only now: what was written first is answered first


def _tell(loop: asyncio.AbstractEventLoop, done: Done, error: BaseException | None) -> None:
    try:
        done(error)
    except Exception as fault:  # of one who waits: the others are to be told
        loop.call_exception_handler({"message": "a message of the journal", "exception": fault})
