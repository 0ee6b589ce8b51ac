"""Rows of plain values as the matrix that a `LinearEncoder` makes of their frame, without the frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mainspring.model.encoding import CategoryColumns, LinearEncoder, NumberColumns
from mainspring.model.plain_values import RowReader
from mainspring.model.schema import Feature, FeatureSchema

__all__ = ["RowEncoder"]


class RowEncoder:
    """Encodes rows by hand, to the last bit as `encoder.encode(frame_of(rows, schema))`.

    Guarantee: it never changes, so any number of threads may encode at once.
    """

    def __init__(self, schema: FeatureSchema, encoder: LinearEncoder) -> None:
        kinds = {feature.name: feature.kind for feature in schema.features}
        # The levels of a category stand for its vocabulary: a position among them says which column is 1.
        levels = {column.name: column.levels for column in encoder.columns if isinstance(column, CategoryColumns)}
        self._reader = RowReader(
            FeatureSchema(tuple(Feature(c.name, kinds[c.name], levels.get(c.name, ())) for c in encoder.columns))
        )
        sources = encoder.sources
        first = {name: sources.index(name) for name in sources}
        by_name = {column.name: column for column in encoder.columns}
        self._columns = [(by_name[name], first.get(name, -1)) for name in self._reader.order]
        self._width = len(sources)

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Return rows as a matrix (rows, columns) in column order (Fortran).

        Raises BundleError (BUNDLE_INPUT) for a value that its feature cannot have.
        """
        matrix = np.zeros((len(rows), self._width), order="F")
        for row, values in enumerate(rows):
            for value, (column, first) in zip(self._reader.read(values), self._columns, strict=True):
                if isinstance(column, NumberColumns):
                    missing = not -np.inf < value < np.inf
                    matrix[row, first] = ((column.median if missing else value) - column.mean) / column.scale
                    if missing and column.marks_missing:
                        matrix[row, first + 1] = 1.0
                elif value == value:
                    matrix[row, first + int(value)] = 1.0
        return matrix
