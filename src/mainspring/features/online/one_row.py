"""Row expressions as Python functions of one row: the meaning of reference.py, written out as source and compiled once.

What several features have in common is computed once; what needs no call is written in place. Closures over closures, which
came before, took three times as long.
"""

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

__all__ = ["RowFunction", "features_function", "row_function"]

RowFunction = Callable[[Mapping[str, Any], Sequence[Any]], Any]
"""From a decision's row, with `_at`, and the values of all aggregates to a value; None is missing, instants are int64."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FAILURES = (ZeroDivisionError, ValueError, OverflowError)
_IN_PLACE = {
    "add": "{} + {}", "subtract": "{} - {}", "multiply": "{} * {}", "negate": "-{}", "not": "not {}",
    "equal": "{} == {}", "not_equal": "{} != {}", "less": "{} < {}", "less_equal": "{} <= {}", "greater": "{} > {}",
    "greater_equal": "{} >= {}",
}  # fmt: skip
"""Functions that raise nothing, as Python writes them; a test holds them equal to their meaning."""


def row_function(expression: Expression, places: Mapping[str, int]) -> RowFunction:
    """Return the function of an expression; `places` holds the position of each aggregate by its fingerprint."""
    source = _Source(places)
    return source.function(source.value(expression))


def features_function(features: Mapping[str, Expression], places: Mapping[str, int]) -> RowFunction:
    """Return the function that gives every feature by its name: as `row_function`, with spans in seconds."""
    source = _Source(places)
    values = {name: source.feature(expression) for name, expression in features.items()}
    return source.function("{" + ", ".join(f"{name!r}: {value}" for name, value in values.items()) + "}")


class _Source:
    """The source of one function: a line for each value, each value once."""

    def __init__(self, places: Mapping[str, int]) -> None:
        self._places = places
        self._lines: list[str] = []
        self._names: dict[str, str] = {}  # of values, by what they are
        self._given: dict[str, Any] = {"EPOCH": _EPOCH, "timedelta": timedelta}  # what the source refers to

    def function(self, result: str) -> RowFunction:
        """Compile the function that returns a value."""
        body = "".join(f"    {line}\n" for line in [*self._lines, f"return {result}"])
        exec(compile(f"def function(row, aggregates):\n{body}", "<features>", "exec"), self._given)
        function: RowFunction = self._given["function"]
        return function

    def feature(self, expression: Expression) -> str:
        value = self.value(expression)
        if expression.kind is not Kind.SPAN:
            return value
        return self._name(f"seconds {value}", f"None if {value} is None else {value} / {SECOND}")

    def value(self, expression: Expression) -> str:
        """Return the name of an expression's value; what computes it has been written."""
        match expression:
            case Literal():
                return self._constant(
                    expression.microseconds if expression.of in {Kind.TIME, Kind.SPAN} else expression.value
                )
            case DecidedAt():
                return self._name("_at", "row['_at']")
            case Column():
                return self._name(f"column {expression.name}", f"row[{expression.name!r}]")
            case Aggregate():
                place = self._places[expression.fingerprint]
                return self._name(f"aggregate {place}", f"aggregates[{place}]")
            case Call():
                known = self._names.get(expression.fingerprint)
                return known if known is not None else self._call(expression)
        raise TypeError(f"{type(expression).__name__} cannot be computed")

    def _call(self, call: Call) -> str:
        values = [self.value(argument) for argument in call.arguments]
        if call.function in _SEEING:
            found = self._name(call.fingerprint, _SEEING[call.function](*values))
            if call.function in {"where", "fill_missing"} and call.kind is Kind.FLOAT:
                self._lines.append(f"if {found} is not None: {found} = float({found})")
            return found
        missing = " or ".join(f"{value} is None" for value in dict.fromkeys(values))
        kinds = {argument.kind for argument in call.arguments}
        if kinds <= NUMBERS and (call.kind is Kind.FLOAT or len(kinds) > 1):
            values = [
                value if argument.kind is Kind.FLOAT and not isinstance(argument, Literal) else f"float({value})"
                for value, argument in zip(values, call.arguments, strict=True)
            ]
        if call.zone is not None:
            moment = self._moment(values[0], call.zone)
            return self._name(
                call.fingerprint, f"None if {missing} else {self._given_as(MEANING[call.function])}({moment})"
            )
        written = _IN_PLACE.get(call.function)
        if written is None:
            function = self._given_as(_finite(MEANING[call.function]))
            return self._name(call.fingerprint, f"None if {missing} else {function}({', '.join(values)})")
        found = self._name(call.fingerprint, f"None if {missing} else {written.format(*values)}")
        if call.kind is Kind.FLOAT:
            self._lines.append(f"if {found} is not None and {found} - {found} != 0.0: {found} = None  # not finite")
        return found

    def _moment(self, instant: str, zone: str) -> str:
        known = self._given_as(ZoneInfo(zone), f"zone {zone}")
        local = f"(EPOCH + timedelta(microseconds={instant})).astimezone({known})"
        return self._name(f"moment {instant} {zone}", f"None if {instant} is None else {local}")

    def _name(self, what: str, code: str) -> str:
        name = self._names.get(what)
        if name is None:
            name = self._names[what] = f"v{len(self._names)}"
            self._lines.append(f"{name} = {code}")
        return name

    def _constant(self, value: Any) -> str:
        return self._given_as(value, f"constant {type(value).__name__} {value!r}")

    def _given_as(self, value: Any, what: str | None = None) -> str:
        what = what or f"given {id(value)}"
        name = self._names.get(what)
        if name is None:
            name = self._names[what] = f"g{len(self._given)}"
            self._given[name] = value
        return name


_SEEING: dict[str, Callable[..., str]] = {
    "is_missing": lambda a: f"{a} is None",
    "fill_missing": lambda a, b: f"{b} if {a} is None else {a}",
    "where": lambda condition, then, otherwise="None": f"{then} if {condition} is True else {otherwise}",
    "and": lambda a, b: f"False if {a} is False or {b} is False else None if {a} is None or {b} is None else True",
    "or": lambda a, b: f"True if {a} is True or {b} is True else None if {a} is None or {b} is None else False",
}
"""Functions that see missing values."""


def _finite(meaning: Callable[..., Any]) -> Callable[..., Any]:
    def finite(*values: Any) -> Any:
        try:
            result = meaning(*values)
        except _FAILURES:
            return None
        return None if isinstance(result, float) and not math.isfinite(result) else result

    return finite
