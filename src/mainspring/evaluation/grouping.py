"""The rows of a column as a few named groups: its values, or quantile bins of its numbers; rare values pooled, missing named."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["MISSING", "OTHER", "Groups", "group"]

MISSING = "(missing)"
OTHER = "(other)"


@dataclass(frozen=True, eq=False)
class Groups:
    """The groups of a column, most rows first, and the group of each row."""

    names: list[str]
    code: NDArray[np.intp]  # (rows,), index into names
    pooled: bool  # whether the last name is the pool of rare values

    @property
    def distinct(self) -> int:
        """How many groups stand for one value or bin, the pool of rare ones not counted."""
        return len(self.names) - self.pooled


def group(column: pl.Series, most: int = 20, bins: int = 5) -> Groups:
    """Return the groups of a column: the `most` most frequent values, the rest pooled as "(other)".

    Numbers with more than `most` different values fall into `bins` bins of about equal mass, named "low to high" by the
    least and greatest value in them. Null and NaN are a group of their own, "(missing)". Ties in frequency are broken by
    name, so that equal columns give equal groups in whatever order their rows are.
    """
    if column.dtype.is_numeric() and column.n_unique() > most:
        text = _binned(column.cast(pl.Float64).fill_nan(None), bins)
    elif column.dtype.is_float():
        text = column.fill_nan(None).cast(pl.String)
    else:
        text = column.cast(pl.String)
    text = text.alias("value").fill_null(MISSING)
    known = text.to_frame().group_by("value").len().sort(["len", "value"], descending=[True, False])["value"].to_list()
    names, pooled = known[:most], len(known) > most
    code = text.replace_strict(names, list(range(len(names))), default=len(names), return_dtype=pl.Int64).to_numpy()
    return Groups([*names, OTHER] if pooled else names, code.astype(np.intp), pooled)


def _binned(column: pl.Series, bins: int) -> pl.Series:
    present = column.drop_nulls().sort().to_numpy()
    edges = np.unique(present[np.arange(1, bins) * len(present) // bins - 1]) if len(present) >= bins else present[:0]
    cell = np.searchsorted(edges, present, side="left")
    spans = {int(c): f"{present[cell == c][0]:.6g} to {present[cell == c][-1]:.6g}" for c in np.unique(cell)}
    of_row = np.searchsorted(edges, column.fill_null(0.0).to_numpy(), side="left")
    named = pl.Series([spans.get(int(c)) for c in range(len(edges) + 1)], dtype=pl.String).gather(of_row)
    return named.set(column.is_null(), None)
