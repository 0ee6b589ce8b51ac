"""What a history tells of decisions before their labels, in the order in which a loop hears of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["Hints"]


@dataclass(frozen=True, eq=False)
class Hints:
    """What was told of decisions before their labels: the value of each, and the rows in the order in which that was settled."""

    value: NDArray[np.float64]  # (decisions,) NaN where nothing was told
    rows: NDArray[np.intp]
    settled_at: NDArray[np.int64]  # of these rows

    @classmethod
    def of(cls, frame: pl.DataFrame, first: int) -> Hints:
        """Of the rows from the first on that are answered; the others are history that nobody watched."""
        value = frame["value"].fill_null(np.nan).to_numpy()
        rows = first + np.flatnonzero(~np.isnan(value[first:]))
        at = frame["settled_at"].to_physical().to_numpy()[rows]
        order = np.argsort(at, kind="stable")
        return cls(value, rows[order], at[order].astype(np.int64))

    def between(self, begin: int, until: int) -> NDArray[np.intp]:
        """The rows that were settled in (begin, until], in that order."""
        low, high = np.searchsorted(self.settled_at, [begin, until], side="right")
        return self.rows[low:high]
