"""Monitors of columns: what breaks is named on its day, what is as it was is not, and what cannot be told is unknown."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import polars as pl
import pytest

from mainspring.clock import DAY
from mainspring.monitoring.feature_monitors import ColumnLimits, feature_readings, moved_features
from mainspring.monitoring.readings import Reading
from mainspring.monitoring.sketch import Sketch
from mainspring.monitoring.spread import Spread

KINDS = {"size": "float", "weekly": "float", "weather": "float", "gust": "float", "shop": "category"}
MONITORS = ("drift", "sudden drift", "missing values", "new categories", "out of range", "constant")
TODAY = 60


def rows(day: int, seed: int, n: int = 400) -> pl.DataFrame:
    """One day: a number, one with a week, one that is alike within a day and wanders between days, one often missing."""
    random = np.random.default_rng((seed, day))
    gust = random.normal(size=n)
    gust[random.random(n) < random.uniform(0.3, 0.9)] = np.nan
    return pl.DataFrame(
        {
            "size": random.normal(size=n),
            "weekly": random.normal(3.0 * (day % 7 >= 5), 1.0, n),
            "weather": random.normal() + 0.2 * random.normal(size=n),
            "gust": gust,
            "shop": random.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]),
        }
    )


@cache
def learned(seed: int) -> Sketch:
    return Sketch.over(pl.concat([rows(day, seed) for day in range(28)]), KINDS)


@cache
def usual(day: int, seed: int) -> Spread:
    return Spread.of(Sketch.empty(learned(seed).layout).add(rows(day, seed)))


def said(
    change: Callable[[pl.DataFrame], pl.DataFrame] | None = None, since: int = TODAY, seed: int = 0, until: int = TODAY
) -> list[Reading]:
    """What is said of the last day when rows are changed since a day."""
    layout = learned(seed).layout
    days = {day: usual(day, seed) for day in range(28, until + 1)}
    if change is not None:
        for day in range(since, until + 1):
            days[day] = Spread.of(Sketch.empty(layout).add(change(rows(day, seed))))
    return feature_readings(layout, Spread.of(learned(seed)), days, (until + 1) * DAY)


def firing(readings: list[Reading]) -> set[tuple[str, str]]:
    return {(each.monitor, each.about) for each in readings if each.state == "firing"}


BROKEN: dict[str, tuple[pl.Expr, set[tuple[str, str]]]] = {
    "another unit": (pl.col("size") * 60, {("sudden drift", "size"), ("out of range", "size")}),
    "a sensor is silent": (pl.lit(None, pl.Float64).alias("weather"), {("missing values", "weather")}),
    "a sensor is stuck": (pl.lit(0.25).alias("size"), {("constant", "size"), ("sudden drift", "size")}),
    "a new shop": (
        pl.when(pl.int_range(pl.len()) % 20 == 0).then(pl.lit("new")).otherwise(pl.col("shop")).alias("shop"),
        {("new categories", "shop")},
    ),
    "a weekday as a Sunday": (pl.col("weekly") + 3.0, {("sudden drift", "weekly")}),
    "shops change places": (
        pl.col("shop").replace({"a": "c", "c": "a"}),
        {("sudden drift", "shop")},
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_is_named_on_its_day(name: str) -> None:
    change, expected = BROKEN[name]
    found = firing(said(lambda frame: frame.with_columns(change)))
    assert expected <= found
    assert {about for monitor, about in found if monitor != "drift"} == {about for _, about in expected}


def test_where_nothing_breaks_little_is_said() -> None:
    """Each monitor of a day has a level of 5% a look; 60 days of 5 worlds are looked at."""
    looks, wrong = 0, 0
    for seed in range(5):
        for until in range(49, 61):
            found = {monitor for monitor, about in firing(said(seed=seed, until=until)) if monitor != "drift"}
            # weather that wanders leaves the range that was learned from, and rightly so
            wrong += len(found - {"out of range"})
            looks += 1
    assert wrong <= looks * 0.05 + 3 * math.sqrt(looks * 0.05 * 0.95)


def test_what_stays_broken_stays_told() -> None:
    silent = said(lambda frame: frame.with_columns(pl.lit(None, pl.Float64).alias("weather")), since=TODAY - 20)
    assert {("missing values", "weather"), ("drift", "weather")} <= firing(silent)
    scaled = said(lambda frame: frame.with_columns(pl.col("size") * 60), since=TODAY - 20)
    assert {("out of range", "size"), ("drift", "size")} <= firing(scaled)


def test_a_season_at_the_edge_of_what_was_learned_hides_no_break() -> None:
    """All of these weeks lie in the uppermost tenth of the reference, and the last day elsewhere in it."""
    layout, reference = learned(0).layout, Spread.of(learned(0))
    days = {}
    for day in range(28, TODAY + 1):
        size = pl.col("size") * 0.15 + (2.6 if day == TODAY else 1.9)
        days[day] = Spread.of(Sketch.empty(layout).add(rows(day, 0).with_columns(size)))
    assert ("sudden drift", "size") in firing(feature_readings(layout, reference, days, (TODAY + 1) * DAY))


def test_half_of_the_rows_say_the_same() -> None:
    """How many rows there are is the business of another monitor."""
    assert firing(said(lambda frame: frame[::2])) <= firing(said())


def test_every_monitor_speaks_and_unknown_is_never_ok() -> None:
    assert [each.monitor for each in said() if each.state != "firing" or each.monitor not in MONITORS]
    assert {each.monitor for each in said()} == set(MONITORS)
    layout, reference = learned(0).layout, Spread.of(learned(0))
    nothing = feature_readings(layout, reference, {}, TODAY * DAY)
    assert [(each.monitor, each.state) for each in nothing] == [(name, "unknown") for name in MONITORS]
    new = feature_readings(layout, reference, {40: usual(40, 0)}, 41 * DAY)
    assert {each.monitor for each in new if each.state == "unknown"} == {"drift", "sudden drift", "constant"}
    days = {day: usual(day, 0) for day in range(30, 41)}
    few = feature_readings(layout, reference, days, 41 * DAY, limits=ColumnLimits(fewest_rows=1_000))
    assert {each.monitor for each in few if each.state == "unknown"} == set(MONITORS) - {"drift"}


def test_no_later_day_changes_a_reading() -> None:
    layout, reference = learned(0).layout, Spread.of(learned(0))
    days = {day: usual(day, 0) for day in range(28, 61)}
    known = {day: each for day, each in days.items() if day <= 50}
    assert feature_readings(layout, reference, days, 51 * DAY) == feature_readings(layout, reference, known, 51 * DAY)


def test_features_that_moved_a_little_are_none() -> None:
    layout, reference = learned(0).layout, learned(0)
    near = Sketch.empty(layout).add(rows(1, 5, 4_000).with_columns(pl.col("size") + 0.1))
    far = Sketch.empty(layout).add(rows(1, 5, 4_000).with_columns(pl.col("size") + 2.0))
    assert moved_features(layout, Spread.of(reference), Spread.of(near))["size"] == 1.0
    assert moved_features(layout, Spread.of(reference), Spread.of(far))["size"] < 1e-10
