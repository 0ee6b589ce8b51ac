"""Reference sketches: how every feature and the prediction were spread, for monitors to compare later days with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from msgspec import Struct

from mainspring.model.schema import CATEGORIES

__all__ = ["CategorySketch", "NumberSketch", "Reference", "sketch_column", "sketch_features", "sketch_prediction"]

_BINS, _TOP_VALUES = 20, 50


class NumberSketch(Struct, frozen=True, tag="number"):
    """Counts of numbers between edges that held about equally many of the reference rows each.

    Bin k holds edges[k-1] < value <= edges[k]; the first and the last bin are open. Moments are those of the finite
    values; None without any, and where they lie beyond float64. Truth values count as 0 and 1.
    """

    name: str
    rows: int
    missing: int
    edges: tuple[float, ...]
    counts: tuple[int, ...]  # one more than edges
    mean: float | None
    std: float | None
    low: float | None
    high: float | None


class CategorySketch(Struct, frozen=True, tag="category"):
    """Counts of the most frequent values, of all others together, and of missing ones."""

    name: str
    rows: int
    missing: int
    values: tuple[str, ...]
    counts: tuple[int, ...]
    other: int


class Reference(Struct, frozen=True):
    """The sketches of the rows a model was fitted on; `prediction` has one for each class of a multiclass label."""

    features: tuple[NumberSketch | CategorySketch, ...]
    prediction: tuple[NumberSketch, ...]


def sketch_features(frame: pl.DataFrame, kinds: Mapping[str, str]) -> tuple[NumberSketch | CategorySketch, ...]:
    """Return a sketch of each feature named by `kinds`."""
    return tuple(sketch_column(frame[name], kind) for name, kind in kinds.items())


def sketch_prediction(prediction: np.ndarray, classes: tuple[str, ...] = ()) -> tuple[NumberSketch, ...]:
    """Return the sketch of predictions (rows,), or one per class of predictions (rows, classes)."""
    if prediction.ndim == 1:
        return (_sketch_numbers("prediction", prediction),)
    return tuple(_sketch_numbers(name, prediction[:, k]) for k, name in enumerate(classes))


def sketch_column(column: pl.Series, kind: str) -> NumberSketch | CategorySketch:
    """Return the sketch of one feature."""
    if kind in CATEGORIES:
        return _sketch_names(column)
    return _sketch_numbers(column.name, column.cast(pl.Float64).to_numpy())


def _sketch_numbers(name: str, values: np.ndarray) -> NumberSketch:
    known = values[~np.isnan(values)]
    finite = known[np.isfinite(known)]
    edges = np.empty(0)
    if finite.size:
        edges = np.unique(np.quantile(finite, np.arange(1, _BINS) / _BINS, method="lower"))
    counts = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1)
    with np.errstate(over="ignore", invalid="ignore"):  # the spread of huge values may be beyond float64: then unknown
        moments = (finite.mean(), finite.std(), finite.min(), finite.max()) if finite.size else ()
    mean, std, low, high = (float(m) if np.isfinite(m) else None for m in moments) if moments else (None,) * 4
    return NumberSketch(
        name, len(values), len(values) - len(known), tuple(edges.tolist()), tuple(counts.tolist()), mean, std, low, high
    )


def _sketch_names(column: pl.Series) -> CategorySketch:
    known = column.drop_nulls().cast(pl.String)
    counts = known.value_counts(name="rows").sort("rows", column.name, descending=[True, False]).head(_TOP_VALUES)
    return CategorySketch(
        column.name,
        len(column),
        len(column) - len(known),
        tuple(counts[column.name]),
        tuple(counts["rows"]),
        len(known) - int(counts["rows"].sum()),
    )
