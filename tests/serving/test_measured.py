"""What a server did of what is promised: every request is told once, in the counts that it already keeps."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mainspring as ms
from mainspring.clock import HOUR, MINUTE, SECOND
from mainspring.serving.facts_clock import FactsClock
from mainspring.serving.measured import Measured, MeasuredCounts, fresh_minutes
from mainspring.serving.metrics import Metrics

from .shop import BEGIN
from .test_app import Site

available = ms.SLO("availability", target=0.999)
quick = ms.SLO("latency", target=0.99, within="0.05s")
of_facts = ms.SLO("availability", target=0.99, routes=["facts", "outcomes"])
fresh = ms.SLO("freshness", target=0.99, within="30m")
SLOS = [available, quick, of_facts, fresh, ms.SLO("log_loss", at_most=0.5)]

few_examples = settings(max_examples=50, deadline=None)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    site.service.clock = FactsClock(BEGIN)
    yield site
    site.log.close()


# Laws


def test_what_is_told_adds_up_to_all_that_was_answered_however_often_one_asks(site: Site) -> None:
    metrics = Metrics()
    measure, rng = Measured(SLOS, metrics, site.service), np.random.default_rng(0)
    count = {route: metrics.of_route(route) for route in ("predict", "infer", "facts", "health")}
    statuses, total = [200, 202, 400, 401, 429, 500, 503], np.zeros((2, 2), int)
    true = np.zeros((2, 2), int)
    for _ in range(200):
        route, status, seconds = str(rng.choice(list(count))), int(rng.choice(statuses)), float(rng.uniform(0, 0.1))
        count[route](status, str(rng.choice(["", "champion"])), seconds)
        if route in ("predict", "infer"):
            true[0] += [status < 400, status >= 500]
            true[1] += [seconds <= 0.05, seconds > 0.05]
        if rng.uniform() < 0.2:
            told = measure.told()
            total += np.array([told.counts["availability"], told.counts["latency 0.05s"]])
    told = measure.told()
    total += np.array([told.counts["availability"], told.counts["latency 0.05s"]])
    assert total.tolist() == true.tolist()
    assert measure.told().counts["availability"] == (0, 0)


def test_nothing_is_lost_while_others_count(site: Site) -> None:
    metrics = Metrics()
    measure, done = Measured([available], metrics, site.service), threading.Event()

    def count() -> None:
        counted = metrics.of_route("predict")
        for k in range(20_000):
            counted(500 if k % 10 == 0 else 200, "champion", 0.001)
        done.set()

    thread = threading.Thread(target=count)
    thread.start()
    total = np.zeros(2, int)
    while not done.is_set():
        total += measure.told().counts["availability"]
    thread.join()
    total += measure.told().counts["availability"]
    assert total.tolist() == [18_000, 2_000]


@few_examples
@given(
    st.lists(st.lists(st.integers(0, 5 * HOUR), max_size=8), min_size=1, max_size=3), st.integers(1, 90),
    st.lists(st.integers(0, 6 * HOUR), min_size=2, max_size=6),
)  # fmt: skip
def test_minutes_are_fresh_where_every_table_is_and_spans_add_up(
    tables: list[list[int]], within: int, cuts: list[int]
) -> None:
    visible = {str(k): np.array(sorted(rows), np.int64) for k, rows in enumerate(tables)}
    cuts = sorted(cuts)
    found = [fresh_minutes(visible, within * MINUTE, a, b) for a, b in itertools.pairwise(cuts)]
    ends = [at * MINUTE for at in range(cuts[0] // MINUTE + 1, cuts[-1] // MINUTE + 1)]
    good = [all(any(0 <= end - row <= within * MINUTE for row in rows) for rows in tables) for end in ends]
    assert sum(good for good, _ in found) == sum(good)
    assert sum(bad for _, bad in found) == len(good) - sum(good)


# Cases


def test_freshness_is_that_of_the_stalest_table(site: Site) -> None:
    clock = site.service.clock
    assert isinstance(clock, FactsClock)
    measure = Measured([fresh], Metrics(), site.service)
    clock.saw(BEGIN + 10 * MINUTE)
    assert measure.told().counts == {"freshness 30m": (0, 10)}, "no table has a row"
    site.service.freshen({"order": BEGIN + 10 * MINUTE})
    clock.saw(BEGIN + 20 * MINUTE)
    assert measure.told().counts == {"freshness 30m": (0, 10)}, "one of two"
    site.service.freshen({"delivery": BEGIN + 25 * MINUTE})
    clock.saw(BEGIN + 30 * MINUTE)
    assert measure.told().counts == {"freshness 30m": (6, 4)}
    clock.saw(BEGIN + 60 * MINUTE)
    assert measure.told().counts == {"freshness 30m": (10, 20)}, "the orders are stale after 40 minutes"
    clock.saw(BEGIN + 60 * MINUTE + SECOND)
    assert measure.told().counts == {"freshness 30m": (0, 0)}, "no minute has ended"


def test_a_row_that_will_be_visible_later_keeps_its_table_fresh(site: Site) -> None:
    clock = site.service.clock
    assert isinstance(clock, FactsClock)
    site.service.freshen({"order": BEGIN + HOUR, "delivery": BEGIN + HOUR})
    measure = Measured([fresh], Metrics(), site.service)
    for minute in range(1, 101):
        clock.saw(BEGIN + minute * MINUTE)
        assert measure.told().counts["freshness 30m"] == ((1, 0) if minute <= 90 else (0, 1))


def test_requests_over_http_are_told_and_go_on_as_json(site: Site) -> None:
    metrics = site.app._predict._front.metrics  # type: ignore[attr-defined]
    measure = Measured(SLOS, metrics, site.service)
    for role in ("read", None):
        site.send("POST", "/v1/predict", role, json={"row": {"order_id": "n", "shop": "a", "items": 2}})
    site.send("POST", "/v1/facts/order", json=[])
    told = measure.told()
    assert told.counts["availability"] == (1, 0), "who has no key is no failure of ours, and no success"
    assert told.counts["availability of facts and outcomes"] == (1, 0)
    assert sum(told.counts["latency 0.05s"]) == 2
    assert set(told.counts) == {"availability", "latency 0.05s", "availability of facts and outcomes", "freshness 30m"}
    assert msgspec.json.decode(msgspec.json.encode(told), type=MeasuredCounts) == told
    assert told.begin == BEGIN


def test_a_span_between_two_bounds_is_held_to_the_shorter_one(site: Site) -> None:
    metrics, odd = Metrics(), ms.SLO("latency", target=0.99, within="0.03s")
    measure = Measured([odd], metrics, site.service)
    for seconds in (0.02, 0.027, 0.04):
        metrics.of_route("predict")(200, "champion", seconds)
    assert measure.told().counts == {"latency 0.03s": (1, 2)}, "0.025 s is the bound"


def test_where_time_is_set_back_it_goes_on_from_there(site: Site) -> None:
    measure = Measured([fresh], Metrics(), site.service)
    site.service.clock = FactsClock(BEGIN - HOUR)
    told = measure.told()
    assert (told.begin, told.end, told.counts) == (BEGIN - HOUR, BEGIN - HOUR, {"freshness 30m": (0, 0)})
