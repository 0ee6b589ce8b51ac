"""Proxies and friction are declared as labels are, and what could tell nothing is refused."""

from __future__ import annotations

from typing import Any

import pytest

import mainspring as ms
from mainspring.declare.lint import lint
from mainspring.errors import DeclarationError
from tests.declare.bad_systems.timetable import PARTS, Airport, Departure, Flight

LEFT_LATE = ms.Proxy(Departure.dep_delay >= 15, by="flight_id", within="6h", otherwise=True)


@pytest.mark.parametrize(
    "parts",
    [
        {"proxies": {"left late": LEFT_LATE}},
        {"proxies": {"busy": ms.Proxy(Departure.count(by="origin", over="1h") > 9, within="1h")}},
        {"friction": {"asks again": ms.Friction.asks_again(within="10m")}},
        {"friction": {"left": ms.Friction(Departure, by="flight_id", within="1d")}},
        {"friction": {"left": ms.Friction(ms.where(Departure.dep_delay > 60, True), by="flight_id", within="1d")}},
    ],
)
def test_what_is_right_is_left_alone(parts: dict[str, Any]) -> None:
    assert lint(ms.System(**{**PARTS, **parts})) == []


def test_tables_that_only_a_proxy_or_friction_reads_belong_to_the_system() -> None:
    parts = {**PARTS, "features": {"origin": Flight.origin}}
    assert Departure not in ms.System(**parts).tables
    assert ms.System(**parts, proxies={"left late": LEFT_LATE}).tables[-1] is Departure
    assert (
        ms.System(**parts, friction={"left": ms.Friction(Departure, by="flight_id", within="1d")}).tables[-1]
        is Departure
    )


def test_friction_of_a_table_is_a_label_that_is_no_where_no_row_came() -> None:
    told = ms.Friction(Departure, by="flight_id", within="24h").told_by
    assert told == ms.Proxy(~Departure.left_at.is_missing(), by="flight_id", within="1d", otherwise=False)
    assert ms.Friction.asks_again(within="10m").told_by is None
    assert ms.Friction(Airport, by="origin", within="1d").told_by is not None  # the lint says why that cannot be


@pytest.mark.parametrize(
    ("declare", "told"),
    [
        (lambda: ms.Proxy("late", by="flight_id", within="6h"), "not read from a table"),
        (lambda: ms.Proxy(Departure.dep_delay > 1, by="flight_id", within="0s"), "the proxy could come true"),
        (lambda: ms.Friction("undo", within="6h"), "neither a table nor a condition"),
        (lambda: ms.Friction(Departure.dep_delay, by="flight_id", within="6h"), "neither a table nor a condition"),
        (lambda: ms.Friction(by="flight_id", within="6h"), "names no table"),
        (lambda: ms.Friction.asks_again(within="0s"), "the friction could come true"),
        (lambda: ms.System(**PARTS, proxies={"late": PARTS["label"]}), r"Write proxies=\{"),
        (lambda: ms.System(**PARTS, friction={"late": LEFT_LATE}), r"ms\.Friction\(\.\.\.\)"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_written(declare: Any, told: str) -> None:
    with pytest.raises(DeclarationError, match=told) as caught:
        declare()
    assert caught.value.origin is not None
    assert caught.value.origin.file == __file__
