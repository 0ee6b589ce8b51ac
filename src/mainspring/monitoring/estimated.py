"""Quality before labels: what calibrated probabilities let one expect of the labels that have not come yet.

Confidence-based performance estimation (CBPE; Guilherme and Kuberski, in NannyML's documentation): if rows with probability
p come true p of the time, every figure of quality can be expected from the predictions alone. That is an if: an estimate is
made only against a `Calibrated`, which the newest matured labels gave.

Every estimate is the value of its metric on rows that each count p as true and 1 - p as false. So a figure has one meaning
before and after labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mainspring.evaluation.reliability import Z95
from mainspring.monitoring.calibration_check import Calibrated, Unknown, improper
from mainspring.monitoring.estimated_kernels import expected_auc, expected_average_precision, expected_sums
from mainspring.monitoring.realised import Figure

__all__ = ["Estimate", "estimate", "expected_rows"]

Floats = NDArray[np.float64]

_FEWEST = 10.0  # expected labels of a class under which a ratio that divides by them is not near normal
_ROWS_AT_ONCE = 65_536
_CELLS = ("hits", "misses", "false_alarms", "correct_rejections")
_RATES = ("accuracy", "precision", "recall", "specificity", "f1")
_RANKINGS = {"auc": expected_auc, "pr_auc": expected_average_precision}


class Estimate(Struct, frozen=True, tag=True):
    """A figure expected of predictions, with the interval in which the labels will put it, 95% of the time."""

    value: float
    low: float
    high: float


class _Expected(NamedTuple):
    """A figure's expectation, its variance over labels, how far it moves if every p is off by one, and its range."""

    value: float
    variance: float
    slack: float
    least: float = 0.0
    most: float = 1.0


def estimate(
    p: Floats, calibration: Calibrated | Unknown, *, figures: Mapping[str, Figure], threshold: float | None = None
) -> dict[str, Estimate | Unknown]:
    """Return what to expect of each figure, or why that is unknown; never NaN.

    `p` is (n,) of a yes/no label or (n, classes). `figures` are those that are means over rows, payoff among them
    (`figures_of`). A yes/no label adds "auc" and "pr_auc" and, with a threshold, what becomes of acting when p >= threshold:
    the numbers of "hits", "misses", "false_alarms" and "correct_rejections", and "accuracy", "precision", "recall",
    "specificity", "f1". Where `calibration` is unknown, so is everything, for that reason.

    The interval is that of the figure on these very rows once their labels are there: labels are independent Bernoulli
    draws, a ratio is near normal by its slopes (delta method), the variance is multiplied by the dispersion found on matured
    labels, and both ends are moved by what miscalibration within the tolerance could do.
    """
    standing = improper(p) or calibration
    if isinstance(standing, Unknown):
        return dict.fromkeys(_names(figures, threshold, binary=p.ndim == 1), standing)
    if p.ndim == 1:
        p = np.sort(p)  # no figure depends on the order
    found: dict[str, _Expected | Unknown] = {name: _mean(figure, p) for name, figure in figures.items()}
    if p.ndim == 1:
        found |= {name: _ranking(p, kernel, name) for name, kernel in _RANKINGS.items()}
        found["ece"] = Unknown(
            "The calibration error tells how far labels lie from probabilities: it needs the labels."
        )
        if threshold is not None:
            found |= _at_threshold(p, threshold)
    return {name: each if isinstance(each, Unknown) else _interval(each, standing) for name, each in found.items()}


def _names(figures: Mapping[str, Figure], threshold: float | None, *, binary: bool) -> list[str]:
    at_threshold = (*_CELLS, *_RATES) if threshold is not None else ()
    return [*figures, *_RANKINGS, "ece", *at_threshold] if binary else [*figures]


def _interval(found: _Expected, calibration: Calibrated) -> Estimate:
    half = Z95 * math.sqrt(found.variance * calibration.dispersion) + calibration.tolerance * found.slack
    low, high = max(found.value - half, found.least), min(found.value + half, found.most)
    return Estimate(found.value, min(low, found.value), max(high, found.value))  # sums may differ in the last bit


