"""The rules a row must keep: one small function each, checked in bulk, each naming the rows that break it and why.

They are expressions over one frame, so that all of them are answered at once: a few rows take as long as one rule does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from mainspring.clock import microseconds
from mainspring.declare import Kind
from mainspring.declare.kind import NUMBERS, STRINGS
from mainspring.lake.parsing import Reading

__all__ = ["FIRST_YEAR", "LAST_YEAR", "RULES", "Breach", "Rule", "frame_of_readings"]

FIRST_YEAR, LAST_YEAR = 1678, 2261  # what pandas can show in nanoseconds; beyond lie the sentinels 0001 and 9999
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_START, _END = (microseconds(datetime(year, 1, 1, tzinfo=UTC) - _EPOCH) for year in (FIRST_YEAR, LAST_YEAR + 1))


@dataclass(frozen=True)
class Breach:
    """Where (true over `frame_of_readings`, null counting as kept) and why rows break a rule."""

    mask: pl.Expr
    reason: str
    sentence: str


Rule = Callable[[Reading], Breach | None]


def frame_of_readings(readings: Sequence[Reading]) -> pl.DataFrame:
    """Return the columns that rules look at."""
    columns = {f"{each.column.name} raw": each.raw for each in readings}
    columns |= {f"{each.column.name} values": each.values for each in readings}
    columns |= {f"{each.column.name} local": each.local for each in readings if each.local is not None}
    return pl.DataFrame(columns)


def missing(reading: Reading) -> Breach | None:
    """A value that is not optional must be there."""
    if reading.column.optional:
        return None
    return Breach(_raw(reading).is_null(), "missing", f"{reading.column.name} is missing.")


def not_finite(reading: Reading) -> Breach | None:
    """A number is neither NaN nor infinite."""
    if reading.column.of not in NUMBERS:
        return None
    numbers = _values(reading)
    if reading.column.of is Kind.INT:
        if not (reading.raw.dtype.is_float() or reading.raw.dtype == pl.String):
            return None
        numbers = pl.when(_unread(reading)).then(_raw(reading)).cast(pl.Float64, strict=False)
    sentence = f"{reading.column.name} is NaN or infinite; say missing instead."
    return Breach(~numbers.is_finite(), "not_finite", sentence)


def fraction(reading: Reading) -> Breach | None:
    """A whole number has no fraction."""
    if reading.column.of is not Kind.INT or reading.raw.dtype.is_integer():
        return None
    numbers = pl.when(_unread(reading)).then(_raw(reading)).cast(pl.Float64, strict=False)
    return Breach(
        numbers.is_finite() & (numbers != numbers.floor()),
        "fraction",
        f"{reading.column.name} has a fraction.",
    )


def no_zone(reading: Reading) -> Breach | None:
    """A time carries its zone, or the declaration names one."""
    if reading.local is None or getattr(reading.column, "zone", None) is not None:
        return None
    return Breach(_local(reading).is_not_null(), "no_zone", f"{reading.column.name} has no time zone.")


def impossible_local_time(reading: Reading) -> Breach | None:
    """A local time happened exactly once: no change of clocks skipped or repeated it."""
    zone = getattr(reading.column, "zone", None)
    if reading.local is None or zone is None:
        return None
    sentence = f"{reading.column.name} is a local time that a change of clocks in {zone} skips or repeats."
    return Breach(_local(reading).is_not_null() & _values(reading).is_null(), "impossible_local_time", sentence)


def out_of_calendar(reading: Reading) -> Breach | None:
    """A time lies in the years that every tool can show."""
    if reading.column.of is not Kind.TIME:
        return None
    mask = ~_values(reading).dt.timestamp("us").is_between(_START, _END, closed="left")
    return Breach(mask, "out_of_calendar", f"{reading.column.name} lies outside the years {FIRST_YEAR} to {LAST_YEAR}.")


def unreadable(reading: Reading) -> Breach | None:
    """A value that is there can be read as the declared kind."""
    what = {
        Kind.INT: "a 64-bit whole number",
        Kind.FLOAT: "a 64-bit number",
        Kind.BOOL: "true or false",
        Kind.TIME: "a time",
    }
    kind = what.get(reading.column.of, "text")
    return Breach(_unread(reading), "unreadable", f"{reading.column.name} cannot be read exactly as {kind}.")


def too_small(reading: Reading) -> Breach | None:
    """A number is at least `ge`, a text at least that long."""
    limit, size = reading.column.ge, _size(reading)
    if limit is None or size is None:
        return None
    if reading.column.of in NUMBERS:
        return Breach(size < limit, "too_small", f"{reading.column.name} is below {limit:g}.")
    return Breach(size < limit, "too_short", f"{reading.column.name} is shorter than {limit:g} characters.")


def too_large(reading: Reading) -> Breach | None:
    """A number is at most `le`, a text at most that long."""
    limit, size = reading.column.le, _size(reading)
    if limit is None or size is None:
        return None
    if reading.column.of in NUMBERS:
        return Breach(size > limit, "too_large", f"{reading.column.name} is above {limit:g}.")
    return Breach(size > limit, "too_long", f"{reading.column.name} is longer than {limit:g} characters.")


RULES: tuple[Rule, ...] = (
    missing,
    not_finite,
    fraction,
    no_zone,
    impossible_local_time,
    out_of_calendar,
    unreadable,
    too_small,
    too_large,
)


def _raw(reading: Reading) -> pl.Expr:
    return pl.col(f"{reading.column.name} raw")


def _values(reading: Reading) -> pl.Expr:
    return pl.col(f"{reading.column.name} values")


def _local(reading: Reading) -> pl.Expr:
    return pl.col(f"{reading.column.name} local")


def _unread(reading: Reading) -> pl.Expr:
    return _raw(reading).is_not_null() & _values(reading).is_null()


def _size(reading: Reading) -> pl.Expr | None:
    if reading.column.of in NUMBERS:
        return _values(reading)
    return _values(reading).str.len_chars() if reading.column.of in STRINGS else None
