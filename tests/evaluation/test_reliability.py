"""Reliability: bins partition the rows, intervals hold the share, calibrated predictions lie inside most of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.evaluation.bootstrap import resample
from mainspring.evaluation.metric import METRICS
from mainspring.evaluation.reliability import histogram, reliability, wilson


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 200), by_day=st.booleans(), ties=st.booleans())
def test_bins_partition_the_rows_and_intervals_hold_their_share(seed: int, n: int, by_day: bool, ties: bool) -> None:
    random = np.random.default_rng(seed)
    p = np.round(random.random(n), 1) if ties else random.random(n)
    y = (random.random(n) < p).astype(float)
    found = reliability(y, p, resample(np.arange(n) // 5, 20) if by_day else None)
    assert sum(b.rows for b in found) == n
    assert sum(b.observed.value * b.rows for b in found) == pytest.approx(y.sum())
    assert all(0 <= b.observed.low <= b.observed.value <= b.observed.high <= 1 for b in found)
    assert all(b.observed.low < b.observed.high for b in found if b.observed.value in (0, 1))
    assert all(b.low <= b.predicted + 1e-12 and b.predicted <= b.high + 1e-12 for b in found)
    assert all(before.high < after.low for before, after in pairwise(found))
    gaps = sum(b.rows * abs(b.observed.value - b.predicted) for b in found) / n
    assert gaps == pytest.approx(METRICS["ece"](y, p), abs=1e-12)


def test_calibrated_predictions_lie_inside_most_intervals() -> None:
    random = np.random.default_rng(0)
    p = random.random(30_000)
    y = (random.random(30_000) < p).astype(float)
    found = reliability(y, p, resample(np.arange(30_000) // 300))
    assert sum(b.observed.low <= b.predicted <= b.observed.high for b in found) >= 12


def test_wilson_is_the_published_interval() -> None:
    found = wilson(0, 10)
    assert (found.low, found.high) == pytest.approx((0.0, 0.27753), abs=1e-4)
    found = wilson(81, 263)  # Newcombe (1998), table 1
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_a_histogram_counts_every_row_once() -> None:
    assert histogram(np.array([0.0, 0.5, 1.0]), bins=2) == [(0.0, 0.5, 1), (0.5, 1.0, 2)]
    assert sum(rows for _, _, rows in histogram(np.array([-3.0, 5.0, 9.0]))) == 3
    assert histogram(np.zeros(0)) == []
    assert reliability(np.zeros(0), np.zeros(0)) == []
