"""Which decisions there are: one for each key at its own time, or one for each entity and tick."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

import mainspring as ms
from mainspring.clock import HOUR, MINUTE
from mainspring.features import INSTANT, find_decisions


class Trip(ms.Table):
    trip_id = ms.Key()
    leaves = ms.Time(optional=True)
    booked = ms.KnownAt()


class Dock(ms.Table, static=True):
    dock_id = ms.Key()
    size = ms.Float()


def trips(rows: list[tuple[str, int | None, int]]) -> pl.DataFrame:
    """Rows of (key, leaves, visible at) in hours, in order of ingestion."""
    schema = {"trip_id": pl.String, "leaves": pl.Int64, "_visible_at": pl.Int64}
    return (
        pl.DataFrame(rows, schema=schema, orient="row")
        .with_columns((pl.col("leaves", "_visible_at") * HOUR).cast(INSTANT))
        .with_row_index("_seq")
        .cast({"_seq": pl.Int64})
        .sort("_visible_at", "_seq")
    )


def hours(frame: pl.DataFrame) -> list[tuple[str, int]]:
    return [(key, at // HOUR) for key, at in zip(frame["trip_id"], frame["_at"].to_physical(), strict=True)]


BEFORE = ms.Decision(Trip, at=Trip.leaves - "2h")


def test_a_decision_is_made_at_the_time_its_row_tells() -> None:
    found = find_decisions(BEFORE, trips([("b", 12, 1), ("a", 11, 2)]), start=0, until=100 * HOUR)
    assert hours(found.frame) == [("a", 9), ("b", 10)]
    assert found.left_out == {}


def test_what_takes_no_part_is_counted_by_reason() -> None:
    rows = [("known late", 5, 4), ("no time", None, 1), ("beyond", 90, 1), ("fine", 9, 1)]
    found = find_decisions(BEFORE, trips(rows), start=0, until=50 * HOUR)
    assert hours(found.frame) == [("fine", 7)]
    assert found.left_out == {"decision time missing": 1, "after the end of the history": 1, "row not known in time": 1}


def test_a_correction_known_in_time_replaces_its_row() -> None:
    rows = [("a", 10, 1), ("a", 12, 3), ("a", 20, 19), ("b", 9, 1), ("b", None, 6)]
    found = find_decisions(BEFORE, trips(rows), start=0, until=100 * HOUR)
    assert hours(found.frame) == [("a", 10)]
    assert found.left_out == {"decision time missing": 1, "row not known in time": 1, "superseded by a newer row": 2}


def test_a_correction_known_after_the_decision_cannot_undo_it() -> None:
    found = find_decisions(BEFORE, trips([("a", 10, 1), ("a", 20, 9)]), start=0, until=100 * HOUR)
    assert hours(found.frame) == [("a", 8), ("a", 18)]


def test_where_says_who_is_decided_for() -> None:
    early = ms.Decision(Trip, at=Trip.leaves - "2h", where=ms.decided_at < "1970-01-01T10:00:00Z")
    found = find_decisions(early, trips([("b", 12, 1), ("a", 11, 2)]), start=0, until=100 * HOUR)
    assert hours(found.frame) == [("a", 9)]
    assert found.left_out == {"condition not true": 1}


def test_a_schedule_decides_for_each_entity_from_its_first_row_on() -> None:
    schedule = ms.Decision(Trip, every="2h", offset="30m")
    found = find_decisions(schedule, trips([("a", 1, 1), ("b", 2, 4), ("a", 9, 3)]), start=HOUR, until=6 * HOUR)
    shown = [
        (key, at, leaves // HOUR)
        for key, at, leaves in found.frame.select("trip_id", "_at", "leaves")
        .cast({"_at": pl.Int64, "leaves": pl.Int64})
        .rows()
    ]
    half = 30 * MINUTE
    assert shown == [("a", 2 * HOUR + half, 1), ("a", 4 * HOUR + half, 9), ("b", 4 * HOUR + half, 2)]


def test_static_entities_are_decided_for_from_the_start_of_the_history() -> None:
    docks = pl.DataFrame({"dock_id": ["x", "y"], "size": [1.0, 2.0], "_visible_at": [None, None], "_seq": [0, 1]}).cast(
        {"_visible_at": INSTANT}
    )
    found = find_decisions(ms.Decision(Dock, every="1h"), docks, start=5 * HOUR + 1, until=7 * HOUR)
    assert [(key, at // HOUR) for key, at in found.frame.select("dock_id", pl.col("_at").cast(pl.Int64)).rows()] == [
        ("x", 6), ("y", 6), ("x", 7), ("y", 7),
    ]  # fmt: skip


rows = st.lists(
    st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(0, 30)), st.integers(0, 30)), max_size=12
)


@given(
    rows, st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60), st.integers(0, 20)), min_size=1, max_size=3)
)
@settings(max_examples=150, deadline=None)
def test_a_later_known_row_changes_no_earlier_decision(rows: list[Any], later: list[Any]) -> None:
    horizon = 15
    added = [(key, leaves, horizon + 1 + delay) for key, leaves, delay in later]

    def before(given: list[Any]) -> list[tuple[str, int]]:
        found = find_decisions(BEFORE, trips(given), start=0, until=100 * HOUR).frame
        return [each for each in hours(found) if each[1] <= horizon]

    early = [row for row in rows if row[2] <= horizon]
    assert before(early) == before(early + added)


@given(rows)
@settings(max_examples=100, deadline=None)
def test_every_row_is_a_decision_or_counted(rows: list[Any]) -> None:
    found = find_decisions(BEFORE, trips(rows), start=0, until=20 * HOUR)
    assert found.frame.height + sum(found.left_out.values()) == len(rows)
    assert found.frame["_at"].is_sorted()
