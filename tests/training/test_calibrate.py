"""Fitting and choosing a calibration."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.clock import DAY
from mainspring.declare.estimator import Training
from mainspring.model.calibration import Calibration, Sigmoid, expit, logit
from mainspring.training import LINEAR, Rows, Task, Trained, train
from mainspring.training.calibrate import METHODS, choose_calibration, fit_calibration, fit_interval


def sample(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return true probabilities, labels drawn from them, and decisions over a hundred days."""
    random = np.random.default_rng(seed)
    chance = expit(random.normal(-0.5, 1.2, rows))
    return chance, (random.random(rows) < chance).astype(float), np.sort(random.integers(0, 100 * DAY, rows))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=60),
    method=st.sampled_from(METHODS),
)
def test_a_fitted_map_never_turns_the_ranking_round(rows: list, method: str) -> None:
    scores, y = np.array([s for s, _ in rows]), np.array([float(label) for _, label in rows])
    calibrated = fit_calibration(method, scores, y).apply(np.linspace(0, 1, 101))
    assert (np.diff(calibrated) >= -1e-12).all()
    assert ((calibrated >= 0) & (calibrated <= 1)).all()
    if method != "none":
        assert ((calibrated > 0) & (calibrated < 1)).all()


def test_platt_finds_the_distortion_of_the_logit() -> None:
    chance, y, _ = sample(40_000)
    (mapping,) = fit_calibration("platt", expit(2 * logit(chance) + 1), y).maps
    assert isinstance(mapping, Sigmoid)
    assert mapping.slope == pytest.approx(0.5, abs=0.02)
    assert mapping.intercept == pytest.approx(-0.5, abs=0.05)


def test_calibrated_scores_keep_the_rate_of_the_label() -> None:
    chance, y, _ = sample(5000)
    for method in ("platt", "isotonic"):
        calibrated = fit_calibration(method, chance**2, y).apply(chance**2)
        assert calibrated.mean() == pytest.approx(y.mean(), abs=2e-3)


def test_scores_that_are_right_stay_as_they_are() -> None:
    choices = [choose_calibration(*sample(3000, seed)).calibration.method for seed in range(10)]
    assert choices.count("none") >= 8  # a one-in-six event by the rule of one standard error
    assert choose_calibration(*sample(3000)).calibration == Calibration()


def test_a_shifted_logit_is_mended_by_platt_and_a_bent_curve_by_isotonic() -> None:
    chance, y, decided_at = sample(20_000)
    assert choose_calibration(expit(logit(chance) * 2 + 1), y, decided_at).calibration.method == "platt"
    bent = np.where(chance < 0.4, chance * 0.1, 0.04 + (chance - 0.4) * 1.6)
    choice = choose_calibration(bent, y, decided_at)
    assert choice.calibration.method == "isotonic"
    assert choice.scores["isotonic"] < choice.scores["platt"] < choice.scores["none"]


def test_several_classes_are_calibrated_one_against_the_rest() -> None:
    random = np.random.default_rng(0)
    true = random.dirichlet([1, 1, 1], 6000)
    y = np.array([random.choice(3, p=p) for p in true]).astype(float)
    sharp = true**3 / (true**3).sum(axis=1, keepdims=True)
    choice = choose_calibration(sharp, y, np.arange(6000) * DAY // 60)
    assert choice.calibration.method == "platt"
    np.testing.assert_allclose(choice.calibration.apply(sharp).sum(axis=1), 1)


def test_a_small_slice_and_a_declared_method_are_not_judged() -> None:
    scores, y, decided_at = sample(150)
    assert choose_calibration(scores, y, decided_at).reason == "too few rows to choose"
    assert choose_calibration(scores, y, decided_at, "isotonic").calibration.method == "isotonic"


DRAWS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "normal": lambda random, size: random.normal(size=size),
    "without a mean": lambda random, size: random.standard_cauchy(size),
    "skewed": lambda random, size: random.exponential(size=size) ** 3,
    "with ties": lambda random, size: random.integers(0, 4, size).astype(float),
    "of mixed widths": lambda random, size: random.normal(size=size) * random.choice([0.1, 1, 30], size),
    "moving together": lambda random, size: random.normal(size=size) + random.normal(size=(size[0], 1)),
}


@pytest.mark.parametrize("rows", [9, 10, 57, 100])
@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_an_interval_holds_the_next_exchangeable_number_often_enough(
    draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray], rows: int
) -> None:
    """Over many draws, whatever the distribution; and where no two residuals are equal it is no wider than it must be."""
    draws = 4_000
    y = draw(np.random.default_rng(rows), (draws, rows + 1))
    held = 0
    for calibrating, (following,) in zip(y[:, :-1], y[:, -1:], strict=True):
        interval = fit_interval(np.zeros(rows), calibrating)
        assert interval is not None
        low, high = interval.around(0.0)
        held += low <= following <= high
    noise = 4 * math.sqrt(0.9 * 0.1 / draws)
    assert held / draws >= 0.9 - noise
    if draw is not DRAWS["with ties"]:
        assert held / draws <= math.ceil((rows + 1) * 0.9) / (rows + 1) + noise


@settings(max_examples=60, deadline=None)
@given(residuals=st.lists(st.floats(-1e6, 1e6), max_size=40), coverage=st.sampled_from([0.5, 0.8, 0.9]))
def test_at_least_the_share_asked_for_lies_within_and_the_order_does_not_matter(
    residuals: list[float], coverage: float
) -> None:
    y = np.array(residuals)
    interval = fit_interval(np.zeros(len(y)), y, coverage)
    if interval is None:
        assert len(y) < coverage / (1 - coverage) + 1e-9
        return
    assert interval == fit_interval(np.zeros(len(y)), y[::-1], coverage)
    assert interval.rows == len(y)
    assert np.mean(np.abs(y) <= interval.half_width) >= coverage
    assert interval.half_width in np.abs(y)


def test_too_few_rows_and_endless_residuals_give_no_interval() -> None:
    y = np.arange(1.0, 11.0)
    assert fit_interval(np.zeros(8), y[:8]) is None
    assert fit_interval(np.zeros(9), y[:9]).half_width == 9.0
    assert fit_interval(np.zeros(9), np.array([*y[:8], math.inf])) is None
    assert fit_interval(np.zeros(9), np.array([*y[:8], math.nan])) is None


def numbers(**options: object) -> tuple[Trained, Rows]:
    random = np.random.default_rng(0)
    x, decided_at = random.normal(size=4_000), np.sort(random.integers(0, 200 * DAY, 4_000))
    rows = Rows(
        features=pl.DataFrame({"x": x}),
        kinds={"x": "float"},
        labels=3 * x + random.standard_t(3, size=4_000),
        decided_at=decided_at,
        label_known_at=decided_at + 1,
    )
    return train(LINEAR, rows, Task(kind="regression"), Training(**options), as_of=210 * DAY), rows


@pytest.mark.parametrize("refit", [False, True])
def test_a_trained_number_has_an_interval_that_holds_in_the_test_part(refit: bool) -> None:
    trained, rows = numbers(refit=refit)
    test = trained.split.test
    ends = trained.model.interval(trained.model.predict(rows.features[test]))
    assert ends is not None
    held = np.mean((ends[:, 0] <= rows.labels[test]) & (rows.labels[test] <= ends[:, 1]))
    assert held == pytest.approx(0.9, abs=0.04)
    assert trained.model.calibration.interval.rows == len(trained.split.calibrate)


def test_a_number_declared_without_calibration_has_no_interval() -> None:
    trained, _ = numbers(calibration="none")
    assert trained.model.interval(np.zeros(1)) is None
