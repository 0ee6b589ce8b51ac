"""From the log into the lake: nothing lost, nothing twice, and batch finds the features that predictions were made from."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mainspring as ms
from mainspring.clock import HOUR, MINUTE
from mainspring.declare.lint import lint
from mainspring.features import INSTANT
from mainspring.lake import Lake
from mainspring.serving.facts_clock import FactsClock
from mainspring.serving.service import Service
from mainspring.serving.sink import OUTCOMES_TABLE, PREDICTIONS_TABLE, Sink
from mainspring.serving.skew import measure_skew
from tests.lake.conftest import properties

from .shop import BEGIN, Delivery, answers, ask, deliveries, open_shop, system


def when(instant: int) -> str:
    return pl.Series([instant]).cast(INSTANT).dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ")[0]


def push(service: Service, rows: list[dict[str, Any]]) -> Any:
    return service.push("delivery", json.dumps(rows).encode(), "application/json")


def test_a_prediction_meets_its_outcome(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    service, log = open_shop(tmp_path / "log")
    lake = Lake(properties(tmp_path / "lake"), "deliveries")
    sink = Sink(system, lake, log)

    async def first() -> list[str]:
        await push(service, [*deliveries(4), {**deliveries(1)[0], "order_id": "bad", "minutes": -5}])
        asked = [await service.predict(ask(order_id=f"n{i}", placed=when(service.clock.now()))) for i in range(3)]
        return [prediction.prediction_id for prediction in asked]

    ids = asyncio.run(first())
    moved = sink.drain(service.clock.now())
    assert (moved.facts, moved.predictions, moved.outcomes) == (1, 3, 0)
    assert lake.read(Delivery).height == 4
    assert lake.quarantine(Delivery).height == 1
    stored = lake.read(PREDICTIONS_TABLE)
    assert stored["prediction_id"].to_list() == ids
    assert json.loads(stored["features"][0])["flow"] == 2

    async def later() -> None:
        now = service.clock.now()
        slow = {"order_id": "n0", "shop": "a", "minutes": 55.0, "arrived": when(now + 55 * MINUTE)}
        quick = {"order_id": "n1", "shop": "a", "minutes": 12.0, "arrived": when(now + 12 * MINUTE)}
        await push(service, [slow, quick])
        await push(service, deliveries(1, begin=now + 2 * HOUR, first=90))

    asyncio.run(later())
    assert sink.drain(service.clock.now()).outcomes == 2
    outcomes = dict(lake.read(OUTCOMES_TABLE).select("prediction_id", "label").iter_rows())
    assert outcomes == {ids[0]: 1.0, ids[1]: 0.0}
    # Nothing came for the third within three hours: it is late.
    asyncio.run(push(service, deliveries(1, begin=service.clock.now() + 3 * HOUR, first=91)))
    assert sink.drain(service.clock.now()).outcomes == 1
    outcomes = dict(lake.read(OUTCOMES_TABLE).select("prediction_id", "label").iter_rows())
    assert outcomes[ids[2]] == 1.0
    assert sink.drain(service.clock.now()).outcomes == 0
    sink.close()
    log.close()


def test_a_turn_ends_though_more_comes_all_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lake").mkdir()
    service, log = open_shop(tmp_path / "log")
    lake = Lake(properties(tmp_path / "lake"), "deliveries")
    sink = Sink(system, lake, log)
    ingest, commits = Lake.ingest, []

    def and_one_more(*args: Any, **options: Any) -> Any:
        commits.append(1)
        asyncio.run(service.predict(ask(order_id=f"more{len(commits)}", placed=when(service.clock.now()))))
        return ingest(*args, **options)

    asyncio.run(push(service, deliveries(4)))
    asyncio.run(service.predict(ask(order_id="first", placed=when(service.clock.now()))))
    monkeypatch.setattr(Lake, "ingest", and_one_more)
    moved = sink.drain(service.clock.now())
    assert (moved.facts, moved.predictions) == (1, 2)  # the second came while the facts were brought in
    assert len(commits) == 2
    assert sink.drain(service.clock.now()).predictions == 1
    sink.close()
    log.close()


def test_a_sink_that_was_killed_begins_again_and_nothing_is_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lake").mkdir()
    service, log = open_shop(tmp_path / "log")
    lake = Lake(properties(tmp_path / "lake"), "deliveries")

    async def talk() -> None:
        await push(service, deliveries(6))
        for number in range(3):
            await service.predict(ask(order_id=f"n{number}"))

    asyncio.run(talk())
    sink = Sink(system, lake, log)

    def killed() -> None:
        raise KeyboardInterrupt

    for consumer in (sink._facts, sink._predictions):
        monkeypatch.setattr(consumer, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            sink.drain(service.clock.now())
        monkeypatch.undo()
    sink.close()
    sink = Sink(system, lake, log)
    sink.drain(service.clock.now())
    assert lake.read(Delivery).height == 6
    assert lake.read(PREDICTIONS_TABLE).height == 3
    sink.close()
    log.close()
    # The state is found again from the log alone, and from lake and log together.
    again, log = open_shop(tmp_path / "log")
    assert again.clock.now() == BEGIN, "what is in the lake is not read from the log again"
    log.close()
    again, log = open_shop(tmp_path / "log", lake)
    assert again.clock.now() == service.clock.now(), "the clock is where it was"
    assert answers(again, again.clock.now()) == answers(service, again.clock.now())
    log.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(-3, 6), st.integers(1, 4)),
        st.tuples(st.just("ask"), st.integers(-1, 3), st.just(0)),
        st.tuples(st.just("together"), st.integers(-3, 4), st.integers(1, 3)),
        st.tuples(st.just("drain"), st.just(0), st.just(0)),
        st.tuples(st.just("restart"), st.just(0), st.just(0)),
    ),
    min_size=2,
    max_size=12,
)


@given(STEPS)
@settings(max_examples=25, deadline=None)
def test_batch_finds_the_features_that_predictions_were_made_from(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    """Facts and questions in any order, late, early, at the very same instant, and while facts are on their way."""
    folder = tmp_path_factory.mktemp("skew")
    (folder / "lake").mkdir()
    service, log = open_shop(folder / "log")
    lake = Lake(properties(folder / "lake"), "deliveries")
    sink = Sink(system, lake, log)
    asked = 0

    async def talk(what: str, offset: int, count: int, number: int) -> int:
        now = service.clock.now()
        rows = deliveries(count, begin=now + offset * 10 * MINUTE, first=number * 10)
        asking = [
            service.predict(
                ask(order_id=f"n{number}-{shop}", shop=shop, placed=when(now + (number % 3 - 1) * 30 * MINUTE))
            )
            for shop in "ab"
        ]
        if what == "ask":
            await asyncio.gather(*asking)
        elif what == "together":
            await asyncio.gather(push(service, rows), *asking)
        else:
            for each in asking:
                each.close()
            await push(service, rows)
        return 0 if what == "push" else 2

    for number, (what, offset, count) in enumerate(steps):
        if what == "drain":
            sink.drain(service.clock.now())
        elif what == "restart":
            sink.drain(service.clock.now())
            sink.close()
            log.close()
            service, log = open_shop(folder / "log", lake)
            sink = Sink(system, lake, log)
        else:
            asked += asyncio.run(talk(what, offset, count, number))
    sink.drain(service.clock.now())
    found = measure_skew(system, lake)
    assert (found.predictions, dict(found.different)) == (asked, {})
    sink.close()
    log.close()


@pytest.mark.parametrize("drained", [True, False])
def test_facts_that_come_after_a_restart_come_after_every_decision_before_it(tmp_path: Path, drained: bool) -> None:
    """The clock stands still, the facts are old, and the decision was made at the very instant at which they arrive."""
    (tmp_path / "lake").mkdir()
    lake = Lake(properties(tmp_path / "lake"), "deliveries")
    service, log = open_shop(tmp_path / "log", lake)
    asyncio.run(push(service, deliveries(12)))
    asyncio.run(service.predict(ask(placed=when(service.clock.now()))))
    if drained:
        sink = Sink(system, lake, log)
        sink.drain(service.clock.now())
        sink.close()
    log.close()
    service, log = open_shop(tmp_path / "log", lake)
    asyncio.run(push(service, deliveries(3, begin=BEGIN, first=50)))
    sink = Sink(system, lake, log)
    sink.drain(service.clock.now())
    assert measure_skew(system, lake).different == {}
    sink.close()
    log.close()


def test_a_request_that_the_lake_cannot_take_is_set_aside_and_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lake").mkdir()
    lake = Lake(properties(tmp_path / "lake"), "deliveries")
    service, log = open_shop(tmp_path / "log", lake)
    for first in (0, 10, 20):
        asyncio.run(push(service, deliveries(3, first=first)))
    ingest = Lake.ingest

    def choosy(self: Lake, table: Any, frame: pl.DataFrame, **options: Any) -> Any:
        if table is Delivery and "o10" in frame["order_id"]:
            raise ArithmeticError("nobody foresaw this")
        return ingest(self, table, frame, **options)

    monkeypatch.setattr(Lake, "ingest", choosy)
    sink = Sink(system, lake, log, set_aside=tmp_path / "aside")
    assert sink.drain(service.clock.now()).facts == 3
    assert lake.read(Delivery).height == 6
    (kept,) = (tmp_path / "aside").iterdir()
    assert b"o10" in kept.read_bytes()
    assert sink.drain(service.clock.now()).facts == 0
    sink.close()
    log.close()


def test_what_the_server_rejected_for_its_time_is_not_in_the_lake_either(tmp_path: Path) -> None:
    """Else the clock, which never goes back, would be in the next century after a restart."""
    (tmp_path / "lake").mkdir()
    lake = Lake(properties(tmp_path / "lake"), "deliveries")
    service, log = open_shop(tmp_path / "log", lake)
    far = deliveries(1, begin=BEGIN + 80 * 366 * 24 * HOUR, first=7)
    for rows, rejected in (([*deliveries(3), *far], 1), (far, 1), (deliveries(1, first=50), 0)):
        assert asyncio.run(push(service, rows)).rejected == rejected
    now = service.clock.now()
    assert now < BEGIN + HOUR
    assert service.fresh["delivery"] < BEGIN + HOUR
    sink = Sink(system, lake, log)
    assert sink.drain(now).facts == 3
    assert sorted(lake.read(Delivery)["order_id"]) == ["o0", "o1", "o2", "o50"]
    sink.close()
    log.close()
    service, log = open_shop(tmp_path / "log", lake)
    assert service.clock.now() == now
    service.wall = FactsClock(BEGIN + 79 * 366 * 24 * HOUR)  # real time is near: no clock is wrong
    assert asyncio.run(push(service, far)).accepted == 1
    sink = Sink(system, lake, log)
    sink.drain(service.clock.now())
    assert sorted(lake.read(Delivery)["order_id"]) == ["o0", "o1", "o2", "o50", "o7"]
    sink.close()
    log.close()


def test_no_table_of_a_user_has_the_name_of_one_of_ours() -> None:
    tables = [
        ms.Table.__class__(name, (ms.Table,), {"a": ms.Key(), "b": ms.KnownAt()})
        for name in ("Predictions", "Outcomes")
    ]
    for table, ours in zip(tables, (PREDICTIONS_TABLE, OUTCOMES_TABLE), strict=True):
        assert table.__schema__.name == ours.__schema__.name
        features = {"n": table.count(over="1h")}
        codes = [finding.code for finding in lint(dataclasses.replace(system, features=features))]
        assert "reserved-table" in codes


def test_commits_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.serving.sink._TURNS_KEPT", 6)
    (tmp_path / "lake").mkdir()
    lake = Lake(properties(tmp_path / "lake"), "deliveries")
    service, log = open_shop(tmp_path / "log", lake)
    sink = Sink(system, lake, log)
    for number in range(30):
        asyncio.run(service.predict(ask(order_id=f"n{number}")))
        sink.drain(service.clock.now())
    stored = lake._catalog.load_table(("deliveries", "predictions"))
    assert len(stored.snapshots()) <= 10 + 6
    assert lake.read(PREDICTIONS_TABLE).height == 30
    assert len(list((tmp_path / "lake").rglob("predictions/metadata/*.metadata.json"))) <= 22
    sink.close()
    log.close()
