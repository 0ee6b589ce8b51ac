"""Periods: they partition the part, begin on Mondays, and hold the metric of their rows."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.evaluation.metric import METRICS
from mainspring.evaluation.periods import period_results


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), first=st.integers(-5000, 20_000), span=st.integers(1, 120))
def test_periods_partition_the_part(seed: int, first: int, span: int) -> None:
    random = np.random.default_rng(seed)
    days = random.permutation(np.concatenate([[first, first + span - 1], random.integers(first, first + span, 200)]))
    y, p = random.integers(0, 2, 202).astype(float), random.random(202)
    found = period_results(days, y, p, METRICS["brier"])
    assert sum(period.rows for period in found) == 202
    starts = [date.fromisoformat(period.start) for period in found]
    assert starts == sorted(set(starts))
    if span > 42:
        assert all(start.weekday() == 0 for start in starts)
        assert len(found) <= span // 7 + 2
    else:
        assert {(start - date(1970, 1, 1)).days for start in starts} == set(days.tolist())
    assert sum(period.rows * period.metric for period in found) / 202 == pytest.approx(METRICS["brier"](y, p))
    assert sum(period.rows * period.label_mean for period in found) == pytest.approx(y.sum())


def test_a_period_of_one_class_has_no_auc() -> None:
    days, y = np.array([0, 0, 1, 1]), np.array([0.0, 1.0, 1.0, 1.0])
    found = period_results(days, y, np.array([0.1, 0.2, 0.3, 0.4]), METRICS["auc"])
    assert [(period.start, period.metric) for period in found] == [("1970-01-01", 1.0)]
    assert period_results(days[:0], y[:0], y[:0], METRICS["auc"]) == []
