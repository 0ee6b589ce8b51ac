"""Expressions: what a feature, a label or a decision time is made of.

An expression is a frozen tree of five kinds of node: a column of a row, a literal, the decision time, a call of a function
in `kind.FUNCTIONS`, and an aggregate (`Latest`, `Window`) that reads the rows of a table as of the decision. Making one
computes nothing. What each node means is written once, in features/reference.py.

Missing values: a call on a missing value is missing, except `is_missing`, `fill_missing` and `where` (a missing condition
is not true). Division by zero, the root of a negative number and anything else that is not finite are missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Union

from mainspring.clock import format_instant, format_span, parse_instant, parse_span
from mainspring.declare.kind import FUNCTIONS, TIME_PARTS, Kind
from mainspring.declare.origin import caller_origin
from mainspring.declare.value import Declared
from mainspring.errors import DeclarationError, Origin

if TYPE_CHECKING:
    from mainspring.declare.table import Table

__all__ = ["Call", "DecidedAt", "Expression", "Latest", "Literal", "Window", "decided_at", "walk", "where"]

Scalar = bool | int | float | str | datetime | date | timedelta
By = Union[str, "Expression", tuple[Union[str, "Expression"], ...], Mapping[Any, Any]]


@dataclass(frozen=True, eq=False, repr=False)
class Expression(Declared):
    """A value computed from facts. Operators and methods build larger expressions."""

    @property
    def kind(self) -> Kind | None:
        """The kind of the value, or None when the parts do not fit together (the lint says why)."""
        raise NotImplementedError

    @property
    def unit(self) -> str | None:
        """The unit of the value, or None when it has none or it is not known."""
        return None

    @property
    def children(self) -> tuple[Expression, ...]:
        """The expressions this one is directly made of."""
        return ()

    # -- equality --------------------------------------------------------------------------------------------------
    # `==` declares a comparison. Two expressions asked for plain truth answer whether they are the same declaration,
    # which is what lets them be keys of a dict; a comparison with a value has no truth before there are facts.

    def __eq__(self, other: object) -> Call:  # type: ignore[override]
        return self._compare("equal", other) if isinstance(other, Expression | Scalar) else NotImplemented

    def __ne__(self, other: object) -> Call:  # type: ignore[override]
        return self._compare("not_equal", other) if isinstance(other, Expression | Scalar) else NotImplemented

    __hash__ = Declared.__hash__

    def __bool__(self) -> bool:
        raise DeclarationError(
            "DECLARE_TRUTH",
            f"{self!r} has no truth value: it is computed later, once for each row.",
            fix="Use & for and, | for or, ~ for not, and ms.where(condition, a).otherwise(b) for if.",
            origin=self.origin,
        )

    # -- arithmetic, comparison, logic --------------------------------------------------------------------------------

    def _call(self, function: str, *others: object) -> Call:
        return Call(function, (self, *(as_expression(other, like=self.kind) for other in others)))

    def _arithmetic(self, function: str, left: object, right: object) -> Call:
        return Call(function, (as_term(left), as_term(right)))

    def _compare(self, function: str, other: object) -> Call:
        return self._call(function, other)

    def __add__(self, other: Expression | Scalar) -> Call:
        return self._arithmetic("add", self, other)

    def __radd__(self, other: Scalar) -> Call:
        return self._arithmetic("add", other, self)

    def __sub__(self, other: Expression | Scalar) -> Call:
        return self._arithmetic("subtract", self, other)

    def __rsub__(self, other: Scalar) -> Call:
        return self._arithmetic("subtract", other, self)

    def __mul__(self, other: Expression | Scalar) -> Call:
        return self._arithmetic("multiply", self, other)

    def __rmul__(self, other: Scalar) -> Call:
        return self._arithmetic("multiply", other, self)

    def __truediv__(self, other: Expression | Scalar) -> Call:
        return self._arithmetic("divide", self, other)

    def __rtruediv__(self, other: Scalar) -> Call:
        return self._arithmetic("divide", other, self)

    def __floordiv__(self, other: Expression | Scalar) -> Call:
        return self._arithmetic("floor_divide", self, other)

    def __mod__(self, other: Expression | Scalar) -> Call:
        return self._arithmetic("modulo", self, other)

    def __neg__(self) -> Call:
        return self._call("negate")

    def __abs__(self) -> Call:
        return self._call("absolute")

    def __lt__(self, other: Expression | Scalar) -> Call:
        return self._compare("less", other)

    def __le__(self, other: Expression | Scalar) -> Call:
        return self._compare("less_equal", other)

    def __gt__(self, other: Expression | Scalar) -> Call:
        return self._compare("greater", other)

    def __ge__(self, other: Expression | Scalar) -> Call:
        return self._compare("greater_equal", other)

    def __and__(self, other: Expression) -> Call:
        return self._call("and", other)

    def __or__(self, other: Expression) -> Call:
        return self._call("or", other)

    def __invert__(self) -> Call:
        return self._call("not")

    def abs(self) -> Call:
        """The absolute value."""
        return self._call("absolute")

    def sqrt(self) -> Call:
        """The square root; missing for a negative number."""
        return self._call("square_root")

    def log1p(self) -> Call:
        """The natural logarithm of 1 + x; missing where x <= -1."""
        return self._call("log1p")

    def sin(self) -> Call:
        """The sine of an angle in radians."""
        return self._call("sine")

    def cos(self) -> Call:
        """The cosine of an angle in radians."""
        return self._call("cosine")

    def clip(self, low: float, high: float) -> Call:
        """The value, held between two limits."""
        return self._call("clip", low, high)

    def is_in(self, *values: Scalar) -> Call:
        """True where the value is one of these."""
        return self._call("is_in", *values)

    def is_missing(self) -> Call:
        """True where the value is missing; never missing itself."""
        return self._call("is_missing")

    def fill_missing(self, value: Expression | Scalar) -> Call:
        """The value, or the given one where it is missing."""
        return self._call("fill_missing", value)

    def length(self) -> Call:
        """The number of characters (Unicode code points) of a text."""
        return self._call("length")

    # -- parts of a time, units of a span -----------------------------------------------------------------------------

    def _part(self, part: str, zone: str) -> Call:
        return Call(part, (self,), zone=zone)

    def minute(self, zone: str = "UTC") -> Call:
        """Minute of the hour, 0 to 59, in a time zone."""
        return self._part("minute", zone)

    def hour(self, zone: str = "UTC") -> Call:
        """Hour of the day, 0 to 23, in a time zone."""
        return self._part("hour", zone)

    def weekday(self, zone: str = "UTC") -> Call:
        """Day of the week, 0 (Monday) to 6, in a time zone."""
        return self._part("weekday", zone)

    def day(self, zone: str = "UTC") -> Call:
        """Day of the month, 1 to 31, in a time zone."""
        return self._part("day", zone)

    def day_of_year(self, zone: str = "UTC") -> Call:
        """Day of the year, 1 to 366, in a time zone."""
        return self._part("day_of_year", zone)

    def week(self, zone: str = "UTC") -> Call:
        """ISO 8601 week of the year, 1 to 53, in a time zone."""
        return self._part("week", zone)

    def month(self, zone: str = "UTC") -> Call:
        """Month of the year, 1 to 12, in a time zone."""
        return self._part("month", zone)

    def year(self, zone: str = "UTC") -> Call:
        """Calendar year in a time zone."""
        return self._part("year", zone)

    def seconds(self) -> Call:
        """A span as a number of seconds."""
        return self._call("seconds")

    def minutes(self) -> Call:
        """A span as a number of minutes."""
        return self._call("minutes")

    def hours(self) -> Call:
        """A span as a number of hours."""
        return self._call("hours")

    def days(self) -> Call:
        """A span as a number of days of 24 hours."""
        return self._call("days")

    # -- aggregates over the rows known at the decision -------------------------------------------------------------

    def latest(self, *, by: By = (), within: str | None = None, where: Expression | None = None) -> Latest:
        """The value in the newest known row with the decision's key, if it became known within the span before.

        Reads rows with t - within < known_at <= t and takes the greatest known_at (ties: the last ingested). The value is
        missing when there is no such row, or when that row's value is missing.
        """
        return Latest(self, by=by, within=within, where=where)

    def count(self, *, by: By = (), over: str, where: Expression | None = None) -> Window:
        """How many rows in (t - over, t] have this value; 0 for none."""
        return Window(self, statistic="count", by=by, over=over, where=where)

    def sum(self, *, by: By = (), over: str, where: Expression | None = None) -> Window:
        """The sum of the values in (t - over, t]; 0 for none."""
        return Window(self, statistic="sum", by=by, over=over, where=where)

    def mean(self, *, by: By = (), over: str, where: Expression | None = None) -> Window:
        """The mean of the values in (t - over, t]; missing for none."""
        return Window(self, statistic="mean", by=by, over=over, where=where)

    def min(self, *, by: By = (), over: str, where: Expression | None = None) -> Window:
        """The least value in (t - over, t]; missing for none."""
        return Window(self, statistic="min", by=by, over=over, where=where)

    def max(self, *, by: By = (), over: str, where: Expression | None = None) -> Window:
        """The greatest value in (t - over, t]; missing for none."""
        return Window(self, statistic="max", by=by, over=over, where=where)

    def std(self, *, by: By = (), over: str, where: Expression | None = None) -> Window:
        """The sample standard deviation (n - 1) of the values in (t - over, t]; missing for fewer than two."""
        return Window(self, statistic="std", by=by, over=over, where=where)

    def share(self, *, by: By = (), over: str, where: Expression | None = None) -> Window:
        """The share of rows in (t - over, t] for which this condition is true; missing for none."""
        return Window(self, statistic="share", by=by, over=over, where=where)

    def distinct(self, *, by: By = (), over: str, where: Expression | None = None) -> Window:
        """How many different values there are in (t - over, t]; 0 for none."""
        return Window(self, statistic="distinct", by=by, over=over, where=where)

    def first(self, *, by: By = (), over: str, where: Expression | None = None) -> Window:
        """The value of the oldest row in (t - over, t] (ties: the first ingested); missing for none."""
        return Window(self, statistic="first", by=by, over=over, where=where)


@dataclass(frozen=True, eq=False, repr=False)
class Literal(Expression):
    """A constant. Instants and spans are kept as text, so that a declaration prints as it was written."""

    value: bool | int | float | str | None
    of: Kind

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("of", Kind(self.of))

    @property
    def kind(self) -> Kind:
        return self.of

    @property
    def microseconds(self) -> int:
        """An instant or a span as microseconds."""
        return _signed_span(str(self.value)) if self.of is Kind.SPAN else parse_instant(str(self.value))

    @property
    def python(self) -> Any:
        """The value as Python has it: a timedelta for a span, an aware datetime for an instant."""
        if self.of is Kind.SPAN:
            return timedelta(microseconds=self.microseconds)
        return datetime.fromisoformat(str(self.value)).astimezone(UTC) if self.of is Kind.TIME else self.value

    def __repr__(self) -> str:
        return repr(self.value)


@dataclass(frozen=True, eq=False, repr=False)
class DecidedAt(Expression):
    """The instant of the decision. Write `ms.decided_at`."""

    @property
    def kind(self) -> Kind:
        return Kind.TIME

    def __repr__(self) -> str:
        return "decided_at"


decided_at = DecidedAt(origin=Origin("decided_at", 0))

_INFIX = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "floor_divide": "//", "modulo": "%", "equal": "==",
    "not_equal": "!=", "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "and": "&", "or": "|",
}  # fmt: skip
_PREFIX = {"negate": "-", "not": "~"}
_ARITHMETIC = {"add", "subtract", "multiply", "divide", "floor_divide", "modulo"}
_ALIASES = {"absolute": "abs", "square_root": "sqrt", "sine": "sin", "cosine": "cos"}
_ELAPSED = {"seconds": "s", "minutes": "min", "hours": "h", "days": "d"}
_KEEPS_UNIT = {"add", "subtract", "negate", "absolute", "clip", "fill_missing", "modulo"}


@dataclass(frozen=True, eq=False, repr=False)
class Call(Expression):
    """A function of `kind.FUNCTIONS` applied to arguments. `zone` belongs to the parts of a time."""

    function: str
    arguments: tuple[Expression, ...]
    zone: str | None = None

    @property
    def kind(self) -> Kind | None:
        kinds = [argument.kind for argument in self.arguments]
        return None if None in kinds else FUNCTIONS[self.function].result(*kinds)

    @property
    def unit(self) -> str | None:
        if self.function in _ELAPSED:
            return _ELAPSED[self.function]
        if self.function in _KEEPS_UNIT:
            return next((a.unit for a in self.arguments if a.unit), None)
        if self.function == "where":
            return next((a.unit for a in self.arguments[1:] if a.unit), None)
        if self.function == "divide" and all(a.unit for a in self.arguments):
            above, below = (a.unit for a in self.arguments)
            return None if above == below else f"{above}/{below}"
        if self.function in {"multiply", "divide"} and isinstance(self.arguments[1], Literal):
            return None  # a factor may be a conversion
        return None

    @property
    def children(self) -> tuple[Expression, ...]:
        return self.arguments

    def otherwise(self, value: Expression | Scalar) -> Call:
        """The value of `ms.where(condition, then)` for rows where the condition is not true."""
        if self.function != "where" or len(self.arguments) != 2:
            raise DeclarationError(
                "DECLARE_EXPRESSION",
                f"{self!r} has no open condition.",
                fix="Write ms.where(condition, value).otherwise(value).",
                origin=self.origin,
            )
        return Call("where", (*self.arguments, as_expression(value, like=self.arguments[1].kind)))

    def __bool__(self) -> bool:
        left, right = self.arguments[0], self.arguments[-1]
        declarations = isinstance(left, Literal) or not isinstance(right, Literal)
        if self.function in {"equal", "not_equal"} and declarations:
            same = left.fingerprint == right.fingerprint
            return same if self.function == "equal" else not same
        return super().__bool__()

    def __repr__(self) -> str:
        shown = [self._shown(a) for a in self.arguments]
        if self.function in _INFIX:
            left, right = (
                f"({s})" if isinstance(a, Call) and a.function in _INFIX else s
                for a, s in zip(self.arguments, shown, strict=True)
            )
            return f"{left} {_INFIX[self.function]} {right}"
        if self.function in _PREFIX:
            return f"{_PREFIX[self.function]}({shown[0]})"
        if self.function == "where":
            return f"where({shown[0]}, {shown[1]})" + (f".otherwise({shown[2]})" if len(shown) > 2 else "")
        rest = [repr(self.zone)] if self.function in TIME_PARTS and self.zone != "UTC" else shown[1:]
        return f"{_receiver(self.arguments[0])}.{_ALIASES.get(self.function, self.function)}({', '.join(rest)})"

    def _shown(self, argument: Expression) -> str:
        """Text stands for a span or an instant only where it is read as one."""
        if not isinstance(argument, Literal) or argument.of not in {Kind.SPAN, Kind.TIME}:
            return repr(argument)
        like = self.arguments[1] if self.function == "where" else self.arguments[0]
        read_as = Kind.SPAN if self.function in _ARITHMETIC else None if like is argument else like.kind
        return repr(argument if read_as is argument.of else argument.python)


def _receiver(expression: Expression) -> str:
    """Show what a method is called on: anything with an operator in brackets."""
    operator = isinstance(expression, Call) and (expression.function in _INFIX or expression.function in _PREFIX)
    return f"({expression!r})" if operator else repr(expression)


@dataclass(frozen=True, eq=False, repr=False)
class Aggregate(Expression):
    """A value from the rows of one table that were known at the decision and carry the decision's key.

    `by` pairs columns of the table with columns of the decision's row: a name or names shared by both, or a mapping from
    the table's column to the decision's. It is kept as a tuple of pairs.
    """

    row: Expression
    by: Any = field(default=(), kw_only=True)
    where: Expression | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("by", key_pairs(self.by, self.origin))
        if self.where is not None and not isinstance(self.where, Expression):
            raise DeclarationError(
                "DECLARE_EXPRESSION",
                f"where={self.where!r} is not a condition on the rows.",
                fix="Write for example where=Departure.dep_delay > 0.",
                origin=self.origin,
            )

    @property
    def children(self) -> tuple[Expression, ...]:
        return (self.row,) if self.where is None else (self.row, self.where)

    @property
    def table(self) -> type[Table] | None:
        """The table it reads, or None when its rows' expression names none or several (the lint says which)."""
        tables = {
            column.table
            for part in self.children
            for column in walk(part)
            if hasattr(column, "table") and not isinstance(column, Aggregate)
        }
        return next(iter(tables)) if len(tables) == 1 else None

    def _by(self) -> str:
        if not self.by:
            return ""
        if all(theirs == ours for theirs, ours in self.by):
            names = tuple(theirs for theirs, _ in self.by)
            return f"by={names[0]!r}" if len(names) == 1 else f"by={names!r}"
        return f"by={dict(self.by)!r}"

    def _show(self, row: Expression | str, method: str, *arguments: str) -> str:
        shown = row if isinstance(row, str) else _receiver(row)
        where = f"where={self.where!r}" if self.where is not None else ""
        return f"{shown}.{method}({', '.join(a for a in (self._by(), *arguments, where) if a)})"


