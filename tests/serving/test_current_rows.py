"""A decision asked for by its key alone is made by the row that batch finds, whatever has come since and was forgotten."""

from __future__ import annotations

from typing import Any, NamedTuple

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mainspring as ms
from mainspring.clock import HOUR
from mainspring.declare import Decision
from mainspring.features import INSTANT, find_decisions
from mainspring.serving.current_rows import CurrentRows
from mainspring.serving.predictor import decision_time

GRACE = 3
LAST = 60


class Trip(ms.Table):
    trip_id = ms.Key()
    day = ms.Key()
    leaves = ms.Time(optional=True)
    seats = ms.Int()
    booked = ms.KnownAt()


class Dock(ms.Table, static=True):
    dock_id = ms.Key()
    size = ms.Float()


FOR_ROWS = Decision(Trip, at=Trip.leaves - "2h")
ON_SCHEDULE = Decision(Trip, every="4h", offset="1h")


class Came(NamedTuple):
    """A version of a row, in hours: when it leaves, how much later than it arrived it may be used, its number."""

    key: tuple[str, str]
    leaves: int | None
    delay: int
    number: int


def frame(rows: list[tuple[Came, int]]) -> pl.DataFrame:
    """Versions with the hour at which each arrived, in the order in which they came."""
    return pl.DataFrame(
        {
            "trip_id": [each.key[0] for each, _ in rows],
            "day": [each.key[1] for each, _ in rows],
            "leaves": [None if each.leaves is None else each.leaves * HOUR for each, _ in rows],
            "seats": [each.number for each, _ in rows],
            "booked": [arrived * HOUR for _, arrived in rows],
            "_visible_at": [(arrived + each.delay) * HOUR for each, arrived in rows],
        },
        schema_overrides={"leaves": pl.Int64, "seats": pl.Int64},
    ).cast(dict.fromkeys(("leaves", "booked", "_visible_at"), INSTANT))


class Batch:
    """What batch finds for versions that have come."""

    def __init__(self, decision: Decision, sent: list[tuple[Came, int]]) -> None:
        facts = frame(sent).with_row_index("_seq").cast({"_seq": pl.Int64}).sort("_visible_at", "_seq")
        found = find_decisions(decision, facts, start=0, until=200 * HOUR).frame
        self.scheduled = decision.every is not None
        self.decisions = [
            ((trip, day), at // HOUR, seats)
            for trip, day, at, seats in found.select("trip_id", "day", pl.col("_at").to_physical(), "seats").iter_rows()
        ]
        self.sent = sorted(sent, key=lambda each: each[1] + each[0].delay)

    def decides(self, key: tuple[str, str], now: int, watermark: int) -> int | None:
        """The number of the version by which the decision of a key is made, asked at an hour."""
        made = [(at, seats) for of, at, seats in self.decisions if of == key and watermark <= at <= now]
        if self.scheduled:
            return next((seats for at, seats in made if at == (now - 1) // 4 * 4 + 1), None)
        known = [each for each, arrived in self.sent if each.key == key and arrived + each.delay <= now]
        if known and known[-1].leaves is not None and known[-1].leaves - 2 > now:  # asked for early, it is as of now
            return known[-1].number
        return made[-1][1] if made else None


keys = st.tuples(st.sampled_from("ab"), st.sampled_from("xy"))
versions = st.builds(Came, keys, st.none() | st.integers(0, LAST), st.just(0) | st.integers(0, 12), st.just(0))
arrivals = st.lists(st.tuples(st.integers(0, 8), st.lists(versions, max_size=4), st.booleans()), min_size=1, max_size=8)


@pytest.mark.parametrize("decision", [FOR_ROWS, ON_SCHEDULE], ids=["for rows", "on a schedule"])
@given(arrivals, st.lists(st.integers(0, 15), min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_the_row_that_decides_is_the_one_that_batch_finds(
    decision: Decision, arrivals: list[tuple[int, list[Came], bool]], later: list[int]
) -> None:
    """Corrections, moved and missing times, rows known ahead or late, ties, and forgetting anywhere in between."""
    current, sent, now = CurrentRows(decision, decision_time(decision)), [], 0
    watermark = -GRACE - 1
    for wait, rows, forget in arrivals:
        now += wait
        came = [(each._replace(number=len(sent) + place), now) for place, each in enumerate(rows)]
        sent += came
        current.add(frame(came), watermark * HOUR)
        watermark = max(watermark, now - 1 - GRACE)
        if forget:
            current.forget(watermark * HOUR)
        batch = Batch(decision, sent)
        for asked in (now, *(now + wait for wait in later)):
            for key in {each.key for each, _ in sent}:
                expected = batch.decides(key, asked, watermark)
                found = current.find(key, asked * HOUR)
                if expected is None and found is not None:  # over, and not let go of yet
                    assert decision_time(decision)(found, asked * HOUR) < watermark * HOUR  # type: ignore[operator]
                else:
                    assert (None if found is None else found["seats"]) == expected


@given(st.lists(versions, max_size=12), st.integers(0, 30))
@settings(max_examples=40, deadline=None)
def test_what_came_at_once_is_what_came_one_by_one(rows: list[Came], watermark: int) -> None:
    came = [(each._replace(number=place), 0) for place, each in enumerate(rows)]
    at_once, one_by_one = (CurrentRows(FOR_ROWS, decision_time(FOR_ROWS)) for _ in range(2))
    at_once.add(frame(came), watermark * HOUR)
    for each in came:
        one_by_one.add(frame([each]), 0)
    for rows_held in (at_once, one_by_one):
        rows_held.forget(watermark * HOUR)
    keys = sorted(at_once.keys())
    assert keys == sorted(one_by_one.keys())
    for key in keys:
        for now in range(watermark, watermark + 20):
            assert at_once.find(key, now * HOUR) == one_by_one.find(key, now * HOUR)


def test_a_flight_that_was_cancelled_is_decided_no_more() -> None:
    current = CurrentRows(FOR_ROWS, decision_time(FOR_ROWS))
    current.add(frame([(Came(("a", "x"), 20, 0, 1), 1)]), 0)
    assert current.find(("a", "x"), 10 * HOUR) is not None
    current.add(frame([(Came(("a", "x"), None, 0, 2), 10)]), 9 * HOUR)
    assert current.find(("a", "x"), 10 * HOUR) is None
    assert current.find(("a", "x"), 18 * HOUR) is None
    current.forget(11 * HOUR)
    assert len(current) == 0


def test_what_is_over_is_let_go_of() -> None:
    current = CurrentRows(FOR_ROWS, decision_time(FOR_ROWS))
    current.add(frame([(Came((f"{n}", "x"), n, 0, n), 0) for n in range(100)]), 0)
    assert len(current) == 98  # those that leave within two hours were decided before
    current.forget(50 * HOUR)
    assert len(current) == 48


def test_rows_that_are_known_always_are_decided_for_at_every_tick() -> None:
    decision = Decision(Dock, every="1h")
    docks = pl.DataFrame({"dock_id": ["p", "q"], "size": [1.0, 2.0], "_visible_at": [None, None]})
    current = CurrentRows(decision, decision_time(decision))
    current.add(docks.cast({"_visible_at": INSTANT}), 100 * HOUR)
    current.forget(200 * HOUR)
    found: Any = current.find(("q",), 300 * HOUR + 1)
    assert (current.keys(), found["size"]) == ([("p",), ("q",)], 2.0)
