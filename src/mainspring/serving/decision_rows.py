"""The row of a decision, from plain JSON values to what features read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from mainspring.clock import format_instant, microseconds
from mainspring.declare import Column, Kind, Table
from mainspring.declare.kind import NUMBERS, STRINGS
from mainspring.errors import MainspringError, ServingError
from mainspring.lake.contract import ROW, conform
from mainspring.serving.given_rows import frame_of_values

__all__ = ["DecisionRows"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _UnusualError(Exception):
    """A value that is not written in the usual way: the table's contract shall read it."""


class DecisionRows:
    """Reads rows of the decision's table. What is written in the usual way is read here, all else by the contract itself."""

    def __init__(self, table: type[Table]) -> None:
        self.table = table
        schema = table.__schema__
        self._known_at, self._keys = schema.known_at, frozenset(schema.keys)
        self.key_names = [column.source or column.name for column in schema.columns if column.name in self._keys]
        self._readers = [(column, column.source or column.name, _reader(column)) for column in schema.columns]

    def read(self, values: Mapping[str, Any], now: int) -> dict[str, Any]:
        """Return a row with a value for every column: instants in microseconds, None for missing.

        A row that does not say when it was known is known `now`.

        Raises ServingError (SERVE_ROW) for a row that breaks the table's contract.
        """
        row: dict[str, Any] = {}
        try:
            for column, source, reader in self._readers:
                value = values.get(source)
                if value is not None:
                    row[column.name] = reader(value)
                elif column.optional:
                    row[column.name] = None
                elif column is self._known_at:
                    row[column.name] = now
                else:
                    raise _UnusualError
        except _UnusualError:
            return self._by_contract(values, now)
        return row

    def key(self, given: Any) -> tuple[Any, ...]:
        """Return the values of the key columns, in declared order, from a mapping or, of a single column, its value alone.

        Raises ServingError (SERVE_ROW).
        """
        keys = [(column, source, reader) for column, source, reader in self._readers if column.name in self._keys]
        if not isinstance(given, Mapping) and len(keys) == 1:
            given = {keys[0][1]: given}
        found = []
        for column, source, reader in keys:
            value = given.get(source) if isinstance(given, Mapping) else None
            try:
                found.append(reader(str(value) if column.of in STRINGS and type(value) is int else value))
            except _UnusualError:
                raise ServingError(
                    "SERVE_ROW",
                    f"The key {given!r:.100} names no row of {self.table.__name__}.",
                    exists=f"A row is named by {', '.join(source for _, source, _ in keys) or 'nothing'}.",
                    fix="Send the key with all of its columns, or the whole row.",
                ) from None
        return tuple(found)

    def _by_contract(self, values: Mapping[str, Any], now: int) -> dict[str, Any]:
        sources = {source for _, source, _ in self._readers}
        values = {name: value for name, value in values.items() if name in sources}
        known_at = self._known_at
        source = (known_at.source or known_at.name) if known_at is not None else ""
        if known_at is not None and values.get(source) is None:
            values = {**values, source: format_instant(now)}
        absent = [source for column, source, _ in self._readers if not column.optional and values.get(source) is None]
        if absent:
            raise ServingError(
                "SERVE_ROW",
                f"The row of {self.table.__name__} has no {' and no '.join(absent)}.",
                exists=f"It has {', '.join(name for name in values if name != source) or 'nothing'}.",
                fix="Send every column that is not declared optional.",
            )
        try:
            conformed = conform(self.table, frame_of_values([dict(values)]))
        except MainspringError as error:
            raise ServingError("SERVE_ROW", error.problem, exists=error.exists, fix=error.fix) from error
        if conformed.rejected.height:
            raise ServingError(
                "SERVE_ROW",
                conformed.rejected["sentence"][0],
                fix=f"Send a row that keeps the contract of {self.table.__name__}.",
            )
        return conformed.facts.drop(ROW).with_columns(pl.col(pl.Datetime).to_physical()).row(0, named=True)


def _reader(column: Column) -> Callable[[Any], Any]:
    kind = column.of
    if kind in STRINGS:
        return _within(column, _text, len)
    if kind in NUMBERS:
        return _within(column, _whole if kind is Kind.INT else _number, lambda value: value)
    return _truth if kind is Kind.BOOL else _instant


def _within(column: Column, read: Callable[[Any], Any], size: Callable[[Any], float]) -> Callable[[Any], Any]:
    low, high = column.ge, column.le
    if low is None and high is None:
        return read
    least, most = -math.inf if low is None else low, math.inf if high is None else high

    def limited(value: Any) -> Any:
        found = read(value)
        if not least <= size(found) <= most:
            raise _UnusualError
        return found

    return limited


def _text(value: Any) -> str:
    if type(value) is not str:
        raise _UnusualError
    return value


def _whole(value: Any) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise _UnusualError
    return value


def _number(value: Any) -> float:
    if type(value) is int and abs(value) < 2**53:
        return float(value)
    if type(value) is not float or not math.isfinite(value):
        raise _UnusualError
    return value


def _truth(value: Any) -> bool:
    if type(value) is not bool:
        raise _UnusualError
    return value


def _instant(value: Any) -> int:
    if type(value) is not str:
        raise _UnusualError
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise _UnusualError from None
    if moment.tzinfo is None or not 1700 < moment.year < 2250:
        raise _UnusualError
    return microseconds(moment - _EPOCH)
