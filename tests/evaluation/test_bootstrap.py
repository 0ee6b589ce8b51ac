"""The bootstrap: a resample is the metric on repeated rows, equal seeds give equal bits, intervals hold what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.evaluation.bootstrap import FEWEST_DAYS, interval_of, intervals, paired_difference, resample
from mainspring.evaluation.metric import METRICS, equal_mass_bins, metrics_for
from mainspring.evaluation.reweighting import totals

SUMS_AND_RANKS = [m for m in METRICS.values() if m.name != "ece"]


def rows(seed: int, n: int, days: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Binary labels, probabilities with ties, and unsorted days, every one of which occurs."""
    random = np.random.default_rng(seed)
    p = np.round(random.random(n), 2)
    day = np.concatenate([np.arange(days), random.integers(0, days, n - days)])
    return (random.random(n) < p).astype(float), p, random.permutation(day)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), days=st.sampled_from([3, 12, 15]), n=st.integers(20, 60))
def test_a_resample_is_the_metric_on_repeated_rows(seed: int, days: int, n: int) -> None:
    y, p, day = rows(seed, n, days)
    drawn = resample(day, replicates=5, seed=seed)
    assert drawn.unit == ("row" if days < FEWEST_DAYS else "day")
    matrix = np.column_stack([1 - p, p])
    for metric in SUMS_AND_RANKS:
        given_p = matrix if metric.tasks == ("multiclass",) else p
        fast = metric.reweighted(y, given_p, None, drawn.block, drawn.counts)
        for r in range(5):
            again = np.repeat(np.arange(n), drawn.counts[drawn.block, r])
            slow = metric.value_or_nan(y[again], given_p[again])
            assert fast[r] == pytest.approx(slow, rel=1e-9, nan_ok=True), metric.name


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_resampled_ece_keeps_the_bins_of_the_part(seed: int) -> None:
    y, p, day = rows(seed, 80, 12)
    drawn = resample(day, replicates=3, seed=seed)
    cell, bins = equal_mass_bins(p)
    fast = METRICS["ece"].reweighted(y, p, None, drawn.block, drawn.counts)
    for r in range(3):
        again = np.repeat(np.arange(80), drawn.counts[drawn.block, r])
        gap = np.bincount(cell[again], weights=(y - p)[again], minlength=bins)
        assert fast[r] == pytest.approx(np.abs(gap).sum() / len(again))


def test_equal_seeds_give_equal_bits_and_other_seeds_do_not() -> None:
    y, p, day = rows(0, 500, 30)
    first = intervals(metrics_for("binary"), y, p, day, payoff=y - p, seed=1)
    assert first == intervals(metrics_for("binary"), y, p, day, payoff=y - p, seed=1)
    assert first != intervals(metrics_for("binary"), y, p, day, payoff=y - p, seed=2)
    assert set(first) == {"log_loss", "brier", "auc", "pr_auc", "ece", "payoff"}


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 60), days=st.integers(1, 20), rare=st.booleans())
def test_an_interval_is_finite_and_holds_its_value(seed: int, n: int, days: int, rare: bool) -> None:
    y, p, day = rows(seed, max(n, days), days)
    if rare:
        y[1:] = 0.0
    for name, found in intervals(metrics_for("binary"), y, p, day, payoff=y, replicates=40).items():
        assert math.isfinite(found.low), name
        assert math.isfinite(found.high), name
        assert found.low <= found.value <= found.high, name


def test_one_class_has_no_auc_and_no_rows_have_nothing() -> None:
    _, p, day = rows(0, 100, 20)
    assert set(intervals(metrics_for("binary"), np.zeros(100), p, day)) == {"log_loss", "brier", "ece"}
    none = np.zeros(0)
    assert intervals(metrics_for("binary"), none, none, none.astype(int), payoff=none) == {}


def test_an_interval_is_stretched_to_its_value_and_drops_what_is_undefined() -> None:
    replicates = np.array([1.0, np.nan, 2.0])
    below, above = interval_of(0.5, replicates), interval_of(3.0, replicates)
    assert below is not None
    assert above is not None
    assert (below.low, above.high) == (0.5, 3.0)
    assert interval_of(np.nan, replicates) is None
    assert interval_of(1.0, replicates[1:2]) is None


def test_few_days_are_said_and_rows_drawn() -> None:
    few, many = resample(np.arange(90) % 9), resample(np.arange(90) % 10)
    assert (few.unit, many.unit, many.note) == ("row", "day", None)
    assert few.note is not None
    assert "9 day(s)" in few.note


def test_days_that_share_their_luck_widen_the_interval() -> None:
    random = np.random.default_rng(0)
    day = np.repeat(np.arange(60), 50)
    y = (random.random(3000) < np.repeat(random.choice([0.1, 0.5], 60), 50)).astype(float)
    p = np.full(3000, 0.3)
    by_day = intervals([METRICS["brier"]], y, p, day)["brier"]
    by_row = intervals([METRICS["brier"]], y, p, np.arange(3000))["brier"]
    assert by_day.high - by_day.low > 2 * (by_row.high - by_row.low)


def test_intervals_cover_as_often_as_they_say() -> None:
    random, covered = np.random.default_rng(3), 0
    for trial in range(200):
        p = random.random(400)
        y = (random.random(400) < p).astype(float)
        found = intervals([METRICS["brier"]], y, p, np.arange(400) // 8, seed=trial, replicates=200)["brier"]
        covered += found.low <= 1 / 6 <= found.high  # E[p(1-p)] of a uniform p
    assert 0.88 <= covered / 200 <= 0.985


def test_a_calibrated_model_may_have_no_calibration_error() -> None:
    random = np.random.default_rng(0)
    p = random.random(20_000)
    y = (random.random(20_000) < p).astype(float)
    found = intervals([METRICS["ece"]], y, p, np.arange(20_000) // 250)["ece"]
    assert found.low < 0.75 * found.value < found.value < found.high


def test_a_pair_is_judged_on_the_same_days() -> None:
    y, p, day = rows(0, 3000, 40)
    worse = np.clip(p + 0.1, 0.0, 1.0)
    metrics = [METRICS["brier"], METRICS["auc"]]
    found = paired_difference(metrics, y, worse, p, day, payoff=(y - worse, y - p))
    apart = intervals(metrics, y, p, day)
    assert found["brier"].value == pytest.approx(METRICS["brier"](y, worse) - METRICS["brier"](y, p))
    drawn = resample(day)
    of_worse, of_p = (METRICS["brier"].reweighted(y, each, None, drawn.block, drawn.counts) for each in (worse, p))
    assert (found["brier"].low, found["brier"].high) == tuple(np.quantile(of_worse - of_p, [0.025, 0.975]))
    assert found["brier"].high - found["brier"].low < (apart["brier"].high - apart["brier"].low) / 2
    assert found["payoff"].high < 0
    same = paired_difference(metrics_for("binary"), y, p, p, day)
    assert all((found.low, found.value, found.high) == (0, 0, 0) for found in same.values())


def test_a_slice_keeps_the_resamples_of_its_part() -> None:
    y, p, day = rows(0, 400, 20)
    drawn, chosen = resample(day, 50), p > 0.5
    of_slice = METRICS["brier"].reweighted(y[chosen], p[chosen], None, drawn.of(chosen).block, drawn.counts)
    kept = totals(np.square(p - y) * chosen, drawn.block, drawn.counts)[0]
    assert of_slice == pytest.approx(kept / totals(chosen.astype(float), drawn.block, drawn.counts)[0])
