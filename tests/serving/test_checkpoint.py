"""A checkpoint is a short cut: a server that begins with one knows what it would have built from the lake and the log."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.clock import HOUR, MINUTE, format_instant
from mainspring.errors import MainspringError
from mainspring.serving.checkpoint import STATE_GROUP, Checkpoint, read_state_told
from mainspring.serving.facts_clock import FactsClock
from mainspring.serving.opening import Beginning, open_on
from mainspring.serving.records import FACTS
from mainspring.serving.rewinding import rewind_service
from mainspring.serving.service import Service
from mainspring.serving.sink import Sink
from mainspring.stream import EmbeddedLog

from .shop import BEGIN, Delivery, answers, ask, deliveries, empty_lake, order, readable, system

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["facts", "again", "order", "ask", "drain", "keep", "history", "restart"]), st.integers(-3, 20)
    ),
    max_size=16,
)


class Server:
    """A served shop on a folder that can be left at any time, as by kill -9, and begun again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lake = folder, empty_lake(folder)
        self.begin()

    def begin(self, *, keeps: bool = True, declared: Any = system, **options: Any) -> None:
        self.log = EmbeddedLog(self.folder / "log", FactsClock(BEGIN))
        self.checkpoint = Checkpoint(self.folder / "state", declared, self.log)
        self.service, self.began = open_on(
            declared, readable("m1"), self.log, self.lake, FactsClock(BEGIN),
            **{"follow_facts": True, "grace": HOUR, "checkpoint": self.checkpoint if keeps else None} | options,
        )  # fmt: skip

    def push(self, rows: list[dict[str, Any]], table: str = "delivery") -> None:
        asyncio.run(self.service.push(table, json.dumps(rows).encode(), "application/json"))

    def drain(self) -> None:
        sink = Sink(system, self.lake, self.log)
        sink.drain(self.service.clock.now())
        sink.close()

    def keep(self) -> None:
        self.checkpoint.keep(self.service)

    def end(self) -> None:
        self.log.close()


