"""The laws of features: batch is the reference, the future changes nothing, the order of rows changes nothing."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

import mainspring as ms
from mainspring.clock import HOUR
from mainspring.declare import Expression, Kind
from mainspring.declare.kind import FUNCTIONS
from mainspring.features import compute, compute_with_newest, plan
from mainspring.features.reference import MEANING, evaluate_feature
from mainspring.features.rows import _FUNCTIONS, _PARTS

from .worlds import Event, Order, Shop, World, aggregates, rows, worlds


def python_values(column: pl.Series) -> list[Any]:
    return column.to_physical().to_list() if column.dtype.is_temporal() else column.to_list()


def check_equal(world: World, expressions: dict[str, Expression]) -> None:
    found = compute(expressions, world.decision_frame, world.frames)
    for name, expression in expressions.items():
        expected = [evaluate_feature(expression, decision, world.tables) for decision in world.decisions]
        for got, want in zip(python_values(found[name]), expected, strict=True):
            assert same(got, want, expression), f"{expression!r}: batch {got!r}, reference {want!r}"


def same(got: Any, want: Any, expression: Expression) -> bool:
    if got is None or want is None or not isinstance(want, float):
        return got is want if isinstance(want, bool) or want is None else got == want
    # A deviation is measured against the values it comes from: at most about 1e9 here.
    loose = 1e-6 if "std" in repr(expression) else 1e-12
    return math.isclose(got, want, rel_tol=1e-9, abs_tol=loose)


@given(worlds(), st.lists(aggregates(), min_size=1, max_size=4))
@settings(max_examples=250, deadline=None)
def test_batch_equals_the_reference_for_every_aggregate(world: World, chosen: list[Expression]) -> None:
    check_equal(world, {f"f{i}": expression for i, expression in enumerate(chosen)})


ROWS: dict[str, Expression] = {
    "sum": Order.amount + Order.quantity,
    "ratio": Order.amount / Order.quantity,
    "floor": Order.amount // Order.quantity,
    "rest": Order.amount % Order.quantity,
    "root": Order.amount.sqrt(),
    "log": Order.amount.log1p(),
    "waves": Order.amount.sin() + Order.quantity.cos(),
    "minus": -Order.quantity,
    "size": abs(Order.amount).clip(0.5, 100),
    "is_a": Order.shop == "a",
    "not_a": Order.shop != "a",
    "same": Order.shop == Order.city,
    "order": (Order.amount > Order.quantity) | (Order.quantity <= 1) & ~(Order.amount >= 0) | (Order.amount < -5),
    "member": Order.shop.is_in("a", "c"),
    "number_member": Order.quantity.is_in(1, 2.0, 3),
    "kleene": Order.urgent & (Order.amount > 0) | (Order.shop == "b"),
    "missing": Order.amount.is_missing(),
    "filled": Order.quantity.fill_missing(7),
    "filled_float": Order.quantity.fill_missing(Order.amount),
    "chosen": ms.where(Order.urgent, Order.amount).otherwise(Order.quantity),
    "chosen_category": ms.where(Order.amount > 0, Order.shop).otherwise("none"),
    "half_chosen": ms.where(Order.urgent, Order.due),
    "length": Order.note.length(),
    "hour": Order.due.hour("America/New_York"),
    "minute": Order.due.minute("Asia/Kolkata"),
    "weekday": Order.due.weekday("Pacific/Auckland"),
    "day": Order.due.day("UTC"),
    "day_of_year": Order.due.day_of_year("Europe/Berlin"),
    "week": Order.due.week("UTC"),
    "month": Order.due.month("UTC"),
    "year": Order.due.year("UTC"),
    "wait": Order.due - ms.decided_at,
    "wait_minutes": (Order.due - ms.decided_at + "30m").minutes(),
    "wait_parts": (Order.due - ms.decided_at).hours() + (Order.due - ms.decided_at).days() - (Order.due - ms.decided_at).seconds(),
    "soon": Order.due - ms.decided_at < "2h",
    "share_of_day": (Order.due - ms.decided_at) / (ms.decided_at - "2013-05-01"),
    "after": Order.due > "2013-05-08T12:00:00Z",
    "constant": ms.where(Order.amount.is_missing(), 1, 2),
    "shop_size": Shop.size.latest(by="shop"),
    "per_size": Order.amount / Shop.size.latest(by="shop"),
    "age": ms.decided_at - Event.due.latest(by="shop"),
    "trend": Event.amount.mean(by="shop", over="1h") - Event.amount.mean(by="shop", over="12h"),
}  # fmt: skip


@given(worlds())
@settings(max_examples=80, deadline=None)
def test_batch_equals_the_reference_for_every_row_expression(world: World) -> None:
    check_equal(world, ROWS)


def test_every_function_of_the_declaration_has_both_meanings() -> None:
    special = {
        "where",
        "fill_missing",
        "and",
        "or",
        "is_missing",
    }  # these see missing values: written out in reference.py
    assert set(MEANING) | special == set(FUNCTIONS)
    assert set(_FUNCTIONS) | set(_PARTS) | {"where"} == set(FUNCTIONS)


@given(worlds(), st.lists(aggregates(), min_size=1, max_size=3), st.lists(rows, min_size=1, max_size=5))
@settings(max_examples=100, deadline=None)
def test_a_later_known_fact_changes_nothing_earlier(
    world: World, chosen: list[Expression], later: list[dict[str, Any]]
) -> None:
    expressions = {f"f{i}": expression for i, expression in enumerate(chosen)}
    horizon = max(decision["_at"] for decision in world.decisions)
    before = compute(expressions, world.decision_frame, world.frames)
    added = [{**row, "_visible_at": horizon + 1 + i * HOUR, "_seq": 1000 + i} for i, row in enumerate(later)]
    after = compute(expressions, world.decision_frame, World(world.events + added, world.decisions, world.shops).frames)
    assert before.equals(after)


@given(worlds(), st.lists(aggregates(), min_size=1, max_size=3), st.data())
@settings(max_examples=100, deadline=None)
def test_the_order_of_rows_changes_nothing(world: World, chosen: list[Expression], data: st.DataObject) -> None:
    """Rows keep their ingestion order `_seq`; where they lie is of no account, of decisions either."""
    expressions = {f"f{i}": expression for i, expression in enumerate(chosen)}
    order = data.draw(st.permutations(range(len(world.decisions))))
    moved = World(data.draw(st.permutations(world.events)), [world.decisions[i] for i in order], world.shops)
    before = compute(expressions, world.decision_frame, world.frames)[order]
    assert before.equals(compute(expressions, moved.decision_frame, moved.frames))


@given(worlds())
@settings(max_examples=60, deadline=None)
def test_compute_with_newest_are_the_newest_of_the_key(world: World) -> None:
    work = plan(
        {"mean": Event.amount.mean(by="shop", over="1h"), "row": Order.amount, "size": Shop.size.latest(by="shop")}
    )
    values, found = compute_with_newest(work, world.decision_frame, world.frames)
    assert values.equals(compute(work, world.decision_frame, world.frames))
    assert found.columns == ["event by shop", "shop by shop"]
    assert found["shop by shop"].null_count() == found.height
    for newest, decision in zip(found["event by shop"].to_physical(), world.decisions, strict=True):
        times = [
            e["_visible_at"]
            for e in world.events
            if e["shop"] == decision["shop"] is not None and e["_visible_at"] <= decision["_at"]
        ]
        assert newest == max(times, default=None)


def test_one_sort_serves_every_window_of_a_table_and_key() -> None:
    work = plan(
        {
            "a": Event.amount.mean(by="shop", over="1h"),
            "b": Event.amount.max(by="shop", over="7d") / Event.count(by="shop", over="7d"),
            "c": Event.amount.mean(by="shop", over="1h") - Event.amount.mean(over="1h"),
        }
    )
    assert [len(scan.aggregates) for scan in work.scans] == [3, 1]


def test_long_histories_keep_small_sums() -> None:
    n = 200_000
    values = [1e9 + i % 7 if i % 2 else 1e-3 * (1 + i % 5) for i in range(n)] + [1e-3] * 100
    facts = pl.DataFrame(
        {
            "shop": ["a"] * len(values),
            "amount": values,
            "_visible_at": pl.Series(range(len(values))) * HOUR,
            "_seq": range(len(values)),
        }
    ).cast({"_visible_at": pl.Datetime("us", "UTC")})
    decisions = pl.DataFrame({"shop": ["a"], "_at": [(len(values) - 1) * HOUR]}).cast({"_at": pl.Datetime("us", "UTC")})
    expressions = {
        "small": Event.amount.sum(by="shop", over="100h"),
        "all": Event.amount.sum(by="shop", over="400000h"),
    }
    found = compute(expressions, decisions, {"event": facts}).row(0)
    for got, want in zip(found, (math.fsum(values[-100:]), math.fsum(values)), strict=True):
        assert math.isclose(got, want, rel_tol=1e-9)


def test_kinds_are_the_declared_ones() -> None:
    world = World(
        [],
        [{"shop": "a", "city": None, "amount": 1.0, "quantity": 1, "urgent": True, "note": "", "due": 0, "_at": HOUR}],
        [],
    )
    found = compute(ROWS, world.decision_frame, world.frames)
    stored = {Kind.FLOAT: pl.Float64, Kind.SPAN: pl.Float64, Kind.INT: pl.Int64, Kind.BOOL: pl.Boolean}
    for name, expression in ROWS.items():
        if expression.kind in stored and name != "constant":
            assert found[name].dtype == stored[expression.kind], name