@dataclass(frozen=True, eq=False, repr=False)
class Latest(Aggregate):
    """The value of `row` in the newest known row; see Expression.latest."""

    within: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.within is not None:
            within = parse_span(self.within, origin=self.origin)
            if within <= 0:
                raise DeclarationError(
                    "DECLARE_WINDOW",
                    f"within={self.within!r} holds no time.",
                    fix='Write for example within="6h", or leave within out for the newest row of all.',
                    origin=self.origin,
                )
            self._set("within", format_span(within))

    @property
    def kind(self) -> Kind | None:
        return self.row.kind

    @property
    def unit(self) -> str | None:
        return self.row.unit

    def __repr__(self) -> str:
        return self._show(self.row, "latest", f"within={self.within!r}" if self.within else "")


@dataclass(frozen=True, eq=False, repr=False)
class Window(Aggregate):
    """A statistic of `row` over the known rows in (t - over, t]; `row` is a KnownAt column when rows are counted."""

    statistic: str = field(kw_only=True)
    over: str = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        over = parse_span(self.over, origin=self.origin)
        if over <= 0:
            raise DeclarationError(
                "DECLARE_WINDOW",
                f"over={self.over!r} holds no time.",
                fix='Write for example over="6h".',
                origin=self.origin,
            )
        self._set("over", format_span(over))

    @property
    def kind(self) -> Kind | None:
        if self.statistic in {"count", "distinct"}:
            return Kind.INT
        if self.statistic == "first":
            return self.row.kind
        if self.statistic in {"min", "max"} and self.row.kind in {Kind.TIME, Kind.SPAN}:
            return self.row.kind
        return Kind.FLOAT

    @property
    def unit(self) -> str | None:
        return None if self.statistic in {"count", "distinct", "share"} else self.row.unit

    def __repr__(self) -> str:
        row: Expression | str = self.row
        if self.statistic == "count" and getattr(self.row, "is_known_at", False):
            table = self.row.table  # type: ignore[attr-defined]
            row = table.__name__ if table.__schema__.column("count") is None else row
        return self._show(row, self.statistic, f"over={self.over!r}")


