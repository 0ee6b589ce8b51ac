"""How far all columns of a layout have moved, from their counts at once: `drift.compare` on spreads, and fast.

A day of 60 features takes a millisecond or two, where reading two sketches and comparing them column by column takes a
hundred. The meaning stays in `comparison`; a test holds the two equal.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import kolmogorov

from mainspring.monitoring.comparison import CELLS, rows_set_apart
from mainspring.monitoring.distances import chi_square, large_cells, p_of_shares, population_stability
from mainspring.monitoring.layout import Layout, NumberBins
from mainspring.monitoring.spread import Spread
from mainspring.remembered import remembered

__all__ = ["Moved", "Places", "cells_of", "counts_of", "moved_columns", "shares_moved", "stability"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_NAMED_CELLS = 20  # values of a category with a cell of their own, where days are compared with each other


class Shares(NamedTuple):
    """Of each column the share of missing rows, and of its known values those unlisted, or beyond the first and last edge."""

    missing: Floats
    new: Floats
    outside: Floats


class Places(NamedTuple):
    """Where the counts of each column begin in a spread: first the missing ones, then bins, or values and all others."""

    names: tuple[str, ...]
    first: Ints  # (columns,)
    last: Ints  # (columns,) one after the last
    number: NDArray[np.bool_]  # (columns,)

    @classmethod
    def of(cls, layout: Layout) -> Places:
        """Return the places of a layout."""
        return _places(layout)

    def rows(self, counts: Ints) -> Ints:
        """Return the rows of each column (…, columns): all have as many, missing ones included."""
        return np.add.reduceat(counts, self.first, axis=-1)

    def known(self, counts: Ints) -> Ints:
        """Return the known values of each column (…, columns)."""
        return self.rows(counts) - counts[..., self.first]

    def shares(self, counts: Ints) -> Shares:
        """Return the shares of some counts (counts,): NaN where a column can have none, or has no known value."""
        known, low, high = self.known(counts), self.first + 1, self.last - 1
        some = np.where(known > 0, known, np.nan)
        return Shares(
            missing=1 - known / np.maximum(self.rows(counts), 1),
            new=np.where(self.number, np.nan, counts[high] / some),
            outside=np.where(self.number & (low < high), (counts[low] + counts[high]) / some, np.nan),
        )

    def most(self, counts: Ints) -> Ints:
        """Return how many values of each column (…, columns) lie in its fullest bin, or are its most frequent value."""
        values = np.array(counts)
        values[..., self.first] = 0
        return np.maximum.reduceat(values, self.first, axis=-1)


@remembered(4)
def _places(layout: Layout) -> Places:
    sizes = [2 + (len(each.edges) if isinstance(each, NumberBins) else len(each.values)) for each in layout.columns]
    last = np.cumsum(np.array(sizes, np.int64))
    number = np.array([isinstance(each, NumberBins) for each in layout.columns], bool)
    return Places(tuple(each.name for each in layout.columns), last - sizes, last, number)


class Moved(NamedTuple):
    """How far columns have moved: PSI and the p-value of each, NaN where nothing can be compared (see `comparison.Drift`)."""

    psi: Floats
    p: Floats


@remembered(8)
def counts_of(spread: Spread) -> Ints:
    """Return the counts of a spread in the order of its layout, read-only."""
    return np.frombuffer(spread.counts, np.int64)


@remembered(8)
def moved_columns(places: Places, before: Ints, now: Ints) -> Moved:
    """Return how far each column lies from a reference; both are counts in the order of the layout.

    Equal to `drift.compare` of the sketches, whose unlisted values are not named, up to the order in which floats are added.
    """
    cells, starts = cells_of(places, before)
    psi = stability(np.add.reduceat(before, cells), np.add.reduceat(now, cells), starts)
    of_values = _kolmogorov_smirnov(places, before, now)
    for k in np.flatnonzero(~places.number):
        psi[k], of_values[k] = _category(*(each[places.first[k] : places.last[k]] for each in (before, now)))
    of_missing = shares_moved(*(part for each in (before, now) for part in (each[places.first], places.rows(each))))
    asked = np.stack([of_values, of_missing])
    tests = np.sum(asked == asked, axis=0)
    p = np.where(tests > 0, np.minimum(1.0, tests * np.fmin(of_values, of_missing)), np.nan)
    return Moved(psi, p)


def shares_moved(
    before: Ints, rows_before: Ints, now: Ints, rows: Ints, *, asked: NDArray[np.bool_] | None = None
) -> Floats:
    """Return the p-value of each of many shares being what it was, see `p_of_shares`; NaN where nothing varies.

    Where it is not `asked` it is 1, and no test is made: a correction for many p-values is then on the safe side.
    """
    # columns of one table go missing together, and an exact test takes longer than all the rest of a column
    test = cache(p_of_shares)
    given = np.stack([before, rows_before, now, rows], axis=1).tolist()
    wanted = [True] * len(given) if asked is None else asked.tolist()
    found = [test(*each) if yes else 1.0 for each, yes in zip(given, wanted, strict=True)]
    return np.array([np.nan if p is None else p for p in found], np.float64)


def cells_of(places: Places, reference: Ints) -> tuple[Ints, Ints]:
    """Return where the cells begin into which counts are thrown together, and which of them is the first of each column.

    The missing values of a column are its first cell. Numbers fall into about ten of equally many rows of the reference
    (`comparison`); of a category each of the first twenty listed values is one, and all others are.
    """
    counts = np.array(reference)
    counts[places.first] = 0
    total = np.add.reduceat(counts, places.first)
    sizes = places.last - places.first
    reached = np.cumsum(counts)
    reached -= np.repeat(reached[places.last - 1] - total, sizes)
    middle = (reached - counts / 2) / np.repeat(np.maximum(total, 1), sizes)
    cell = np.where(np.repeat(total > 0, sizes), (middle * CELLS).astype(np.int64), 0)
    begins = np.append(True, cell[1:] != cell[:-1])
    begins[places.first], begins[places.first + 1] = True, True
    for k in np.flatnonzero(~places.number):
        first, last = int(places.first[k]), int(places.last[k])
        begins[first + 1 : last] = False
        begins[first + 1 : min(first + 2 + _NAMED_CELLS, last)] = True
    cells = np.flatnonzero(begins)
    return cells, np.searchsorted(cells, places.first)


def stability(before: Floats | Ints, now: Floats | Ints, starts: Ints) -> Floats:
    """Return the PSI of each column from the counts of its cells (…, cells), see `population_stability`; NaN without rows.

    `starts` are the first cells of the columns. A cell that is empty in both is none.
    """
    column = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, before.shape[-1])))
    some = (before + now) > 0

    def total(cells: NDArray) -> Floats:
        return np.add.reduceat(cells, starts, axis=-1, dtype=np.float64)

    n, m, cells = total(before), total(now), np.maximum(total(some), 1.0)
    p = (before + 0.5) / (n + 0.5 * cells)[..., column]
    q = (now + 0.5) / (m + 0.5 * cells)[..., column]
    found = total(np.where(some, (q - p) * np.log(q / p), 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        free = found - (cells - 1) * (1 / n + 1 / m)
    return np.where((n > 0) & (m > 0), np.maximum(free, 0.0), np.nan)


def _kolmogorov_smirnov(places: Places, before: Ints, now: Ints) -> Floats:
    """The p-value of the known values of each column, read as numbers; NaN where one of the two has none."""
    reached = []
    for each in (before, now):
        known = np.array(each)
        known[places.first] = 0
        total = np.add.reduceat(known, places.first)
        sizes = places.last - places.first
        sums = np.cumsum(known)
        sums -= np.repeat(sums[places.last - 1] - total, sizes)
        reached.append((sums / np.repeat(np.maximum(total, 1), sizes), total.astype(np.float64)))
    (first, n), (second, m) = reached
    distance = np.maximum.reduceat(np.abs(first - second), places.first)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((n > 0) & (m > 0), kolmogorov(distance * np.sqrt(n * m / (n + m))), np.nan)


def _category(before: Ints, now: Ints) -> tuple[float, float]:
    """The PSI and the p-value of the values of one category, NaN where nothing can be compared."""
    counted, unlisted = np.stack([before[1:-1], now[1:-1]]), (int(before[-1]), int(now[-1]))
    cells = large_cells(counted, unlisted, rows_set_apart(counted, unlisted) if any(unlisted) else 0.0)
    tested = chi_square(cells)
    whole = np.column_stack((cells, (before[0], now[0])))
    psi = population_stability(*whole[:, whole.any(axis=0)])
    return math.nan if psi is None else psi, math.nan if tested is None else tested.p
