"""Where history comes from: files named in the declaration. Naming them reads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mainspring.declare.value import Declared

__all__ = ["CsvFiles", "ParquetFiles", "csv", "parquet"]


@dataclass(frozen=True, eq=False, repr=False)
class CsvFiles(Declared):
    """CSV files in UTF-8 with a header; `paths` are relative to the system's file and may hold globs."""

    paths: tuple[str, ...]
    separator: str = field(default=",", kw_only=True)
    missing: tuple[str, ...] = field(default=("", "NA", "null"), kw_only=True)


@dataclass(frozen=True, eq=False, repr=False)
class ParquetFiles(Declared):
    """Parquet files; `paths` are relative to the system's file and may hold globs."""

    paths: tuple[str, ...]


def csv(*paths: str, separator: str = ",", missing: Sequence[str] = ("", "NA", "null")) -> CsvFiles:
    """Name CSV files: `ms.csv("trips/*.csv")`. Cells equal to one of `missing` are missing values."""
    return CsvFiles(tuple(paths), separator=separator, missing=tuple(missing))


def parquet(*paths: str) -> ParquetFiles:
    """Name Parquet files: `ms.parquet("trips/*.parquet")`."""
    return ParquetFiles(tuple(paths))
