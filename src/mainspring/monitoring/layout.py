"""Where a sketch counts: the edges of the bins of each number, the values of each category.

Sketches of one layout can be merged and compared. A layout is laid once, over the rows a model was fitted on, or is that of
the sketches a bundle carries.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from mainspring.cores import available_cores
from mainspring.model.schema import CATEGORIES
from mainspring.model.sketch import CategorySketch, NumberSketch

__all__ = ["CategoryValues", "Layout", "NumberBins", "numbers_of", "side_by_side"]

_BINS = 256
_SAMPLE = 65_536  # rows the edges are taken from: a bin of 1/256 then holds 1/256 of all rows give or take 6%
_LISTED = 1_000
_FEW_VALUES = 200_000
_LARGEST = np.finfo(np.float64).max

T = TypeVar("T")


class NumberBins(Struct, frozen=True, tag="number"):
    """The bins of a number: bin k holds edges[k-1] < value <= edges[k]; the first and the last are open.

    `std` is the standard deviation of the finite values the edges were taken from; None without any, or beyond float64.
    """

    name: str
    edges: tuple[float, ...]
    std: float | None


class CategoryValues(Struct, frozen=True, tag="category"):
    """The values of a category that are counted one by one, the most frequent first (ties: by name)."""

    name: str
    values: tuple[str, ...]


class Layout(Struct, frozen=True):
    """Where the sketches of several columns count, in the order of the columns."""

    columns: tuple[NumberBins | CategoryValues, ...]

    @classmethod
    def over(cls, frame: pl.DataFrame, kinds: Mapping[str, str], *, bins: int = _BINS) -> Layout:
        """Lay a layout over the columns named by `kinds`. The same rows in the same order give the same layout.

        The edges of numbers are quantiles of at most 65,536 of the rows, spread evenly: each 1/bins, and in the tails
        halved again and again. A value that repeats has a bin of its own. So no bin that holds several values holds more
        than about 1/bins of the rows, whatever their distribution. Of a category the 1,000 most frequent values are
        listed. Memory is at most about 2 * bins numbers a column, and the texts of 1,000 values.
        """
        rows = _spread(frame.height, _SAMPLE)

        def lay(name: str, kind: str) -> NumberBins | CategoryValues:
            if kind in CATEGORIES:
                return _lay_values(frame[name])
            numbers = numbers_of(frame[name])
            return _lay_bins(name, numbers if rows is None else numbers[rows], bins)

        return cls(tuple(side_by_side(lay, list(kinds), list(kinds.values()), rows=frame.height)))

    @classmethod
    def of_bundle(cls, sketches: Iterable[NumberSketch | CategorySketch]) -> Layout:
        """Return the layout of the sketches a bundle carries: `Reference.features`, or `Reference.prediction`."""
        return cls(
            tuple(
                NumberBins(each.name, each.edges, each.std)
                if isinstance(each, NumberSketch)
                else CategoryValues(each.name, each.values)
                for each in sketches
            )
        )


def numbers_of(column: pl.Series) -> NDArray[np.float64]:
    """Return a column of numbers or truth values as float64, NaN where it is missing; no copy where none is needed."""
    return (column if column.dtype == pl.Float64 else column.cast(pl.Float64)).to_numpy()


def side_by_side(work: Callable[..., T], *columns: Sequence[Any], rows: int) -> list[T]:
    """Return what `work` makes of each column, in order; on all cores where that takes longer than starting threads."""
    if rows * len(columns[0]) < _FEW_VALUES:
        return list(map(work, *columns))
    with ThreadPoolExecutor(available_cores()) as pool:
        return list(pool.map(work, *columns))


def _spread(rows: int, wanted: int) -> NDArray[np.int64] | None:
    """Return about `wanted` positions, one drawn from each of as many equal stretches; None where all rows are wanted.

    Drawn, since every n-th row may be the same hour of every day.
    """
    if rows <= wanted:
        return None
    drawn = np.random.default_rng(0).random(wanted)
    return np.unique(((np.arange(wanted) + drawn) * (rows / wanted)).astype(np.int64).clip(max=rows - 1))


def _lay_bins(name: str, values: NDArray[np.float64], bins: int) -> NumberBins:
    known = values[~np.isnan(values)]
    finite = known[np.isfinite(known)]
    with np.errstate(over="ignore", invalid="ignore"):  # the spread of huge values may be beyond float64: then unknown
        std = float(finite.std()) if finite.size else math.nan
    edges = _edges(np.sort(known.clip(-_LARGEST, _LARGEST)), bins)
    return NumberBins(name, tuple(edges.tolist()), std if math.isfinite(std) else None)


def _edges(ordered: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    count = len(ordered)
    if not count:
        return ordered
    halvings = np.arange(1, max(1, math.ceil(math.log2(count / bins))) + 1)
    tail = 1 / bins / 2.0**halvings
    shares = np.concatenate(([0.0], tail, np.arange(1, bins) / bins, 1 - tail, [1.0]))
    ranks = (np.ceil(shares * count).astype(np.int64) - 1).clip(0)
    chosen = np.unique(ordered[ranks]) + 0.0  # -0.0 becomes 0.0: which came first is of no account
    repeats = np.searchsorted(ordered, chosen, "right") - np.searchsorted(ordered, chosen, "left") > 1
    below = np.nextafter(
        chosen[repeats & (chosen > -_LARGEST)], -np.inf
    )  # the bin between the two holds this one value
    return np.union1d(chosen, below)


def _lay_values(column: pl.Series) -> CategoryValues:
    counted = column.drop_nulls().alias("value").value_counts(name="rows").cast({"value": pl.String})
    listed = counted.sort("rows", "value", descending=[True, False]).head(_LISTED)
    return CategoryValues(column.name, tuple(listed["value"]))
