"""The contract: a frame read as its table declares it, row by row sound or with the reason why not."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

import polars as pl

from mainspring.declare import Column, Kind, Table
from mainspring.errors import ContractError
from mainspring.lake.parsing import DTYPES, Reading, as_given, read_column
from mainspring.lake.rules import RULES, frame_of_readings

__all__ = ["REJECTED", "ROW", "Conformed", "conform"]

ROW = "_row"
REJECTED = {ROW: pl.UInt32(), "reason": pl.String(), "sentence": pl.String()}


@dataclass(frozen=True)
class Conformed:
    """A frame read as declared.

    `facts` holds the sound rows: the declared columns in canonical dtypes, and `_row`, the position of each in the frame
    as given. `rejected` holds the positions of the others with the first rule each breaks, in the order of the columns.
    `ignored` names the columns that are not declared.
    """

    facts: pl.DataFrame
    rejected: pl.DataFrame
    ignored: tuple[str, ...]


def conform(table: type[Table], frame: pl.DataFrame) -> Conformed:
    """Read a frame as the table declares it. Every row is in exactly one of `facts` and `rejected`; nothing is repaired.

    Raises ContractError when a whole column cannot be read: CONTRACT_COLUMN_MISSING, CONTRACT_TYPE, CONTRACT_NAIVE_TIME.
    """
    schema = table.__schema__
    sources = {column.name: column.source or column.name for column in schema.columns}
    absent = [column for column in schema.columns if sources[column.name] not in frame.columns]
    _check_present(table, [column for column in absent if not column.optional], frame)
    readings = [_read(column, frame) for column in schema.columns if column not in absent]
    facts = pl.DataFrame({reading.column.name: reading.values for reading in readings}).with_columns(
        pl.lit(None, DTYPES[column.of]).alias(column.name) for column in absent
    )
    facts = facts.select(*sources).with_row_index(ROW)
    rejected = _first_breaches(readings, facts[ROW])
    if len(rejected):
        facts = facts.filter(~pl.col(ROW).is_in(rejected[ROW].implode()))
    ignored = tuple(name for name in frame.columns if name not in sources.values())
    return Conformed(facts, rejected, ignored)


def _read(column: Column, frame: pl.DataFrame) -> Reading:
    raw = frame[column.source or column.name]
    reading = read_column(column, raw)
    name = repr(column)
    if reading is None:
        raise ContractError(
            "CONTRACT_TYPE",
            f"{name} is declared {type(column).__name__}, but the data holds {raw.dtype}.",
            exists=f"It begins with {as_given(raw.head(3))!r}.",
            fix=_advice(column, raw.dtype),
            origin=column.origin,
        )
    if (
        reading.local is not None
        and getattr(column, "zone", None) is None
        and reading.values.null_count() == len(raw)
        and reading.local.is_not_null().any()
    ):
        raise ContractError(
            "CONTRACT_NAIVE_TIME",
            f"{name} holds times without a time zone, such as {as_given(raw.drop_nulls().head(1))[0]}, and declares none.",
            fix=f'Say which clock showed them: {type(column).__name__}(zone="UTC") or zone="America/New_York".',
            origin=column.origin,
        )
    return reading


def _advice(column: Column, dtype: pl.DataType) -> str:
    if column.of in (Kind.KEY, Kind.CATEGORY) and dtype.is_float():
        return "Keys and categories are text or whole numbers: turn the column into one of these, or declare Float."
    if column.of is Kind.TIME and dtype.is_numeric():
        return "Numbers do not say their unit: turn them into times, or declare Int."
    return "Convert the column, or declare it as what it is."


def _check_present(table: type[Table], absent: list[Column], frame: pl.DataFrame) -> None:
    if not absent:
        return
    names = [column.source or column.name for column in absent]
    alike = {name: match for name in names for match in get_close_matches(name, frame.columns, n=1)}
    hint = "".join(f' For {name} perhaps source="{match}".' for name, match in alike.items())
    raise ContractError(
        "CONTRACT_COLUMN_MISSING",
        f"The data of {table.__name__} has no column {', '.join(names)}.",
        exists=f"It has {', '.join(frame.columns) or 'none'}.",
        fix=f"Name the column with source=, or declare it optional=True where it may be missing.{hint}",
        origin=absent[0].origin,
    )


def _first_breaches(readings: list[Reading], rows: pl.Series) -> pl.DataFrame:
    frame = frame_of_readings(readings)
    breaches = [breach for reading in readings for rule in RULES if (breach := rule(reading)) is not None]
    anywhere = frame.select(breach.mask.any().alias(str(place)) for place, breach in enumerate(breaches)).row(0)
    broken = [breach for breach, found in zip(breaches, anywhere, strict=True) if found]
    rejected = pl.DataFrame(schema=REJECTED)
    if not broken:
        return rejected
    masks = frame.select(breach.mask.fill_null(False).alias(str(place)) for place, breach in enumerate(broken))
    seen = pl.repeat(False, len(rows), eager=True)
    for breach, mask in zip(broken, masks, strict=True):
        found = pl.DataFrame({ROW: rows.filter(mask & ~seen)})
        rejected.extend(
            found.with_columns(pl.lit(breach.reason).alias("reason"), pl.lit(breach.sentence).alias("sentence"))
        )
        seen |= mask
    return rejected.sort(ROW)
