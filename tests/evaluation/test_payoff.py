"""Payoff: what is expected of calibrated probabilities is what comes, and the best threshold beats every other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.declare import ErrorCost, Payoff
from mainspring.evaluation.payoff import best_threshold, error_payoff, expected_payoff, payoff

VALUES = st.builds(
    Payoff,
    hit=st.floats(1, 10),
    miss=st.floats(-10, 0),
    false_alarm=st.floats(-10, -0.5),
    correct_rejection=st.floats(0, 5),
)


@settings(max_examples=60, deadline=None)
@given(values=VALUES, seed=st.integers(0, 2**32 - 1), n=st.integers(1, 40))
def test_no_threshold_earns_more_than_the_best_one(values: Payoff, seed: int, n: int) -> None:
    random = np.random.default_rng(seed)
    p = np.round(random.random(n), 1)
    y = (random.random(n) < p).astype(float)
    threshold, mean = best_threshold(y, p, values)
    assert payoff(y, p >= threshold, values).mean() == pytest.approx(mean)
    for other in [*p, 0.0, 2.0]:
        assert payoff(y, p >= other, values).mean() <= mean + 1e-9


@settings(max_examples=40, deadline=None)
@given(values=VALUES, p=st.floats(0, 1))
def test_acting_pays_exactly_from_the_declared_threshold(values: Payoff, p: float) -> None:
    act, wait = (float(expected_payoff(np.array([p]), np.array([acted]), values)[0]) for acted in (True, False))
    if abs(p - values.threshold) > 1e-9:
        assert (act > wait) == (p > values.threshold)


def test_each_outcome_is_worth_what_was_declared() -> None:
    values = Payoff(hit=4, miss=-6, false_alarm=-1, correct_rejection=0.5)
    y, acted = np.array([1.0, 1.0, 0.0, 0.0]), np.array([True, False, True, False])
    assert payoff(y, acted, values).tolist() == [4, -6, -1, 0.5]
    assert expected_payoff(y, acted, values).tolist() == [4, -6, -1, 0.5]


def test_calibrated_probabilities_expect_what_comes_and_find_the_declared_threshold() -> None:
    random, values = np.random.default_rng(0), Payoff(hit=4, miss=-6, false_alarm=-1)
    p = random.random(200_000)
    y = (random.random(200_000) < p).astype(float)
    acted = p >= values.threshold
    assert payoff(y, acted, values).mean() == pytest.approx(expected_payoff(p, acted, values).mean(), abs=0.03)
    assert best_threshold(y, p, values)[0] == pytest.approx(values.threshold, abs=0.03)


def test_a_number_too_high_costs_over_and_too_low_under() -> None:
    worth = error_payoff(np.array([1.0, 1.0, 1.0]), np.array([3.0, 1.0, 0.0]), ErrorCost(over=2, under=5))
    assert worth.tolist() == [-4, 0, -5]


def test_without_rows_the_declared_threshold_stands() -> None:
    values = Payoff(hit=4, miss=-6, false_alarm=-1)
    assert best_threshold(np.zeros(0), np.zeros(0), values) == (values.threshold, 0.0)
