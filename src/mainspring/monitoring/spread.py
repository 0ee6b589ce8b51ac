"""The counts of a sketch laid one after the other: those of many days are added up at once.

A sketch holds its counts as plain numbers, column by column; to add ninety of them so takes a second, and so a thousandth.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mainspring.monitoring.layout import Layout, NumberBins
from mainspring.monitoring.sketch import CategoryCounts, NumberCounts, Sketch
from mainspring.remembered import remembered

__all__ = ["Spread", "added"]


class Spread(Struct, frozen=True):
    """What a sketch of some layout counted, as bytes: int64 counts and float64 ends, in the order of its columns.

    Of a category the unlisted values are counted and not named.
    """

    rows: int
    counts: bytes
    ends: bytes

    @classmethod
    def of(cls, sketch: Sketch) -> Spread:
        """Return the counts of a sketch."""
        counts: list[int] = []
        ends: list[float] = []
        for column in sketch.columns:
            counts.append(column.missing)
            counts.extend(column.counts)
            if isinstance(column, CategoryCounts):
                counts.append(column.unlisted)
            else:
                ends += [np.nan if end is None else end for end in (column.low, column.high)]
        return cls(sketch.rows, np.array(counts, np.int64).tobytes(), np.array(ends, np.float64).tobytes())

    def sketch(self, layout: Layout) -> Sketch:
        """Return the sketch again; `layout` is the one in which it counted."""
        counts: list[int] = np.frombuffer(self.counts, np.int64).tolist()
        ends = iter([None if end != end else end for end in np.frombuffer(self.ends, np.float64).tolist()])
        columns: list[NumberCounts | CategoryCounts] = []
        begin = 0
        for column in layout.columns:
            missing, begin = counts[begin], begin + 1
            if isinstance(column, NumberBins):
                end = begin + len(column.edges) + 1
                columns.append(NumberCounts(missing, tuple(counts[begin:end]), next(ends), next(ends)))
            else:
                end = begin + len(column.values)
                columns.append(CategoryCounts(missing, tuple(counts[begin:end]), counts[end]))
                end += 1
            begin = end
        return Sketch(layout, self.rows, tuple(columns))


@remembered(8)
def added(spreads: Sequence[Spread]) -> Spread:
    """Return the counts of all together, of one layout; at least one."""
    counts = np.sum([np.frombuffer(each.counts, np.int64) for each in spreads], axis=0)
    ends = np.array([np.frombuffer(each.ends, np.float64) for each in spreads]).reshape(len(spreads), -1, 2)
    low, high = _least(ends[:, :, 0]), -_least(-ends[:, :, 1])
    both = np.stack([low, high], axis=1)
    return Spread(sum(each.rows for each in spreads), counts.tobytes(), both.astype(np.float64).tobytes())


def _least(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least of each column, NaN where none is known."""
    found: NDArray[np.float64] = np.fmin.reduce(values, axis=0)
    return found
