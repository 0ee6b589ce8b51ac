"""The survey: which columns a file has, and as what each can be declared so that the contract will read it."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace

import polars as pl

from mainspring.declare import Bool, Category, Column, Float, Int, Kind, Time
from mainspring.lake.parsing import TIME, read_column

__all__ = ["MISSING_WORDS", "Field", "identifier", "names", "survey"]

MISSING_WORDS = ("NA", "null", "NaN", "nan", "N/A", "n/a", "NULL", "None", "#N/A", "?", "-")
_ENOUGH = 0.95  # of the values must be readable: a few broken ones go to quarantine
_LONGEST_CATEGORY = 60
_IDENTIFIES = re.compile(r"(^|_)(id|ids|key|code|zip|postcode|uuid|guid|number|no|nr)$|[a-z]ID$", re.IGNORECASE)
_TELLS_TIME = re.compile(
    r"(^|_)(time|date|datetime|timestamp|ts|epoch|unix|at|on|when|day)($|_)|time$|date$", re.IGNORECASE
)
_FORMATS = tuple(
    f"{day}{clock}"
    for day in ("%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%m/%d/%y", "%d/%m/%y", "%d.%m.%y")
    for clock in ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
)
_EPOCHS = {"s": 1, "ms": 1_000, "us": 1_000_000}
_FIRST_SECOND, _LAST_SECOND = 631_152_000, 4_102_444_800  # 1990 to 2100
_FIRST_YEAR, _LAST_YEAR = 1900, 2100


@dataclass(frozen=True, eq=False, kw_only=True)
class Field:
    """A column of the file. `values` are as the contract reads them, null where it cannot."""

    source: str  # its name in the file
    name: str  # its name in Python
    raw: pl.Series
    values: pl.Series
    kind: Kind
    distinct: int
    naive: bool = False  # a time without a zone
    format: str | None = (
        None  # of a time that is not ISO 8601, as strptime has it, or "epoch s", "epoch ms", "epoch us"
    )

    @property
    def missing(self) -> int:
        """How many values are missing."""
        return self.raw.null_count()

    @property
    def unread(self) -> int:
        """How many values are there and cannot be read as the kind."""
        return self.values.null_count() - self.missing

    @property
    def identifies(self) -> bool:
        """Whether its name is that of an identifier."""
        return bool(_IDENTIFIES.search(self.source.strip()))


def survey(frame: pl.DataFrame) -> list[Field]:
    """Return the columns of a file that hold anything a table can hold, in their order."""
    fields = (_field(column, name) for column, name in zip(frame, names(frame.columns), strict=True))
    return [field for field in fields if field is not None]


def names(sources: Iterable[str]) -> list[str]:
    """Return a Python name for each column: lower case, no keyword, none twice."""
    found: list[str] = []
    for position, source in enumerate(sources, 1):
        name = identifier(source) or f"column_{position}"
        number = 2
        while (unique := name if name not in found else f"{name}_{number}") in found:
            number += 1
        found.append(unique)
    return found


def identifier(text: str, prefix: str = "column") -> str:
    """Return text as a lower-case Python name, the prefix before a digit; empty when no letter or digit of it remains."""
    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    name = re.sub(r"[^0-9a-z]+", "_", plain.lower()).strip("_")
    if name[:1].isdigit():
        name = f"{prefix}_{name}"
    return f"{name}_" if keyword.iskeyword(name) or name == "ms" else name  # `ms` would hide the package


def _field(raw: pl.Series, name: str) -> Field | None:
    if isinstance(raw.dtype, pl.Categorical | pl.Enum):
        raw = raw.cast(pl.String)
    present = raw.drop_nulls()
    if not len(present) or raw.dtype.is_nested() or raw.dtype in (pl.Binary, pl.Object, pl.Duration, pl.Time):
        return None
    distinct = present.n_unique()
    found = Field(source=raw.name, name=name, raw=raw, values=raw, kind=Kind.TEXT, distinct=distinct)
    return _as_time(found) or _as_number(found) or _as_name(found)


def _as_time(field: Field) -> Field | None:
    reading = read_column(Time(zone="UTC"), field.raw)
    if reading is not None and _readable(reading.values, field.raw):
        naive = reading.local is not None and reading.local.is_not_null().any()
        return replace(field, values=reading.values, kind=Kind.TIME, naive=naive)
    if field.raw.dtype == pl.String and not _readable(_read(Int(), field.raw), field.raw):
        for format in _FORMATS:
            values = field.raw.str.to_datetime(format, strict=False, time_unit="us")
            values = values.set(~values.dt.year().is_between(_FIRST_YEAR, _LAST_YEAR), None)
            if _readable(values, field.raw):
                return replace(field, values=values.cast(TIME), kind=Kind.TIME, naive=True, format=format)
    if _TELLS_TIME.search(field.source.strip()):
        return _as_epoch(field)
    return None


def _as_epoch(field: Field) -> Field | None:
    numbers = _read(Int(), field.raw)
    if numbers is None or not _readable(numbers, field.raw):
        return None
    for unit, per_second in _EPOCHS.items():
        if numbers.is_between(_FIRST_SECOND * per_second, _LAST_SECOND * per_second).sum() >= _ENOUGH * numbers.count():
            values = (numbers * (1_000_000 // per_second)).cast(TIME)
            return replace(field, values=values, kind=Kind.TIME, format=f"epoch {unit}")
    return None


def _as_number(field: Field) -> Field | None:
    raw = field.raw
    as_bool = _read(Bool(), raw)
    if (
        as_bool is not None
        and field.distinct == 2
        and as_bool.n_unique() - bool(field.missing) == 2
        and _all(as_bool, raw)
    ):
        return replace(field, values=as_bool, kind=Kind.BOOL)
    text = raw if raw.dtype == pl.String else None
    if text is not None and text.str.contains(r"^0[0-9]").any():
        return None  # a code such as 007
    whole, number = _read(Int(), raw), _read(Float(), raw)
    fractions = (
        raw.dtype.is_float() and not field.missing if text is None else text.str.contains(".", literal=True).any()
    )
    if whole is not None and not fractions and not raw.dtype.is_decimal() and _readable(whole, raw):
        if field.identifies and 2 * field.distinct <= len(raw):
            return replace(field, values=whole.cast(pl.String), kind=Kind.CATEGORY)
        return replace(field, values=whole, kind=Kind.INT)
    if number is not None and _readable(number, raw):
        return replace(field, values=number, kind=Kind.FLOAT)
    return None


def _as_name(field: Field) -> Field | None:
    values = _read(Category(), field.raw)
    if values is None:
        return None
    lengths = values.str.len_chars()
    short = (lengths.max() or 0) <= _LONGEST_CATEGORY  # type: ignore[operator]
    repeated = 2 * field.distinct <= len(values) or field.distinct <= 20
    spaced = values.str.contains(r"\S\s+\S").mean() or 0.0
    kind = Kind.CATEGORY if short and (repeated or spaced < 0.5) else Kind.TEXT  # type: ignore[operator]
    return replace(field, values=values, kind=kind)


def _read(column: Column, raw: pl.Series) -> pl.Series | None:
    reading = read_column(column, raw)
    return None if reading is None else reading.values


def _readable(values: pl.Series | None, raw: pl.Series) -> bool:
    return values is not None and values.count() > 0 and values.count() >= _ENOUGH * raw.count()


def _all(values: pl.Series, raw: pl.Series) -> bool:
    return values.count() == raw.count()
