"""Fitting and choosing a calibration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.clock import DAY
from mainspring.model.calibration import Calibration, Sigmoid, expit, logit
from mainspring.training.calibrate import METHODS, choose_calibration, fit_calibration


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
