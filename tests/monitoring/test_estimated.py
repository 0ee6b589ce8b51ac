"""Estimates before labels: each means what its metric means, its interval covers, and without calibration there is none."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mainspring as ms
from mainspring.evaluation.metric import METRICS
from mainspring.evaluation.payoff import payoff
from mainspring.monitoring.calibration_check import Calibrated, Unknown, check_calibration
from mainspring.monitoring.estimated import Estimate, estimate
from mainspring.monitoring.realised import figures_of

PAYOFF = ms.Payoff(hit=4, miss=-6, false_alarm=-1)
BINARY = figures_of("binary", ms.Objective(payoff=PAYOFF))
MULTICLASS = figures_of("multiclass", ms.Objective())
EXACT = Calibrated(labels=1000, p_value=0.5, tolerance=0.0)
STREAMS = 1000
NOMINAL = 0.05 + 3 * math.sqrt(0.05 * 0.95 / STREAMS)  # what 1,000 streams may show of a level of 5%

RATES = ("brier", "auc", "pr_auc", "accuracy", "precision", "recall", "specificity", "f1")

Draw = Callable[[np.random.Generator, int], np.ndarray]
PREDICTIONS: dict[str, tuple[Draw, int]] = {
    "even": (lambda random, n: random.random(n), 1500),
    "few": (lambda random, n: random.random(n), 200),
    "skewed": (lambda random, n: random.beta(2, 8, n), 1000),
    "rare": (lambda random, n: random.beta(0.5, 40, n), 4000),
    "tied": (lambda random, n: random.choice([0.05, 0.1, 0.3, 0.8], n, p=[0.5, 0.3, 0.15, 0.05]), 1000),
}


def counted(p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every row twice, as true and as false, with the weights that its probability gives: labels, predictions, weights."""
    return np.repeat([1.0, 0.0], len(p)), np.tile(p, 2), np.concatenate([p, 1.0 - p])


def at_threshold(y: np.ndarray, p: np.ndarray, w: np.ndarray, threshold: float) -> dict[str, float]:
    """The confusion matrix of weighted rows and its ratios, by their definitions; 0 / 0 is 0."""
    came, acted = y > 0.5, p >= threshold
    hits, misses, false_alarms, correct_rejections = (
        float(w[rows].sum()) for rows in (came & acted, came & ~acted, ~came & acted, ~came & ~acted)
    )
    ratios = {
        "accuracy": (hits + correct_rejections, w.sum()),
        "precision": (hits, hits + false_alarms),
        "recall": (hits, hits + misses),
        "specificity": (correct_rejections, correct_rejections + false_alarms),
        "f1": (2 * hits, 2 * hits + misses + false_alarms),
    }
    return {
        "hits": hits,
        "misses": misses,
        "false_alarms": false_alarms,
        "correct_rejections": correct_rejections,
        **{name: above / below if below else 0.0 for name, (above, below) in ratios.items()},
    }


def realised(y: np.ndarray, p: np.ndarray, w: np.ndarray, threshold: float) -> dict[str, float]:
    """Every figure of a yes/no label, by metric.py, payoff.py and their definitions."""
    worth = payoff(y, p >= PAYOFF.threshold, PAYOFF)
    return (
        {name: METRICS[name].value_or_nan(y, p, w) for name in ("log_loss", "brier", "auc", "pr_auc")}
        | {"payoff": float(np.average(worth, weights=w))}
        | at_threshold(y, p, w, threshold)
    )


def estimates(p: np.ndarray, calibration: Calibrated = EXACT, threshold: float = 0.3) -> dict[str, Estimate]:
    found = estimate(p, calibration, figures=BINARY, threshold=threshold)
    return {name: each for name, each in found.items() if isinstance(each, Estimate)}


