"""The law of what is remembered of a lake: whoever reads it sees what the lake holds, bit for bit, and opens no file twice."""

from __future__ import annotations

import random
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import mainspring as ms
from mainspring.clock import DAY, HOUR
from mainspring.declare import make_table
from mainspring.lake import Lake, RecentRows, iceberg

BEGIN = 1_700_000_000_000_000 // DAY * DAY
COLUMNS = {"order_id": ms.Key(), "items": ms.Int(ge=1), "placed": ms.KnownAt(lag="10m")}
Order = make_table("Order", COLUMNS)
Later = make_table("Order", {**COLUMNS, "note": ms.Text(optional=True)})
Shop = make_table("Shop", {"shop": ms.Key(), "seats": ms.Int()}, static=True)


def bring(lake: Lake, dice: random.Random, at: int, *, live: bool = True, table: type[ms.Table] = Order) -> None:
    """Ingest some orders of the hours before an instant, now and then one that is rejected or known only later."""
    known = [at + dice.randint(-6 * HOUR, HOUR) for _ in range(dice.randint(1, 4))]
    rows = {
        "order_id": [f"{at} {k} {live}" for k in range(len(known))],
        "items": 1 + dice.randint(0, 3),
        "placed": known,
    }
    frame = pl.DataFrame(rows).with_columns(pl.col("placed").cast(pl.Datetime("us", "UTC")))
    if len(known) == 4:
        frame = frame.with_columns(items=pl.Series([0, 1, 2, 3]))
    lake.ingest(table, frame, arrived_at=at if live else None)


def check(recent: RecentRows, table: type[ms.Table], **asked: Any) -> None:
    assert_frame_equal(recent.read(table, **asked), recent.lake.read(table, **asked))
    assert_frame_equal(recent.quarantine(table), recent.lake.quarantine(table))


@pytest.mark.parametrize("seed", range(3))
def test_what_is_remembered_is_what_the_lake_holds(lake: Lake, seed: int) -> None:
    dice, recent, now = random.Random(seed), RecentRows(lake), BEGIN
    table = Order
    for turn in range(9):
        if dice.random() < 0.5:
            check(recent, table, columns=["placed"], known_after=now - 6 * HOUR, known_before=now + 1)
            recent.look_again()
        now += dice.choice([HOUR, HOUR, 5 * HOUR])
        for _ in range(dice.randint(0, 2)):
            bring(lake, dice, now + dice.randint(0, HOUR), live=dice.random() < 0.9, table=table)
        if turn == 6:
            table = Later  # the declaration gains a column
        asked = dice.choice([None, ["placed"], ["items"], ["order_id", "placed"]])
        after = now - dice.choice([0, 3, 12, 200]) * HOUR
        check(recent, table, columns=asked, known_after=after, known_before=now + dice.randint(0, HOUR))
        if dice.random() < 0.3:
            check(recent, table, columns=["items"], known_after=after, known_before=now)
        recent.look_again()
    check(recent, table, known_after=None, known_before=now)
    lake.close()


def test_facts_that_a_changed_declaration_withdrew_are_forgotten(lake: Lake) -> None:
    recent = RecentRows(lake)
    asked: dict[str, Any] = {"known_after": BEGIN - DAY, "known_before": BEGIN + 2 * DAY}
    frame = pl.DataFrame({"order_id": ["a", "b"], "items": [1, 5], "placed": [BEGIN, BEGIN + 1]})
    frame = frame.with_columns(pl.col("placed").cast(pl.Datetime("us", "UTC")))
    lake.ingest(Order, frame, arrived_at=BEGIN)
    assert recent.read(Order, **asked).height == 2
    few = make_table("Order", {**COLUMNS, "items": ms.Int(ge=1, le=4)})
    lake.ingest(few, frame.with_columns(pl.lit("c").alias("order_id"), pl.lit(2).alias("items")), arrived_at=BEGIN)
    recent.look_again()
    check(recent, few, **asked)
    assert "b" not in recent.read(few, **asked)["order_id"].to_list()


def test_a_static_table_and_one_that_holds_nothing_are_read(lake: Lake) -> None:
    recent = RecentRows(lake)
    check(recent, Order, known_after=BEGIN, known_before=BEGIN + 1)
    lake.ingest(Shop, pl.DataFrame({"shop": ["a"], "seats": [3]}))
    check(recent, Shop, known_after=BEGIN, known_before=BEGIN + 1)
    bring(lake, random.Random(0), BEGIN)
    recent.look_again()
    check(recent, Order, known_after=BEGIN - DAY, known_before=BEGIN + DAY)


@pytest.mark.parametrize("merged_from", ["2", "100"])
def test_files_are_opened_once(lake: Lake, monkeypatch: pytest.MonkeyPatch, merged_from: str) -> None:
    monkeypatch.setitem(iceberg._PROPERTIES, "commit.manifest.min-count-to-merge", merged_from)
    opened: list[int] = []
    rows = iceberg.rows

    def counted(*told: Any, **more: Any) -> pl.DataFrame:
        found = rows(*told, **more)
        opened.append(found.height)
        return found

    monkeypatch.setattr(iceberg, "rows", counted)
    recent, dice, stored = RecentRows(lake), random.Random(1), []
    for k in range(5):
        before = 0 if not stored else sum(stored)
        bring(lake, dice, BEGIN + k * HOUR)
        everything = lake.read(Order).height
        stored.append(everything - before)
        opened.clear()
        for _ in range(3):
            recent.look_again()
            recent.read(Order, known_after=BEGIN - DAY, known_before=BEGIN + DAY)
        assert opened == [stored[-1]]


def test_what_nobody_asks_for_any_more_is_let_go(lake: Lake) -> None:
    recent, dice = RecentRows(lake), random.Random(2)
    for k in range(6):
        bring(lake, dice, BEGIN + k * 12 * HOUR)
        recent.read(Order, known_after=BEGIN + (k - 1) * 12 * HOUR, known_before=BEGIN + 9 * DAY)
        recent.look_again()
    assert recent._kept["order"].first == BEGIN + 4 * 12 * HOUR
    assert recent._kept["order"].rows.height < lake.read(Order).height
    check(recent, Order, known_after=BEGIN - DAY, known_before=BEGIN + 9 * DAY)  # who asks for it after all gets it
    recent.look_again()
    recent.look_again()
    assert not recent._kept
