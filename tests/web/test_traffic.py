"""The traffic that pages tell of is what the server's own counters say."""

from __future__ import annotations

import pytest

from mainspring.clock import SECOND
from mainspring.serving.metrics import Metrics
from mainspring.web.traffic import Traffic, TrafficTold


def served(metrics: Metrics, count: int, seconds: float = 0.004, status: int = 200, route: str = "predict") -> None:
    counted = metrics.of_route(route)
    for _ in range(count):
        counted(status, "champion", seconds)


def test_nothing_is_told_before_there_is_something_to_tell() -> None:
    traffic = Traffic(Metrics())
    assert traffic.told() == TrafficTold()
    traffic.sample(0)
    traffic.sample(5 * SECOND)
    told = traffic.told()
    assert (told.requests, told.per_second, told.p99, told.failed) == (0, 0.0, None, 0.0)


def test_of_the_last_minute_and_of_what_clients_ask() -> None:
    metrics = Metrics()
    traffic = Traffic(metrics)
    served(metrics, 1000, seconds=0.2)  # before anybody looked
    for number in range(20):
        traffic.sample(number * 5 * SECOND)
        served(metrics, 50)
        served(metrics, 40, route="page")
        metrics.predicted("champion", "m1")
    traffic.sample(100 * SECOND)
    told = traffic.told()
    assert told.requests == 1000 + 20 * 50
    assert told.per_second == pytest.approx(10.0)
    assert (told.p50, told.p99) == (5.0, 5.0)
    assert [(each.arm, each.model, each.predictions) for each in told.arms] == [("champion", "m1", 20)]
    assert told.arms[0].per_second == pytest.approx(0.2)
    assert [round(each.per_second) for each in told.moments] == [10] * 20


def test_failures_of_the_server_are_told_and_those_of_clients_are_not() -> None:
    metrics = Metrics()
    traffic = Traffic(metrics)
    traffic.sample(0)
    served(metrics, 60)
    served(metrics, 30, status=422)
    served(metrics, 10, status=503)
    served(metrics, 3, seconds=9.0)
    traffic.sample(5 * SECOND)
    told = traffic.told()
    assert told.failed == pytest.approx(10 / 103)
    assert told.p99 == float("inf")  # longer than any bound
