"""Calibration of one value at a time, without the cost of arrays.

The logarithms and exponentials are NumPy's, since the last bit of Python's own may differ; the rest is the same arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mainspring.model.calibration import _EDGE, SURE, Calibration, Isotonic, Sigmoid

__all__ = ["calibrator_of", "expit_one"]


def calibrator_of(calibration: Calibration) -> Callable[[Any], Any] | None:
    """Return the function from a score, or the tuple of scores of the classes, to what `Calibration.apply` makes of it.

    None where nothing is to be done.
    """
    if calibration.method == "none":
        return None
    if len(calibration.maps) > 1:
        return lambda scores: tuple(calibration.apply(np.array([scores]))[0].tolist())
    only = calibration.maps[0]
    if isinstance(only, Sigmoid):
        return lambda score: expit_one(min(max(only.slope * _logit_one(score) + only.intercept, -SURE), SURE))
    if isinstance(only, Isotonic):
        scores, probabilities = np.array(only.scores), np.array(only.probabilities)
        return lambda score: float(np.interp(score, scores, probabilities))
    return None


def expit_one(value: float) -> float:
    """Return 1 / (1 + exp(-value)) without overflow."""
    small = float(np.exp(-abs(value)))
    return (1.0 if value >= 0 else small) / (1.0 + small)


def _logit_one(probability: float) -> float:
    inside = min(max(probability, _EDGE), 1 - _EDGE)
    return float(np.log(inside)) - float(np.log1p(-inside))
