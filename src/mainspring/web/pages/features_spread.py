"""How one feature is spread: over the rows that the champion learned from, and over the last seven days."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mainspring.clock import DAY
from mainspring.loop.state import LoopState
from mainspring.monitoring.column_counts import Ints, Places, counts_of
from mainspring.monitoring.layout import CategoryValues, NumberBins
from mainspring.monitoring.spread import Spread, added

__all__ = ["Bars", "Bin", "TwoSpreads", "spreads_of"]

_BINS, _VALUES = 32, 15
_TAIL = 0.005  # of the rows on either side: what lies there is thrown into the outermost bins
_OVER = 7  # days


class Bin(NamedTuple):
    """A span of numbers with the shares of the known values that lie in it, before and lately."""

    low: float
    high: float
    before: float
    lately: float


class Bars(NamedTuple):
    """A value of a category with its shares of all rows, before and lately."""

    value: str
    before: float
    lately: float


class TwoSpreads(NamedTuple):
    """A feature before and lately: bins of a number, or bars of a category; with how many rows, and how many are missing."""

    bins: Sequence[Bin]
    bars: Sequence[Bars]
    rows_before: int
    rows_lately: int
    missing_before: float
    missing_lately: float


def spreads_of(state: LoopState, feature: str) -> TwoSpreads | str:
    """Return the two spreads of a feature; or why there are none."""
    reference, layout = state.leading.reference, state.layout
    if reference is None or layout is None:
        return "The champion brought no sketch of the rows that it learned from."
    first = (state.now - 1) // DAY - _OVER
    days = [each for number, each in state.days.items() if number > first and each.rows]
    names = [column.name for column in layout.columns]
    if feature not in names:
        return f"The champion has no feature {feature}."
    if not days:
        return "No decision of the last seven days is counted yet."
    lately, place = added(days), names.index(feature)
    before, now = (_of_column(each, Places.of(layout), place) for each in (reference, lately))
    column = layout.columns[place]
    rows, rows_now = max(int(before.sum()), 1), max(int(now.sum()), 1)
    return TwoSpreads(
        bins=_binned(column, before, now, _ends(reference, lately, layout.columns, place))
        if isinstance(column, NumberBins)
        else (),
        bars=_valued(column, before, now) if isinstance(column, CategoryValues) else (),
        rows_before=int(before.sum()),
        rows_lately=int(now.sum()),
        missing_before=float(before[0] / rows),
        missing_lately=float(now[0] / rows_now),
    )


def _of_column(spread: Spread, places: Places, place: int) -> Ints:
    return counts_of(spread)[places.first[place] : places.last[place]]


def _ends(
    reference: Spread, lately: Spread, columns: Sequence[NumberBins | CategoryValues], place: int
) -> tuple[float, float]:
    """The least and the largest value of a number in either spread; NaN where it has none."""
    number = sum(isinstance(each, NumberBins) for each in columns[:place])
    both = np.array([np.frombuffer(each.ends, np.float64)[2 * number : 2 * number + 2] for each in (reference, lately)])
    return float(np.fmin.reduce(both[:, 0])), float(np.fmax.reduce(both[:, 1]))


def _binned(column: NumberBins, before: Ints, now: Ints, ends: tuple[float, float]) -> list[Bin]:
    """Equally wide bins from those of the sketch, each of which is taken as spread evenly over its width."""
    low, high = ends
    if not column.edges or not np.isfinite([low, high]).all() or low > high:
        return []
    # where each bin of the sketch ends; the first begins just below the least value
    edges = np.clip(np.array([*column.edges, high]), low, high)
    at = np.concatenate([[np.nextafter(low, -np.inf)], edges])
    reached = [np.concatenate([[0.0], np.cumsum(each[1:]) / max(int(each[1:].sum()), 1)]) for each in (before, now)]
    grid = _grid(at, reached)
    shares = [np.diff(np.interp(grid, at, each, left=0.0, right=1.0)) for each in reached]
    return [
        Bin(float(grid[k]), float(grid[k + 1]), float(shares[0][k]), float(shares[1][k])) for k in range(len(grid) - 1)
    ]


def _grid(at: NDArray[np.float64], reached: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The ends of bins: all but the tails of both spreads lie between the second and the last but one."""
    last = len(at) - 1
    low = min(float(at[int(np.searchsorted(each, _TAIL))]) for each in reached if each[-1] > 0)
    high = max(float(at[min(int(np.searchsorted(each, 1 - _TAIL)), last)]) for each in reached if each[-1] > 0)
    if low >= high:
        return np.array([at[0], max(at[-1], np.nextafter(at[0], np.inf))])
    grid = np.unique(np.linspace(low, high, _BINS + 1))  # between neighbours among floats there is no room for so many
    grid[0], grid[-1] = min(grid[0], at[0]), max(grid[-1], at[-1])
    return grid


def _valued(column: CategoryValues, before: Ints, now: Ints) -> list[Bars]:
    """The values that are most frequent in either spread; all others together, new ones and missing ones apart."""
    rows, rows_now = max(int(before.sum()), 1), max(int(now.sum()), 1)
    shares = np.stack([before / rows, now / rows_now])
    listed = shares[:, 1:-1]
    shown = np.sort(np.argsort(-listed.max(axis=0), kind="stable")[:_VALUES])
    bars = [Bars(column.values[k], float(listed[0, k]), float(listed[1, k])) for k in shown]
    others = np.maximum(listed.sum(axis=1) - listed[:, shown].sum(axis=1), 0.0)
    rest = [("(other values)", *others), ("(new values)", *shares[:, -1]), ("(missing)", *shares[:, 0])]
    return bars + [Bars(name, float(b), float(n)) for name, b, n in rest if max(b, n) > 0.0]