# Laws of the estimate


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 120),
    ties=st.booleans(),
    threshold=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
)
def test_an_estimate_is_the_metric_of_rows_that_count_p_as_true_and_the_rest_as_false(
    seed: int, n: int, ties: bool, threshold: float
) -> None:
    random = np.random.default_rng(seed)
    p = np.round(random.random(n), 1) if ties else random.random(n)
    found, expected = estimates(p, threshold=threshold), realised(*counted(p), threshold)
    for name, each in found.items():
        assert each.value == pytest.approx(expected[name], rel=1e-9, abs=1e-12), name
        assert each.low <= each.value <= each.high
        assert name == "payoff" or each.low >= 0.0, f"{name} cannot come out below 0"
        assert name in ("payoff", "log_loss") or each.high <= (1.0 if name in RATES else n), name
    assert {"log_loss", "brier", "payoff", "accuracy", "hits"} <= found.keys()
    if min(p.sum(), n - p.sum()) >= 10 and (p >= threshold).any():
        assert found.keys() == expected.keys(), "nothing is refused that enough labels are expected of"


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 60))
def test_of_several_classes_too(seed: int, n: int) -> None:
    p = np.random.default_rng(seed).dirichlet(np.ones(4), n)
    found = estimate(p, EXACT, figures=MULTICLASS)
    y, every, w = np.repeat(np.arange(4), n), np.tile(p, (4, 1)), p.T.ravel()
    assert found.keys() == {"log_loss", "brier", "accuracy"}
    for name, each in found.items():
        assert isinstance(each, Estimate)
        assert each.value == pytest.approx(METRICS[name](y, every, w), rel=1e-9)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), ties=st.booleans())
def test_an_interval_follows_from_how_each_label_moves_the_figure(seed: int, ties: bool) -> None:
    random = np.random.default_rng(seed)
    p = random.beta(2, 2, 60)
    p = np.clip(np.round(p, 1), 0.1, 0.9) if ties else p
    y, every, w = counted(p)
    slopes: dict[str, list[float]] = {}
    for i in range(len(p)):
        nudge = np.zeros(len(p))
        nudge[i] = 1e-5
        up, down = (realised(y, every, w + sign * np.concatenate([nudge, -nudge]), 0.3) for sign in (1, -1))
        for name in up:
            slopes.setdefault(name, []).append((up[name] - down[name]) / 2e-5)
    tolerant = Calibrated(labels=1000, p_value=0.5, tolerance=0.01, dispersion=2.0)
    for name, each in estimates(p, tolerant).items():
        slope = np.array(slopes[name])
        deviation = math.sqrt(2.0 * (p * (1 - p) * slope**2).sum())
        half = 1.959964 * deviation + 0.01 * np.abs(slope).sum()
        assert min(each.high - each.value, each.value - each.low) <= half * (1 + 1e-4) + 1e-9
        assert max(each.high - each.value, each.value - each.low) == pytest.approx(half, rel=1e-4), name


def test_the_interval_holds_the_figure_that_labels_show() -> None:
    random, draws = np.random.default_rng(3), 400
    for draw, n in ((PREDICTIONS["skewed"][0], 600), (PREDICTIONS["tied"][0], 1500), (PREDICTIONS["even"][0], 300)):
        p = draw(random, n)
        found = estimates(p)
        inside = dict.fromkeys(found, 0)
        for _ in range(draws):
            figures = realised((random.random(n) < p) * 1.0, p, np.ones(n), 0.3)
            for name, each in found.items():
                inside[name] += each.low <= figures[name] <= each.high
        for name, count in inside.items():
            assert 0.95 - 0.035 <= count / draws <= 0.95 + 0.035, f"{name}: {count} of {draws}"


def test_days_of_their_own_widen_the_interval_by_what_earlier_days_showed() -> None:
    random = np.random.default_rng(4)
    days, n = np.repeat(np.arange(40), 100), 4000
    inside = {"with days": 0, "without": 0}
    for _ in range(200):
        p = random.beta(4, 4, 2 * n)
        moved = random.uniform(-0.5, 0.5, 80)[np.append(days, days + 40)] * np.minimum(p, 1 - p)
        y = (random.random(2 * n) < p + moved) * 1.0
        checked = check_calibration(p[:n], y[:n], days=days, tolerance=0.0, level=0.0)
        assert isinstance(checked, Calibrated)
        for how, calibration in (("with days", checked), ("without", EXACT)):
            each = estimates(p[n:], calibration)["accuracy"]
            inside[how] += each.low <= ((p[n:] >= 0.3) == y[n:]).mean() <= each.high
    assert inside["with days"] >= 180
    assert inside["without"] < 150, "which is why days are asked for"


