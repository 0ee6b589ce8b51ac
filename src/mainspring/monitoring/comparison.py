"""How far one column has moved from a reference, measured in every way that its kind allows."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mainspring.monitoring.distances import (
    chi_square,
    jensen_shannon,
    kolmogorov_smirnov,
    large_cells,
    p_of_shares,
    population_stability,
    wasserstein,
)
from mainspring.monitoring.layout import CategoryValues, NumberBins
from mainspring.monitoring.sketch import CategoryCounts, NumberCounts

__all__ = [
    "CELLS",
    "CategoryDistance",
    "Drift",
    "NumberDistance",
    "ShareChange",
    "compare_categories",
    "compare_numbers",
    "rows_set_apart",
]

CELLS = 10
"""Into how many cells of about equally many rows of the reference numbers fall, at most."""


class ShareChange(Struct, frozen=True):
    """A share of the rows before and now, None of no rows; p is that of the two being equal, None where nothing varies."""

    before: float | None
    now: float | None
    p: float | None


class NumberDistance(Struct, frozen=True, tag="number"):
    """How far the known values of a number lie apart; all None where one of the two has none.

    The Kolmogorov-Smirnov statistic lies in [ks, ks + ks_error]. `wasserstein` and its error (the truth is at most that far
    away, to either side) are in standard deviations of the rows the layout was laid over; None too where that is 0, where
    there is no finite value, or beyond float64.
    """

    ks: float | None = None
    ks_error: float | None = None
    p: float | None = None
    wasserstein: float | None = None
    wasserstein_error: float | None = None


class CategoryDistance(Struct, frozen=True, tag="category"):
    """How far the known values of a category lie apart; chi-square is None where too few rows can be compared.

    `unlisted` is the share, among known values, of those that the layout does not list: they are new where the reference
    has none of them. `named` tells which ones the reference does not name, with their counts now (`CategoryCounts`).
    """

    chi_square: float | None
    freedom: int | None
    p: float | None
    cramers_v: float | None
    unlisted_before: float | None
    unlisted: float | None
    named: tuple[tuple[str, int], ...]


class Drift(Struct, frozen=True):
    """How far one column has moved.

    `psi` (`population_stability`) and `jensen_shannon` are taken over cells: ten of numbers, of about equally many rows of
    the reference; of a category each value that is frequent enough, and one of all others; and one of missing values. `p`
    is that of the column: the least of its tests times their number; `corrected` is it after correction for the number
    of columns. All are None, and nothing has drifted, where there are no rows.
    """

    name: str
    psi: float | None
    jensen_shannon: float | None
    missing: ShareChange
    values: NumberDistance | CategoryDistance
    p: float | None
    corrected: float | None = None
    drifted: bool = False


def compare_numbers(bins: NumberBins, before: NumberCounts, now: NumberCounts) -> Drift:
    """Return how far a column of numbers has moved, not yet corrected for the number of columns."""
    values = NumberDistance()
    tested = kolmogorov_smirnov(bins.edges, before.counts, now.counts)
    if tested is not None:
        values = NumberDistance(*tested, *_in_deviations(bins, before, now))
    starts = _tenths(before.counts)
    cells = np.stack([np.add.reduceat(each.counts, starts) for each in (before, now)])
    return _drift(bins.name, cells, (before.missing, now.missing), values)


def compare_categories(listed: CategoryValues, before: CategoryCounts, now: CategoryCounts) -> Drift:
    """Return how far a column of names has moved, not yet corrected for the number of columns."""
    counts, rest, floor = _values_apart(before, now)
    cells = large_cells(counts, rest, floor)
    known_before, known = (int(rows) for rows in cells.sum(axis=1))
    named_before = {value for value, _ in before.named}
    tested = chi_square(cells)
    values = CategoryDistance(
        chi_square=tested.statistic if tested else None,
        freedom=tested.freedom if tested else None,
        p=tested.p if tested else None,
        cramers_v=tested.cramers_v if tested else None,
        unlisted_before=before.unlisted / known_before if known_before else None,
        unlisted=now.unlisted / known if known else None,
        named=tuple((value, rows) for value, rows in now.named if value not in named_before),
    )
    return _drift(listed.name, cells, (before.missing, now.missing), values)


def _values_apart(before: CategoryCounts, now: CategoryCounts) -> tuple[NDArray[np.int64], tuple[int, int], float]:
    """Return the counts of every value that is known in both sketches, those of all others, and how many rows set a value apart.

    Which values are listed was often decided by the reference itself. A value that it happens not to have is then unlisted
    in every later sketch, and one at the end of its list is there because it happened to have many: to compare the
    unlisted ones as such would find drift where there is none. So unlisted values are compared one by one, as long as the
    sketches name them all. Where they do not, only values so frequent that they are listed for certain are set apart from
    all others: beyond what one as rare as the last of the list would have in both sketches, plus four deviations.
    """
    if all(sum(rows for _, rows in each.named) == each.unlisted for each in (before, now)):
        names = sorted({value for each in (before, now) for value, _ in each.named})
        counts = [(*each.counts, *(dict(each.named).get(name, 0) for name in names)) for each in (before, now)]
        return np.array(counts, np.int64), (0, 0), 0.0
    counted, unlisted = np.array([before.counts, now.counts], np.int64), (before.unlisted, now.unlisted)
    return counted, unlisted, rows_set_apart(counted, unlisted)


def rows_set_apart(counted: NDArray[np.int64], unlisted: tuple[int, int]) -> float:
    """Return how many rows of both samples a listed value (2, values) has that is listed for certain, see `_values_apart`."""
    last = 0.0
    if unlisted[0] and counted[0].any():
        last = counted[0].min() * float(1 + (counted[1].sum() + unlisted[1]) / (counted[0].sum() + unlisted[0]))
    return last + 4 * math.sqrt(last)


def _drift(
    name: str,
    cells: NDArray[np.int64],
    missing: tuple[int, int],
    values: NumberDistance | CategoryDistance,
) -> Drift:
    cells = np.column_stack((cells, missing))
    cells = cells[:, cells.any(axis=0)]
    rows_before, rows = (int(rows) for rows in cells.sum(axis=1))
    change = ShareChange(
        missing[0] / rows_before if rows_before else None,
        missing[1] / rows if rows else None,
        p_of_shares(missing[0], rows_before, missing[1], rows),
    )
    asked = [p for p in (values.p, change.p) if p is not None]
    p = min(1.0, len(asked) * min(asked)) if asked else None
    return Drift(name, population_stability(*cells), jensen_shannon(*cells), change, values, p)


def _tenths(reference: tuple[int, ...]) -> NDArray[np.int64]:
    """Return where each cell starts: neighbouring bins thrown together to about a tenth of the reference's rows, at most ten.

    A bin that holds more is a cell of its own. Where the reference has no rows all is one cell.
    """
    counts = np.array(reference, np.int64)
    if not counts.any():
        return np.zeros(1, np.int64)
    middle = (np.cumsum(counts) - counts / 2) / counts.sum()
    return np.unique((middle * CELLS).astype(np.int64), return_index=True)[1]


def _in_deviations(bins: NumberBins, before: NumberCounts, now: NumberCounts) -> tuple[float | None, float | None]:
    lows = [low for low in (before.low, now.low) if low is not None]
    highs = [high for high in (before.high, now.high) if high is not None]
    if not bins.std or not lows:
        return None, None
    found = wasserstein(bins.edges, before.counts, now.counts, min(lows), max(highs))
    return (found[0] / bins.std, found[1] / bins.std) if found else (None, None)
