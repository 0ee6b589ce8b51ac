"""Reading raw values as the declared kind. Nothing is judged here: what cannot be read is null, and the rules say why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from mainspring.declare import Column, Kind

__all__ = ["DTYPES", "TIME", "Reading", "as_given", "read_column"]

TIME = pl.Datetime("us", "UTC")
_LOCAL = pl.Datetime("us")
DTYPES: dict[Kind, pl.DataType] = {
    Kind.KEY: pl.String(),
    Kind.CATEGORY: pl.String(),
    Kind.TEXT: pl.String(),
    Kind.FLOAT: pl.Float64(),
    Kind.INT: pl.Int64(),
    Kind.BOOL: pl.Boolean(),
    Kind.TIME: TIME,
}
_CALENDAR = (datetime(1, 1, 3), datetime(9999, 12, 29))  # noqa: DTZ001  # whatever the zone
_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_LOCAL_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M")
_ZONED_FORMATS = ("%+", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M%#z", "%Y-%m-%dT%H:%M%#z")


@dataclass(frozen=True)
class Reading:
    """A column as given and as read: `values` has the canonical dtype and is null where `raw` could not be read.

    `local` holds the times that carry no zone, as their clock showed them, and is null elsewhere.
    """

    column: Column
    raw: pl.Series
    values: pl.Series
    local: pl.Series | None = None  # of a column of times only


def read_column(column: Column, raw: pl.Series) -> Reading | None:
    """Read raw values as the column's kind; None when their type as a whole cannot be read as that kind.

    Text is read as the kind it spells; whole numbers become the decimal text of a Key or Category; times are kept to the
    microsecond and numbers as the nearest 64-bit float, as declared.
    """
    if isinstance(raw.dtype, pl.Categorical | pl.Enum):
        raw = raw.cast(pl.String)
    if raw.dtype == pl.Null:
        return Reading(column, raw, _missing(raw, DTYPES[column.of]))
    if column.of is Kind.TIME:
        return _read_time(column, raw)
    values = _READERS[column.of](raw)
    return None if values is None else Reading(column, raw, values)


def as_given(raw: pl.Series) -> list[Any]:
    """Return raw values as Python has them; a time beyond Python's calendar as text, the number that it is stored as."""
    if not isinstance(raw.dtype, pl.Datetime | pl.Date):
        return raw.to_list()
    limits = pl.Series(_CALENDAR, dtype=pl.Datetime("us")).cast(raw.dtype, strict=False).to_physical().to_list()
    numbers = raw.to_physical()  # a limit that the unit cannot reach is none: nanoseconds end in 2262
    beyond = (
        pl.Series([False]).new_from_index(0, len(raw))
        if None in limits
        else ~numbers.is_between(*limits).fill_null(True)
    )
    inside = raw.set(beyond, None).to_list()
    return [str(n) if far else value for value, n, far in zip(inside, numbers.to_list(), beyond.to_list(), strict=True)]


def _read_name(raw: pl.Series) -> pl.Series | None:
    return raw.cast(pl.String) if raw.dtype.is_integer() else _read_text(raw)


def _read_text(raw: pl.Series) -> pl.Series | None:
    return raw if raw.dtype == pl.String else None


def _read_float(raw: pl.Series) -> pl.Series | None:
    if not (raw.dtype.is_numeric() or raw.dtype == pl.String):
        return None
    values = raw.cast(pl.Float64, strict=False)
    if raw.dtype in (pl.Int64, pl.UInt64, pl.Int128):
        exact = values.cast(pl.Int128, strict=False) == raw.cast(pl.Int128)
        values = values.zip_with(exact.fill_null(False), _missing(raw, pl.Float64()))
    return values


def _read_int(raw: pl.Series) -> pl.Series | None:
    if raw.dtype == pl.String:
        return raw.str.replace(r"^([+-]?[0-9]+)\.0*$", "$1").cast(
            pl.Int64, strict=False
        )  # pandas writes 3 beside a gap as 3.0
    if not raw.dtype.is_numeric():
        return None
    values = raw.cast(pl.Int64, strict=False)
    if raw.dtype.is_integer():
        return values
    whole = (values.cast(raw.dtype) == raw).fill_null(False)
    return values.zip_with(whole, _missing(raw, pl.Int64()))


def _read_bool(raw: pl.Series) -> pl.Series | None:
    if raw.dtype == pl.Boolean:
        return raw
    if raw.dtype == pl.String:
        return raw.str.to_lowercase().replace_strict(_TRUTHS, default=None, return_dtype=pl.Boolean)
    if raw.dtype.is_numeric():
        return (raw == 1).zip_with(((raw == 0) | (raw == 1)).fill_null(False), _missing(raw, pl.Boolean()))
    return None


_READERS = {
    Kind.KEY: _read_name,
    Kind.CATEGORY: _read_name,
    Kind.TEXT: _read_text,
    Kind.FLOAT: _read_float,
    Kind.INT: _read_int,
    Kind.BOOL: _read_bool,
}


def _read_time(column: Column, raw: pl.Series) -> Reading | None:
    zone = getattr(column, "zone", None)
    values, local = _missing(raw, TIME), _missing(raw, _LOCAL)
    if isinstance(raw.dtype, pl.Datetime) and raw.dtype.time_zone is not None:
        values = raw.dt.convert_time_zone("UTC").cast(TIME)
    elif isinstance(raw.dtype, pl.Datetime) or raw.dtype == pl.Date:
        local = raw.cast(_LOCAL)
    elif raw.dtype == pl.String:
        values = _first_that_fits(raw, values, _ZONED_FORMATS)
        if (values.is_null() & raw.is_not_null()).any():
            local = _first_that_fits(raw.set(values.is_not_null(), None), local, _LOCAL_FORMATS)
            dates = raw.str.to_date("%Y-%m-%d", strict=False).cast(_LOCAL)
            local = local.zip_with(local.is_not_null(), dates)
    else:
        return None
    if zone is not None and local.null_count() < len(local):
        zoned = local.dt.replace_time_zone(zone, ambiguous="null", non_existent="null").dt.convert_time_zone("UTC")
        values = values.zip_with(values.is_not_null(), zoned)
    return Reading(column, raw, values, local)


def _first_that_fits(raw: pl.Series, values: pl.Series, formats: tuple[str, ...]) -> pl.Series:
    """Read texts by the first format that fits each; a format is tried only on what those before it left."""
    for format in formats:
        left = values.is_null() & raw.is_not_null()
        if not left.any():
            break
        read = raw.set(~left, None).str.to_datetime(format, time_unit="us", strict=False).cast(values.dtype)
        values = values.zip_with(values.is_not_null(), read)
    return values


def _missing(raw: pl.Series, dtype: pl.DataType) -> pl.Series:
    return pl.Series(raw.name, [None], dtype=dtype).new_from_index(0, len(raw))
