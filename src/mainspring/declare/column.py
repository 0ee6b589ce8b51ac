"""Columns: the typed attributes of a table. A column is itself an expression: its value in a row."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from mainspring.clock import format_span, parse_span
from mainspring.declare.expression import Expression
from mainspring.declare.kind import Kind
from mainspring.errors import DeclarationError

if TYPE_CHECKING:
    from mainspring.declare.table import Table

__all__ = ["Bool", "Category", "Column", "Float", "Int", "Key", "KnownAt", "Text", "Time", "UnknownColumn"]


@dataclass(frozen=True, eq=False, repr=False)
class Column(Expression):
    """A typed column. A row that breaks its contract goes to quarantine with the reason.

    `optional` allows missing values; `ge` and `le` are inclusive limits of a number, or of the length of a text; `source`
    is the column's name in the data where that differs. `table` and `name` are filled in when the table's class is made.
    """

    of: ClassVar[Kind]
    is_known_at: ClassVar[bool] = False

    unit: str | None = field(default=None, kw_only=True)
    ge: float | None = field(default=None, kw_only=True)
    le: float | None = field(default=None, kw_only=True)
    optional: bool = field(default=False, kw_only=True)
    description: str = field(default="", kw_only=True)
    source: str | None = field(default=None, kw_only=True)
    table: Any = field(default=None, kw_only=True)
    name: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ge is not None and self.le is not None and self.ge > self.le:
            raise DeclarationError(
                "DECLARE_COLUMN",
                f"No value is at least {self.ge:g} and at most {self.le:g}.",
                fix="Exchange ge and le.",
                origin=self.origin,
            )

    def bound(self, table: type[Table], name: str) -> Self:
        """Return this column as the one called `name` in `table`."""
        return replace(self, table=table, name=name)

    @property
    def kind(self) -> Kind:
        return self.of

    def __repr__(self) -> str:
        return f"{self.table.__name__}.{self.name}" if self.table is not None else f"{type(self).__name__}()"


@dataclass(frozen=True, eq=False, repr=False)
class Key(Column):
    """Identifies the thing a row is about: text or whole numbers, kept as text.

    The keys of a table and its known_at together identify one row: of rows that agree in them and differ elsewhere the
    first ingested is kept and the others go to quarantine.
    """

    of = Kind.KEY


@dataclass(frozen=True, eq=False, repr=False)
class Category(Column):
    """One of a limited set of names: text or whole numbers, kept as text."""

    of = Kind.CATEGORY


@dataclass(frozen=True, eq=False, repr=False)
class Text(Column):
    """Free text."""

    of = Kind.TEXT


@dataclass(frozen=True, eq=False, repr=False)
class Float(Column):
    """A 64-bit number. NaN and infinities break the contract: say missing instead."""

    of = Kind.FLOAT


@dataclass(frozen=True, eq=False, repr=False)
class Int(Column):
    """A 64-bit whole number. A number with a fraction breaks the contract."""

    of = Kind.INT


@dataclass(frozen=True, eq=False, repr=False)
class Bool(Column):
    """True or false."""

    of = Kind.BOOL


@dataclass(frozen=True, eq=False, repr=False)
class Time(Column):
    """An instant to the microsecond. Data without a time zone needs `zone`, the zone its clock showed.

    A local time that a daylight-saving change skips or repeats breaks the contract.
    """

    of = Kind.TIME
    zone: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True, eq=False, repr=False)
class KnownAt(Time):
    """When the system could first have known the row: visible from this instant plus `lag`. One in every table that is not static."""

    is_known_at = True
    lag: str = field(default="0s", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.optional:
            raise DeclarationError(
                "DECLARE_COLUMN",
                "KnownAt(optional=True) is not possible: a row that was never known cannot be read.",
                fix="Leave rows without this time out of the table.",
                origin=self.origin,
            )
        lag = parse_span(self.lag, origin=self.origin)
        self._set("lag", format_span(lag))


@dataclass(frozen=True, eq=False, repr=False)
class UnknownColumn(Expression):
    """What a misspelt column evaluates to, so that the lint can name every one of them at once."""

    table: Any
    name: str

    @property
    def kind(self) -> None:
        return None

    def __repr__(self) -> str:
        return f"{self.table.__name__}.{self.name}"
