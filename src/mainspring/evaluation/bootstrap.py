"""Intervals from a block bootstrap: whole days are drawn with replacement, because the rows of a day share its weather.

A day drawn twice counts twice; no row is copied (see `reweighting`). All metrics of a part, and of its slices, see the same
resamples, so that figures can be compared resample by resample. Percentile intervals (Efron and Tibshirani, 1993, ch. 13);
blocks as in Künsch (1989).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mainspring.evaluation.metric import Metric, mean_under
from mainspring.evaluation.results import Interval
from mainspring.evaluation.reweighting import Floats

__all__ = ["FEWEST_DAYS", "Resamples", "interval_of", "intervals", "paired_difference", "resample"]

FEWEST_DAYS = 10  # with fewer, resampling days says little: rows are resampled instead


@dataclass(frozen=True, eq=False)
class Resamples:
    """Which blocks each resample drew: the block of every row, and how often each resample counts each block."""

    block: NDArray[np.int32]  # (rows,)
    counts: NDArray[np.uint16]  # (blocks, replicates)
    unit: str  # "day" or "row"
    note: str | None  # what the reader of an interval must know about it

    def of(self, rows: NDArray) -> Resamples:
        """Return the same resamples restricted to some rows (a mask or indices)."""
        return Resamples(self.block[rows], self.counts, self.unit, self.note)


def resample(days: NDArray, replicates: int = 300, seed: int = 0) -> Resamples:
    """Draw days with replacement, `replicates` times; equal arguments give equal bits.

    `days` (n,) is any integer that numbers the day of a row. With fewer than 10 different days rows are drawn instead, and
    `note` says so.
    """
    known, block = np.unique(np.asarray(days), return_inverse=True)
    unit, note, blocks = "day", None, len(known)
    if blocks < FEWEST_DAYS:
        unit, blocks, block = "row", len(block), np.arange(len(block))
        note = (
            f"Intervals come from resampling rows, not days: the part has {len(known)} day(s), and {FEWEST_DAYS} are needed. "
            "Rows of one day are alike, so these intervals are too narrow."
        )
    draw = _draw_days if unit == "day" else _draw
    return Resamples(block.astype(np.int32), draw(blocks, replicates, seed), unit, note)


def _draw(blocks: int, replicates: int, seed: int) -> NDArray[np.uint16]:
    """How often each of so many resamples draws each block, read-only."""
    random = np.random.default_rng(seed)
    counts = np.zeros((blocks, replicates), np.uint16)
    for r in range(replicates if blocks else 0):
        counts[:, r] = np.bincount(random.integers(0, blocks, blocks), minlength=blocks)
    counts.flags.writeable = False
    return counts


_draw_days = lru_cache(16)(_draw)  # a year of days is 200 kB; whoever looks each day draws the same again


def interval_of(value: float, replicates: Floats, level: float = 0.95) -> Interval | None:
    """Return the percentile interval around `value`, None when it or every replicate is undefined (NaN).

    Undefined replicates are dropped. The interval always holds the value.
    """
    defined = replicates[np.isfinite(replicates)]
    if not np.isfinite(value) or len(defined) == 0:
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(min(low, value)), float(max(high, value)))


def intervals(
    metrics: Sequence[Metric],
    y: NDArray,
    p: Floats,
    days: NDArray | Resamples,
    payoff: Floats | None = None,
    *,
    weight: Floats | None = None,
    replicates: int = 300,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Return each metric with its interval, and "payoff", the mean of `payoff` (n,), when it is given.

    `days` is the day of each row, or resamples already drawn. A metric that is undefined on these rows (AUC of one class)
    is absent; resamples on which it is undefined are dropped. A sum of absolute gaps (ECE) grows with any noise, so its
    resamples are moved back by their mean excess over the value before the interval is read off.
    """
    drawn = days if isinstance(days, Resamples) else resample(days, replicates, seed)
    found: dict[str, Interval] = {}
    for metric in metrics:
        value = metric.value_or_nan(y, p, weight)
        if np.isfinite(value):
            replicated = metric.reweighted(y, p, weight, drawn.block, drawn.counts)
            if metric.of_gaps:
                replicated = np.maximum(_centred(value, replicated), 0.0)
            interval = interval_of(value, replicated, level)
            if interval is not None:
                found[metric.name] = interval
    if payoff is not None and len(payoff):
        mean = mean_under(payoff, weight, np.zeros(len(payoff), np.int32), np.ones((1, 1), np.uint16))
        interval = interval_of(float(mean[0]), mean_under(payoff, weight, drawn.block, drawn.counts), level)
        if interval is not None:
            found["payoff"] = interval
    return found


def paired_difference(
    metrics: Sequence[Metric],
    y: NDArray,
    first: Floats,
    second: Floats,
    days: NDArray | Resamples,
    payoff: tuple[Floats, Floats] | None = None,
    *,
    weight: Floats | None = None,
    replicates: int = 300,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Return metric(first) - metric(second) on the same rows and the same resamples, with intervals.

    What both predictions share (a hard day) cancels, so that these are far narrower than the two intervals side by side.
    `payoff` holds the two per-row payoffs. Undefined metrics are absent, as in `intervals`.
    """
    drawn = days if isinstance(days, Resamples) else resample(days, replicates, seed)
    found: dict[str, Interval] = {}
    for metric in metrics:
        value = metric.value_or_nan(y, first, weight) - metric.value_or_nan(y, second, weight)
        if np.isfinite(value):
            of_first = metric.reweighted(y, first, weight, drawn.block, drawn.counts)
            difference = of_first - metric.reweighted(y, second, weight, drawn.block, drawn.counts)
            interval = interval_of(value, _centred(value, difference) if metric.of_gaps else difference, level)
            if interval is not None:
                found[metric.name] = interval
    if payoff is not None and len(payoff[0]):
        difference = mean_under(payoff[0] - payoff[1], weight, drawn.block, drawn.counts)
        interval = interval_of(float(np.average(payoff[0] - payoff[1], weights=weight)), difference, level)
        if interval is not None:
            found["payoff"] = interval
    return found


def _centred(value: float, replicates: Floats) -> Floats:
    defined = replicates[np.isfinite(replicates)]
    return replicates - (defined.mean() - value) if len(defined) else replicates
