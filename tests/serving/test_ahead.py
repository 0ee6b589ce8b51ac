"""Predictions ahead: what is looked up is what was computed at the tick, with the age that it has."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mainspring as ms
from mainspring.answers import Arm, Prediction
from mainspring.clock import HOUR, MINUTE, SECOND, format_instant
from mainspring.errors import ServingError
from mainspring.lake import Lake
from mainspring.ledger import Ledger
from mainspring.serving import Access
from mainspring.serving.ahead import Ahead
from mainspring.serving.app import make_app
from mainspring.serving.facts_clock import FactsClock
from mainspring.serving.opening import open_on
from mainspring.serving.predictor import Asked
from mainspring.serving.records import PREDICTIONS
from mainspring.serving.rewinding import rewind_service
from mainspring.serving.router import LoadedArm, Router
from mainspring.serving.service import Service
from mainspring.serving.sink import Sink
from mainspring.stream import EmbeddedLog

from .shop import BEGIN, Deployer, Full, living, open_shop, until
from .shop import empty_lake as shop_lake

EVERY = 4 * HOUR


class Station(ms.Table):
    station_id = ms.Key()
    docks = ms.Int(ge=0)
    opened = ms.KnownAt()


class Ride(ms.Table):
    station_id = ms.Key()
    started = ms.KnownAt()


system = ms.System(
    name="stations",
    decision=ms.Decision(Station, every="4h"),
    label=ms.Label(Ride.count(by="station_id", over="1h") > 3, within="1h"),
    features=dict(docks=Station.docks, rides=Ride.count(by="station_id", over="4h")),
)


class Rides:
    """A fake: its probability is the number of rides in a hundred, and something of its own."""

    class model:  # noqa: N801
        task = "binary"
        classes = ()

    batches = False

    def __init__(self, own: float = 0.0) -> None:
        self.own = own

    def predict_one(self, values: Any) -> float:
        return self.own + values["rides"] / 100

    def decide_one(self, prediction: float) -> bool:
        return prediction >= 0.5

    def contributions_one(self, values: Any) -> dict[str, float]:
        return {"": 0.0}


def arms(version: str, own: float = 0.0) -> Router:
    model: Any = Rides(own)
    return Router(
        "stations",
        ["station_id"],
        [LoadedArm(Arm(name="champion", role="champion", model=version, share=1.0), model)],
    )


def opened(folder: Path, *, grace: int = 0, router: Router | None = None) -> tuple[Service, EmbeddedLog, Lake]:
    lake = shop_lake(folder)
    begin = FactsClock(BEGIN)
    log = EmbeddedLog(folder / "log", begin)
    service, _ = open_on(system, router or arms("m1"), log, lake, begin, follow_facts=True, grace=grace)
    return service, log, lake


async def push(service: Service, table: str, *rows: tuple[str, int]) -> None:
    """Rows of (station, instant in minutes since the beginning)."""
    time = {"station": "opened", "ride": "started"}[table]
    sent = [{"station_id": key, "docks": 5, time: format_instant(BEGIN + at * MINUTE)} for key, at in rows]
    await service.push(table, json.dumps(sent).encode(), "application/json")


def key(name: str, **more: Any) -> Asked:
    return Asked({"station_id": name}, by_key=True, **more)


def without(prediction: Prediction | None) -> Any:
    """A prediction apart from its name and age."""
    assert prediction is not None
    return msgspec.structs.replace(prediction, prediction_id="", age_seconds=None)


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 90), st.booleans()), min_size=1, max_size=14),
    st.integers(0, 2),
)
@settings(max_examples=25, deadline=None)
def test_what_is_looked_up_is_what_the_tick_would_have_answered(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, int, bool]], grace: int
) -> None:
    """Stations open and rides begin; at any time each station has the answer of the last tick, however it is asked for."""
    service, log, _ = opened(tmp_path_factory.mktemp("ahead"), grace=grace * HOUR)
    ahead = Ahead(service)

    async def live() -> None:
        now, known = 0, dict[str, int]()
        for name, wait, is_ride in events:
            now += wait
            if is_ride or name in known:
                await push(service, "ride", (name, now))
            else:
                await push(service, "station", (name, now))
                known[name] = now
            await ahead.refresh()
            tick = service.clock.now() // EVERY * EVERY
            for name in "abcd":
                made = ahead.find(key(name))
                if name not in known or BEGIN + known[name] * MINUTE > tick:
                    assert made is None
                    continue
                assert made is not None
                assert made.decided_at == format_instant(tick)
                assert made.age_seconds == (service.clock.now() - tick) / SECOND
                assert without(made) == without(await service.predict(key(name)))
                assert ahead.find(key(name, explain=True)) is None
                assert ahead.find(Asked({"station_id": name, "docks": 9})) is None, "a whole row is answered as it is"
            assert not await ahead.refresh()

    asyncio.run(live())
    log.close()


def test_a_tick_is_answered_until_the_next_however_short_the_grace_is(tmp_path: Path) -> None:
    service, log, _ = opened(tmp_path)

    async def live() -> None:
        await push(service, "station", ("a", 0))
        for minutes in (1, 60, 239, 240, 300, 479):
            await push(service, "ride", ("b", minutes))
            made = await service.predict(key("a"))
            assert made.decided_at == format_instant(BEGIN + minutes // 240 * EVERY)

    asyncio.run(live())
    log.close()


def test_each_is_journalled_once_however_often_it_is_looked_up_or_the_server_begins_again(tmp_path: Path) -> None:
    names: set[str] = set()
    for _ in range(3):
        service, log, lake = opened(tmp_path)

        async def live(service: Service = service) -> None:
            await push(service, "station", ("a", 0), ("b", 10))
            await push(service, "ride", ("a", 250))
            ahead = Ahead(service)
            assert await ahead.refresh()
            for _ in range(5):
                assert not await ahead.refresh()
                found = [ahead.find(key(name)) for name in "ab"]
                names.update(each.prediction_id for each in found if each is not None)

        asyncio.run(live())
        assert log.end(PREDICTIONS) == 2
        sink = Sink(system, lake, log)
        sink.drain(BEGIN)
        sink.close()
        log.close()
    assert len(names) == 2


def test_while_nothing_can_be_kept_the_older_ones_are_handed_out_with_their_age(tmp_path: Path) -> None:
    service, log, _ = opened(tmp_path)
    ahead = Ahead(service)

    async def live() -> None:
        await push(service, "station", ("a", 0))
        await push(service, "ride", ("a", 239))
        await ahead.refresh()
        await push(service, "ride", ("a", 300))
        kept, service.journal.broker = service.journal.broker, Full()  # type: ignore[assignment]
        with pytest.raises(ServingError, match="SERVE_UNAVAILABLE"):
            await ahead.refresh()
        old = ahead.find(key("a"))
        assert old is not None
        assert (old.decided_at, old.age_seconds) == (format_instant(BEGIN), 300 * 60)
        service.journal.broker = kept
        assert await ahead.refresh()
        new = ahead.find(key("a"))
        assert new is not None
        assert (new.decided_at, new.age_seconds, new.probability) == (format_instant(BEGIN + EVERY), 60 * 60, 0.01)

    asyncio.run(live())
    log.close()


def test_other_arms_answer_from_when_they_are_set_and_not_from_the_next_tick_on(tmp_path: Path) -> None:
    service, log, _ = opened(tmp_path)
    ahead = Ahead(service)

    async def live() -> None:
        await push(service, "station", ("a", 0))
        await push(service, "ride", ("b", 10))
        await ahead.refresh()
        service.predictor.router = arms("m2", own=0.5)
        assert await ahead.refresh()
        made = ahead.find(key("a"))
        assert made is not None
        assert (made.model, made.probability) == ("m2", 0.5)

    asyncio.run(live())
    log.close()


def test_what_was_made_before_time_was_turned_back_is_not_handed_out(tmp_path: Path) -> None:
    service, log, lake = opened(tmp_path)
    ahead = Ahead(service)

    async def live() -> None:
        await push(service, "station", ("a", 0))
        names = set()
        for minutes in (100, 245, 500):
            await push(service, "ride", ("a", minutes))
            await ahead.refresh()
            made = ahead.find(key("a"))
            assert made is not None
            names.add(made.prediction_id)
        sink = Sink(system, lake, log)
        sink.drain(service.clock.now())
        sink.close()
        await rewind_service(service, lake, log, BEGIN + 250 * MINUTE)
        assert ahead.find(key("a")) is None
        assert await ahead.refresh()
        made = ahead.find(key("a"))
        assert made is not None
        assert (made.decided_at, made.probability) == (format_instant(BEGIN + EVERY), 0.01)
        assert made.prediction_id not in names, "it is made anew: other facts may be known this time"

    asyncio.run(live())
    log.close()


def test_a_system_that_decides_for_rows_has_nothing_ahead(tmp_path: Path) -> None:
    service, log = open_shop(tmp_path)
    with pytest.raises(ServingError, match=r"deliveries decides for rows.*SERVE_OPTION"):
        Ahead(service)
    log.close()


def test_over_http_keys_are_looked_up_and_one_that_is_none_refuses_no_other(tmp_path: Path) -> None:
    service, log, lake = opened(tmp_path)
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    headers = {"authorization": f"Bearer {ledger.keys.add('write', created_at=0)[1]}"}
    ahead = Ahead(service)
    app = make_app(
        service,
        Access(ledger.keys, service.clock),
        lake=lake,
        log=log,
        deployed=Deployer(service),
        clock=FactsClock(BEGIN),
        ahead=ahead,
    )

    async def live() -> None:
        transport = httpx.ASGITransport(app)
        async with living(app), httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            await push(service, "station", ("a", 0))
            await push(service, "ride", ("a", 250))
            await until(lambda: ahead.find(key("a")) is not None)
            await push(service, "station", ("new", 260))
            one = (await client.post("/v1/predict", json={"key": "a"}, headers=headers)).json()
            assert (one["age_seconds"], one["decided_at"]) == (20 * 60, format_instant(BEGIN + EVERY))
            asked = {"keys": ["a", {"station_id": 5.5}, "new", "nobody", {"station_id": "a"}]}
            many = (await client.post("/v1/predict", json=asked, headers=headers)).json()["predictions"]
            assert many[0] == many[4] == one
            assert [each["error"]["code"] for each in many[1:4]] == ["SERVE_ROW", "SERVE_UNKNOWN", "SERVE_UNKNOWN"]
            row = (
                await client.post("/v1/predict", json={"row": {"station_id": "a", "docks": 1}}, headers=headers)
            ).json()
            assert "age_seconds" not in row
            wrong = await client.post("/v1/predict", json={"key": {"station_id": None}}, headers=headers)
            assert (wrong.status_code, wrong.json()["error"]["code"]) == (422, "SERVE_ROW")

    asyncio.run(live())
    log.close()
