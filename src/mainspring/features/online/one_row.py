"""Row expressions as plain functions of one row: the meaning of reference.py, looked up once instead of at every row."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from mainspring.clock import SECOND
from mainspring.declare import Aggregate, Call, Column, DecidedAt, Expression, Kind, Literal
from mainspring.declare.kind import NUMBERS
from mainspring.features.reference import MEANING

__all__ = ["RowFunction", "feature_function", "row_function"]

RowFunction = Callable[[Mapping[str, Any], Sequence[Any]], Any]
"""From a decision's row, with `_at`, and the values of all aggregates to one value; None is missing, instants are int64."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FAILURES = (ZeroDivisionError, ValueError, OverflowError)


def feature_function(expression: Expression, places: Mapping[str, int]) -> RowFunction:
    """Return the function of a feature: as `row_function`, with a span in seconds."""
    value = row_function(expression, places)
    if expression.kind is not Kind.SPAN:
        return value

    def seconds(row: Mapping[str, Any], aggregates: Sequence[Any]) -> Any:
        span = value(row, aggregates)
        return None if span is None else span / SECOND

    return seconds


def row_function(expression: Expression, places: Mapping[str, int]) -> RowFunction:
    """Return the function of an expression; `places` holds the position of each aggregate by its fingerprint."""
    match expression:
        case Literal():
            constant = expression.microseconds if expression.of in {Kind.TIME, Kind.SPAN} else expression.value
            return lambda row, aggregates: constant
        case DecidedAt():
            return lambda row, aggregates: row["_at"]
        case Column():
            name = expression.name
            return lambda row, aggregates: row[name]
        case Aggregate():
            place = places[expression.fingerprint]
            return lambda row, aggregates: aggregates[place]
        case Call():
            arguments = [row_function(argument, places) for argument in expression.arguments]
            special = _SPECIAL.get(expression.function)
            return special(expression, *arguments) if special is not None else _call(expression, arguments)
    raise TypeError(f"{type(expression).__name__} cannot be computed")


def _call(call: Call, arguments: list[RowFunction]) -> RowFunction:
    """A function of values that are all there."""
    meaning = MEANING[call.function]
    kinds = {argument.kind for argument in call.arguments}
    widen = kinds <= NUMBERS and (call.kind is Kind.FLOAT or len(kinds) > 1)
    if call.zone is not None:
        return _part(meaning, arguments[0], ZoneInfo(call.zone))
    if len(arguments) == 1:
        return _of_one(meaning, arguments[0], widen)
    if len(arguments) == 2:
        return _of_two(meaning, arguments[0], arguments[1], widen)

    def of_many(row: Mapping[str, Any], aggregates: Sequence[Any]) -> Any:
        values = [argument(row, aggregates) for argument in arguments]
        if None in values:
            return None
        return _finite(meaning, [float(value) for value in values] if widen else values)

    return of_many


def _of_one(meaning: Callable[..., Any], argument: RowFunction, widen: bool) -> RowFunction:
    def of_one(row: Mapping[str, Any], aggregates: Sequence[Any]) -> Any:
        value = argument(row, aggregates)
        if value is None:
            return None
        return _finite(meaning, (float(value) if widen else value,))

    return of_one


def _of_two(meaning: Callable[..., Any], left: RowFunction, right: RowFunction, widen: bool) -> RowFunction:
    def of_two(row: Mapping[str, Any], aggregates: Sequence[Any]) -> Any:
        a, b = left(row, aggregates), right(row, aggregates)
        if a is None or b is None:
            return None
        return _finite(meaning, (float(a), float(b)) if widen else (a, b))

    return of_two


def _part(meaning: Callable[..., Any], argument: RowFunction, zone: ZoneInfo) -> RowFunction:
    def part(row: Mapping[str, Any], aggregates: Sequence[Any]) -> Any:
        instant = argument(row, aggregates)
        return None if instant is None else meaning((_EPOCH + timedelta(microseconds=instant)).astimezone(zone))

    return part


def _finite(meaning: Callable[..., Any], values: Sequence[Any]) -> Any:
    try:
        result = meaning(*values)
    except _FAILURES:
        return None
    return None if isinstance(result, float) and not math.isfinite(result) else result


# -- functions that see missing values ---------------------------------------------------------------------------------


def _is_missing(call: Call, argument: RowFunction) -> RowFunction:
    return lambda row, aggregates: argument(row, aggregates) is None


def _fill_missing(call: Call, argument: RowFunction, otherwise: RowFunction) -> RowFunction:
    def filled(row: Mapping[str, Any], aggregates: Sequence[Any]) -> Any:
        value = argument(row, aggregates)
        return otherwise(row, aggregates) if value is None else value

    return _as_kind(call, filled)


def _where(call: Call, condition: RowFunction, then: RowFunction, otherwise: RowFunction | None = None) -> RowFunction:
    def chosen(row: Mapping[str, Any], aggregates: Sequence[Any]) -> Any:
        if condition(row, aggregates) is True:
            return then(row, aggregates)
        return None if otherwise is None else otherwise(row, aggregates)

    return _as_kind(call, chosen)


def _as_kind(call: Call, value: RowFunction) -> RowFunction:
    if call.kind is not Kind.FLOAT:
        return value

    def number(row: Mapping[str, Any], aggregates: Sequence[Any]) -> Any:
        found = value(row, aggregates)
        return None if found is None else float(found)

    return number


def _and(call: Call, left: RowFunction, right: RowFunction) -> RowFunction:
    def both(row: Mapping[str, Any], aggregates: Sequence[Any]) -> Any:
        a, b = left(row, aggregates), right(row, aggregates)
        if a is False or b is False:
            return False
        return None if a is None or b is None else True

    return both


def _or(call: Call, left: RowFunction, right: RowFunction) -> RowFunction:
    def either(row: Mapping[str, Any], aggregates: Sequence[Any]) -> Any:
        a, b = left(row, aggregates), right(row, aggregates)
        if a is True or b is True:
            return True
        return None if a is None or b is None else False

    return either


_SPECIAL: dict[str, Callable[..., RowFunction]] = {
    "is_missing": _is_missing,
    "fill_missing": _fill_missing,
    "where": _where,
    "and": _and,
    "or": _or,
}
