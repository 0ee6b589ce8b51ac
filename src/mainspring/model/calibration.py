"""Calibration: monotone maps from the score a model gives to the probability that is meant. Fitting them is training's part."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from mainspring.model.conformal import Conformal

__all__ = ["SURE", "Calibration", "CalibrationMap", "Identity", "Isotonic", "Sigmoid", "logit"]

SURE = 36.0
"""The largest logit that a map makes: with a greater one the probability would be 1 in float64, and a mistake cost infinity."""

_EDGE = 1e-12  # probabilities are kept this far from 0 and 1 before their logit is taken


class Identity(Struct, frozen=True, tag="none"):
    """The score is the probability."""

    def apply(self, score: np.ndarray) -> np.ndarray:
        return score


class Sigmoid(Struct, frozen=True, tag="platt"):
    """1 / (1 + exp(-(slope * logit(score) + intercept))): Platt 1999, on the logit of the score."""

    slope: float
    intercept: float

    def apply(self, score: np.ndarray) -> np.ndarray:
        return expit(np.clip(self.slope * logit(score) + self.intercept, -SURE, SURE))


class Isotonic(Struct, frozen=True, tag="isotonic"):
    """Straight lines between knots with rising scores and non-falling probabilities; level outside them."""

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    def apply(self, score: np.ndarray) -> np.ndarray:
        return np.interp(score, self.scores, self.probabilities)


CalibrationMap = Identity | Sigmoid | Isotonic


class Calibration(Struct, frozen=True):
    """How scores become probabilities: one map for a yes/no label, one per class (one against the rest) for several.

    A numeric label has no map; `interval` says how far numbers lie from their predictions, None where that is not known.
    """

    method: str = "none"  # "none", "platt", "isotonic"
    maps: tuple[CalibrationMap, ...] = ()
    interval: Conformal | None = None

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """Return the probabilities of scores (rows,) or (rows, classes); the latter sum to 1 in every row.

        A row in which every class was mapped to 0 falls back to its scores.
        """
        if self.method == "none":
            return scores
        if scores.ndim == 1:
            return self.maps[0].apply(scores)
        mapped = np.column_stack([self.maps[k].apply(scores[:, k]) for k in range(scores.shape[1])])
        total = mapped.sum(axis=1, keepdims=True)
        return np.where(total > 0, mapped / np.where(total > 0, total, 1.0), scores)


def logit(probability: np.ndarray) -> np.ndarray:
    """Return log(p / (1 - p)), finite also at 0 and 1."""
    inside = np.clip(probability, _EDGE, 1 - _EDGE)
    return np.log(inside) - np.log1p(-inside)


def expit(value: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-value)) without overflow."""
    small = np.exp(-np.abs(value))
    return np.where(value >= 0, 1.0, small) / (1.0 + small)
