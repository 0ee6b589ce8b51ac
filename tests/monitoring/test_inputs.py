"""Input monitors: a history and a lake are seen alike, nothing is counted twice, and what is usual is not told as news."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mainspring as ms
from mainspring.clock import DAY, HOUR, MINUTE
from mainspring.features import INSTANT
from mainspring.lake import Lake
from mainspring.monitoring.input_monitors import input_readings
from mainspring.monitoring.inputs import InputsKnown, TableSeen, heard
from mainspring.monitoring.inputs_seen import LookedAt, seen_in_lake, tables_seen
from mainspring.monitoring.readings import Reading
from tests.lake.conftest import properties

BEGIN = 15_000 * DAY


class Order(ms.Table):
    order_id = ms.Key()
    items = ms.Int(ge=1)
    placed = ms.KnownAt(lag="10m")


class Shop(ms.Table, static=True):
    shop = ms.Key()


few_examples = settings(max_examples=40, deadline=None)
halves = st.integers(0, 8 * 24).map(lambda k: k * HOUR // 2)  # so that rows fall on looks
arrivals = st.lists(st.tuples(halves, st.integers(0, 3 * HOUR)), max_size=50)


def frame_of(rows: list[tuple[int, int]]) -> pl.DataFrame:
    """Rows known at a time and arrived so much later, as a lake gives them."""
    known = pl.Series([at for at, _ in rows], dtype=pl.Int64)
    visible = pl.Series([max(at + 10 * MINUTE, at + later) for at, later in rows], dtype=pl.Int64)
    return pl.DataFrame({"placed": known.cast(INSTANT), "_visible_at": visible.cast(INSTANT)}).sort("_visible_at")


def run(
    counts: np.ndarray, width: int, change: Callable[[int, TableSeen], TableSeen] = lambda k, seen: seen
) -> list[dict[str, Reading]]:
    """What the monitors say after each slot of a table that had so many rows in each, a gap of a minute between them."""
    known, told = heard(InputsKnown(width=width), {"order": TableSeen(0)}, BEGIN), []
    newest = BEGIN
    for k, rows in enumerate(counts.tolist()):
        now = BEGIN + (k + 1) * width
        gap = now - newest if rows else 0
        newest = now if rows else newest
        seen = change(k, TableSeen(rows, 0, 0, newest, gap))
        known = heard(known, {"order": seen}, now)
        told.append({reading.monitor: reading for reading in input_readings(known, now)})
    return told


def firing(told: list[dict[str, Reading]], monitor: str) -> list[int]:
    return [k for k, each in enumerate(told) if each[monitor].state == "firing"]


def usual(width: int, days: int, level: float) -> np.ndarray:
    """How many rows are to be expected: few at night and fewer on Sundays."""
    at = np.arange(days * DAY // width) * width + BEGIN
    of_day = 1 + np.sin(2 * np.pi * (at % DAY) / DAY) * (width < DAY)
    return level * of_day * np.where(at // DAY % 7 == 3, 0.3, 1.0)


# Laws of what is seen


@few_examples
@given(arrivals, st.lists(halves.map(lambda at: at + 10 * MINUTE), max_size=12, unique=True))
def test_every_row_is_seen_once_at_the_first_look_after_it_is_visible(
    rows: list[tuple[int, int]], looks: list[int]
) -> None:
    looks, frame = [*sorted(looks), 5 * DAY], frame_of(rows)
    found = [each["order"] for each in tables_seen([Order, Shop], {"order": frame}, looks)]
    visible = frame["_visible_at"].to_physical().to_list()
    late = [later > HOUR + 10 * MINUTE for _, later in rows]
    assert sum(each.rows for each in found) == sum(at <= looks[-1] for at in visible)
    assert sum(each.late for each in found) == sum(late)
    for begin, end, each in zip([-1, *looks], looks, found, strict=False):
        mine = [at for at in visible if begin < at <= end]
        before = [at for at in visible if at <= end]
        assert each.rows == len(mine)
        assert each.newest == max(before, default=None)
        pairs = [(b - a) for a, b in itertools.pairwise(visible) if begin < b <= end]
        assert each.gap == max(pairs, default=0)


@pytest.mark.parametrize("seed", range(2))
def test_a_lake_is_seen_as_its_history_is(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    (tmp_path / "lake").mkdir()
    lake = Lake(properties(tmp_path / "lake"), "orders")
    looks = [BEGIN, BEGIN + 7 * HOUR, BEGIN + 4 * DAY, BEGIN + 5 * DAY]
    live: list[TableSeen] = []
    before: LookedAt | None = None
    for begin, end in zip([-HOUR, *(-7 * HOUR,) * 3], looks, strict=True):
        for arrived in sorted(
            rng.integers(end + begin + 1, end, 2 * (end != looks[2])).tolist()
        ):  # each batch is in the lake before the look
            known = arrived - rng.choice([0, MINUTE, 2 * HOUR], 4)
            ids = [f"{arrived} {k}" for k in range(4)]
            batch = pl.DataFrame({"order_id": ids, "items": [1, 2, 3, 0], "placed": known})
            lake.ingest(Order, batch.with_columns(pl.col("placed").cast(INSTANT)), arrived_at=arrived)
        seen, before = seen_in_lake(lake, [Order, Shop], end, before)
        before = msgspec.json.decode(msgspec.json.encode(before), type=LookedAt)
        live.append(seen["order"])
    assert [each.rejected for each in live] == [2, 2, 0, 2]
    history = tables_seen([Order, Shop], {"order": lake.read(Order)}, looks)
    assert [msgspec.structs.replace(each, rejected=0) for each in live] == [each["order"] for each in history]
    assert sum(each.late for each in live) > 0
    assert live[-1].gap > 4 * DAY
    lake.close()


def test_a_row_that_comes_into_the_lake_late_is_counted_at_the_next_look(tmp_path: Path) -> None:
    lake = Lake(properties(tmp_path), "orders")
    (tmp_path / "lake").mkdir()

    def bring(name: str, at: int) -> None:
        row = pl.DataFrame({"order_id": [name], "items": [1], "placed": [at]})
        lake.ingest(Order, row.with_columns(pl.col("placed").cast(INSTANT)), arrived_at=at + 10 * MINUTE)

    before, counted = None, []
    for k, names in enumerate((("a", "b"), ("c",), (), ("d", "e"))):
        for place, name in enumerate(names):
            bring(name, BEGIN + k * HOUR - (20 + place) * MINUTE - (90 * MINUTE if name in "ce" else 0))
        seen, before = seen_in_lake(lake, [Order], BEGIN + k * HOUR, before)
        counted.append(seen["order"].rows)
    assert counted == [2, 1, 0, 2]
    lake.close()


def test_a_year_by_hours_is_seen_row_by_row() -> None:
    rng = np.random.default_rng(0)
    rows = [(BEGIN + at, 0) for at in rng.integers(0, 365 * DAY, 30_000).tolist()]
    looks = BEGIN + np.arange(1, 365 * 24 + 1) * HOUR
    found = tables_seen([Order], {"order": frame_of(rows)}, looks)
    assert len(found) == 365 * 24
    assert 29_990 < sum(each["order"].rows for each in found) <= 30_000


# Laws of what is said


@pytest.mark.parametrize(("width", "days", "level"), [(DAY, 365, 900), (DAY, 365, 20), (HOUR, 120, 40), (HOUR, 120, 2)])
@pytest.mark.parametrize("overdispersed", [False, True])
def test_what_is_usual_is_not_told_as_news(width: int, days: int, level: float, overdispersed: bool) -> None:
    """Five tables: half a false alarm a year is what the docstring lets one expect of them; two are allowed."""
    rng, alarms = np.random.default_rng(3), 0
    for _ in range(5):
        mean = usual(width, days, level)
        mean = rng.gamma(mean / 4 + 1e-9, 4) if overdispersed else mean
        told = run(rng.poisson(mean), width)
        alarms += len(firing(told, "volume"))
    assert alarms <= 2


@pytest.mark.parametrize("width", [HOUR, DAY])
@pytest.mark.parametrize("factor", [0.0, 0.2, 4.0])
def test_far_too_few_or_too_many_are_told_and_when_it_is_over_no_more(width: int, factor: float) -> None:
    level = 100 if width == HOUR else 900
    mean = usual(width, 60, level)
    noon = 50 * DAY // width + (6 if width == HOUR else 0)
    mean[noon] *= factor
    told = run(np.random.default_rng(1).poisson(mean), width)
    assert firing(told, "volume") == [noon]
    assert f"and {told[noon]['volume'].limit:,g} are usual" in told[noon]["volume"].told


def test_nothing_is_said_of_volume_and_staleness_before_two_weeks() -> None:
    told = run(np.random.default_rng(1).poisson(usual(HOUR, 14, 50))[:-1] * (np.arange(14 * 24 - 1) < 13 * 24), HOUR)
    assert {each[monitor].state for each in told for monitor in ("volume", "staleness")} == {"unknown"}


def test_where_clocks_change_the_hour_is_no_news() -> None:
    mean = usual(HOUR, 60, 60) * (np.arange(60 * 24) % 24 < 8)
    mean[40 * 24 :] = np.roll(mean[40 * 24 :], 1)
    assert firing(run(np.random.default_rng(1).poisson(mean), HOUR), "volume") == []


def test_an_incident_does_not_become_usual_at_once() -> None:
    mean = usual(HOUR, 60, 60)
    mean[35 * 24 + 6 : 35 * 24 + 9] = 0
    mean[42 * 24 + 7] = 0
    found = firing(run(np.random.default_rng(1).poisson(mean), HOUR), "volume")
    assert found == [35 * 24 + 6, 35 * 24 + 7, 35 * 24 + 8, 42 * 24 + 7]


def test_no_row_for_much_longer_than_usual_is_stale() -> None:
    counts = np.where(np.arange(30 * 24) % 24 < 16, 20, 0)
    counts[20 * 24 + 4 :] = 0
    told = run(counts, HOUR)
    assert firing(told, "staleness") == list(range(20 * 24 + 4 + 18, 30 * 24))
    assert told[-1]["staleness"].told == "order has had no row for 9d20h; up to 9h is usual."


@pytest.mark.parametrize("a_day", [10, 100])
def test_rows_that_come_by_chance_alone_are_stale_once_a_year_at_most(a_day: int) -> None:
    rng, alarms, years = np.random.default_rng(2), 0, 8
    for _ in range(years):
        at = np.sort(rng.integers(0, 365 * DAY, 365 * a_day))
        looks = np.arange(1, 365 * 4) * (6 * HOUR)
        seen = tables_seen([Order], {"order": frame_of([(int(each), 0) for each in at])}, looks)
        known, stale = InputsKnown(), False
        for now, each in zip(looks.tolist(), seen, strict=True):
            known = heard(known, each, now)
            now_stale = next(r.state == "firing" for r in input_readings(known, now) if r.monitor == "staleness")
            alarms += now_stale and not stale
            stale = now_stale
    assert alarms <= years


def test_violations_and_late_facts_are_told_beyond_what_is_usual() -> None:
    def change(k: int, seen: TableSeen) -> TableSeen:
        return msgspec.structs.replace(seen, rejected=60 if k == 30 else 0, late=4 if k < 40 else 300 if k == 40 else 4)

    told = run(np.full(60, 1000), DAY, change)
    assert firing(told, "contract violations") == [30, 31]
    assert firing(told, "late facts") == [40, 41]
    assert (
        told[30]["contract violations"].told
        == "60 of 2,060 rows of order were rejected today and yesterday, and 0.0% before."
    )


def test_one_bad_row_of_a_few_is_no_news() -> None:
    change: Callable[[int, TableSeen], TableSeen] = lambda k, seen: msgspec.structs.replace(seen, rejected=int(k == 9))  # noqa: E731
    assert firing(run(np.full(20, 2), DAY, change), "contract violations") == []


# Laws of what is kept


@few_examples
@given(st.lists(st.tuples(st.integers(0, 3 * DAY), st.integers(0, 9)), max_size=60), st.sampled_from([HOUR, DAY]))
def test_what_is_kept_is_plain_bounded_data_and_goes_on_from_where_it_was(
    looks: list[tuple[int, int]], width: int
) -> None:
    known, again, now = InputsKnown(width=width, weeks=2), InputsKnown(width=width, weeks=2), BEGIN
    for step, rows in looks:
        now += step
        known = heard(known, {"order": TableSeen(rows, 0, 0, now, step)}, now)
        again = heard(again, {"order": TableSeen(rows, 0, 0, now, step)}, now)
        again = msgspec.msgpack.decode(msgspec.msgpack.encode(again), type=InputsKnown)
        assert again == known
        assert input_readings(again, now) == input_readings(known, now)


def test_no_more_than_the_weeks_is_kept() -> None:
    known = heard(InputsKnown(width=HOUR, weeks=2), {"order": TableSeen(0)}, BEGIN)
    for k in range(1, 60 * 4):
        known = heard(known, {"order": TableSeen(1)}, BEGIN + k * 6 * HOUR)
        assert len(known.tables["order"].days) <= 2 * 7 + 3
    assert len(known.tables["order"].days) >= 2 * 7


def test_a_look_that_is_too_long_tells_no_slot_and_the_next_ones_go_on() -> None:
    known = heard(InputsKnown(width=HOUR), {"order": TableSeen(0)}, BEGIN)
    for now in (1, 2, 5, 6, 7):
        known = heard(known, {"order": TableSeen(10)}, BEGIN + now * HOUR)
    first = BEGIN // HOUR
    assert [known.rows_in("order", first + k) for k in range(7)] == [10, 10, None, None, None, None, 10]
    unknown = input_readings(known, BEGIN + 6 * HOUR)[1]
    assert unknown.told == "order: looks were too seldom to count the rows of the hour from 2011-01-26T05:00:00Z."


def test_looks_that_come_a_little_late_count_in_the_hour_that_they_are_about() -> None:
    known = heard(InputsKnown(width=HOUR), {"order": TableSeen(0)}, BEGIN + 3)
    for k in range(1, 5):
        known = heard(known, {"order": TableSeen(k)}, BEGIN + k * HOUR + (5 if k % 2 else -5))
    assert [known.rows_in("order", BEGIN // HOUR + k) for k in range(4)] == [1, 2, 3, 4]
