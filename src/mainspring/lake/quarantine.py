"""Quarantine: rejected rows as they were given, with the reason, in words for a person and a code for a program."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import polars as pl

from mainspring.lake.contract import ROW
from mainspring.lake.iceberg import QUARANTINE
from mainspring.lake.parsing import as_given

__all__ = ["rejected_rows"]


def rejected_rows(frame: pl.DataFrame, rejected: pl.DataFrame) -> pl.DataFrame:
    """Return the rows to quarantine: reason, sentence, and the row as given in JSON, each different one once.

    `rejected` has the columns of `contract.REJECTED`. Missing values are null in the JSON, times ISO 8601, NaN and
    infinities the texts "NaN", "inf" and "-inf".
    """
    given = frame[rejected[ROW]]
    encode = msgspec.json.Encoder(enc_hook=str).encode
    columns = [(column.name, _plain(column)) for column in given.get_columns()]
    names = [name for name, _ in columns]
    texts = [
        encode(dict(zip(names, values, strict=True))).decode()
        for values in zip(*(values for _, values in columns), strict=True)
    ]
    found = rejected.select("reason", "sentence", row=pl.Series(texts, dtype=pl.String))
    return found.unique(maintain_order=True).select(name for name in QUARANTINE if name in found.columns)


def _plain(column: pl.Series) -> list[Any]:
    if column.dtype.is_float() and not column.is_finite().fill_null(True).all():
        return [value if value is None or math.isfinite(value) else _spell(value) for value in column.to_list()]
    return as_given(column)


def _spell(value: float) -> str:
    return "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"
