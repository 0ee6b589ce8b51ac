"""Fit calibration maps, and choose between them by time: fitted on the earlier half of a slice, judged on the later.

For numbers there is no map to fit, but an interval: how far they lie from their predictions on rows not yet seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mainspring.clock import DAY
from mainspring.model.calibration import Calibration, CalibrationMap, Isotonic, Sigmoid, expit, logit
from mainspring.model.conformal import Conformal

__all__ = ["METHODS", "CalibrationChoice", "choose_calibration", "fit_calibration", "fit_interval"]

METHODS = ("none", "platt", "isotonic")  # from the plainest to the freest
_FEWEST = 100  # rows below which a slice cannot tell methods apart


@dataclass(frozen=True, kw_only=True)
class CalibrationChoice:
    """The calibration that was chosen, and the log loss of every candidate on the rows it was judged on."""

    calibration: Calibration
    scores: dict[str, float]
    rows: int
    reason: str


def fit_calibration(method: str, scores: np.ndarray, y: np.ndarray) -> Calibration:
    """Fit one method on scores (rows,) or (rows, classes) and labels: 0 and 1, or positions of classes."""
    if method == "none":
        return Calibration()
    fit = _fit_sigmoid if method == "platt" else _fit_isotonic
    if scores.ndim == 1:
        return Calibration(method, (fit(scores, y),))
    return Calibration(method, tuple(fit(scores[:, k], (y == k).astype(np.float64)) for k in range(scores.shape[1])))


def choose_calibration(
    scores: np.ndarray, y: np.ndarray, decided_at: np.ndarray, method: str = "auto"
) -> CalibrationChoice:
    """Choose a calibration by log loss, then fit it on all rows of the slice.

    With "auto" every method is fitted on the earlier half by time and judged on the later one. A freer method must beat
    a plainer one by more than a standard error of the difference, taken over days, since rows of one day err together.
    """
    if method != "auto":
        return CalibrationChoice(
            calibration=fit_calibration(method, scores, y), scores={}, rows=len(y), reason=f"{method} was declared"
        )
    middle = np.sort(decided_at)[len(y) // 2] if len(y) else 0
    early, late = decided_at < middle, decided_at >= middle
    if min(early.sum(), late.sum()) < _FEWEST:
        return CalibrationChoice(calibration=Calibration(), scores={}, rows=len(y), reason="too few rows to choose")
    losses = {
        name: _log_losses(fit_calibration(name, scores[early], y[early]).apply(scores[late]), y[late])
        for name in METHODS
    }
    chosen = METHODS[0]
    for name in METHODS[1:]:
        gain = losses[chosen] - losses[name]
        if gain.mean() > _standard_error(gain, decided_at[late] // DAY):
            chosen = name
    return CalibrationChoice(
        calibration=fit_calibration(chosen, scores, y),
        scores={name: float(loss.mean()) for name, loss in losses.items()},
        rows=int(late.sum()),
        reason=f"{chosen} was the plainest method within a standard error of the best",
    )


def fit_interval(predictions: np.ndarray, y: np.ndarray, coverage: float = 0.9) -> Conformal | None:
    """Return the interval of numbers (rows,) around their predictions (rows,), learned on rows that the model has not seen.

    The quantile of the residuals is one rank higher than in the rows themselves, as one more row is to come. None where
    that rank is beyond the rows, 8 or fewer for 90%, and where the residual at that rank is no finite number: no width
    would be sure of its coverage.
    """
    rank = math.ceil((len(y) + 1) * coverage)
    if rank > len(y):
        return None
    half_width = float(np.partition(np.abs(y - predictions), rank - 1)[rank - 1])
    return Conformal(half_width, coverage, len(y)) if math.isfinite(half_width) else None


def _fit_sigmoid(score: np.ndarray, y: np.ndarray) -> CalibrationMap:
    """Platt 1999, Probabilistic Outputs for Support Vector Machines, with his smoothed targets, by Newton's method."""
    positive = y.sum()
    target = np.where(y > 0, (positive + 1) / (positive + 2), 1 / (len(y) - positive + 2))
    design = np.column_stack([logit(score), np.ones(len(score))])
    weights = np.array([1.0, 0.0])
    loss = _cross_entropy(design @ weights, target)
    for _ in range(50):
        chance = expit(design @ weights)
        gradient = design.T @ (chance - target)
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        while (trial := _cross_entropy(design @ (weights - step), target)) > loss and np.abs(step).max() > 1e-12:
            step = step / 2
        weights, improved, loss = weights - step, loss - trial, trial
        if improved <= 1e-12 * abs(loss):
            break
    # A falling map would turn the model's ranking round; noise can ask for that, a calibration may not.
    if weights[0] <= 0:
        return Sigmoid(0.0, float(logit(np.array(target.mean()))))
    return Sigmoid(float(weights[0]), float(weights[1]))


def _fit_isotonic(score: np.ndarray, y: np.ndarray) -> CalibrationMap:
    """Pool adjacent violators; kept off 0 and 1 by as much as one more row could have moved them."""
    from sklearn.isotonic import IsotonicRegression

    edge = 1.0 / (len(y) + 2)
    fitted = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip").fit(score, y)
    return Isotonic(tuple(map(float, fitted.X_thresholds_)), tuple(map(float, fitted.y_thresholds_)))


def _cross_entropy(margin: np.ndarray, target: np.ndarray) -> float:
    return float(np.sum(np.logaddexp(0.0, margin) - target * margin))


def _log_losses(probability: np.ndarray, y: np.ndarray) -> np.ndarray:
    true = (
        np.where(y > 0, probability, 1 - probability)
        if probability.ndim == 1
        else probability[np.arange(len(y)), y.astype(int)]
    )
    return -np.log(np.clip(true, 1e-15, 1.0))


def _standard_error(values: np.ndarray, groups: np.ndarray) -> float:
    """Return the standard error of the mean when values of one group may move together."""
    _, group = np.unique(groups, return_inverse=True)
    totals = np.bincount(group, weights=values - values.mean())
    if len(totals) < 3:  # too few days to learn from their spread: every row for itself
        return float(values.std() / np.sqrt(len(values)))
    return float(np.sqrt(np.sum(totals**2) * len(totals) / (len(totals) - 1)) / len(values))
