"""The features a model takes: their names, order, kinds and, for names of things, the values it was trained on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from msgspec import Struct

from mainspring.errors import BundleError

__all__ = ["CATEGORIES", "MAX_VOCABULARY", "Feature", "FeatureSchema"]

CATEGORIES = frozenset({"category", "text", "key"})
MAX_VOCABULARY = 10_000  # beyond the most frequent values a category carries no statistics worth a split
_EXPECTED = {
    "float": "a number",
    "int": "a number",
    "bool": "true or false",
    "category": "text",
    "text": "text",
    "key": "text",
}


class Feature(Struct, frozen=True):
    """One column a model takes. `vocabulary` holds the known values of a category, sorted; it is empty for other kinds."""

    name: str
    kind: str
    vocabulary: tuple[str, ...] = ()


class FeatureSchema(Struct, frozen=True):
    """The columns a model takes, in order."""

    features: tuple[Feature, ...]

    @property
    def names(self) -> list[str]:
        """The names of the features, in order."""
        return [feature.name for feature in self.features]

    @property
    def categorical(self) -> list[int]:
        """The positions of the features whose values are names."""
        return [position for position, feature in enumerate(self.features) if feature.kind in CATEGORIES]

    @classmethod
    def learn(cls, frame: pl.DataFrame, kinds: Mapping[str, str]) -> FeatureSchema:
        """Return the schema of the features named by `kinds`, with the vocabulary of the rows given.

        A vocabulary keeps the `MAX_VOCABULARY` most frequent values (ties: the first by name) and lists them sorted, so
        that it depends on the values alone and not on the order of the rows.
        """
        return cls(
            tuple(
                Feature(name, kind, _vocabulary(frame[name]) if kind in CATEGORIES else ())
                for name, kind in kinds.items()
            )
        )

    def check(self, frame: pl.DataFrame) -> None:
        """Raise BundleError (BUNDLE_INPUT) when a feature is missing from the frame or has a type that cannot be read.

        Further columns, and columns that hold nothing but missing values, are fine.
        """
        given = frame.schema
        missing = [feature.name for feature in self.features if feature.name not in given]
        mistyped = [
            f"{feature.name} is {given[feature.name]} and should be {_EXPECTED[feature.kind]}"
            for feature in self.features
            if feature.name in given and not _readable(feature.kind, given[feature.name])
        ]
        if missing or mistyped:
            problems = ([f"there is no column {', '.join(missing)}"] if missing else []) + mistyped
            raise BundleError(
                "BUNDLE_INPUT",
                f"The rows do not match the model's schema: {'; '.join(problems)}.",
                exists=f"The rows have {', '.join(frame.columns) or 'no columns'}.",
                fix="Compute the features with the plan of the same bundle.",
            )

    def encode_for_trees(self, frame: pl.DataFrame) -> np.ndarray:
        """Return the rows as a float64 matrix (rows, features) in column order (Fortran), the form trees are trained on.

        Numbers stay as they are, false and true become 0 and 1, a category becomes its position in the vocabulary.
        Missing values and categories that were not seen in training become NaN. float64, since float32 would merge whole
        numbers beyond 2**24 (identifiers, amounts in cents).

        Raises BundleError (BUNDLE_INPUT).
        """
        self.check(frame)
        matrix = np.empty((frame.height, len(self.features)), dtype=np.float64, order="F")
        for position, feature in enumerate(self.features):
            column = frame[feature.name]
            if feature.kind in CATEGORIES:
                column = category_codes(column, feature.vocabulary)
            matrix[:, position] = column.cast(pl.Float64).to_numpy()  # a null becomes NaN
        return matrix


def category_codes(column: pl.Series, vocabulary: tuple[str, ...]) -> pl.Series:
    """Return the position of each value in the vocabulary (integers), null for missing and unknown values."""
    if column.dtype == pl.Null or not vocabulary:
        return pl.Series(column.name, [None], dtype=pl.UInt32).new_from_index(0, len(column))
    return column.cast(pl.String).cast(pl.Enum(vocabulary), strict=False).to_physical()


def _vocabulary(column: pl.Series) -> tuple[str, ...]:
    counts = column.drop_nulls().cast(pl.String).value_counts(name="rows")
    frequent = counts.sort("rows", column.name, descending=[True, False]).head(MAX_VOCABULARY)
    return tuple(frequent[column.name].sort())


def _readable(kind: str, dtype: pl.DataType) -> bool:
    if dtype == pl.Null:
        return True
    if kind in CATEGORIES:
        return dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum)
    if kind == "bool":
        return dtype == pl.Boolean
    return dtype.is_numeric()
