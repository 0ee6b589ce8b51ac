"""Reading somebody's file of data, and writing the system file for it."""

from __future__ import annotations

import csv
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mainspring.declare import CsvFiles, KnownAt, ParquetFiles, make_table
from mainspring.errors import DeclarationError, SourceError
from mainspring.lake import read_source
from mainspring.loop.starter.draft import Draft, draft
from mainspring.loop.starter.script import Origin, script
from mainspring.loop.starter.survey import MISSING_WORDS, identifier, survey

__all__ = ["Starter", "write_starter"]

_SEPARATORS = (",", ";", "\t", "|")
_PARQUET = {".parquet", ".pq"}
_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class Starter:
    """What was written: the file, the columns by what they are for, and what was guessed."""

    file: str
    data: str
    rows: int
    time: str
    key: str | None
    target: str | None
    task: str
    columns: dict[str, str]  # kind by column of the file
    left_out: list[str]
    guesses: list[str]


def write_starter(
    file: Path,
    data: Path,
    *,
    target: str | None = None,
    time: str | None = None,
    key: str | None = None,
    overwrite: bool = False,
) -> Starter:
    """Write a commented system file for a CSV or Parquet file and return what was decided.

    `target` names the column to predict, `time` the one that tells when a row was known, `key` the one that identifies a
    row; what is None is guessed. Raises SourceError of any kind, DeclarationError (DECLARE_FILE) when the file exists and
    may not be overwritten, or cannot be written.
    """
    if file.exists() and not overwrite:
        raise DeclarationError(
            "DECLARE_FILE", f"{file} exists already.", fix="Choose another name, or overwrite it with --force."
        )
    frame, origin = _read(data, file.absolute().parent)
    fields = survey(frame)
    decided = draft(fields, frame.height, target=target, time=time, key=key)
    name = re.sub(r"_+", "-", identifier(file.stem, "system").strip("_")) or "starter"
    text = script(decided, origin, name=name, table=_class_name(data.stem))
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DeclarationError(
            "DECLARE_FILE", f"{file} cannot be written: {error.strerror}.", fix="Choose another folder."
        ) from error
    return _starter(file, data, frame, decided, {field.source: str(field.kind) for field in fields})


def _starter(file: Path, data: Path, frame: pl.DataFrame, decided: Draft, kinds: dict[str, str]) -> Starter:
    return Starter(
        file=str(file),
        data=str(data),
        rows=frame.height,
        time=decided.time.source,
        key=decided.key.source if decided.key is not None else None,
        target=decided.target.source if decided.target is not None else None,
        task=decided.task,
        columns=kinds,
        left_out=[name for name in frame.columns if name not in kinds] + [field.source for field in decided.later],
        guesses=list(decided.guesses),
    )


def _read(data: Path, folder: Path) -> tuple[pl.DataFrame, Origin]:
    """Read the file as a run will, and say how."""
    if not data.is_file():
        near = sorted(path.name for path in data.parent.glob("*") if path.suffix in {".csv", ".txt", *_PARQUET})
        raise SourceError(
            "SOURCE_MISSING",
            f"There is no file {data}.",
            exists=f"{data.parent.absolute()} holds {', '.join(near[:_SHOWN])}." if near else "",
            fix="Correct the path.",
        )
    parquet = data.suffix.lower() in _PARQUET
    separator = "," if parquet else _separator(data)
    pattern = re.sub(r"([*?[])", r"[\1]", data.name)
    source = ParquetFiles((pattern,)) if parquet else CsvFiles((pattern,), separator=separator)
    try:
        frame = read_source(source, data.absolute().parent, make_table("Row", {"known_at": KnownAt()}))
    except SourceError as error:
        error.origin = None  # there is no declaration yet
        if error.code == "SOURCE_EMPTY":
            raise SourceError("SOURCE_EMPTY", f"{data} has no rows.", fix="Start from a file with rows.") from error
        raise
    missing: list[str] = []
    if not parquet:
        missing = [
            word for word in MISSING_WORDS if word not in _missing_words(source) and _stands_for_missing(frame, word)
        ]
        frame = frame.with_columns(pl.col(pl.String).replace(dict.fromkeys(missing))) if missing else frame
    path = Path(os.path.relpath(data.absolute(), folder)).as_posix()
    return frame, Origin(path=path, rows=frame.height, parquet=parquet, separator=separator, missing=missing)


def _missing_words(source: CsvFiles | ParquetFiles) -> tuple[str, ...]:
    """What a source takes as missing without being told."""
    return source.missing if isinstance(source, CsvFiles) else ()


def _stands_for_missing(frame: pl.DataFrame, word: str) -> bool:
    """Whether a word stands among numbers in any column."""
    for column in frame:
        if (column == word).any():
            rest = column.filter(column.is_not_null() & ~column.is_in(list(MISSING_WORDS)))
            numbers = rest.cast(pl.Float64, strict=False)
            if len(rest) and numbers.null_count() <= 0.05 * len(rest):
                return True
    return False


def _separator(data: Path) -> str:
    """The separator that cuts the header into most cells."""
    with data.open("rb") as file:
        line = file.readline().decode("utf-8", errors="replace")

    def cells(separator: str) -> int:
        return len(next(csv.reader(io.StringIO(line), delimiter=separator), []))

    return max(_SEPARATORS, key=cells)


def _class_name(stem: str) -> str:
    parts = [part for part in identifier(stem, "data").split("_") if part]
    name = "".join(part.capitalize() for part in parts)
    return name if name and name not in {"None", "True", "False"} else f"{name}Row"