@pytest.fixture(scope="module", autouse=True)
def _remembers_little() -> Iterator[None]:
    """So that what is remembered of the log does not hide what a checkpoint must say itself."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("mainspring.serving.opening.REMEMBERED", 1)
        yield


def knows(service: Service) -> dict[str, Any]:
    """All that a service answers from, and what it goes on with."""
    now = service.clock.now()
    current = service.predictor.current
    current.forget(service.predictor.state.watermark)  # rows whose decision is over are let go sooner or later
    return {
        "answers": [answers(service, at) for at in range(now - HOUR // 2, now + 3 * HOUR, HOUR // 2)],
        "rows": {key: current.find(key, now) for key in sorted(current.keys()) if current.find(key, now)},
        "known": {name: [each.tolist() for each in known.hashes()] for name, known in service.intake.known().items()},
        "time": (now, service.newest, service.fresh, service.facts_end, service.decided),
    }


@given(STEPS)
@settings(max_examples=25, deadline=None)
def test_it_knows_what_it_would_have_built(tmp_path_factory: pytest.TempPathFactory, steps: list[Any]) -> None:
    server, kept, foreign = Server(tmp_path_factory.mktemp("kept")), False, False
    for number, (what, size) in enumerate([*steps, ("restart", 0)]):
        begin = BEGIN + (number + size) * 10 * MINUTE
        if what == "facts":
            server.push(deliveries(1 + size % 4, begin=begin, first=10 * number))
        elif what == "again":
            server.push(deliveries(4))
        elif what == "order":
            placed = format_instant(server.service.clock.now() + size * MINUTE)
            server.push([order(order_id=f"n{size}", placed=placed)], "order")
        elif what == "ask":
            placed = format_instant(server.service.clock.now())
            asyncio.run(server.service.predict(ask(order_id=f"x{number}", placed=placed)))
        elif what == "drain":
            server.drain()
        elif what == "keep":
            server.keep()
            kept = True
        elif what == "history":
            # Facts that the log never had, and that this server does not know either.
            server.lake.ingest(Delivery, pl.DataFrame(deliveries(2, begin=begin, first=1000 + 10 * number)))
            foreign = True
        else:
            server.end()
            server.begin(keeps=False)
            built = knows(server.service)
            server.end()
            server.begin()
            assert knows(server.service) == built
            assert server.began.kept == (kept and not foreign)
            foreign, kept = False, server.began.kept
    server.end()


def test_only_what_came_after_it_is_replayed(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.push(deliveries(4))
    server.keep()
    server.push(deliveries(2, begin=BEGIN + HOUR, first=4))
    server.end()
    server.begin()
    assert server.began == Beginning({"order": 0, "delivery": 4}, 1, True)
    told = read_state_told(tmp_path / "state")
    assert told is not None
    assert told.facts > 0
    assert told.kept_at == BEGIN + HOUR // 2
    server.end()


def test_it_is_not_used_where_it_would_lead_elsewhere(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.push(deliveries(4))
    server.keep()
    server.end()
    for options in (
        {"grace": 2 * HOUR},
        {"declared": dataclasses.replace(system, features={"items": system.features["items"]})},
    ):
        server.begin(**options)
        assert not server.began.kept
        server.end()
    path = tmp_path / "state"
    whole = path.read_bytes()
    for broken in (whole[:-1], whole[:100], b"", whole[:200] + b"x" + whole[201:]):
        path.write_bytes(broken)
        server.begin()
        assert not server.began.kept
        server.end()
    path.write_bytes(whole)
    server.begin()
    assert server.began.kept
    server.log.forget(FACTS, STATE_GROUP)  # then the log may have let go of what comes after it
    server.end()
    server.begin()
    assert not server.began.kept
    server.end()


def test_a_log_that_lost_its_end_is_not_trusted_to_go_on_from_it(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.push(deliveries(4))
    server.keep()
    server.end()
    for file in (tmp_path / "log").glob("records.db*"):
        file.unlink()
    server.begin()
    assert not server.began.kept
    server.end()


def test_a_server_that_went_back_in_time_keeps_nothing(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.push(deliveries(4))
    server.drain()
    asyncio.run(rewind_service(server.service, server.lake, server.log, BEGIN))
    server.keep()
    assert not (tmp_path / "state").exists()
    server.end()


def test_what_was_kept_is_still_there_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(tmp_path)
    server.push(deliveries(4))
    server.keep()
    before = (tmp_path / "state").read_bytes()
    server.push(deliveries(4, begin=BEGIN + HOUR, first=4))

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mainspring.serving.checkpoint.write_atomically", full)
    with pytest.raises(MainspringError) as raised:
        server.keep()
    assert raised.value.code == "WORKSPACE_DISK_FULL"
    assert (tmp_path / "state").read_bytes() == before
    server.end()
    server.begin()
    assert (server.began.kept, server.began.replayed) == (True, 1)
    server.end()


def test_it_is_kept_soon_after_a_start_from_the_lake_and_then_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainspring.serving.checkpoint._FIRST_SECONDS", 0.05)
    monkeypatch.setattr("mainspring.serving.checkpoint._EVERY_SECONDS", 0.05)
    server = Server(tmp_path)

    async def live() -> None:
        running = asyncio.create_task(server.checkpoint.run(server.service))
        for number in range(3):
            rows = deliveries(2, begin=BEGIN + number * HOUR, first=10 * number)
            await server.service.push("delivery", json.dumps(rows).encode(), "application/json")
            while server.log.groups(FACTS).get(STATE_GROUP) != number + 1:
                await asyncio.sleep(0.01)
        running.cancel()

    asyncio.run(asyncio.wait_for(live(), 20))
    server.end()
    server.begin()
    assert server.began == Beginning({"order": 0, "delivery": 6}, 0, True)
    server.end()
