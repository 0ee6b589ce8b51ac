"""How the values of many columns are spread, in bounded memory and without keeping a row: counts that can be added up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import polars as pl
from msgspec import Struct

from mainspring.model.schema import category_codes
from mainspring.model.sketch import CategorySketch, NumberSketch
from mainspring.monitoring.layout import CategoryValues, Layout, NumberBins, numbers_of, side_by_side
from mainspring.monitoring.sketch_kernels import count_numbers, slots

__all__ = ["CategoryCounts", "NumberCounts", "Sketch"]

_NAMED = 100


class NumberCounts(Struct, frozen=True, tag="number"):
    """Counts of a column of numbers in the bins of its layout; low and high are finite, None where no value is."""

    missing: int
    counts: tuple[int, ...]  # one more than edges
    low: float | None
    high: float | None

    def merge(self, other: NumberCounts) -> NumberCounts:
        """Return the counts of both."""
        return NumberCounts(
            self.missing + other.missing,
            _added(self.counts, other.counts),
            min((low for low in (self.low, other.low) if low is not None), default=None),
            max((high for high in (self.high, other.high) if high is not None), default=None),
        )


class CategoryCounts(Struct, frozen=True, tag="category"):
    """Counts of the values that the layout lists, and of all others together: `unlisted`.

    `named` tells which others, the most frequent first: at most 100, each with a count that falls short of the truth by at
    most `lost`, which is never more than unlisted / 101. While no more than 100 different ones have come, all are
    named, the counts are exact and `lost` is 0.
    """

    missing: int
    counts: tuple[int, ...]
    unlisted: int = 0
    named: tuple[tuple[str, int], ...] = ()
    lost: int = 0

    def merge(self, other: CategoryCounts) -> CategoryCounts:
        """Return the counts of both."""
        total = dict(self.named)
        for value, rows in other.named:
            total[value] = total.get(value, 0) + rows
        named, lost = _most_frequent(total.items())
        return CategoryCounts(
            self.missing + other.missing,
            _added(self.counts, other.counts),
            self.unlisted + other.unlisted,
            named,
            self.lost + other.lost + lost,
        )


class Sketch(Struct, frozen=True):
    """How the columns of a layout were spread over some rows.

    A value: every method returns a new one, and msgspec writes and reads it. It depends on the rows alone, not on their order
    nor on how they were cut into batches or merged, to the last bit; but for `named` and `lost` of a category once more
    than 100 unlisted values have come, which then depend on the cut within the bounds stated there. No distance uses them.
    Memory is bounded by the layout, and by the texts of 100 values a category. Missing values, null and NaN, are counted
    apart; an infinity counts as the largest float of its sign.
    """

    layout: Layout
    rows: int
    columns: tuple[NumberCounts | CategoryCounts, ...]

    @classmethod
    def empty(cls, layout: Layout) -> Sketch:
        """Return the sketch of no rows."""
        return cls(
            layout,
            0,
            tuple(
                NumberCounts(0, (0,) * (len(column.edges) + 1), None, None)
                if isinstance(column, NumberBins)
                else CategoryCounts(0, (0,) * len(column.values))
                for column in layout.columns
            ),
        )

    @classmethod
    def over(cls, frame: pl.DataFrame, kinds: Mapping[str, str]) -> Sketch:
        """Return the sketch of some rows in a layout laid over them: a reference for rows to come."""
        return cls.empty(Layout.over(frame, kinds)).add(frame)

    @classmethod
    def of_bundle(cls, sketches: Iterable[NumberSketch | CategorySketch]) -> Sketch:
        """Return what a bundle carries, `Reference.features` or `Reference.prediction`, as a sketch to compare with."""
        given = tuple(sketches)
        return cls(
            Layout.of_bundle(given),
            max((each.rows for each in given), default=0),
            tuple(
                NumberCounts(each.missing, each.counts, each.low, each.high)
                if isinstance(each, NumberSketch)
                else CategoryCounts(each.missing, each.counts, each.other)
                for each in given
            ),
        )

    def add(self, frame: pl.DataFrame) -> Sketch:
        """Count the rows of a frame, which may have further columns. Columns are counted side by side on all cores.

        Raises ValueError where a column of the layout is not in the frame.
        """
        absent = [column.name for column in self.layout.columns if column.name not in frame.columns]
        if absent:
            raise ValueError(
                f"the frame has no column {', '.join(absent)}; it has {', '.join(frame.columns) or 'none'}"
            )

        def count(column: NumberBins | CategoryValues) -> NumberCounts | CategoryCounts:
            values = frame[column.name]
            return _count_bins(values, column) if isinstance(column, NumberBins) else _count_values(values, column)

        counted = Sketch(self.layout, frame.height, tuple(side_by_side(count, self.layout.columns, rows=frame.height)))
        return self.merge(counted) if self.rows else counted

    def merge(self, other: Sketch) -> Sketch:
        """Return the sketch of the rows of both. Raises ValueError where the layouts differ."""
        if self.layout != other.layout:
            raise ValueError("sketches of different layouts count in different places and cannot be merged")
        merged = (a.merge(b) for a, b in zip(self.columns, other.columns, strict=True))  # type: ignore[arg-type]
        return Sketch(self.layout, self.rows + other.rows, tuple(merged))


def _count_bins(values: pl.Series, bins: NumberBins) -> NumberCounts:
    places = slots(bins.edges)
    counts = np.zeros(len(places), np.int64)
    missing, low, high = count_numbers(numbers_of(values), places, counts)
    found = (low + 0.0, high + 0.0) if low <= high else (None, None)  # -0.0 becomes 0.0
    return NumberCounts(missing, tuple(counts[: len(bins.edges) + 1].tolist()), *found)


def _count_values(values: pl.Series, listed: CategoryValues) -> CategoryCounts:
    counted = values.drop_nulls().alias("value").value_counts(name="rows").cast({"value": pl.String})
    place = category_codes(counted["value"], listed.values)
    known = place.is_not_null()
    counts = np.zeros(len(listed.values), np.int64)
    counts[place.filter(known).to_numpy()] = counted["rows"].filter(known).to_numpy()
    others = counted.filter(~known).sort("rows", "value", descending=[True, False]).head(_NAMED + 1)
    named, lost = _most_frequent(others.iter_rows())
    unlisted = int(counted["rows"].sum()) - int(counts.sum())
    return CategoryCounts(values.null_count(), tuple(counts.tolist()), unlisted, named, lost)


def _most_frequent(counted: Iterable[tuple[str, int]]) -> tuple[tuple[tuple[str, int], ...], int]:
    """Return the values that remain once the count of the 101st is taken from all, and that count.

    What is taken was there at least 101 times, so that all that is ever taken is at most 1/101 of all rows, in whatever
    order counts are merged (Agarwal and others, Mergeable Summaries, PODS 2012).
    """
    ordered = sorted(counted, key=lambda pair: (-pair[1], pair[0]))
    lost = ordered[_NAMED][1] if len(ordered) > _NAMED else 0
    return tuple((value, rows - lost) for value, rows in ordered[:_NAMED] if rows > lost), lost


def _added(counts: tuple[int, ...], others: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(counts, others, strict=True))
