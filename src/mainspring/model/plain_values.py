"""Features as plain Python values, the way one decision has them: read into numbers, or into a typed frame.

A row is a mapping of names to float, int, bool, str or None. Absent, None and a number that is NaN are missing; names the
schema does not know are ignored. A number may be of any type that Python can read as one, text excepted; false and true
may also be 0 and 1.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from mainspring.errors import BundleError
from mainspring.model.schema import CATEGORIES, Feature, FeatureSchema

__all__ = ["RowReader", "frame_of"]

_NAN = math.nan
_EXPECTED = {"bool": "true or false", **dict.fromkeys(CATEGORIES, "text")}


def frame_of(rows: Sequence[Mapping[str, Any]], schema: FeatureSchema) -> pl.DataFrame:
    """Return the rows as the frame that `Model.predict` takes, a column for each feature in the schema's order.

    Categories, text and keys are String, truth values Boolean, whole numbers Int64 and others Float64; missing is null.
    A column of whole numbers that holds a fraction, or one beyond 64 bits, is Float64: the models read both alike.

    Raises BundleError (BUNDLE_INPUT) for a value that its feature cannot have.
    """
    return pl.DataFrame([_column(feature, rows) for feature in schema.features])


class RowReader:
    """Reads rows of plain values as float64, the numbers that `FeatureSchema.encode_for_trees` gives for `frame_of` them.

    `order` names the features in the order in which they are written: numbers first, then what is looked up (truth values
    and categories). Guarantees: it never changes, so any number of threads may read at once; a value that `frame_of`
    refuses is refused here with the same BundleError (BUNDLE_INPUT).
    """

    def __init__(self, schema: FeatureSchema) -> None:
        self._schema = schema
        self._looked_up = [(feature.name, _codes(feature)) for feature in schema.features if feature.kind in _EXPECTED]
        self._numbers = [feature.name for feature in schema.features if feature.kind not in _EXPECTED]
        self.order = (*self._numbers, *(name for name, _ in self._looked_up))
        self._format = struct.Struct(f"{len(self.order)}d")

    def pack(self, values: Mapping[str, Any]) -> bytes:
        """Return a row as float64 one after the other, NaN where a value is missing or a category was not seen."""
        get = values.get
        try:
            return self._format.pack(
                *[_NAN if (value := get(name)) is None else value for name in self._numbers],
                *[codes[get(name)] for name, codes in self._looked_up],
            )
        except (TypeError, OverflowError, struct.error):
            frame_of([values], self._schema)  # says which value it is
            raise

    def read(self, values: Mapping[str, Any]) -> tuple[float, ...]:
        """Return a row as floats."""
        return self._format.unpack(self.pack(values))

    def matrix(self, rows: Iterable[Mapping[str, Any]]) -> np.ndarray:
        """Return rows as a float64 matrix (rows, features) that cannot be written to."""
        packed = b"".join([self.pack(values) for values in rows])
        return np.frombuffer(packed, np.float64).reshape(-1, len(self.order))


class _Codes(dict[Any, float]):
    """Known values and their numbers. Missing values, and text that is not known, are NaN; everything else is refused."""

    def __init__(self, known: Iterable[tuple[Any, float]], *, text: bool) -> None:
        super().__init__(known)
        self._text = text

    def __missing__(self, value: Any) -> float:
        if value is None or (isinstance(value, str) if self._text else value != value):
            return _NAN
        raise TypeError(value)


def _codes(feature: Feature) -> _Codes:
    if feature.kind == "bool":
        return _Codes([(False, 0.0), (True, 1.0)], text=False)
    return _Codes([(value, float(code)) for code, value in enumerate(feature.vocabulary)], text=True)


def _column(feature: Feature, rows: Sequence[Mapping[str, Any]]) -> pl.Series:
    given = [row.get(feature.name) for row in rows]
    found = set(map(type, given)) - {type(None)}
    # Nearly always all are as they are to be, and to look at each of them would take ten times as long.
    if feature.kind in CATEGORIES and found <= {str}:
        return pl.Series(feature.name, given, pl.String)
    if feature.kind not in ("int", *_EXPECTED) and found <= {float}:
        return pl.Series(feature.name, given, pl.Float64).fill_nan(None)
    if feature.kind == "int" and found == {int} and all(value is None or _fits_int64(value) for value in given):
        return pl.Series(feature.name, given, pl.Int64)
    values = [_plain(feature, value) for value in given]
    if feature.kind in CATEGORIES:
        return pl.Series(feature.name, values, pl.String)
    if feature.kind == "bool":
        return pl.Series(feature.name, values, pl.Boolean)
    if feature.kind == "int" and all(value is None or _fits_int64(value) for value in values):
        return pl.Series(feature.name, [None if value is None else int(value) for value in values], pl.Int64)
    return pl.Series(feature.name, [None if value is None else float(value) for value in values], pl.Float64)


def _fits_int64(value: int | float) -> bool:
    return -(2**63) <= value < 2**63 and value == int(value)


def _plain(feature: Feature, value: Any) -> Any:
    """Return a value as str, bool, int or float, None for a missing one.

    Raises BundleError (BUNDLE_INPUT).
    """
    if value is None:
        return None
    if feature.kind in CATEGORIES:
        if isinstance(value, str):
            return str(value)
    elif value != value:
        return None
    elif feature.kind == "bool":
        if value in (False, True):
            return bool(value)
    elif not isinstance(value, str | bytes | bytearray):
        try:
            number = float(value)
            return int(value) if isinstance(value, int) else number
        except (TypeError, OverflowError):
            pass
    raise BundleError(
        "BUNDLE_INPUT",
        f"The value {value!r:.80} of {feature.name} should be {_EXPECTED.get(feature.kind, 'a number')}.",
        exists="A missing value is None, or left out.",
        fix="Give each feature as the plan of the same bundle computes it.",
    )
