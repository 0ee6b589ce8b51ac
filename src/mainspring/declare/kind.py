"""The kinds of value a column or an expression can have, and the signature of every function on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["FUNCTIONS", "NUMBERS", "ORDERED", "STRINGS", "TIME_PARTS", "Kind", "Signature"]


class Kind(StrEnum):
    """What a value is. Missing is possible for every kind."""

    KEY = "key"  # identifies a thing; stored as text
    CATEGORY = "category"  # one of a limited set of names; stored as text
    TEXT = "text"
    FLOAT = "float"  # 64-bit, finite
    INT = "int"  # 64-bit
    BOOL = "bool"
    TIME = "time"  # an instant: microseconds since the epoch, UTC
    SPAN = "span"  # a difference of instants: microseconds; seconds once it is a feature


NUMBERS = frozenset({Kind.FLOAT, Kind.INT})
STRINGS = frozenset({Kind.KEY, Kind.CATEGORY, Kind.TEXT})
ORDERED = NUMBERS | {Kind.TIME, Kind.SPAN}
ANY = frozenset(Kind)
TIME_PARTS = ("minute", "hour", "weekday", "day", "day_of_year", "week", "month", "year")
_FAMILIES = (NUMBERS, STRINGS, frozenset({Kind.BOOL}), frozenset({Kind.TIME}), frozenset({Kind.SPAN}))


@dataclass(frozen=True)
class Signature:
    """What a function takes and gives. `result` returns None when the arguments do not fit together."""

    takes: str  # in words, for messages
    result: Callable[..., Kind | None]
    same_unit: bool = False  # its arguments must agree in unit


def _plus(a: Kind, b: Kind) -> Kind | None:
    if a in NUMBERS and b in NUMBERS:
        return Kind.FLOAT
    return {
        (Kind.TIME, Kind.SPAN): Kind.TIME,
        (Kind.SPAN, Kind.TIME): Kind.TIME,
        (Kind.SPAN, Kind.SPAN): Kind.SPAN,
    }.get((a, b))


def _minus(a: Kind, b: Kind) -> Kind | None:
    if (a, b) == (Kind.TIME, Kind.TIME):
        return Kind.SPAN
    return None if (a, b) == (Kind.SPAN, Kind.TIME) else _plus(a, b)


def _divide(a: Kind, b: Kind) -> Kind | None:
    return Kind.FLOAT if {a, b} <= NUMBERS or (a, b) == (Kind.SPAN, Kind.SPAN) else None


def _numbers(*kinds: Kind) -> Kind | None:
    return Kind.FLOAT if set(kinds) <= NUMBERS else None


def _common(*kinds: Kind) -> Kind | None:
    """The kind several alternatives share: numbers mix, and so do keys, categories and texts."""
    if len(set(kinds)) == 1:
        return kinds[0]
    if set(kinds) <= NUMBERS:
        return Kind.FLOAT
    return Kind.CATEGORY if set(kinds) <= STRINGS else None


def _equality(a: Kind, *others: Kind) -> Kind | None:
    return Kind.BOOL if any({a, *others} <= family for family in _FAMILIES) else None


def _order(a: Kind, b: Kind) -> Kind | None:
    return Kind.BOOL if a in ORDERED and _equality(a, b) else None


def _logic(*kinds: Kind) -> Kind | None:
    return Kind.BOOL if set(kinds) == {Kind.BOOL} else None


def _part(kind: Kind) -> Kind | None:
    return Kind.INT if kind is Kind.TIME else None


def _elapsed(kind: Kind) -> Kind | None:
    return Kind.FLOAT if kind is Kind.SPAN else None


_SUM = "two numbers, or a time and a span such as '2h'"
_ORDER = "two numbers, two times or two spans"
FUNCTIONS: dict[str, Signature] = {
    "add": Signature(_SUM, _plus, same_unit=True),
    "subtract": Signature(_SUM + ", or two times", _minus, same_unit=True),
    "multiply": Signature("two numbers", _numbers),
    "divide": Signature("two numbers or two spans", _divide),
    "floor_divide": Signature("two numbers", _numbers),
    "modulo": Signature("two numbers", _numbers),
    "negate": Signature("a number", _numbers),
    "absolute": Signature("a number", _numbers),
    "square_root": Signature("a number", _numbers),
    "log1p": Signature("a number", _numbers),
    "sine": Signature("a number (radians)", _numbers),
    "cosine": Signature("a number (radians)", _numbers),
    "clip": Signature("a number and two limits", _numbers, same_unit=True),
    "equal": Signature("two values of the same kind", _equality, same_unit=True),
    "not_equal": Signature("two values of the same kind", _equality, same_unit=True),
    "less": Signature(_ORDER, _order, same_unit=True),
    "less_equal": Signature(_ORDER, _order, same_unit=True),
    "greater": Signature(_ORDER, _order, same_unit=True),
    "greater_equal": Signature(_ORDER, _order, same_unit=True),
    "is_in": Signature("a value and values of the same kind", _equality),
    "and": Signature("two conditions", _logic),
    "or": Signature("two conditions", _logic),
    "not": Signature("a condition", _logic),
    "is_missing": Signature("any value", lambda kind: Kind.BOOL),
    "fill_missing": Signature("two values of the same kind", _common, same_unit=True),
    "where": Signature(
        "a condition and two values of the same kind",
        lambda condition, *kinds: _common(*kinds) if condition is Kind.BOOL else None,
    ),
    "length": Signature("a text", lambda kind: Kind.INT if kind in STRINGS else None),
    **{part: Signature("a time", _part) for part in TIME_PARTS},
    **{unit: Signature("a span", _elapsed) for unit in ("seconds", "minutes", "hours", "days")},
}
