"""The meaning of every expression: slow, obvious, one decision at a time. Batch and online are held equal to this.

A row is a dict of plain Python values: numbers, texts, bools; instants and spans as int microseconds; None is missing.
The rows of a table carry `_visible_at` (int microseconds, or None for a static table: always visible) and `_seq`, their
order of ingestion. A decision is a row of its table with `_at`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from mainspring.clock import DAY, HOUR, MINUTE, SECOND, parse_span
from mainspring.declare import Aggregate, Call, Column, DecidedAt, Expression, Kind, Latest, Literal, Window
from mainspring.declare.kind import NUMBERS

__all__ = ["MEANING", "Row", "evaluate", "evaluate_feature"]

Row = Mapping[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def evaluate(expression: Expression, decision: Row, tables: Mapping[str, Sequence[Row]]) -> Any:
    """Return the value of an expression as of one decision; None is missing. `tables` maps names to rows in any order."""
    match expression:
        case Literal():
            return expression.microseconds if expression.of in {Kind.TIME, Kind.SPAN} else expression.value
        case DecidedAt():
            return decision["_at"]
        case Column():
            return decision[expression.name]
        case Aggregate():
            return _aggregate(expression, decision, tables[expression.table.__schema__.name])  # type: ignore[union-attr]
        case Call():
            return _call(expression, [evaluate(argument, decision, tables) for argument in expression.arguments])
    raise TypeError(f"{type(expression).__name__} has no meaning")


def evaluate_feature(expression: Expression, decision: Row, tables: Mapping[str, Sequence[Row]]) -> Any:
    """Return the value of a feature: as `evaluate`, with a span in seconds."""
    value = evaluate(expression, decision, tables)
    return value / SECOND if expression.kind is Kind.SPAN and value is not None else value


# -- rows --------------------------------------------------------------------------------------------------------------


def _call(call: Call, values: list[Any]) -> Any:
    function = call.function
    if function == "is_missing":
        return values[0] is None
    if function == "where":
        chosen = values[1] if values[0] is True else (values[2] if len(values) > 2 else None)
        return _as_kind(chosen, call.kind)
    if function == "fill_missing":
        return _as_kind(values[1] if values[0] is None else values[0], call.kind)
    if function in {"and", "or"}:
        return _kleene(function, values[0], values[1])
    if any(value is None for value in values):
        return None
    kinds = [argument.kind for argument in call.arguments]
    if (call.kind is Kind.FLOAT and set(kinds) <= NUMBERS) or (len({*kinds}) > 1 and set(kinds) <= NUMBERS):
        values = [float(value) for value in values]
    if call.zone is not None:
        return MEANING[function]((_EPOCH + timedelta(microseconds=values[0])).astimezone(ZoneInfo(call.zone)))
    try:
        result = MEANING[function](*values)
    except (ZeroDivisionError, ValueError, OverflowError):
        return None
    return None if isinstance(result, float) and not math.isfinite(result) else result


def _as_kind(value: Any, kind: Kind | None) -> Any:
    return float(value) if kind is Kind.FLOAT and value is not None else value


def _kleene(function: str, a: bool | None, b: bool | None) -> bool | None:
    """Three-valued logic (Kleene 1938): what is decided whatever the missing side may be is not missing."""
    decisive = function == "or"
    if a is decisive or b is decisive:
        return decisive
    return None if a is None or b is None else not decisive


MEANING: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "floor_divide": lambda a, b: float(math.floor(a / b)),
    "modulo": lambda a, b: a - b * math.floor(a / b),
    "negate": lambda a: -a,
    "absolute": abs,
    "square_root": math.sqrt,
    "log1p": math.log1p,
    "sine": math.sin,
    "cosine": math.cos,
    "clip": lambda a, low, high: min(max(a, low), high),
    "equal": lambda a, b: a == b,
    "not_equal": lambda a, b: a != b,
    "less": lambda a, b: a < b,
    "less_equal": lambda a, b: a <= b,
    "greater": lambda a, b: a > b,
    "greater_equal": lambda a, b: a >= b,
    "is_in": lambda a, *values: a in values,
    "not": lambda a: not a,
    "length": len,
    "minute": lambda moment: moment.minute,
    "hour": lambda moment: moment.hour,
    "weekday": lambda moment: moment.weekday(),
    "day": lambda moment: moment.day,
    "day_of_year": lambda moment: moment.timetuple().tm_yday,
    "week": lambda moment: moment.isocalendar().week,
    "month": lambda moment: moment.month,
    "year": lambda moment: moment.year,
    "seconds": lambda span: span / SECOND,
    "minutes": lambda span: span / MINUTE,
    "hours": lambda span: span / HOUR,
    "days": lambda span: span / DAY,
}


# -- aggregates --------------------------------------------------------------------------------------------------------


def _aggregate(aggregate: Aggregate, decision: Row, table: Sequence[Row]) -> Any:
    at = decision["_at"]
    rows = sorted(
        (row for row in table if _visible(row, at) and _same_key(aggregate, row, decision) and _passes(aggregate, row)),
        key=lambda row: (-math.inf if row["_visible_at"] is None else row["_visible_at"], row["_seq"]),
    )
    if isinstance(aggregate, Latest):
        if aggregate.within is not None:
            rows = [row for row in rows if _newer(row, at - parse_span(aggregate.within))]
        return evaluate(aggregate.row, rows[-1], {}) if rows else None
    if not isinstance(aggregate, Window):
        raise TypeError(f"{type(aggregate).__name__} has no meaning")
    rows = [row for row in rows if _newer(row, at - parse_span(aggregate.over))]
    if aggregate.statistic == "first":
        return evaluate(aggregate.row, rows[0], {}) if rows else None
    values = [value for row in rows if (value := evaluate(aggregate.row, row, {})) is not None]
    return _statistic(aggregate.statistic, values)


def _visible(row: Row, at: int) -> bool:
    return row["_visible_at"] is None or row["_visible_at"] <= at


def _newer(row: Row, instant: int) -> bool:
    return row["_visible_at"] is not None and row["_visible_at"] > instant


def _same_key(aggregate: Aggregate, row: Row, decision: Row) -> bool:
    return all(row[theirs] is not None and row[theirs] == decision[ours] for theirs, ours in aggregate.by)


def _passes(aggregate: Aggregate, row: Row) -> bool:
    return aggregate.where is None or evaluate(aggregate.where, row, {}) is True


def _statistic(statistic: str, values: list[Any]) -> Any:
    match statistic:
        case "count":
            return len(values)
        case "distinct":
            return len(set(values))
        case "sum":
            return math.fsum(values)
        case "std":
            return statistics.stdev(map(float, values)) if len(values) > 1 else None
    if not values:
        return None
    match statistic:
        case "mean" | "share":
            return math.fsum(values) / len(values)
        case "min":
            return min(values)
        case "max":
            return max(values)
    raise ValueError(f"{statistic!r} is no statistic")
