"""The journal: what was written first is answered first, whether the loop waits for the disk or the log's thread does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from mainspring.serving import journal as room
from mainspring.serving.journal import Journal
from mainspring.stream import Message


class Disk:
    """A prompt broker that is slow as often as it is told."""

    prompt = True

    def __init__(self, slow: Sequence[int]) -> None:
        self.slow, self.kept, self.aside = set(slow), [], 0
        self._thread = ThreadPoolExecutor(1)

    def append(self, messages: Sequence[Message]) -> list[int]:
        if len(self.kept) in self.slow:
            time.sleep(0.003)
        first = len(self.kept)
        self.kept += [message.id for message in messages]
        return list(range(first, len(self.kept)))

    def submit(self, messages: Sequence[Message]) -> Future[list[int]]:
        self.aside += 1
        return self._thread.submit(self.append, messages)


@pytest.mark.parametrize("slow", [(), (0,), (3, 4, 9), range(40)])
def test_answers_come_in_the_order_of_the_log(monkeypatch: pytest.MonkeyPatch, slow: Sequence[int]) -> None:
    monkeypatch.setattr(room, "_PROMPT_SECONDS", 0.002)
    monkeypatch.setattr(room, "_ASIDE_SECONDS", 0.004)
    disk: Any = Disk(slow)
    answered: list[str] = []

    async def write() -> None:
        journal = Journal(disk)
        futures = []
        for number in range(40):
            message = Message(topic="t", value=b"", id=str(number))
            if number % 3:
                journal.keep(message, lambda error, name=message.id: answered.append(name))
            else:
                future = journal.write(message)
                future.add_done_callback(lambda _, name=message.id: answered.append(name))
                futures.append(future)
            await asyncio.sleep(0.001 if number % 4 == 0 else 0)
        await asyncio.gather(*futures)
        await journal.drained()
        await asyncio.sleep(0)

    asyncio.run(write())
    assert disk.kept == [str(number) for number in range(40)]
    ours = [name for name in answered if int(name) % 3]
    assert ours == sorted(ours, key=int)
    assert sorted(answered, key=int) == disk.kept
    assert bool(disk.aside) == bool(slow), "a slow disk is not waited for"


def test_one_who_fails_to_listen_harms_no_other() -> None:
    told: list[BaseException | None] = []

    async def write() -> None:
        loop = asyncio.get_running_loop()
        faults: list[Any] = []
        loop.set_exception_handler(lambda _, context: faults.append(context["exception"]))
        journal = Journal(Disk(()))  # type: ignore[arg-type]
        journal.keep(Message(topic="t", value=b"", id="a"), lambda error: [].pop())
        journal.keep(Message(topic="t", value=b"", id="b"), told.append)
        await journal.drained()
        assert [type(fault) for fault in faults] == [IndexError]

    asyncio.run(write())
    assert told == [None]
