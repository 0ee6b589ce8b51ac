"""The linear solvers find the optimum, also when the curvature comes from a sample."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from mainspring.training import linear


def sample(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    matrix = random.normal(size=(rows, 6)) @ random.normal(size=(6, 6))
    margin = matrix @ [1, -1, 0.5, 0, 0, 2] - 1
    return matrix, (random.random(rows) < 1 / (1 + np.exp(-margin))).astype(float), random.random(rows) + 0.5


@pytest.mark.parametrize("sampled", [False, True])
def test_logistic_regression_agrees_with_scikit_learn(sampled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if sampled:
        monkeypatch.setattr(linear, "_SAMPLE", 400)
    matrix, y, weights = sample(3000)
    peer = LogisticRegression(C=0.5, tol=1e-10, max_iter=1000).fit(matrix, y, sample_weight=weights)
    coefficients, intercept = linear.fit_logistic(matrix, y, weights, l2=2.0)
    np.testing.assert_allclose(coefficients, peer.coef_[0], atol=2e-3)
    assert intercept == pytest.approx(peer.intercept_[0], abs=2e-3)


def test_ridge_regression_agrees_with_scikit_learn() -> None:
    matrix, _, weights = sample(500)
    y = matrix @ [1, 2, 3, 4, 5, 6] + 100
    peer = Ridge(alpha=3.0).fit(matrix, y, sample_weight=weights)
    coefficients, intercept = linear.fit_ridge(matrix, y, weights, l2=3.0)
    np.testing.assert_allclose(coefficients, peer.coef_, rtol=1e-5)
    assert intercept == pytest.approx(peer.intercept_, rel=1e-5)


def test_separable_classes_and_equal_columns_are_no_obstacle() -> None:
    x = np.linspace(-1, 1, 50)
    matrix = np.column_stack([x, x, np.zeros(50)]).astype(np.float32)
    coefficients, _ = linear.fit_logistic(matrix, (x > 0).astype(float), l2=1e-3)
    assert np.isfinite(coefficients).all()
    assert coefficients[0] == pytest.approx(coefficients[1], rel=1e-3)
    assert coefficients[0] > 1
