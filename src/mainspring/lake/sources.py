"""Sources: files and frames as they were given, read and not yet judged. The contract says what of them is kept."""

from __future__ import annotations

import csv
import glob
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from mainspring.declare import CsvFiles, ParquetFiles, Table
from mainspring.errors import SourceError

__all__ = ["read_source", "to_frame"]

_SHOWN = 12


def read_source(source: Any, base: str | Path, table: type[Table]) -> pl.DataFrame:
    """Read the history of a table: what `ms.csv` or `ms.parquet` names, relative to `base`, or a frame (see `to_frame`).

    CSV cells stay text, so that the contract reads each as the kind its column declares. Files are read in the order of
    the paths, those of a glob sorted by name; they may order their columns differently, and a column that a file lacks is
    missing in its rows.

    Raises SourceError: SOURCE_MISSING, SOURCE_EMPTY when there is no row, SOURCE_ENCODING, SOURCE_FORMAT.
    """
    if isinstance(source, CsvFiles):
        frame = _read_files(source, Path(base), lambda path: _read_csv(path, source))
    elif isinstance(source, ParquetFiles):
        frame = _read_files(source, Path(base), _read_parquet)
    else:
        frame = to_frame(source, table)
    if not len(frame):
        raise SourceError(
            "SOURCE_EMPTY",
            f"The source of {table.__name__} has no rows.",
            fix="Give it rows, or leave the table out of the system.",
            origin=getattr(source, "origin", None) or table.__schema__.origin,
        )
    return frame


def to_frame(data: Any, table: type[Table]) -> pl.DataFrame:
    """Return data as a Polars frame: one already, lazy or not; a pandas or Arrow table, or anything else that speaks Arrow.

    NaN in pandas means missing and becomes it; in any other frame it stays NaN, which breaks the contract.

    Raises SourceError (SOURCE_FORMAT).
    """
    try:
        if isinstance(data, pl.LazyFrame):
            return data.collect()
        if isinstance(data, pl.DataFrame):
            return data
        if hasattr(data, "__arrow_c_stream__"):
            return pl.DataFrame(data)
        if hasattr(data, "__dataframe__"):
            return pl.from_dataframe(data)
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise SourceError(
            "SOURCE_FORMAT",
            f"The {type(data).__name__} given for {table.__name__} cannot be read: {_first_line(error)}.",
            fix="Give each column one type.",
            origin=table.__schema__.origin,
        ) from error
    raise SourceError(
        "SOURCE_FORMAT",
        f"{table.__name__} was given a {type(data).__name__}.",
        exists="History is a Polars, pandas or Arrow table, ms.csv(...) or ms.parquet(...).",
        fix="Return one of these for each table.",
        origin=table.__schema__.origin,
    )


def _read_files(source: CsvFiles | ParquetFiles, base: Path, read: Callable[[Path], pl.DataFrame]) -> pl.DataFrame:
    paths = list(_find(source, base))
    try:
        frames = [read(path) for path in paths]
        return frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal_relaxed", rechunk=True)
    except pl.exceptions.PolarsError as error:
        raise SourceError(
            "SOURCE_FORMAT",
            f"The files {', '.join(path.name for path in paths[:_SHOWN])} do not fit together: {_first_line(error)}.",
            fix="Give each column the same type in every file.",
            origin=source.origin,
        ) from error
    except SourceError as error:
        error.origin = error.origin or source.origin
        raise


def _find(source: CsvFiles | ParquetFiles, base: Path) -> Iterator[Path]:
    for pattern in source.paths:
        found = sorted(
            path
            for path in map(Path, glob.glob(str(Path(glob.escape(str(base))) / pattern), recursive=True))
            if path.is_file()
        )
        if not found:
            raise _absent(source, base / pattern, pattern)
        yield from found


def _absent(source: CsvFiles | ParquetFiles, path: Path, pattern: str) -> SourceError:
    folder = next(parent for parent in (path, *path.parents) if parent.is_dir())
    names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in folder.iterdir())
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return SourceError(
        "SOURCE_MISSING",
        f"There is no file {pattern}, looked for as {path}.",
        exists=f"{folder} holds {', '.join(names[:_SHOWN]) or 'nothing'}{more}.",
        fix="Correct the path; it is relative to the system's file.",
        origin=source.origin,
    )


def _read_csv(path: Path, source: CsvFiles) -> pl.DataFrame:
    data = _bytes(path)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SourceError(
            "SOURCE_ENCODING",
            f"{path} is not UTF-8: line {line} holds the byte 0x{data[error.start]:02x} (byte {error.start} of the file).",
            fix="Save it as UTF-8, for example: iconv -f WINDOWS-1252 -t UTF-8.",
        ) from error
    try:
        frame = pl.read_csv(data, separator=source.separator, infer_schema=False, null_values=list(source.missing))
    except pl.exceptions.NoDataError as error:
        raise _empty(path) from error
    except pl.exceptions.PolarsError as error:
        where = _misshapen_line(data, source.separator) or f"{_first_line(error)}."
        raise SourceError(
            "SOURCE_FORMAT",
            f"{path} is no CSV with the separator {source.separator!r}: {where}",
            fix="Correct the file, or name its separator: ms.csv(..., separator=';').",
        ) from error
    header = next(csv.reader(io.StringIO(data.split(b"\n", 1)[0].decode("utf-8-sig")), delimiter=source.separator), [])
    if doubled := sorted({name for name in header if header.count(name) > 1}):
        raise SourceError(
            "SOURCE_FORMAT", f"{path} has several columns named {', '.join(doubled)}.", fix="Rename all but one."
        )
    return frame


def _read_parquet(path: Path) -> pl.DataFrame:
    data = _bytes(path)
    if not data:
        raise _empty(path)
    try:
        return pl.read_parquet(data)
    except pl.exceptions.PolarsError as error:
        raise SourceError(
            "SOURCE_FORMAT", f"{path} is no Parquet file: {_first_line(error)}.", fix="Write it again as Parquet."
        ) from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(
            "SOURCE_MISSING", f"{path} cannot be read: {error.strerror}.", fix="Make the file readable."
        ) from error


def _empty(path: Path) -> SourceError:
    return SourceError("SOURCE_EMPTY", f"{path} is empty.", fix="Give it a header and rows, or remove it.")


def _misshapen_line(data: bytes, separator: str) -> str | None:
    """Say in which line of a CSV file the number of cells first differs from the header's."""
    reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=separator)
    width = len(next(reader, []))
    for cells in reader:
        if len(cells) > width:
            return f"line {reader.line_num} has {len(cells)} cells, the header {width}."
    return None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".") or type(error).__name__
