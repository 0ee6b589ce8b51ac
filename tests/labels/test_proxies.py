"""Proxies mature as labels do; who asks again is read from the decisions, and nothing later changes what was known."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

import mainspring as ms
from mainspring.clock import HOUR, parse_span
from mainspring.labels import mature, mature_frictions, mature_proxies
from tests.features.worlds import Event, Order, World, decision_rows, rows

BY_ROW = ms.Decision(Order, at=Order.placed)
START = 380_000 * HOUR
ENDS = st.integers(0, 30).map(lambda hours: START + hours * HOUR)
SPANS = st.sampled_from(["30m", "1h", "5h"])
events_of_a_day = st.lists(rows, max_size=20)
decisions_of_a_day = st.lists(decision_rows, min_size=1, max_size=10)


def asked(decisions: list[dict[str, Any]]) -> pl.DataFrame:
    """Decisions whose key is the shop: missing in some, and coming back."""
    return World([], decisions, []).decision_frame.with_columns(pl.col("shop").alias("order_id"))


def instants(column: pl.Series) -> list[int | None]:
    return column.to_physical().to_list()


@given(events_of_a_day, decisions_of_a_day, SPANS, st.sampled_from([None, True]), ENDS)
@settings(max_examples=60, deadline=None)
def test_a_proxy_is_matured_exactly_as_a_label(
    events: list[dict[str, Any]], decisions: list[dict[str, Any]], within: str, otherwise: bool | None, as_of: int
) -> None:
    world = World([{**row, "_seq": i} for i, row in enumerate(events)], decisions, [])
    parts: dict[str, Any] = dict(by="shop", within=within, otherwise=otherwise)
    proxies = {"much": ms.Proxy(Event.amount > 1, **parts), "urgent": ms.Proxy(Event.urgent, **parts)}
    found = mature_proxies(proxies, BY_ROW, world.decision_frame, world.frames, as_of=as_of)
    for name, proxy in proxies.items():
        label = ms.Label(proxy.outcome, **parts)
        truth = mature(label, BY_ROW, world.decision_frame, world.frames, as_of=as_of).frame
        assert found[name]["value"].to_list() == truth["label"].to_list()
        assert found[name]["known_at"].to_list() == truth["label_known_at"].to_list()
        ends = [None if v is None else at + parse_span(within) for v, at in zip(
            truth["label"], (row["_at"] for row in decisions), strict=True
        )]  # fmt: skip
        assert instants(found[name]["settled_at"]) == ends


@given(decisions_of_a_day, SPANS, ENDS)
@settings(max_examples=150, deadline=None)
def test_who_asks_again_is_told_by_the_decisions(decisions: list[dict[str, Any]], within: str, as_of: int) -> None:
    friction = {"again": ms.Friction.asks_again(within=within)}
    found = mature_frictions(friction, BY_ROW, asked(decisions), {}, as_of=as_of)["again"]
    expected = []
    for row in decisions:
        end = row["_at"] + parse_span(within)
        again = [
            each["_at"]
            for each in decisions
            if row["shop"] is not None and each["shop"] == row["shop"] and row["_at"] < each["_at"] <= end
        ]
        known_at = min(again, default=end)
        expected.append((float(bool(again)), known_at, end) if known_at <= as_of else (None, None, None))
    columns = (found["value"].to_list(), instants(found["known_at"]), instants(found["settled_at"]))
    assert list(zip(*columns, strict=True)) == expected


def test_asked_at_the_end_of_the_time_is_asked_again_and_asked_at_once_is_not() -> None:
    blank = dict.fromkeys(("city", "amount", "quantity", "urgent", "note", "due"))
    for gap, again in ((0, 0.0), (1, 1.0), (HOUR, 1.0), (HOUR + 1, 0.0)):
        twice = asked([{**blank, "shop": "a", "_at": START + at} for at in (0, gap)])
        friction = {"again": ms.Friction.asks_again(within="1h")}
        found = mature_frictions(friction, BY_ROW, twice, {}, as_of=START + 3 * HOUR)["again"]
        assert found["value"].to_list() == [again, 0.0]


@given(decisions_of_a_day, SPANS, ENDS)
@settings(max_examples=50, deadline=None)
def test_what_is_asked_later_changes_nothing_known_before(
    decisions: list[dict[str, Any]], within: str, as_of: int
) -> None:
    friction = {"again": ms.Friction.asks_again(within=within)}
    before = [row for row in decisions if row["_at"] <= as_of]
    later = [row for row in decisions if row["_at"] > as_of]
    found, grown = (
        mature_frictions(friction, BY_ROW, asked(some), {}, as_of=as_of)["again"]
        for some in (before, [*before, *later])
    )
    assert found.equals(grown.head(len(before)))


def test_a_row_that_says_undo_is_friction_and_none_is_not() -> None:
    blank: dict[str, Any] = dict.fromkeys(("city", "amount", "quantity", "urgent", "note", "due"))
    events = [{**blank, "shop": "a", "_visible_at": START + HOUR, "seen": START + HOUR, "_seq": 0}]
    decisions = [{**blank, "shop": shop, "_at": START} for shop in "ab"]
    world = World(events, decisions, [])
    friction = {"undone": ms.Friction(Event, by="shop", within="2h")}

    def told(as_of: int) -> list[tuple[float | None, int | None]]:
        found = mature_frictions(friction, BY_ROW, world.decision_frame, world.frames, as_of=as_of)["undone"]
        return list(zip(found["value"].to_list(), instants(found["known_at"]), strict=True))

    assert told(START + 2 * HOUR) == [(1.0, START + HOUR), (0.0, START + 2 * HOUR)]
    assert told(START + HOUR) == [(1.0, START + HOUR), (None, None)]
