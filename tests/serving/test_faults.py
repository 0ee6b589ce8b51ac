"""A broker that is gone for a while, and a server that was killed before its client had the answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.answers import Failure
from mainspring.clock import MINUTE
from mainspring.errors import MainspringError, ServingError, StreamError, WorkspaceError
from mainspring.lake import Lake
from mainspring.ledger import Ledger
from mainspring.serving import Access
from mainspring.serving.app import make_app
from mainspring.serving.facts_clock import FactsClock
from mainspring.serving.records import DecisionAsked
from mainspring.serving.service import Service
from mainspring.serving.sink import Sink
from mainspring.serving.streaming import ANSWERING_GROUP, DecisionStream
from mainspring.stream import Broker, EmbeddedLog, Message

from .shop import BEGIN, Delivery, Deployer, answers, ask, deliveries, empty_lake, open_shop, order, system

GONE = StreamError("STREAM_CLOSED", "The broker is gone.", fix="Wait for it.")
FULL = WorkspaceError("WORKSPACE_DISK_FULL", "There is no space left.", fix="Free some.")


class Flaky:
    """A broker that is gone now and then: it refuses at once, or says so later, or is there."""

    prompt = False

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.at_once: MainspringError | None = None
        self.later: MainspringError | None = None

    def submit(self, messages: Sequence[Message]) -> Future[list[int]]:
        if self.at_once is not None:
            raise self.at_once
        if self.later is None:
            return self._broker.submit(messages)
        refused: Future[list[int]] = Future()
        refused.set_exception(self.later)
        return refused


def flaky(service: Service) -> Flaky:
    broker = Flaky(service.journal.broker)
    service.journal.broker = broker  # type: ignore[assignment]
    return broker


def push(service: Service, rows: list[dict[str, Any]], name: str | None = None) -> Any:
    return service.push("delivery", json.dumps(rows).encode(), "application/json", name)


WAYS = st.sampled_from([(None, None), (GONE, None), (None, GONE), (None, FULL)])
STEPS = st.lists(st.tuples(WAYS, st.sampled_from(["push", "predict", "many", "later", "tell"])), max_size=14)


@given(STEPS)
@settings(max_examples=25, deadline=None)
def test_what_was_not_kept_is_refused_and_leaves_no_trace(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, str]]
) -> None:
    """A service whose broker comes and goes has the state, and the log, of one that was never asked what was refused."""
    service, log = open_shop(tmp_path_factory.mktemp("flaky"))
    plain, other = open_shop(tmp_path_factory.mktemp("plain"))
    broker = flaky(service)

    async def do(service: Service, what: str, number: int) -> Any:
        if what == "push":
            return await push(service, deliveries(2, begin=BEGIN + number * 7 * MINUTE, first=number * 10))
        if what == "predict":
            return await service.predict(ask(order_id=f"n{number}"))
        if what == "many":
            return await service.predict_many([ask(order_id=f"n{number}-{each}") for each in range(3)])
        if what == "later":
            return await service.ask_later(DecisionAsked(row=order(order_id=f"n{number}")))
        return await service.tell(json.dumps([{"prediction_id": f"p{number}", "label": True}]).encode())

    for number, ((at_once, later), what) in enumerate(steps):
        broker.at_once, broker.later = at_once, later
        if at_once is None and later is None:
            asyncio.run(do(service, what, number))
            asyncio.run(do(plain, what, number))
        else:
            with pytest.raises(ServingError) as told:
                asyncio.run(do(service, what, number))
            assert told.value.code == "SERVE_UNAVAILABLE"
    assert service.clock.now() == plain.clock.now()
    assert answers(service, service.clock.now()) == answers(plain, service.clock.now())
    assert service.remembered.n_pending == plain.remembered.n_pending
    assert {topic: log.end(topic) for topic in log.topics()} == {topic: other.end(topic) for topic in other.topics()}
    log.close()
    other.close()


def test_while_the_broker_is_gone_clients_are_asked_to_come_again_and_what_is_read_goes_on(tmp_path: Path) -> None:
    lake = empty_lake(tmp_path)
    service, log = open_shop(tmp_path / "log", lake)
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    key = ledger.keys.add("write", created_at=0)[1]
    clock = FactsClock(BEGIN)
    app = make_app(service, Access(ledger.keys, clock), lake=lake, log=log, deployed=Deployer(service), clock=clock)
    broker = flaky(service)

    async def talk() -> None:
        options: dict[str, Any] = {"base_url": "http://server", "headers": {"authorization": f"Bearer {key}"}}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), **options) as client:
            first = (await client.post("/v1/predict", json={"row": order()})).json()["prediction_id"]
            posts: list[tuple[str, Any, dict[str, str]]] = [
                ("/v1/facts/delivery", deliveries(3), {}),
                ("/v1/predict", {"row": order(order_id="n2")}, {}),
                ("/v1/predict", {"rows": [order(order_id="n3")]}, {}),
                ("/v1/predict", {"row": order(order_id="n4")}, {"prefer": "respond-async"}),
                ("/v1/outcomes", [{"prediction_id": first, "label": True}], {}),
            ]
            for broker.at_once, broker.later in ((GONE, None), (None, GONE), (None, FULL)):
                for path, body, headers in posts:
                    refused = await client.post(path, json=body, headers=headers)
                    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
                    assert refused.json()["error"]["code"] == "SERVE_UNAVAILABLE"
                for path in ("/v1/state", "/v1/arms", "/metrics", "/readyz", f"/v1/predictions/{first}"):
                    assert (await client.get(path)).status_code == 200
            broker.at_once = broker.later = None
            for path, body, headers in posts:
                assert (await client.post(path, json=body, headers=headers)).status_code in (200, 202)

    asyncio.run(talk())
    log.close()


# -- a request that comes again after its server was killed ------------------------------------------------------------


def test_asked_again_after_a_restart_it_answers_as_it_did_also_when_the_lake_has_it(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    lake = empty_lake(tmp_path)
    service, log = open_shop(tmp_path / "log", lake)
    first = asyncio.run(service.predict(ask(), event_id="ask-1"))
    drain(lake, log, service.clock.now())
    log.close()
    service, log = open_shop(tmp_path / "log", lake)
    asyncio.run(push(service, deliveries(9)))
    assert asyncio.run(service.predict(ask(), event_id="ask-1")) == first
    log.close()


@pytest.mark.parametrize("items", [2, 0], ids=["answered", "refused"])
def test_a_question_that_was_answered_is_not_open_again_after_a_restart(tmp_path: Path, items: int) -> None:
    lake = empty_lake(tmp_path)
    service, log = open_shop(tmp_path / "log", lake)
    question = DecisionAsked(row=order(items=items))

    async def ask_and_answer() -> str:
        name = await service.ask_later(question, event_id="later-1")
        stream = DecisionStream(service, log.consumer("decisions", ANSWERING_GROUP), wake=service.asked_to_answer)
        work = asyncio.create_task(stream.run())
        while log.groups("decisions")[ANSWERING_GROUP] == 0:
            await asyncio.sleep(0.01)
        work.cancel()
        return name

    name = asyncio.run(ask_and_answer())
    told = service.remembered.answer(name)
    assert isinstance(told, Failure) == (items == 0)
    drain(lake, log, service.clock.now())
    log.close()
    service, log = open_shop(tmp_path / "log", lake)
    assert asyncio.run(service.ask_later(question, event_id="later-1")) == name
    assert not service.remembered.is_pending(name), "nobody would answer it"
    assert service.remembered.answer(name) == told
    assert log.groups("answers") == {}, "retention waits for nobody there"
    log.close()


def drain(lake: Lake, log: EmbeddedLog, now: int) -> None:
    sink = Sink(system, lake, log)
    sink.drain(now)
    sink.close()


# -- a lake that takes nothing for a while -----------------------------------------------------------------------------


@pytest.mark.parametrize("error", [OSError(5, "an error of the disk"), ConnectionResetError("gone"), MemoryError()])
def test_a_lake_that_fails_is_no_fault_of_the_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    lake = empty_lake(tmp_path)
    service, log = open_shop(tmp_path / "log", lake)
    for first in (0, 10):
        asyncio.run(push(service, deliveries(3, first=first)))
    sink = Sink(system, lake, log, set_aside=tmp_path / "aside")

    def fail(self: Lake, table: Any, frame: pl.DataFrame, **options: Any) -> Any:
        raise error

    monkeypatch.setattr(Lake, "ingest", fail)
    with pytest.raises(type(error)):
        sink.drain(service.clock.now())
    monkeypatch.undo()
    assert not (tmp_path / "aside").exists()
    assert sink.drain(service.clock.now()).facts == 2
    assert lake.read(Delivery).height == 6
    sink.close()
    log.close()