def key_pairs(by: Any, origin: Origin | None) -> tuple[tuple[str, str], ...]:
    """Turn any form of `by` into pairs (column of the fact table, column of the decision's row)."""
    if isinstance(by, Mapping):
        return tuple((_column_name(theirs, origin), _column_name(ours, origin)) for theirs, ours in by.items())
    items = by if isinstance(by, tuple | list) else (by,)
    pairs = (item if isinstance(item, tuple | list) and len(item) == 2 else (item, item) for item in items)
    return tuple((_column_name(theirs, origin), _column_name(ours, origin)) for theirs, ours in pairs)


def _column_name(value: Any, origin: Origin | None) -> str:
    name = value if isinstance(value, str) else getattr(value, "name", None)
    if not isinstance(name, str):
        raise DeclarationError(
            "DECLARE_WINDOW",
            f"by={value!r} is not a column.",
            fix='Write by="origin", by=("origin", "carrier"), or by={"fact_column": "decision_column"}.',
            origin=origin,
        )
    return name


def as_expression(value: object, *, like: Kind | None = None) -> Expression:
    """Turn a plain value into a literal; text next to a time or a span is read as an instant or a span.

    Raises DeclarationError (DECLARE_EXPRESSION) for a value that no column can hold.
    """
    if isinstance(value, Expression):
        return value
    origin = caller_origin()
    if isinstance(value, timedelta) or (isinstance(value, str) and like is Kind.SPAN):
        return Literal(format_span(_signed_span(value, origin)), Kind.SPAN, origin=origin)
    if isinstance(value, datetime | date) or (isinstance(value, str) and like is Kind.TIME):
        return Literal(format_instant(parse_instant(value, origin=origin)), Kind.TIME, origin=origin)
    if isinstance(value, float) and not math.isfinite(value):
        raise DeclarationError(
            "DECLARE_EXPRESSION",
            f"{value!r} is not a value any fact can have.",
            fix="Ask for missing values with .is_missing(), and replace them with .fill_missing(value).",
            origin=origin,
        )
    for python, kind in ((bool, Kind.BOOL), (int, Kind.INT), (float, Kind.FLOAT), (str, Kind.CATEGORY)):
        if isinstance(value, python):
            return Literal(value, kind, origin=origin)
    raise DeclarationError(
        "DECLARE_EXPRESSION",
        f"{value!r} ({type(value).__name__}) cannot take part in an expression.",
        fix="Use a number, a text, true or false, a date or time, a span such as '2h', or another expression.",
        origin=origin,
    )


def _signed_span(value: str | timedelta, origin: Origin | None = None) -> int:
    """A span between two instants may be negative, unlike the length of a window."""
    negative = value < timedelta() if isinstance(value, timedelta) else value.startswith("-")
    if not negative:
        return parse_span(value, origin=origin)
    return -parse_span(-value if isinstance(value, timedelta) else value[1:], origin=origin)


def as_term(value: object) -> Expression:
    """Turn a plain value into a term of a sum or product, where a text is a span, or an instant ("2013-10-01")."""
    if not isinstance(value, str):
        return as_expression(value)
    return as_expression(value, like=Kind.TIME if value[:4].isdigit() and value[4:5] == "-" else Kind.SPAN)


def where(condition: Expression, then: Expression | Scalar, otherwise: Expression | Scalar | None = None) -> Call:
    """`then` where the condition is true, else the value given to `.otherwise(value)`; missing without one."""
    chosen = Call("where", (as_expression(condition), as_expression(then)))
    return chosen if otherwise is None else chosen.otherwise(otherwise)


def walk(expression: Expression) -> Iterator[Expression]:
    """Yield an expression and everything it is made of, parents first."""
    yield expression
    for child in expression.children:
        yield from walk(child)
