"""The process that makes pages: one answer for each question, whatever becomes of the process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mainspring.errors import ServingError
from mainspring.web.asked import Asked, ServerTold, Shown
from mainspring.web.kept import KeptPages
from mainspring.web.renderer import Renderer

ANSWERING = """
import os, sys, time, msgspec
from mainspring.web.asked import Asked, Shown
from mainspring.web.renderer import _read, _write
while True:
    asked = msgspec.msgpack.decode(_read(sys.stdin.buffer), type=Asked)
    if asked.path == "die": os._exit(3)
    if asked.path == "half": sys.stdout.buffer.write(b"\\0\\0\\0\\x09half"); sys.stdout.flush(); os._exit(3)
    if asked.path == "slow": time.sleep(60)
    _write(sys.stdout.buffer, msgspec.msgpack.encode(Shown(200, f"{asked.path} {os.getpid()}")))
"""


def ask(path: str, **more: Any) -> Asked:
    return Asked(path=path, wall=0, server=ServerTold(now=0), **more)


def talk(work: Callable[[Renderer], Awaitable[Any]], seconds: float = 60.0) -> Any:
    async def run() -> Any:
        renderer = Renderer((), seconds)
        renderer._command = (sys.executable, "-c", ANSWERING)
        try:
            return await work(renderer)
        finally:
            await renderer.end()

    return asyncio.run(run())


def test_who_asks_at_once_gets_the_page_that_was_asked_for() -> None:
    async def many(renderer: Renderer) -> list[Shown]:
        return await asyncio.gather(*(renderer.render(ask(f"page-{k}")) for k in range(20)))

    found = [shown.html.split() for shown in talk(many)]
    assert [name for name, _ in found] == [f"page-{k}" for k in range(20)]
    assert len({process for _, process in found}) == 1


@pytest.mark.parametrize(("path", "seconds"), [("die", 60.0), ("half", 60.0), ("slow", 3.0)])
def test_a_process_that_ends_or_hangs_costs_one_page(path: str, seconds: float) -> None:
    async def work(renderer: Renderer) -> tuple[str, str]:
        before = await renderer.render(ask("before"))
        renderer._seconds = seconds
        with pytest.raises(ServingError) as refused:
            await renderer.render(ask(path))
        assert refused.value.code == "SERVE_UNAVAILABLE"
        renderer._seconds = 60.0
        return before.html, (await renderer.render(ask("after"))).html

    before, after = talk(work)
    assert after.startswith("after ")
    assert before.split()[1] != after.split()[1]


def test_whoever_goes_away_takes_his_answer_along() -> None:
    async def work(renderer: Renderer) -> str:
        await renderer.render(ask("before"))
        gone = asyncio.create_task(renderer.render(ask("slow")))
        await asyncio.sleep(0.2)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        return (await renderer.render(ask("after"))).html

    assert talk(work).startswith("after ")


def test_ten_tabs_get_the_page_that_was_made_for_the_first() -> None:
    made: list[Asked] = []

    async def render(asked: Asked) -> Shown:
        made.append(asked)
        await asyncio.sleep(0.01)
        if asked.path == "broken":
            raise ServingError("SERVE_UNAVAILABLE", "It cannot be made.", fix="Try again.")
        return Shown(200, f"{asked.path} {asked.query} {asked.role}")

    async def end() -> None: ...

    async def run() -> None:
        pages = KeptPages(render, end)
        first = await asyncio.gather(*(pages.show(ask("now")) for _ in range(10)))
        assert len(made) == 1
        assert {digest for _, digest in first} == {first[0][1]}
        await pages.show(ask("now", query={"by": "week"}))
        await pages.show(ask("now", role="admin"))
        assert len(made) == 3
        pages.forget()
        await pages.show(ask("now"))
        assert len(made) == 4
        for _ in range(2):
            with pytest.raises(ServingError):
                await pages.show(ask("broken"))
        for number in range(200):
            await pages.show(ask(f"page-{number}"))
        assert len(pages._kept) <= 64

    asyncio.run(run())