def test_a_miscalibration_within_the_tolerance_is_within_the_interval() -> None:
    p = np.random.default_rng(5).uniform(0.1, 0.9, 200_000)  # so many that chance plays no part
    found = estimates(p, Calibrated(labels=1000, p_value=0.5, tolerance=0.05))
    for gap in (-0.05, 0.05, 0.05 * np.sign(p - 0.5), 0.05 * np.sign(0.5 - p)):
        true = realised(*counted(p)[:2], np.concatenate([p + gap, 1 - p - gap]), 0.3)
        for name in ("log_loss", "brier", "payoff", "accuracy", "precision", "hits", "misses"):  # linear in labels
            assert found[name].low - 1e-9 <= true[name] <= found[name].high + 1e-9
        for name in ("recall", "specificity", "f1", "auc", "pr_auc"):  # to first order
            each = found[name]
            assert each.low - 0.1 * (each.value - each.low) <= true[name] <= each.high + 0.1 * (each.high - each.value)


def test_what_is_certain_has_no_width() -> None:
    p = np.repeat([0.0, 1.0], 50)
    for name, each in estimates(p).items():
        assert each.low == each.value == each.high, name
    assert estimates(p)["auc"].value == estimates(p)["f1"].value == 1.0


# Laws of the refusal


def test_without_calibration_there_is_a_reason_and_no_number() -> None:
    p, why = np.random.default_rng(0).random(1000), Unknown("Labels are late.")
    for threshold in (None, 0.5):
        found = estimate(p, why, figures=BINARY, threshold=threshold)
        assert found == dict.fromkeys(estimate(p, EXACT, figures=BINARY, threshold=threshold), why)


@settings(max_examples=60, deadline=None)
@given(
    p=st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0, math.nan, -0.1, math.inf]), max_size=30),
    repeated=st.integers(1, 20),
    threshold=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_whatever_comes_no_answer_is_nan(p: list[float], repeated: int, threshold: float, seed: int) -> None:
    chance = np.array(p * repeated)
    y = np.random.default_rng(seed).integers(0, 2, len(chance)) * 1.0
    for calibration in (EXACT, check_calibration(chance, y), check_calibration(chance, y, days=np.arange(len(y)) % 12)):
        for each in estimate(chance, calibration, figures=BINARY, threshold=threshold).values():
            if isinstance(each, Unknown):
                assert each.reason.endswith(".")
            else:
                assert -math.inf < each.low <= each.value <= each.high < math.inf


@pytest.mark.parametrize("name", PREDICTIONS)
def test_the_check_refuses_calibrated_predictions_at_its_level_and_not_more_often(name: str) -> None:
    random = np.random.default_rng(6)
    draw, n = PREDICTIONS[name]
    refused = {"exact": 0, "edge": 0}
    for _ in range(STREAMS):
        p, chance = draw(random, n), random.random(n)
        refused["exact"] += isinstance(check_calibration(p, chance < p, tolerance=0.0), Unknown)
        refused["edge"] += isinstance(check_calibration(p, chance < np.minimum(p + 0.01, 1.0), tolerance=0.01), Unknown)
    assert all(count <= NOMINAL * STREAMS for count in refused.values()), refused
    assert refused["exact"] >= 0.02 * STREAMS, f"not for want of power: {refused}"


@pytest.mark.parametrize("days", [10, 30])
def test_rows_of_a_day_may_depend_on_each_other(days: int) -> None:
    random = np.random.default_rng(7)
    n = 3000
    day = np.arange(n) * days // n
    refused = {"with days": 0, "without": 0}
    for _ in range(STREAMS):
        p = random.beta(2, 8, n)
        y = random.random(n) < p + random.uniform(-0.9, 0.9, days)[day] * np.minimum(p, 1 - p)
        refused["with days"] += isinstance(check_calibration(p, y, days=day), Unknown)
        refused["without"] += isinstance(check_calibration(p, y), Unknown)
    assert refused["with days"] <= NOMINAL * STREAMS
    assert refused["without"] > 0.2 * STREAMS, "which is why days are asked for"


def test_several_classes_share_the_level() -> None:
    random = np.random.default_rng(8)
    refused, found = 0, 0
    for _ in range(STREAMS):
        p = random.dirichlet(np.ones(3), 500)
        chance = random.random((500, 1))
        refused += isinstance(check_calibration(p, (chance > p.cumsum(axis=1)).sum(axis=1), tolerance=0.0), Unknown)
        found += isinstance(check_calibration(p, (chance > p[:, ::-1].cumsum(axis=1)).sum(axis=1)), Unknown)
    assert refused <= NOMINAL * STREAMS
    assert found == STREAMS


SHIFTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "more often": lambda p: p + 0.15 * np.minimum(p, 1 - p) / 0.5,
    "too sure": lambda p: 0.5 + 0.75 * (p - 0.5),
    "turned": lambda p: 1 - p,
    "in the middle": lambda p: np.where(np.abs(p - 0.5) < 0.1, p + 0.2, p),
}


@pytest.mark.parametrize("name", SHIFTS)
def test_once_labels_tell_of_a_concept_shift_there_is_no_number(name: str) -> None:
    random = np.random.default_rng(9)
    before, after = 0, 0
    for _ in range(100):
        p, chance = random.random(3000), random.random(3000)
        found = [
            estimate(p, check_calibration(p, chance < q, level=0.001), figures=BINARY)["auc"]
            for q in (p, SHIFTS[name](p))
        ]
        before += isinstance(found[0], Estimate)
        after += isinstance(found[1], Estimate)
    assert before >= 98, "as long as no label tells, it estimates"
    assert after <= 1


def test_spiegelhalters_z_would_let_a_base_rate_pass() -> None:
    random = np.random.default_rng(10)
    passed = 0
    for _ in range(200):
        p = random.random(3000)
        y = random.random(3000) < SHIFTS["more often"](p)
        tilt = 1 - 2 * p
        passed += abs(((y - p) * tilt).sum() / math.sqrt((tilt**2 * p * (1 - p)).sum())) < 1.96
    assert passed > 150, "which is why it is not the test here"


# Cases


def test_a_refusal_says_what_is_wrong() -> None:
    p = np.repeat([0.2, 0.6], 500)
    y = np.tile([1.0, 0.0, 0.0, 0.0, 0.0], 200)
    found = check_calibration(p, y)
    assert isinstance(found, Unknown)
    assert found.reason.startswith(
        "The probabilities do not hold on the newest 1,000 labels: of 500 from 0.6 to 0.6 the mean is 0.6, and 0.2 came true"
    )
    found = check_calibration(np.repeat(0.5, 1000), y)
    assert isinstance(found, Unknown)
    assert "labels: their mean is 0.5, and 0.2 came true (p = " in found.reason
    found = check_calibration(np.tile([0.2, 0.3, 0.5], (1000, 1)), np.tile([0, 1, 1, 1, 2], 200))
    assert isinstance(found, Unknown)
    assert found.reason.startswith("The probabilities of class ")


@pytest.mark.parametrize(
    ("p", "days", "reason"),
    [
        ([], None, "There are no predictions."),
        ([0.2, math.nan], None, "no probabilities between 0 and 1"),
        ([[0.2, 0.2]], None, "do not sum to 1"),
        ([0.5] * 99, None, "these 99 tell as much as 99 at even odds, and 100 are needed"),
        ([0.01] * 1000, None, "these 1,000 tell as much as 39 at even odds"),
        ([0.5] * 1000, [1] * 500 + [2] * 500, "of 2 day(s) only; 10 are needed"),
    ],
)
def test_too_little_is_no_answer(p: list[float], days: list[int] | None, reason: str) -> None:
    found = check_calibration(np.array(p), np.zeros(len(p)), days=None if days is None else np.array(days))
    assert isinstance(found, Unknown)
    assert reason in found.reason


def test_what_few_labels_or_none_can_show_is_unknown() -> None:
    found = estimate(np.full(100, 0.05), EXACT, figures=BINARY, threshold=0.5)
    for name in ("auc", "pr_auc", "recall", "f1"):
        assert found[name] == Unknown("Only 5.0 labels are expected to be true; 10 are needed.")
    assert found["precision"] == Unknown("No prediction reaches the threshold.")
    assert isinstance(found["ece"], Unknown)
    assert isinstance(found["specificity"], Estimate)
    found = estimate(np.full(100, 0.95), EXACT, figures=BINARY, threshold=0.5)
    assert found["auc"] == found["specificity"] == Unknown("Only 5.0 labels are expected to be false; 10 are needed.")
    assert isinstance(found["pr_auc"], Estimate)
