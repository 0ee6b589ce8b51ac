"""What a comparison will need, before it is begun: labels, days, and how often it decides rightly and wrongly.

Many rollouts are simulated with the test that will judge the real one. Labels between two looks are not drawn one by one: what
the test keeps are sums, and those grow by normal numbers with the mean and covariance that the history gives. That is right
where tens of labels mature between two looks, and 2,000 rollouts of a week take a second.
"""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mainspring.adaptation.comparison import Bounds, improvement_bounds
from mainspring.adaptation.sequential import MeanTest, bettors, log_mixture
from mainspring.clock import DAY, HOUR

__all__ = ["Forecast", "forecast", "matured_by"]

Floats = NDArray[np.float64]
_NEGLIGIBLE = 1e-6  # of the variance of one sum


class Forecast(Struct, frozen=True, kw_only=True):
    """How a comparison will go for a candidate of the given effect. Quantiles are over all simulated rollouts; None: not
    reached within the span and the labels' delay.
    """

    effect: float
    power: float  # the share that are found better
    worse: float  # the share that are found worse
    false_promotion: float  # the share found better of candidates whose improvement is exactly -margin
    labels: int  # that will have matured at the end, on average
    labels_median: int | None  # when the verdict falls
    labels_90: int | None
    days_median: float | None  # from the first decision
    days_90: float | None


def matured_by(
    at: NDArray[np.int64],
    *,
    per_day: float,
    span: int,
    delays: NDArray[np.int64],
    complete: float = 0.0,
    width: int = DAY,
) -> Floats:
    """Return how many labels will count at each instant `at` (microseconds from the first decision), on average.

    Decisions come evenly, `per_day`, for `span` microseconds; their labels take one of `delays` (microseconds, as
    observed). `complete` and `width` are those of CohortTests.
    """
    begins = np.arange(0, span, width) if complete else np.zeros(1)
    ends = np.minimum(begins + width, span) if complete else np.full(1, float(span))
    counted = np.zeros(len(at))
    for begin, end in zip(begins, ends, strict=True):
        share = np.clip((at[:, None] - delays - begin) / (end - begin), 0.0, 1.0).mean(axis=1)
        closed = (share >= complete) & (at >= begin + width) if complete else np.ones(len(at), bool)
        counted += np.where(closed, share * per_day * (end - begin) / DAY, 0.0)
    return counted


def forecast(
    history: Floats,
    *,
    effect: float,
    alpha: float,
    per_day: float,
    span: int,
    delays: NDArray[np.int64],
    bounds: Bounds = (None, None),
    share: float | None = None,
    margin: float = 0.0,
    every: int = HOUR,
    complete: float = 0.0,
    width: int = DAY,
    rollouts: int = 2000,
    seed: int = 0,
) -> Forecast:
    """Return how a comparison of a candidate that is better by `effect` will go. Equal arguments give equal bits.

    `history`: of a paired comparison (`share` None) the improvements of a past candidate, decision by decision, moved so that
    their mean is the effect; of a split one the champion's figures, negated where greater is better. `bounds`, `share`,
    `margin`, `complete` and `width` are as for `Trial.begin`, effect and margin in the unit of the figure's rows. `per_day`
    are the decisions that both predict, or of both arms together; `every` the microseconds between looks.

    Raises ValueError for a history without spread.
    """
    numbers, weights = _improvements(np.asarray(history, np.float64), share)
    if not np.ptp(numbers):
        raise ValueError("the history has no spread: there is nothing to plan with")
    low, high = improvement_bounds(bounds, share)
    test = MeanTest(at=-margin, low=low, high=high)
    looks = np.arange(every, span + int(delays.max(initial=0)) + width + every, every)
    counts = matured_by(looks, per_day=per_day, span=span, delays=delays, complete=complete, width=width)
    news = np.diff(counts, prepend=0.0) > 0.0  # a look at what is known already decides nothing
    looks, counts = looks[news], counts[news]
    random = np.random.default_rng(seed)
    centred = numbers - weights @ numbers
    up, down = _evidence(test, centred + effect, weights, counts, rollouts, random)
    false, _ = _evidence(test, centred - margin, weights, counts, rollouts, random)
    needed = -math.log(alpha)
    at_better, at_worse = _first(up >= needed), _first(down >= needed)
    decided = np.minimum(at_better, at_worse)
    found = [_quantile(decided, q, len(looks)) for q in (0.5, 0.9)]
    days = [None if k is None else float(looks[k] / DAY) for k in found]
    labels = [None if k is None else round(float(counts[k])) for k in found]
    return Forecast(
        effect=effect,
        power=float((at_better < np.minimum(at_worse, len(looks))).mean()),
        worse=float((at_worse < np.minimum(at_better, len(looks))).mean()),
        false_promotion=float((_first(false >= needed) < len(looks)).mean()),
        labels=round(float(counts.max(initial=0.0))),
        labels_median=labels[0],
        labels_90=labels[1],
        days_median=days[0],
        days_90=days[1],
    )


def _improvements(history: Floats, share: float | None) -> tuple[Floats, Floats]:
    """The improvements that decisions may show, and how often each comes."""
    n = len(history)
    if share is None:
        return history, np.full(n, 1.0 / max(n, 1))
    above = history - history.mean()
    numbers = np.concatenate([-above / share, above / (1.0 - share)])
    return numbers, np.repeat([share / n, (1.0 - share) / n], n)


def _evidence(
    test: MeanTest, numbers: Floats, weights: Floats, counts: Floats, rollouts: int, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """The log evidence for above and below (rollouts, looks)."""
    rows = test.rows(np.clip(numbers, test.low, test.high))
    mean = weights @ rows
    scale = np.sqrt(weights @ np.square(rows - mean))
    scaled = (rows - mean) / np.where(scale > 0.0, scale, 1.0)
    values, vectors = np.linalg.eigh(scaled.T @ (scaled * weights[:, None]))
    kept = values > _NEGLIGIBLE  # the sums of timid bettors are nearly multiples of each other
    spread = vectors[:, kept] * np.sqrt(values[kept]) * scale[:, None]
    came = np.diff(counts, prepend=0.0)[:, None]
    noise = random.standard_normal((rollouts, len(counts), int(kept.sum())))
    sums = np.cumsum(came * mean + np.sqrt(came) * (noise @ spread.T), axis=1)
    at = np.broadcast_to(counts, sums.shape[:-1])
    up, down = (log_mixture(bettors(test, at, sums, side)[0]) for side in (+1, -1))
    return up, down


def _first(decides: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The first look at which each rollout decides, the number of looks where none does."""
    return np.where(decides.any(axis=1), decides.argmax(axis=1), decides.shape[1])


def _quantile(first: NDArray[np.intp], q: float, looks: int) -> int | None:
    found = int(np.sort(first)[math.ceil(q * len(first)) - 1])
    return found if found < looks else None
