"""Slices: planted ones are found and named with a stated power, and where none is bad hardly any is said to be."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from mainspring.clock import DAY
from mainspring.declare import Objective
from mainspring.monitoring.calibration_check import Unknown
from mainspring.monitoring.clusters import days_told_of, p_of_excess
from mainspring.monitoring.realised import figures_of
from mainspring.monitoring.slices import SliceDays, excess_of, slice_readings
from mainspring.monitoring.worst_slice import WorstSlice, worst_slice, worst_slice_reading

LOSS = figures_of("binary", Objective())["log_loss"]
KINDS = {"shop": "category", "town": "category", "age": "float", "size": "float", "speed": "float", "noise": "float"}
STREAMS = 1_000
ALPHA = 0.05
NOMINAL = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / STREAMS)


class World:
    """Decisions of some days with features, right probabilities and labels; labels of a planted slice are drawn anew."""

    def __init__(self, seed: int, n: int = 3_000, days: int = 14, planted: bool = False, wander: float = 0.0) -> None:
        random = np.random.default_rng(seed)
        self.days = np.sort(random.integers(0, days, n))
        self.at = self.days * DAY + 5
        self.features = pl.DataFrame(
            {
                "shop": random.choice(["a", "b", "c", "d"], n, p=[0.4, 0.3, 0.2, 0.1]),
                "town": random.choice([f"t{k}" for k in range(15)], n),
                **{name: random.normal(size=n) for name in ("age", "size", "speed", "noise")},
            }
        )
        # rows differ in how hard they are, by shop too: that is nobody's fault
        centre = self.features["shop"].replace_strict({"a": -2.5, "b": -1.5, "c": -0.5, "d": 0.0}).to_numpy()
        self.p = expit(centre + random.normal(0.0, 0.7, n))
        # a day may be bad for all
        truth = expit(np.log(self.p / (1 - self.p)) + random.normal(0.0, wander, days)[self.days])
        self.inside = ((self.features["shop"] == "b") & (self.features["age"] > 0.0)).to_numpy()
        if planted:
            truth = np.where(self.inside, 0.55, truth)
        self.y = (random.random(n) < truth) * 1.0
        self.figure, self.excess = excess_of(LOSS, self.y, self.p, task="binary")

    def worst(self) -> WorstSlice | Unknown:
        return worst_slice(self.features, KINDS, self.figure, self.excess, self.days)

    def by_slice(self) -> SliceDays:
        slices = self.features.select("shop", "town")
        return SliceDays.begin(slices, most=6).matured(self.at, slices, self.figure, self.excess)


# -- the search --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wander", [0.0, 0.5])
def test_where_no_slice_is_bad_hardly_any_is_found(wander: float) -> None:
    found = [World(seed, 1_500, planted=False, wander=wander).worst() for seed in range(STREAMS // 2)]
    wrong = sum(isinstance(each, WorstSlice) and each.p_value <= ALPHA for each in found)
    assert wrong / len(found) <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / len(found))


def test_a_planted_slice_of_two_conditions_is_found_and_named() -> None:
    """In nine of ten streams of 3,000 rows, at one in a hundred: 15% of them are planted, 55% of whom come true for 20%."""
    found = [World(1_000 + seed, planted=True).worst() for seed in range(50)]
    named = [
        each
        for each in found
        if isinstance(each, WorstSlice) and each.p_value <= 0.01 and "shop is b" in each.conditions
    ]
    assert len(named) >= 45
    with_age = [each for each in named if any(" age" in f" {condition}" for condition in each.conditions)]
    assert len(with_age) >= 20  # half of the slice, by half of the rows, often shows as clearly as the whole of it
    assert all(each.figure > each.rest and each.excess > 0 for each in named)


def test_a_storm_of_two_days_is_no_slice_and_hides_none() -> None:
    world = World(1_001, planted=True)
    storm = (world.days == 3) | (world.days == 4)
    figure, excess = excess_of(LOSS, np.where(storm, 1.0 - world.y, world.y), world.p, task="binary")
    rain = [f"rain {k}" for k in range(8)]
    features = world.features.with_columns(pl.Series(name, storm) for name in rain)
    found = worst_slice(features, KINDS | dict.fromkeys(rain, "category"), figure, excess, world.days)
    assert isinstance(found, WorstSlice)
    assert not any("rain" in each for each in found.conditions)
    assert "shop is b" in found.conditions


def test_the_search_says_what_it_found_and_when_it_cannot() -> None:
    found = World(1_001, planted=True).worst()
    told = worst_slice_reading(found, LOSS, by=0.02)
    assert (told.state, told.monitor, told.limit) == ("firing", "worst slice", 0.02)
    assert "shop is b" in told.about
    assert worst_slice_reading(found, LOSS, by=10.0).state == "ok"
    assert World(1_001, planted=True).worst() == found
    short = World(1, n=600, days=5).worst()
    assert isinstance(short, Unknown)
    assert worst_slice_reading(short, LOSS, by=0.02).state == "unknown"


def test_missing_values_and_rare_ones_are_slices_too() -> None:
    world = World(11)
    hole = np.random.default_rng(0).random(len(world.y)) < 0.2
    y = np.where(hole, 1.0 - world.y, world.y)
    figure, excess = excess_of(LOSS, y, world.p, task="binary")
    features = world.features.with_columns(
        speed=pl.when(pl.Series(hole)).then(None).otherwise(pl.col("speed")), empty=pl.lit(None, pl.Float64)
    )
    found = worst_slice(features, KINDS | {"empty": "float"}, figure, excess, world.days)
    assert isinstance(found, WorstSlice)
    assert "speed is missing" in found.conditions


# -- declared slices ---------------------------------------------------------------------------------------------------


def test_where_no_declared_slice_is_bad_hardly_any_fires() -> None:
    """Shops differ in how hard they are, and days in how bad they are for all."""
    fired = 0
    for seed in range(STREAMS):
        world = World(seed, 1_000, wander=0.5)
        told = slice_readings(world.by_slice(), LOSS, 14 * DAY, task="binary", horizon=0, by=0.0, alpha=ALPHA)
        fired += told[0].state == "firing"
    assert fired / STREAMS <= NOMINAL


def test_a_bad_slice_is_named() -> None:
    named = 0
    for seed in range(40):
        told = slice_readings(World(seed, planted=True).by_slice(), LOSS, 14 * DAY, task="binary", horizon=0, by=0.02)
        named += told[0].about == "shop b" and told[0].state == "firing"
    assert named >= 36


@given(
    seed=st.integers(0, 1_000),
    cuts=st.lists(st.integers(0, 200), max_size=5),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=30, deadline=None, database=None)
def test_any_cut_of_the_labels_leaves_the_same_tallies(seed: int, cuts: list[int], order: object) -> None:
    world = World(seed, 200, days=90)
    slices = world.features.select("shop", "town")
    begun = SliceDays.begin(slices[:100], most=3)
    whole = begun.matured(world.at, slices, world.figure, world.excess)
    places = list(range(200))
    order.shuffle(places)  # type: ignore[attr-defined]
    parts = begun
    for part in np.split(np.array(places), sorted(cuts)):
        parts = parts.matured(world.at[part], slices[part.tolist()], world.figure[part], world.excess[part])
    assert list(parts.days) == list(whole.days)
    assert max(len(parts.names(column)) for column in parts.values) <= 5
    for number, columns in whole.days.items():
        for column, tally in columns.items():
            other = parts.days[number][column]
            assert other.rows == tally.rows
            np.testing.assert_allclose(other.figures, tally.figures, atol=1e-9)
            np.testing.assert_allclose(other.excess, tally.excess, atol=1e-9)
    assert max(whole.days) - min(whole.days) <= whole.kept
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(parts), type=SliceDays) == parts


def test_only_days_whose_horizon_is_over_count_and_few_are_unknown() -> None:
    world = World(3, planted=True)
    held = world.by_slice()
    (early,) = slice_readings(held, LOSS, 14 * DAY, task="binary", horizon=10 * DAY, by=0.02)
    assert early.state == "unknown"
    later = SliceDays.begin(world.features.select("shop"), most=6)
    assert slice_readings(later, LOSS, 14 * DAY, task="binary", horizon=0, by=0.02)[0].state == "unknown"


# -- days --------------------------------------------------------------------------------------------------------------


def test_even_days_count_in_full_and_a_day_that_has_all_is_one() -> None:
    assert days_told_of(np.full(9, 30)) == pytest.approx(9.0)
    assert days_told_of(np.array([900, 0, 0])) == pytest.approx(1.0)
    assert p_of_excess((np.array([5, 0]), np.array([5.0, 0.0])), (np.array([5, 5]), np.zeros(2)))[1] == 1.0


def test_no_p_value_is_too_small_where_rows_of_a_day_are_alike() -> None:
    random = np.random.default_rng(0)
    small = 0
    for _ in range(STREAMS):
        days = random.normal(0.0, 1.0, 12)
        inside, outside = random.integers(5, 50, 12), random.integers(50, 500, 12)
        sums = [rows * (days * share + random.normal(0, 0.3, 12)) for rows, share in ((inside, 1.0), (outside, 0.3))]
        small += p_of_excess((inside, sums[0]), (outside, sums[1]))[1] <= ALPHA
    assert small / STREAMS <= NOMINAL
