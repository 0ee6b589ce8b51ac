"""The linear baseline: logistic or ridge regression on encoded features, fast enough to stand beside every model."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
import polars as pl
from scipy import linalg

from mainspring.model.calibration import expit
from mainspring.model.encoding import LinearEncoder
from mainspring.model.linear import LinearPredictor
from mainspring.model.schema import FeatureSchema
from mainspring.training.task import Task, check_labels

__all__ = ["LinearFitter", "fit_logistic", "fit_ridge"]

_SAMPLE = 30_000  # rows from which the curvature is learned
_ITERATIONS = 50


class LinearFitter:
    """L2-regularised linear models; several classes are fitted one against the rest.

    The encoder's medians, means and levels come from the rows of each fit alone.
    """

    def __init__(
        self, frame: pl.DataFrame, schema: FeatureSchema, y: np.ndarray, task: Task, *, l2: float = 1.0, seed: int = 0
    ) -> None:
        self.schema = schema
        self._frame, self._y, self._task, self._l2, self._seed = frame, y, task, l2, seed

    def fit(
        self,
        rows: np.ndarray | None = None,
        *,
        weights: np.ndarray | None = None,
        without: Collection[str] = (),
        effort: float = 1.0,
    ) -> LinearPredictor:
        """Fit on some rows; `effort` is ignored, since a fit takes seconds."""
        frame, y = (self._frame, self._y) if rows is None else (self._frame[rows], self._y[rows])
        check_labels(y, self._task)
        kept = FeatureSchema(tuple(f for f in self.schema.features if f.name not in without))
        encoder = LinearEncoder.learn(kept, frame)
        matrix = encoder.encode(frame, dtype=np.float32)
        targets = [y == k for k in range(len(self._task.classes))] if self._task.kind == "multiclass" else [y]
        solve: Callable[..., tuple[np.ndarray, float]] = fit_ridge if self._task.kind == "regression" else fit_logistic
        found = [solve(matrix, target.astype(np.float64), weights, self._l2, self._seed) for target in targets]
        return LinearPredictor(
            self._task.kind,
            encoder,
            tuple(tuple(map(float, coefficients)) for coefficients, _ in found),
            tuple(intercept for _, intercept in found),
        )


def fit_logistic(
    matrix: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None, l2: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, float]:
    """Minimise the weighted log loss + l2 / 2 * |coefficients|^2; return coefficients (columns,) and the intercept.

    Newton's method on a random sample finds the curvature; on all rows each step then costs a gradient only, since the
    sample's curvature is the whole one's within a few per cent (Erdogdu and Montanari 2015, Convergence Rates of
    Sub-sampled Newton Methods). Steps are halved until the loss falls, so that a poor sample costs steps, not the result.
    `matrix` (rows, columns) may be float32: products of it are summed in float32, everything else in float64.
    """
    weights = np.ones(len(y)) if weights is None else weights
    penalty = np.append(np.full(matrix.shape[1], l2), 1e-6)
    start = np.zeros(matrix.shape[1] + 1)
    rate = np.clip(np.average(y, weights=weights), 1e-6, 1 - 1e-6)
    start[-1] = np.log(rate / (1 - rate))
    if len(y) > 2 * _SAMPLE:
        sample = np.sort(np.random.default_rng(seed).choice(len(y), _SAMPLE, replace=False))
        share = weights.sum() / weights[sample].sum()
        small = np.asfortranarray(matrix[sample])
        start, curvature = _newton(small, y[sample], weights[sample] * share, penalty, start, None)
        found, _ = _newton(matrix, y, weights, penalty, start, curvature)
    else:
        found, _ = _newton(matrix, y, weights, penalty, start, None)
    return found[:-1], float(found[-1])


def fit_ridge(
    matrix: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None, l2: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, float]:
    """Minimise the weighted squared error + l2 * |coefficients|^2; return coefficients (columns,) and the intercept."""
    weights = np.ones(len(y)) if weights is None else weights
    total = weights.sum()
    centre = float(weights @ y / total)
    gram = _gram(matrix, weights)
    gram[np.diag_indices_from(gram)] += np.append(np.full(matrix.shape[1], l2), 1e-6)
    right = _transposed(matrix, weights * (y - centre))
    found = linalg.solve(gram, right, assume_a="pos")
    return found[:-1], float(found[-1]) + centre


def _newton(
    matrix: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray,
    penalty: np.ndarray,
    start: np.ndarray,
    curvature: tuple | None,
) -> tuple[np.ndarray, tuple]:
    """Take Newton steps from `start`, with the curvature given or computed anew in every step; return both."""
    exact = curvature is None
    found, margin = start, _margin(matrix, start)
    loss = _loss(margin, y, weights, penalty, found)
    for _ in range(_ITERATIONS):
        chance = expit(margin)
        gradient = _transposed(matrix, weights * (chance - y)) + penalty * found
        if exact:
            gram = _gram(matrix, weights * chance * (1 - chance))
            gram[np.diag_indices_from(gram)] += penalty + 1e-6 * weights.sum() / len(y)
            curvature = linalg.cho_factor(gram)
        step = linalg.cho_solve(curvature, gradient)
        if step @ gradient <= 1e-9 * max(abs(loss), 1.0):
            break
        drift = _margin(matrix, step)
        size = 1.0
        while (trial := _loss(margin - size * drift, y, weights, penalty, found - size * step)) > loss and size > 1e-6:
            size /= 2
        if trial >= loss:
            break
        found, margin, loss = found - size * step, margin - size * drift, trial
    assert curvature is not None  # computed in the first step at the latest
    return found, curvature


def _margin(matrix: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    return (matrix @ coefficients[:-1].astype(matrix.dtype)).astype(np.float64) + coefficients[-1]


def _transposed(matrix: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the products of every column, and of a column of ones, with values (rows,)."""
    return np.append((matrix.T @ values.astype(matrix.dtype)).astype(np.float64), values.sum())


def _gram(matrix: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted products of all pairs of columns, a column of ones included, by blocks of rows."""
    width = matrix.shape[1]
    gram = np.zeros((width + 1, width + 1))
    for first in range(0, len(matrix), 65_536):
        part, weight = matrix[first : first + 65_536], weights[first : first + 65_536].astype(matrix.dtype)
        weighted = part * weight[:, None]
        gram[:width, :width] += part.T @ weighted
        gram[width, :width] += weighted.sum(axis=0, dtype=np.float64)
    gram[:width, width] = gram[width, :width]
    gram[width, width] = weights.sum()
    return gram


def _loss(
    margin: np.ndarray, y: np.ndarray, weights: np.ndarray, penalty: np.ndarray, coefficients: np.ndarray
) -> float:
    return float(weights @ (np.logaddexp(0.0, margin) - y * margin) + 0.5 * penalty @ coefficients**2)
