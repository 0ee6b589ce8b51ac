"""Features as a dense matrix for models that know neither names nor missing values."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import polars as pl
from msgspec import Struct

from mainspring.model.schema import CATEGORIES, FeatureSchema, category_codes

__all__ = ["LinearEncoder"]

_LEAST_SHARE, _MOST_LEVELS = 0.005, 50


class NumberColumns(Struct, frozen=True, tag="number"):
    """(x - mean) / scale with missing values at the median, followed by a 0/1 column for missing where training had any."""

    name: str
    median: float
    mean: float  # of the values with the missing ones filled in
    scale: float
    marks_missing: bool


class CategoryColumns(Struct, frozen=True, tag="category"):
    """A 0/1 column for each frequent value; rare, unseen and missing values share the row of zeros."""

    name: str
    levels: tuple[str, ...]


class LinearEncoder(Struct, frozen=True):
    """How each feature becomes columns: numbers standardised, missing ones marked, frequent categories one-hot.

    A truth value counts as a number. Infinite values count as missing. A level of a category is frequent with at least
    0.5% of the training rows, and at most 50 levels are kept; the rest is the level that all others are compared with.
    """

    columns: tuple[NumberColumns | CategoryColumns, ...]

    @classmethod
    def learn(cls, schema: FeatureSchema, frame: pl.DataFrame) -> LinearEncoder:
        """Return the encoder of the training rows given."""
        return cls(
            tuple(
                _learn_category(frame[feature.name])
                if feature.kind in CATEGORIES
                else _learn_number(frame[feature.name])
                for feature in schema.features
            )
        )

    @property
    def output_names(self) -> list[str]:
        """The names of the matrix's columns: `name`, `name is missing`, `name = value`."""
        return [name for _, name, _ in self._outputs()]

    @property
    def sources(self) -> list[str]:
        """The feature each column of the matrix comes from."""
        return [source for source, _, _ in self._outputs()]

    def encode(self, frame: pl.DataFrame, dtype: type = np.float64) -> np.ndarray:
        """Return the rows as a matrix (rows, columns) in column order (Fortran), without missing values."""
        outputs = list(self._outputs())
        matrix: np.ndarray = np.empty((frame.height, len(outputs)), dtype=dtype, order="F")
        prepared: dict[str, np.ndarray] = {}
        for position, (source, _, column) in enumerate(outputs):
            if source not in prepared:
                prepared = {source: self._prepare(source, frame)}
            matrix[:, position] = column(prepared[source])
        return matrix

    def _prepare(self, source: str, frame: pl.DataFrame) -> np.ndarray:
        for column in self.columns:
            if column.name == source and isinstance(column, CategoryColumns):
                return category_codes(frame[source], column.levels).cast(pl.Float64).to_numpy()
        return _finite(frame[source])

    def _outputs(self) -> Iterator[tuple[str, str, Callable[[np.ndarray], np.ndarray]]]:
        for column in self.columns:
            if isinstance(column, CategoryColumns):
                for code, level in enumerate(column.levels):
                    yield column.name, f"{column.name} = {level}", _equals(code)
            else:
                yield column.name, column.name, _standardised(column)
                if column.marks_missing:
                    yield column.name, f"{column.name} is missing", np.isnan


def _equals(code: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda codes: codes == code


def _standardised(column: NumberColumns) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: (np.where(np.isnan(values), column.median, values) - column.mean) / column.scale


def _finite(column: pl.Series) -> np.ndarray:
    values = column.cast(pl.Float64).to_numpy()
    return np.where(np.isfinite(values), values, np.nan)


def _learn_number(column: pl.Series) -> NumberColumns:
    values = _finite(column)
    missing = np.isnan(values)
    known = values[~missing]
    median = float(np.median(known)) if known.size else 0.0
    filled = np.where(missing, median, values)
    # Sums of very large values can overflow, and a constant column has no spread: both are only moved, not scaled.
    with np.errstate(over="ignore", invalid="ignore"):
        mean, scale = (float(filled.mean()), float(filled.std())) if filled.size else (0.0, 1.0)
    if not np.isfinite(mean):
        mean = median
    if not (np.isfinite(scale) and scale > 1e-12 * max(1.0, abs(mean))):
        scale = 1.0
    return NumberColumns(column.name, median, mean, scale, bool(missing.any()) and known.size > 0)


def _learn_category(column: pl.Series) -> CategoryColumns:
    counts = column.drop_nulls().cast(pl.String).value_counts(name="rows")
    frequent = (
        counts.filter(pl.col("rows") >= _LEAST_SHARE * len(column))
        .sort("rows", column.name, descending=[True, False])
        .head(_MOST_LEVELS)
    )
    return CategoryColumns(column.name, tuple(frequent[column.name].sort()))
