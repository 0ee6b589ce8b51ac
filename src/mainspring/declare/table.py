"""Tables: typed streams of immutable facts. A user writes a class; its columns are plain class attributes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mainspring.declare.column import Column, Key, KnownAt, UnknownColumn
from mainspring.declare.expression import By, Expression, Window
from mainspring.declare.origin import caller_origin
from mainspring.declare.value import Declared
from mainspring.errors import DeclarationError, Origin

__all__ = ["Table", "TableSchema", "class_name", "make_table"]


@dataclass(frozen=True, eq=False, repr=False)
class TableSchema(Declared):
    """What a table holds: `name` is the class's name in snake_case, `columns` in the order they were written."""

    name: str
    columns: tuple[Column, ...]
    static: bool = False
    description: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the key columns."""
        return tuple(column.name for column in self.columns if isinstance(column, Key))

    @property
    def known_at(self) -> KnownAt | None:
        """The column that says when a row was known; None for a static table."""
        return next((column for column in self.columns if isinstance(column, KnownAt)), None)

    def column(self, name: str) -> Column | None:
        """Return the column with that name, or None."""
        return next((column for column in self.columns if column.name == name), None)


class _TableMeta(type):
    __schema__: TableSchema

    if not TYPE_CHECKING:

        def __getattr__(cls, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            return UnknownColumn(cls, name)

    def __repr__(cls) -> str:
        return cls.__name__


class Table(metaclass=_TableMeta):
    """The base of every table: `class Departure(ms.Table)`, or `class Plane(ms.Table, static=True)` for facts that are known always.

    A table that is not static has exactly one KnownAt column; a static one has none and at least one Key.

    >>> import mainspring as ms
    >>> class Departure(ms.Table):
    ...     flight_id = ms.Key()
    ...     dep_delay = ms.Float(unit="min")
    ...     left_at = ms.KnownAt()
    >>> Departure.dep_delay.mean(by="flight_id", over="1h")
    Departure.dep_delay.mean(by='flight_id', over='1h')

    Raises DeclarationError (DECLARE_TABLE) when the class is made.
    """

    __schema__: ClassVar[TableSchema]

    def __init_subclass__(cls, *, static: bool = False) -> None:
        super().__init_subclass__()
        origin = caller_origin()
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Column)}
        inherited = {
            c.name: c
            for base in cls.__mro__[1:]
            if "__schema__" in vars(base)
            for c in vars(base)["__schema__"].columns
        }
        columns = tuple(column.bound(cls, name) for name, column in {**inherited, **own}.items())
        for column in columns:
            setattr(cls, column.name, column)
        doc = re.sub(r"\s+", " ", cls.__doc__ or "").strip() if "__doc__" in vars(cls) else ""
        cls.__schema__ = TableSchema(_snake(cls.__name__), columns, static=static, description=doc, origin=origin)
        _check(cls, origin)

    @classmethod
    def count(cls, *, by: By = (), over: str, where: Expression | None = None) -> Window:
        """How many rows became known in (t - over, t]; 0 for none. (A column called `count` hides this: use its own.)"""
        schema = cls.__schema__
        row = schema.columns[0] if schema.known_at is None else schema.known_at
        return Window(row, statistic="count", by=by, over=over, where=where)


def make_table(name: str, columns: dict[str, Column], *, static: bool = False, description: str = "") -> type[Table]:
    """Make a table from a name in CamelCase and its columns, as a class statement would."""
    return _TableMeta(name, (Table,), {**columns, "__doc__": description}, static=static)  # type: ignore[return-value]


def class_name(name: str) -> str:
    """Return a class name for a table's snake_case name: the usual CamelCase, or the name itself where that would not lead back."""
    camel = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    return camel if _snake(camel) == name else name


def _check(table: type[Table], origin: Origin | None) -> None:
    schema = table.__schema__
    known = [column.name for column in schema.columns if column.is_known_at]
    problem = fix = ""
    if not schema.columns:
        problem, fix = "has no columns", "Write its columns as class attributes, for example amount = ms.Float()."
    elif schema.static and known:
        problem = f"is static but says when a row is known ({known[0]})"
        fix = "Leave static=True out, or make that column a plain ms.Time()."
    elif schema.static and not schema.keys:
        problem, fix = "is static and has no ms.Key()", "Say which column identifies a row."
    elif not schema.static and len(known) != 1:
        problem = f"has {len(known)} KnownAt columns" + (f" ({', '.join(known)})" if known else "")
        fix = "Give it exactly one ms.KnownAt(): when the system could first have known the row; or say static=True."
    elif reserved := [c.name for c in schema.columns if c.name.startswith("_")]:
        problem, fix = f"has a column {reserved[0]!r}", "Names that begin with an underscore are Mainspring's own."
    if problem:
        raise DeclarationError("DECLARE_TABLE", f"Table {table.__name__} {problem}.", fix=fix, origin=origin)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
