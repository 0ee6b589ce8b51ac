"""Row expressions as Polars expressions: the same meaning as reference.py, for all rows at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce

import polars as pl

from mainspring.clock import DAY, HOUR, MINUTE, SECOND
from mainspring.declare import Aggregate, Call, Column, DecidedAt, Expression, Kind, Literal
from mainspring.declare.kind import NUMBERS

__all__ = ["INSTANT", "as_feature", "row_expression"]

INSTANT = pl.Datetime("us", "UTC")
_SPAN = pl.Duration("us")


def row_expression(expression: Expression, aggregates: Mapping[str, str] | None = None) -> pl.Expr:
    """Return the Polars expression for an expression of one row.

    Columns are read by name and the decision time from `_at`; an aggregate is read from the column that `aggregates` gives
    for its fingerprint. Times are Datetime("us", "UTC"), spans Duration("us"), missing values null.
    """
    match expression:
        case Literal():
            if expression.of in {Kind.TIME, Kind.SPAN}:
                return pl.lit(expression.microseconds, pl.Int64).cast(INSTANT if expression.of is Kind.TIME else _SPAN)
            return pl.lit(expression.value)
        case DecidedAt():
            return pl.col("_at")
        case Column():
            return pl.col(expression.name)
        case Aggregate():
            return pl.col((aggregates or {})[expression.fingerprint])
        case Call():
            return _call(expression, aggregates)
    raise TypeError(f"{type(expression).__name__} cannot be computed")


def as_feature(expression: pl.Expr, kind: Kind | None) -> pl.Expr:
    """Return the expression as a feature's values: a span as seconds, a literal as a whole column."""
    return expression.cast(pl.Int64).cast(pl.Float64) / SECOND if kind is Kind.SPAN else expression


def _call(call: Call, aggregates: Mapping[str, str] | None) -> pl.Expr:
    kinds = [argument.kind for argument in call.arguments]
    arguments = [row_expression(argument, aggregates) for argument in call.arguments]
    if (call.kind is Kind.FLOAT or len(set(kinds)) > 1) and set(kinds) <= NUMBERS:
        arguments = [argument.cast(pl.Float64) for argument in arguments]
    if call.zone is not None:
        return _PARTS[call.function](arguments[0].dt.convert_time_zone(call.zone).dt).cast(pl.Int64)
    if call.function == "where":
        return _where(call, arguments)
    if call.function == "divide" and kinds[0] is Kind.SPAN:
        arguments = [argument.cast(pl.Int64).cast(pl.Float64) for argument in arguments]
    result = _FUNCTIONS[call.function](*arguments)
    if call.kind is Kind.FLOAT and call.function != "fill_missing":
        return pl.when(result.is_finite()).then(result)
    return result


def _where(call: Call, arguments: list[pl.Expr]) -> pl.Expr:
    condition, *branches = arguments
    if call.kind is Kind.FLOAT:
        branches = [branch.cast(pl.Float64) for branch in branches]
    chosen = pl.when(condition).then(branches[0])
    return chosen.otherwise(branches[1]) if len(branches) > 1 else chosen.otherwise(None)


def _modulo(a: pl.Expr, b: pl.Expr) -> pl.Expr:
    return a - b * (a / b).floor()


def _clip(value: pl.Expr, low: pl.Expr, high: pl.Expr) -> pl.Expr:
    raised = pl.when(value < low).then(low).otherwise(value)
    return pl.when(raised > high).then(high).otherwise(raised)


def _elapsed(unit: int) -> Callable[[pl.Expr], pl.Expr]:
    return lambda span: span.cast(pl.Int64).cast(pl.Float64) / unit


_PARTS: dict[str, Callable[..., pl.Expr]] = {
    "minute": lambda moment: moment.minute(),
    "hour": lambda moment: moment.hour(),
    "weekday": lambda moment: moment.weekday().cast(pl.Int64) - 1,
    "day": lambda moment: moment.day(),
    "day_of_year": lambda moment: moment.ordinal_day(),
    "week": lambda moment: moment.week(),
    "month": lambda moment: moment.month(),
    "year": lambda moment: moment.year(),
}
_FUNCTIONS: dict[str, Callable[..., pl.Expr]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "floor_divide": lambda a, b: (a / b).floor(),
    "modulo": _modulo,
    "negate": lambda a: -a,
    "absolute": lambda a: a.abs(),
    "square_root": lambda a: a.sqrt(),
    "log1p": lambda a: a.log1p(),
    "sine": lambda a: a.sin(),
    "cosine": lambda a: a.cos(),
    "clip": _clip,
    "equal": lambda a, b: a == b,
    "not_equal": lambda a, b: a != b,
    "less": lambda a, b: a < b,
    "less_equal": lambda a, b: a <= b,
    "greater": lambda a, b: a > b,
    "greater_equal": lambda a, b: a >= b,
    "is_in": lambda a, *values: reduce(lambda found, value: found | (a == value), values[1:], a == values[0]),
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "not": lambda a: ~a,
    "is_missing": lambda a: a.is_null(),
    "fill_missing": lambda a, value: pl.coalesce(a, value),
    "length": lambda a: a.str.len_chars().cast(pl.Int64),
    "seconds": _elapsed(SECOND),
    "minutes": _elapsed(MINUTE),
    "hours": _elapsed(HOUR),
    "days": _elapsed(DAY),
}