def _mean(figure: Figure, p: Floats) -> _Expected:
    """Expect the mean of what rows add: each adds what it would with each label, by that label's chance.

    Rows go through in parts that stay in the processor's cache: a third of the time.
    """
    sums: list[tuple[float, ...]] = []
    for start in range(0, len(p), _ROWS_AT_ONCE):
        part = p[start : start + _ROWS_AT_ONCE]
        sums.append(expected_sums(*_outcomes(figure, part)))
    value, variance, slack, least, most = (math.fsum(each) / len(p) for each in zip(*sums, strict=True))
    return _Expected(value, variance / len(p), slack, least, most)


def expected_rows(figure: Figure, p: Floats) -> Floats:
    """Return what each row is expected to add to a figure, if its probabilities hold."""
    chances, added = _outcomes(figure, p)
    found: Floats = (chances * added).sum(axis=0)
    return found


def _outcomes(figure: Figure, p: Floats) -> tuple[Floats, Floats]:
    """The chance of each label (labels, n), and what rows add with it."""
    chances = np.array((1.0 - p, p) if p.ndim == 1 else p.T, order="C")
    added = np.empty_like(chances)
    for k, row in enumerate(added):
        row[:] = figure.row(np.full(len(p), float(k)), p)
    return chances, added


def _ranking(p: Floats, kernel: Callable[[Floats], tuple[float, float, float]], name: str) -> _Expected | Unknown:
    came = float(p.sum())
    return _few(came, len(p) - came if name == "auc" else math.inf) or _Expected(*kernel(p))


def _few(came: float, not_came: float = math.inf) -> Unknown | None:
    """Return why a ratio over one class or both is unknown, None where enough labels of it are expected."""
    for expected, label in ((came, "true"), (not_came, "false")):
        if expected < _FEWEST:
            return Unknown(f"Only {expected:.1f} labels are expected to be {label}; {_FEWEST:.0f} are needed.")
    return None


def _at_threshold(p: Floats, threshold: float) -> dict[str, _Expected | Unknown]:
    """Expect the confusion matrix of sorted probabilities and its ratios, which depend on two sums of labels alone.

    Those are the hits, among the rows acted on, and the misses, among the others: each figure is (value, slope in hits,
    slope in misses).
    """
    first = int(np.searchsorted(p, threshold, side="left"))
    idle, acted = float(first), float(len(p) - first)
    misses, hits = float(p[:first].sum()), float(p[first:].sum())
    variance = [float((each * (1.0 - each)).sum()) for each in (p[first:], p[:first])]
    came, not_came = hits + misses, acted + idle - hits - misses
    false_alarms, correct_rejections = acted - hits, idle - misses

    def of(value: float, in_hits: float, in_misses: float, most: float = 1.0) -> _Expected:
        return _Expected(
            value=value,
            variance=in_hits**2 * variance[0] + in_misses**2 * variance[1],
            slack=abs(in_hits) * acted + abs(in_misses) * idle,
            most=most,
        )

    n, both = acted + idle, acted + came
    return {
        "hits": of(hits, 1.0, 0.0, acted),
        "misses": of(misses, 0.0, 1.0, idle),
        "false_alarms": of(false_alarms, -1.0, 0.0, acted),
        "correct_rejections": of(correct_rejections, 0.0, -1.0, idle),
        "accuracy": of((hits + correct_rejections) / n, 1.0 / n, -1.0 / n),
        "precision": of(hits / acted, 1.0 / acted, 0.0) if acted else Unknown("No prediction reaches the threshold."),
        "recall": _few(came) or of(hits / came, misses / came**2, -hits / came**2),
        "specificity": _few(math.inf, not_came)
        or of(correct_rejections / not_came, correct_rejections / not_came**2, -false_alarms / not_came**2),
        "f1": _few(came) or of(2.0 * hits / both, 2.0 * (both - hits) / both**2, -2.0 * hits / both**2),
    }
