"""Guards: a limit that is kept is found broken in 5 of 100 streams at most, one that is broken is found."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mainspring as ms
from mainspring.adaptation import guard_tests  # pytest would take `tests_of` for a test
from mainspring.adaptation.guard_tests import CalibrationTest, GuardTest, LimitTest
from mainspring.adaptation.rank_tests import RankTest
from tests.adaptation.streams import NEEDED, Floats, allowed

STREAMS, LABELS, BATCH = 1000, 1200, 300
PAYOFF = ms.Payoff(hit=4, miss=-6, false_alarm=-1)


def predictions(random: np.random.Generator, gap: float) -> tuple[Floats, Floats]:
    """Labels and probabilities whose calibration error is `gap`: too low and too high by it in turn, bin by bin."""
    p = random.beta(2, 4, LABELS).clip(0.11, 0.89)
    side = np.where(np.floor(p * 10) % 2 == 0, 1.0, -1.0)
    return (random.random(LABELS) < p + gap * side).astype(float), p


def broken(gap: float, limit: float, streams: int, seed: int) -> float:
    """In which share of streams the limit is ever found broken."""
    found = 0
    for stream in range(streams):
        labels, p = predictions(np.random.default_rng([seed, stream]), gap)
        test = CalibrationTest.of(limit)
        for begin in range(0, LABELS, BATCH):
            test = test.after(labels[begin : begin + BATCH], p[begin : begin + BATCH])
            if test.log_broken >= NEEDED:
                found += 1
                break
    return found / streams


@pytest.mark.parametrize(("gap", "limit"), [(0.0, 0.0), (0.05, 0.05)])
def test_a_calibration_error_within_its_limit_is_not_found_broken(gap: float, limit: float) -> None:
    assert broken(gap, limit, STREAMS, seed=1) <= allowed(0.05, STREAMS)


@pytest.mark.parametrize(("gap", "limit", "share"), [(0.11, 0.0, 0.9), (0.11, 0.03, 0.6)])
def test_one_beyond_its_limit_is_found(gap: float, limit: float, share: float) -> None:
    assert broken(gap, limit, 200, seed=2) > share


def test_signs_that_are_chosen_afterwards_see_errors_that_are_none() -> None:
    """Why signs come before labels: the usual estimate of the calibration error is never 0."""
    found, edges = 0, tuple(k / 50 for k in range(1, 50))
    for stream in range(200):
        labels, p = predictions(np.random.default_rng([3, stream]), 0.0)
        test = CalibrationTest.of(0.0, edges)
        place = np.searchsorted(test.edges, p, side="right")
        sign = np.sign(np.bincount(place, labels - p, minlength=len(test.gaps)))[place]
        found += test.test.after(sign * (labels - p)).log_above() >= NEEDED
    assert found / 200 > 0.25


def test_the_calibration_error_is_bounded_from_below() -> None:
    bounds = []
    for stream in range(300):
        labels, p = predictions(np.random.default_rng([4, stream]), 0.08)
        bounds.append(CalibrationTest.of(0.0).after(labels, p).test.lower(0.05))
    assert np.mean(np.array(bounds) > 0.08) <= allowed(0.05, 300)
    assert np.median(bounds) > 0.005


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), max_size=80), st.data())
@settings(deadline=None)
def test_the_same_bits_however_the_stream_is_cut(drawn: list[tuple[bool, float]], data: st.DataObject) -> None:
    labels, p = np.array([y for y, _ in drawn], float), np.array([p for _, p in drawn], float)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(drawn)), max_size=4)))
    by_parts = CalibrationTest.of(0.03)
    for y, some in zip(np.split(labels, cuts), np.split(p, cuts), strict=True):
        by_parts = by_parts.after(y, some)
    assert by_parts == CalibrationTest.of(0.03).after(labels, p)
    assert msgspec.json.decode(msgspec.json.encode(by_parts), type=GuardTest) == by_parts


@pytest.mark.parametrize(("mean", "broken"), [(-0.2, True), (0.0, False), (0.2, False)])
def test_a_floor_under_the_payoff(mean: float, broken: bool) -> None:
    """A payoff of 4, -6, -1 or 0, at least 0 in the mean."""
    (test,) = guard_tests.tests_of(ms.Guard("payoff", at_least=0.0), "binary", ms.Objective(payoff=PAYOFF))
    assert isinstance(test, LimitTest)
    odds = [0.22, 0.12 - mean / 6, 0.16, 0.5 + mean / 6]
    worth = np.random.default_rng(5).choice([4.0, -6.0, -1.0, 0.0], 20_000, p=odds)
    assert (test.after(worth).log_broken >= NEEDED) is broken


def test_which_guards_can_be_tested() -> None:
    objective = ms.Objective(payoff=PAYOFF)
    (auc,) = guard_tests.tests_of(ms.Guard("auc", at_least=0.7, at_most=1.0), "binary", objective)
    assert (auc.test.at, auc.test.low, auc.test.high) == (0.7, 0.0, 1.0)
    (precision,) = guard_tests.tests_of(ms.Guard("pr_auc", at_least=0.2, at_most=0.9), "binary", objective)
    assert isinstance(precision, RankTest)
    assert (precision.test.at, precision.side) == (0.2, "at_least")  # a ceiling would be found broken where it is kept
    assert guard_tests.tests_of(ms.Guard("ece", at_least=0.1), "binary", objective) == ()
    assert guard_tests.tests_of(ms.Guard("ece", at_most=1.0), "binary", objective) == ()
    assert guard_tests.tests_of(ms.Guard("brier", at_most=1.0), "binary", objective) == ()  # no row can break it
    (root,) = guard_tests.tests_of(ms.Guard("rmse", at_most=3.0), "regression", objective)
    assert (root.test.at, root.test.low, root.test.high) == (9.0, 0.0, None)
    both = guard_tests.tests_of(ms.Guard("brier", at_most=0.3, at_least=0.01), "binary", objective)
    assert [(each.side, each.test.at) for each in both if isinstance(each, LimitTest)] == [
        ("at_most", 0.3),
        ("at_least", 0.01),
    ]
