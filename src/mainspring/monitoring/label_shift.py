"""Label shift: how frequent each label must have become for a model to predict what it now predicts.

P(features | label) is taken to be what it was; then predictions given the label are too, and their mean is a mixture of
known means in unknown shares.
"""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chdtrc, expit

from mainspring.model.calibration import logit
from mainspring.monitoring.calibration_check import Unknown, improper

__all__ = ["LabelShares", "label_shares", "with_share"]

Floats = NDArray[np.float64]

_FEWEST = 10  # reference rows of each class
_STEADY = 5.0  # standard errors that the weakest direction of the confusion matrix must lie from nothing
_ROUNDING = 1e-9  # the means of equal numbers differ in the last bit, with no spread to hold them to
_ODDS = 60.0  # no odds between two probabilities are farther apart


class LabelShares(Struct, frozen=True, kw_only=True):
    """The share of each class as predictions tell it, if only label shares moved, with its standard error.

    `p_value` is that of "predictions are on average what they were": small when the shares moved from those `before`.
    """

    shares: tuple[float, ...]
    errors: tuple[float, ...]
    before: tuple[float, ...]
    p_value: float


def label_shares(reference: Floats, labels: NDArray, current: Floats) -> LabelShares | Unknown:
    """Estimate the label shares of current rows from their predictions alone, given how reference rows were predicted.

    Black-box shift estimation (Lipton, Wang and Smola, 2018). `reference` and `current` are probabilities (n,) or
    (n, classes), or hard predictions as 0 and 1 in the same shape; `labels` are 0/1 or codes. The confusion matrix holds the
    mean prediction per class, which for hard predictions is the usual one. Rows count as independent. Shares below 0 become
    0; the errors are by the delta method, those of the confusion matrix included.

    Unknown where the reference has fewer than 10 rows of a class, or the confusion matrix is so near singular that its
    inverse would be noise: its least singular value lies within 5 standard errors of 0.
    """
    unusable = improper(reference) or improper(current)
    if unusable is not None:
        return unusable
    told, asked = (np.column_stack([1.0 - p, p]) if p.ndim == 1 else p for p in (reference, current))
    classes, codes = told.shape[1], np.asarray(labels).astype(np.intp)
    rows = np.bincount(codes, minlength=classes)
    if rows.min() < _FEWEST:
        return Unknown(
            f"The reference has {rows.min()} rows of a class; {_FEWEST} are needed to see how it is predicted."
        )
    each = [told[codes == k] for k in range(classes)]
    confusion = np.column_stack([of_class.mean(axis=0) for of_class in each])
    spreads = [_covariance(of_class) for of_class in each]
    left, strengths, right = np.linalg.svd(confusion)
    weakest = math.sqrt(sum(right[-1, k] ** 2 * (left[:, -1] @ spreads[k] @ left[:, -1]) for k in range(classes)))
    if strengths[-1] <= max(_STEADY * weakest, _ROUNDING):
        return Unknown("The predictions tell some classes apart so badly that label shares cannot be read from them.")
    inverse, mean, spread = np.linalg.inv(confusion), asked.mean(axis=0), _covariance(asked)
    shares = inverse @ mean
    error = inverse @ (spread + sum(shares[k] ** 2 * spreads[k] for k in range(classes))) @ inverse.T
    kept = np.maximum(shares, 0.0)
    moved, chance = (mean - told.mean(axis=0))[:-1], (spread + _covariance(told))[:-1, :-1]
    distance = float(moved @ np.linalg.pinv(chance, hermitian=True) @ moved)
    return LabelShares(
        shares=tuple((kept / kept.sum()).tolist()),
        errors=tuple(np.sqrt(np.diag(error)).tolist()),
        before=tuple((rows / rows.sum()).tolist()),
        p_value=float(chdtrc(classes - 1, distance)),
    )


def _covariance(votes: Floats) -> Floats:
    """Return the covariance of the mean of rows (n, classes)."""
    off = votes - votes.mean(axis=0)
    return off.T @ off / (len(votes) * max(len(votes) - 1, 1))


def with_share(p: Floats, share: float) -> Floats:
    """Return probabilities of yes (n,) whose odds are all multiplied alike, such that their mean is `share`, in (0, 1).

    What label shift makes of probabilities that were right (Elkan, 2001).
    """
    odds = logit(p)

    def excess(shift: float) -> float:
        return float(expit(odds + shift).mean()) - share

    return expit(odds + brentq(excess, -_ODDS, _ODDS))
