"""Going back in time: the state is that of a server that was opened then, and what is played again ends where it ended."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.clock import HOUR, MINUTE, format_instant
from mainspring.errors import ServingError
from mainspring.serving import rewinding
from mainspring.serving.facts_clock import FactsClock
from mainspring.serving.opening import open_on
from mainspring.serving.rewinding import rewind_service
from mainspring.serving.service import Service
from mainspring.serving.sink import PREDICTIONS_TABLE, Sink
from mainspring.stream import EmbeddedLog

from .shop import BEGIN, Delivery, answers, ask, deliveries, empty_lake, open_shop, order, readable, system
from .test_app import Site

SENT = st.lists(st.tuples(st.integers(-4, 30), st.integers(1, 5)), min_size=1, max_size=6)


def body(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps(rows).encode()


def drain(service: Service, lake: Any, log: EmbeddedLog) -> None:
    sink = Sink(system, lake, log)
    sink.drain(service.clock.now())
    sink.close()


def around(service: Service, now: int) -> list[Any]:
    """What is answered at instants from the grace on."""
    return [answers(service, at) for at in range(now - HOUR, now + 3 * HOUR, HOUR // 2)]


@given(SENT, st.floats(0, 1))
@settings(max_examples=12, deadline=None)
def test_after_going_back_it_answers_as_a_server_that_was_opened_then(
    tmp_path_factory: pytest.TempPathFactory, sent: list[tuple[int, int]], part: float
) -> None:
    folder = tmp_path_factory.mktemp("past")
    lake = empty_lake(folder)
    service, log = open_shop(folder / "log", lake)

    async def live() -> int:
        for number, (begin, count) in enumerate(sent):
            rows = deliveries(count, begin=BEGIN + begin * 20 * MINUTE, first=number * 10)
            await service.push("delivery", body(rows), "application/json")
            orders = [order(order_id=f"n{number}", placed=format_instant(service.clock.now() + begin * MINUTE))]
            await service.push("order", body(orders), "application/json")
            await service.predict(ask(order_id=f"n{number}", placed=format_instant(service.clock.now())))
        to = int(BEGIN - 3 * HOUR + part * (service.clock.now() - BEGIN + 3 * HOUR))
        drain(service, lake, log)
        await rewind_service(service, lake, log, to)
        return to

    to = asyncio.run(live())
    assert service.clock.now() == to

    class Then:
        """The lake as it was then: with what was known by then, and without what came later than it was known."""

        def read(self, table: Any, **options: Any) -> Any:
            found = lake.read(table, **options)
            if table is PREDICTIONS_TABLE:
                return found.clear()
            name = table.__schema__.known_at.name
            lag = 5 * MINUTE if table is Delivery else 0
            times = zip(found[name].to_physical(), found["_visible_at"].to_physical(), strict=True)
            return found.filter([known <= to and visible <= max(to, known + lag) for known, visible in times])

    clock = FactsClock(to)
    with EmbeddedLog(folder / "other", clock) as other:
        then, began = open_on(system, readable("m1"), other, Then(), clock, follow_facts=False, grace=HOUR)  # type: ignore[arg-type]
        assert around(service, to) == around(then, to)
        assert service.fresh == then.fresh
        keys = sorted(then.predictor.current.keys())
        assert keys == sorted(service.predictor.current.keys())
        for key in keys:
            assert service.predictor.current.find(key, to) == then.predictor.current.find(key, to)
        assert sum(began.known.values()) <= 2 * sum(count for _, count in sent)
    log.close()


def test_what_is_played_again_is_there_already_and_ends_where_it_ended(tmp_path: Path) -> None:
    lake = empty_lake(tmp_path)
    service, log = open_shop(tmp_path / "log", lake)
    rows = deliveries(30)

    async def play(rows: list[dict[str, Any]]) -> list[float | None]:
        made = []
        for row in rows:
            taken = await service.push("delivery", body([row]), "application/json")
            assert taken.accepted == 1
            prediction = await service.predict(ask(placed=format_instant(service.clock.now())))
            made.append(prediction.probability)
        return made

    first = asyncio.run(play(rows))
    end, before = service.clock.now(), around(service, service.clock.now())
    drain(service, lake, log)
    stored = lake.read(Delivery)
    to = BEGIN + 9 * HOUR // 6  # the tenth was known then
    asyncio.run(rewind_service(service, lake, log, to))
    again = asyncio.run(service.push("delivery", body(rows[:10]), "application/json"))
    assert (again.accepted, again.already_there) == (0, 10)
    assert asyncio.run(play(rows[10:])) == first[10:]
    assert service.clock.now() == end
    assert around(service, end) == before
    drain(service, lake, log)
    assert lake.read(Delivery).equals(stored)
    assert lake.quarantine(Delivery).height == 0
    assert lake.read(PREDICTIONS_TABLE)["prediction_id"].n_unique() == 50
    log.close()
    restarted, log = open_shop(tmp_path / "log", lake)
    assert around(restarted, end) == before
    log.close()


def test_real_time_and_the_future_are_refused(tmp_path: Path) -> None:
    lake = empty_lake(tmp_path)
    service, log = open_shop(tmp_path / "log", lake)
    with pytest.raises(ServingError, match=r"It is 2015-08-19T16:00:00Z.*SERVE_OPTION"):
        asyncio.run(rewind_service(service, lake, log, service.clock.now() + 1))
    log.close()
    wall = FactsClock(BEGIN)
    with EmbeddedLog(tmp_path / "wall", wall) as log:
        service, _ = open_on(system, readable("m1"), log, lake, wall, follow_facts=False)
        service.clock = type("Wall", (), {"now": lambda self: BEGIN})()
        with pytest.raises(ServingError, match=r"Its time is real time.*SERVE_OPTION"):
            asyncio.run(rewind_service(service, lake, log, BEGIN - 1))


def test_a_lake_that_does_not_catch_up_is_told_and_nothing_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewinding, "_PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(rewinding, "_PAUSE_SECONDS", 0.02)
    site = Site(tmp_path)
    site.send("POST", "/v1/facts/delivery", json=deliveries(8))
    now = site.service.clock.now()
    refused = site.send("POST", "/v1/rewind", "admin", json={"to": format_instant(BEGIN)})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "SERVE_UNAVAILABLE")
    assert site.service.clock.now() == now
    assert site.send("POST", "/v1/rewind", "write", json={"to": format_instant(BEGIN)}).status_code == 403
    for wrong in ({"to": "yesterday"}, {"to": 5}, {}, {"to": "2015-08-19"}, {"to": "2015-08-19T16:00:00"}):
        told = site.send("POST", "/v1/rewind", "admin", json=wrong)
        assert told.status_code in ((503,) if wrong == {"to": "2015-08-19"} else (400,))
    drain(site.service, site.lake, site.log)
    told = site.send("POST", "/v1/rewind", "admin", json={"to": format_instant(BEGIN + HOUR)})
    assert told.json() == {"now": format_instant(BEGIN + HOUR)}
    assert site.service.clock.now() == BEGIN + HOUR
    site.log.close()


def test_what_is_on_its_way_ends_in_its_own_time(tmp_path: Path) -> None:
    """A fact that arrives while time is turned back does not drag the clock into the future again."""
    service, log = open_shop(tmp_path)

    async def live() -> None:
        await service.push("delivery", body(deliveries(12)), "application/json")
        rows = body(deliveries(1, begin=BEGIN + 9 * HOUR, first=200))
        pushing = asyncio.create_task(service.push("delivery", rows, "application/json"))
        await asyncio.sleep(0)
        await service.begin_again(service.predictor, service.intake, BEGIN, {})
        assert pushing.done()
        assert service.clock.now() == BEGIN

    asyncio.run(live())
    log.close()
