"""Whether probabilities hold on labels that have matured: without that, no quality may be estimated before labels.

Two questions share the level: are the probabilities right on the whole, and are they right in each of at most ten bins of
the prediction? The first finds a base rate that moved; the second a model that is too sure, or a relation that turned,
which may leave the whole as it was. The bins hold equal Bernoulli variance, not equal rows, so that a normal approximation
serves a rare label as well. Their p-values are joined by Simes (1986), whose level is exact for independent bins and is
kept where a day lifts or lowers all of them together (Sarkar, 1998). Spiegelhalter's z (1986) was not taken: a base rate
that moved leaves it where it was when predictions lie evenly around 1/2.

A test that knows no tolerance refuses every real model once labels are many. So the hypothesis is that shares differ from
the predictions by at most `tolerance`, and the level is kept up to that edge.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr

from mainspring.evaluation.bootstrap import FEWEST_DAYS
from mainspring.remembered import remembered

__all__ = [
    "Calibrated",
    "CalibrationTest",
    "Miscalibrated",
    "Unknown",
    "calibration_test",
    "check_calibration",
    "improper",
]

Floats = NDArray[np.float64]

_MOST_BINS = 10
_LEAST_VARIANCE = 25.0  # of the labels of a bin under the predictions: 100 rows at 1/2, 500 at 1/20


class Unknown(Struct, frozen=True, tag=True):
    """What cannot be told, and why, in words."""

    reason: str


class Miscalibrated(Unknown, frozen=True, tag=True):
    """That the newest labels contradict the probabilities of a model: what rests on them is unknown for that reason."""

    p_value: float


class Calibrated(Struct, frozen=True, tag=True):
    """Nothing speaks against the probabilities of a model, as far as its newest labels tell.

    `tolerance` is how far shares may be from the predictions all the same. `dispersion` is how many times the variance of a
    day's labels is that of independent ones, at least 1 (the quasi-binomial of McCullagh and Nelder, 1989); 1 where days
    were not given.
    """

    labels: int
    p_value: float
    tolerance: float
    dispersion: float = 1.0


class CalibrationTest(NamedTuple):
    """The p-value of a test of yes/no probabilities, where they are least likely to hold (words), and the dispersion."""

    p_value: float
    worst: str
    dispersion: float


@remembered(4)
def check_calibration(
    p: Floats, y: NDArray, *, days: NDArray | None = None, tolerance: float = 0.01, level: float = 0.05
) -> Calibrated | Unknown:
    """Say that probabilities hold on the labels that matured last, or why that is not so or not known.

    `p` is (n,) with labels `y` 0/1, or (n, classes) with codes; each class is then tested against the rest. `days` (n,) are
    numbers of days: rows of one day may depend on each other in any way. Without it rows are taken as independent, which a
    day's weather makes untrue.

    Guarantee: where shares lie within `tolerance` of the predictions, a check refuses with probability `level` at most, up
    to the normal approximation. That is per check: of many checks of one model, so many refuse by chance.
    """
    unusable = improper(p)
    if unusable is not None:
        return unusable
    classes = [(p, y)] if p.ndim == 1 else [(p[:, k], y == k) for k in range(p.shape[1])]
    tests: list[CalibrationTest] = []
    for chance, came in classes:
        found = calibration_test(chance, np.asarray(came, np.float64), days=days, tolerance=tolerance)
        if isinstance(found, Unknown):
            return found
        tests.append(found)
    worst = min(range(len(tests)), key=lambda k: tests[k].p_value)
    p_value = min(1.0, len(tests) * tests[worst].p_value)
    if p_value <= level:
        whose = "" if p.ndim == 1 else f" of class {worst}"
        told = f"The probabilities{whose} do not hold on the newest {len(y):,} labels: {tests[worst].worst}"
        return Miscalibrated(f"{told} (p = {p_value:.2g}).", p_value)
    return Calibrated(len(y), p_value, tolerance, max(test.dispersion for test in tests))


def improper(p: Floats) -> Unknown | None:
    """Return why predictions (n,) or (n, classes) are no probabilities; None where they are."""
    if len(p) == 0:
        return Unknown("There are no predictions.")
    if not (p.min() >= 0.0 and p.max() <= 1.0):  # NaN is neither
        return Unknown("Some predictions are no probabilities between 0 and 1.")
    if p.ndim == 2 and np.abs(p.sum(axis=1) - 1.0).max() > 1e-6:
        return Unknown("The probabilities of some predictions do not sum to 1.")
    return None


def calibration_test(
    p: Floats, y: Floats, *, days: NDArray | None = None, tolerance: float = 0.0
) -> CalibrationTest | Unknown:
    """Test that labels 0/1 (n,) come true as often as probabilities (n,) say, within `tolerance`; see `check_calibration`.

    Independent rows are held to the variance that the probabilities imply. With days, the sums of days are held to
    Student's t. Unknown where there are too few labels or days.
    """
    information = float((p * (1.0 - p)).sum())
    if information < _LEAST_VARIANCE:
        return Unknown(
            f"Too few labels have matured: these {len(p):,} tell as much as {math.floor(4 * information)} at even odds, and "
            f"{4 * _LEAST_VARIANCE:.0f} are needed."
        )
    order = np.argsort(p, kind="stable")
    p, y = p[order], y[order]
    day, number, dispersion = None, 0, 1.0
    if days is not None:
        known, day = np.unique(days[order], return_inverse=True)
        number = len(known)
        if number < FEWEST_DAYS:
            return Unknown(f"Labels have matured of {number} day(s) only; {FEWEST_DAYS} are needed.")
        dispersion = max(1.0, float(np.square(np.bincount(day, y - p)).sum()) / information)
    bins = [slice(0, len(p)), *_bins_of_equal_variance(p, information)]
    values = np.array(
        [_p_value(p[rows], y[rows], None if day is None else day[rows], number, tolerance) for rows in bins]
    )
    ranks = np.arange(1, len(values))
    in_bins = float((np.sort(values[1:]) * len(ranks) / ranks).min())
    whole = values[0] <= in_bins
    worst = bins[0 if whole else 1 + int(values[1:].argmin())]
    told = (
        f"{'their mean is' if whole else f'of {len(p[worst]):,} from {p[worst][0]:.3g} to {p[worst][-1]:.3g} the mean is'} "
        f"{p[worst].mean():.3g}, and {y[worst].mean():.3g} came true"
    )
    return CalibrationTest(min(1.0, 2.0 * min(float(values[0]), in_bins)), told, dispersion)


def _bins_of_equal_variance(p: Floats, information: float) -> list[slice]:
    """Cut sorted probabilities where their Bernoulli variance reaches equal parts; equal ones share a bin."""
    parts = min(_MOST_BINS, int(information / _LEAST_VARIANCE))
    reached = np.cumsum(p * (1.0 - p))
    at = p[np.searchsorted(reached, information * np.arange(1, parts) / parts)]
    ends = np.unique(np.searchsorted(p, at, side="right"))
    # ties may have left too little to the last bin: it joins the one before
    ends = ends[reached[-1] - reached[ends - 1] >= _LEAST_VARIANCE / 2]
    return [slice(start, end) for start, end in zip([0, *ends], [*ends, len(p)], strict=True)]


def _p_value(p: Floats, y: Floats, day: NDArray | None, number: int, tolerance: float) -> float:
    """Return the two-sided p-value of "the mean of y - p lies within the tolerance", from its two edges."""
    one_sided = []
    for side in (1.0, -1.0):
        edge = np.clip(p + side * tolerance, 0.0, 1.0)
        beyond = side * (y - edge)
        if day is None:
            spread = math.sqrt((edge * (1.0 - edge)).sum())
        else:
            sums = np.bincount(day, beyond, number)
            spread = math.sqrt(np.square(sums - sums.mean()).sum() * number / (number - 1))
        total = float(beyond.sum())
        if spread == 0.0:  # the edge leaves nothing to chance
            one_sided.append(1.0 if total <= 0.0 else 0.0)
        else:
            one_sided.append(float(ndtr(-total / spread) if day is None else stdtr(number - 1, -total / spread)))
    return min(1.0, 2.0 * min(one_sided))
