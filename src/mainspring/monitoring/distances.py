"""How far two counted samples lie apart, and how surely: pure functions of counts.

Every p-value takes rows to be drawn independently. Rows that come in clumps, many of one customer or of one hour, differ more
than these say: that is why a significant difference alone is no drift, see `mainspring.monitoring.drift`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, gammaln, kolmogorov, ndtr

__all__ = [
    "ChiSquare",
    "KolmogorovSmirnov",
    "chi_square",
    "jensen_shannon",
    "kolmogorov_smirnov",
    "large_cells",
    "p_of_shares",
    "population_stability",
    "wasserstein",
]

_LARGEST = np.finfo(np.float64).max
_EXPECTED = 5  # rows of a cell below which its count is too far from a normal one for chi-square (Cochran, 1954)
_MANY = (
    1_000  # rows of every cell from which on a normal distribution stands for the exact one, even far out in its tails
)


class KolmogorovSmirnov(NamedTuple):
    """The largest distance of two distribution functions lies in [statistic, statistic + error]; p is that of statistic."""

    statistic: float
    error: float
    p: float


class ChiSquare(NamedTuple):
    """Pearson's statistic of two samples of names, with Cramer's V, 0 to 1, freed of its bias (Bergsma, 2013)."""

    statistic: float
    freedom: int
    p: float
    cramers_v: float


def population_stability(before: ArrayLike, now: ArrayLike) -> float | None:
    """Return the population stability index (PSI) of two rows of counts, cell by cell; None where one has no rows.

    Without any drift the plain index of n and m rows in b cells is (b - 1)(1/n + 1/m) on average, as large as the usual
    threshold of 0.2 for a hundred rows. That much is taken off, and what falls below 0 is 0. Half a row is added to every
    cell, so that an empty one does not make the index infinite.
    """
    p, q = np.asarray(before, np.float64), np.asarray(now, np.float64)
    n, m = p.sum(), q.sum()
    if not n or not m:
        return None
    p, q = (p + 0.5) / (n + 0.5 * len(p)), (q + 0.5) / (m + 0.5 * len(q))
    return max(0.0, float(((q - p) * np.log(q / p)).sum() - (len(p) - 1) * (1 / n + 1 / m)))


def jensen_shannon(before: ArrayLike, now: ArrayLike) -> float | None:
    """Return the Jensen-Shannon distance (base 2, 0 to 1) of two rows of counts; None where one has no rows.

    It is not freed of its bias: without any drift its square is about (b - 1)(1/n + 1/m) / 5.5 on average.
    """
    p, q = np.asarray(before, np.float64), np.asarray(now, np.float64)
    if not p.sum() or not q.sum():
        return None
    p, q = p / p.sum(), q / q.sum()
    return math.sqrt(max(0.0, _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2))


def kolmogorov_smirnov(edges: ArrayLike, before: ArrayLike, now: ArrayLike) -> KolmogorovSmirnov | None:
    """Compare two samples that were counted in the bins between edges; None where one has no rows.

    The distance is taken at the edges. Inside a bin it can be larger by no more than the lesser share of the two samples in
    it, and not at all where the bin holds a single float: `error` is the most it can be. The p-value is that of the
    limiting distribution for the statistic at the edges: with ties, bins or few rows it errs to the safe side.
    """
    first, second = np.asarray(before, np.float64), np.asarray(now, np.float64)
    n, m = first.sum(), second.sum()
    if not n or not m:
        return None
    p, q = first / n, second / m
    distance = np.concatenate(([0.0], np.cumsum(first) / n - np.cumsum(second) / m))
    statistic = float(np.abs(distance).max())
    inside = np.maximum(distance[:-1] + p, q - distance[:-1])  # one function at its end of the bin, one at its start
    ends = np.asarray(edges, np.float64)
    with np.errstate(over="ignore"):
        single = np.nextafter(np.append(-np.inf, ends), np.inf) >= np.append(ends, _LARGEST)
    largest = float(inside[~single].max(initial=statistic))
    return KolmogorovSmirnov(
        statistic, max(0.0, largest - statistic), float(kolmogorov(statistic * math.sqrt(n * m / (n + m))))
    )


def wasserstein(
    edges: ArrayLike, before: ArrayLike, now: ArrayLike, low: float, high: float
) -> tuple[float, float] | None:
    """Return the Wasserstein-1 distance of two samples counted in the bins between edges, in their unit, and its error.

    Low and high are the least and the greatest finite value of both; an infinity counts as if it lay there. Values are taken
    to be spread evenly within a bin, so that the truth is at most the error away: half the width of each bin times the
    shares of both samples in it, summed. None where one sample has no rows, or the distance lies beyond float64.
    """
    first, second = np.asarray(before, np.float64), np.asarray(now, np.float64)
    n, m = first.sum(), second.sum()
    if not n or not m:
        return None
    p, q = first / n, second / m
    with np.errstate(over="ignore", invalid="ignore"):
        widths = np.diff(np.concatenate(([low], np.asarray(edges, np.float64).clip(low, high), [high])))
        distance = np.concatenate(([0.0], np.cumsum(first) / n - np.cumsum(second) / m))
        left, right = np.abs(distance[:-1]), np.abs(distance[1:])
        crossing = distance[:-1] * distance[1:] < 0
        mean = np.where(crossing, (left**2 + right**2) / np.where(crossing, left + right, 1), left + right) / 2
        found, error = float((widths * mean).sum()), float((widths * (p + q)).sum() / 2)
    return (found, error) if math.isfinite(found) and math.isfinite(error) else None


def large_cells(counts: NDArray[np.int64], rest: tuple[int, int], floor: float = 0.0) -> NDArray[np.int64]:
    """Return counts (2, cells) of two samples with small cells thrown together, and with the rest, in the last one.

    Small is one in which fewer than five rows of a sample would be expected, or that has fewer than `floor` rows of both.
    That depends on the sums of both samples alone: who chooses cells by one of them finds differences where there are none.
    """
    rows = counts.sum(axis=1) + rest
    total = counts.sum(axis=0)
    least = _EXPECTED * rows.sum() / max(int(rows.min()), 1)
    counts = counts[:, np.argsort(-total, kind="stable")]
    kept = int((total >= max(floor, least)).sum())
    if kept and total.sum() - counts[:, :kept].sum() + sum(rest) < least:
        kept -= 1  # what was thrown together is still too little, or nothing: the rarest of the others joins it
    return np.column_stack((counts[:, :kept], counts[:, kept:].sum(axis=1) + rest))


def chi_square(cells: NDArray[np.int64]) -> ChiSquare | None:
    """Compare counts (2, cells) of two samples; None where one has no rows, or there is but one cell.

    Cells must be large (`large_cells`), and none of them empty in both.
    """
    rows = int(cells.sum())
    if cells.shape[1] < 2 or not cells.sum(axis=1).all():
        return None
    expected = np.outer(cells.sum(axis=1), cells.sum(axis=0)) / rows
    statistic = float(((cells - expected) ** 2 / expected).sum())
    freedom = cells.shape[1] - 1
    square = max(0.0, statistic / rows - freedom / (rows - 1)) / (1 - 1 / (rows - 1))
    return ChiSquare(statistic, freedom, float(chdtrc(freedom, statistic)), min(1.0, math.sqrt(square)))


def p_of_shares(before: int, rows_before: int, now: int, rows: int) -> float | None:
    """Return the two-sided p-value of two shares being equal, before of rows_before and now of rows; None if nothing varies.

    Twice the smaller tail of Fisher's exact test, and with a thousand rows expected in every cell that of the normal
    distribution, corrected for continuity. A test by normal distribution alone raises false alarms for rare events.
    """
    total, given = before + now, rows_before + rows
    if not rows_before or not rows or total in (0, given):
        return None
    if 2 * total > given:  # the rarer of the two answers decides; the shares of the other differ by as much
        total, now = given - total, rows - now
    if 2 * rows > given:
        now, rows = total - now, given - rows
    mean = total * (rows / given)
    deviation = math.sqrt(mean * (1 - rows / given) * (given - total) / (given - 1))
    if mean >= _MANY:
        return min(1.0, 2 * float(ndtr(-max(0.0, abs(now - mean) - 0.5) / deviation)))
    reach = int(40 * deviation + 100)  # beyond it nothing has a probability that a float can hold
    possible = np.arange(max(0, int(mean) - reach), min(total, rows, int(mean) + reach) + 1)
    least = int(possible[0])
    first = _log_ways(total, least) + _log_ways(given - total, rows - least) - _log_ways(given, rows)
    left = possible[:-1]  # each probability from the one before: a logarithm instead of four of the gamma function
    steps = np.log((total - left) * (rows - left) / ((left + 1.0) * (given - total - rows + left + 1.0)))
    shares = np.exp(first + np.append(0.0, np.cumsum(steps)))
    tails = shares[possible <= now].sum(), shares[possible >= now].sum()
    return min(1.0, 2 * float(min(tails)))


def _log_ways(of: int, chosen: int) -> float:
    return float(gammaln(of + 1.0) - gammaln(chosen + 1.0) - gammaln(of - chosen + 1.0))


def _entropy(shares: NDArray[np.float64]) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log2(some)).sum())
