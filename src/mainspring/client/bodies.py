"""Rows as the bodies of requests, none of which is more than a server takes at once."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.errors import ClientError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ARROW", "BODY_BYTES", "JSON", "ROWS_PER_REQUEST", "Part", "json_parts", "parts_of", "plain", "plain_row"]

ROWS_PER_REQUEST, BODY_BYTES = 10_000, 4 * 1024 * 1024
"""What a server takes unless it was told otherwise; a test holds them equal to its limits."""
JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"
_ROOM = BODY_BYTES - 64  # for rows: some are sent inside an object with other fields
_AS_THEY_ARE = frozenset({str, int, bool, type(None)})
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Part:
    """Some rows as one body; `first` is the position of its first row among all."""

    first: int
    body: bytes
    content_type: str = JSON


def parts_of(rows: Sequence[Mapping[str, Any]] | pl.DataFrame) -> Iterator[Part]:
    """Cut rows into bodies, in their order: JSON arrays of a list, Arrow streams of a Polars frame. No rows are one body.

    Every value of a list is looked at before the first body is returned, so that nothing is sent of what cannot be. A frame
    goes as it is: its table's contract reads it, and knows in which zone its times are.

    Raises ClientError (CLIENT_VALUE).
    """
    if isinstance(rows, Sequence):
        return json_parts([plain_row(row, position) for position, row in enumerate(rows)])
    import polars as pl  # a frame was given, so it is there

    if not isinstance(rows, pl.DataFrame):
        raise _unsendable(f"{type(rows).__name__} is neither a list of rows nor a Polars frame")
    return _arrow_parts(rows)


def json_parts(values: Sequence[Any]) -> Iterator[Part]:
    """Cut plain values, one for a row, into JSON arrays.

    Raises ClientError (CLIENT_VALUE) for a value that is larger than a body.
    """
    encoded = [_encoded(value, position) for position, value in enumerate(values)]
    cuts, size = [0], 2
    for position, each in enumerate(encoded):
        if position > cuts[-1] and (size + len(each) > _ROOM or position - cuts[-1] == ROWS_PER_REQUEST):
            cuts.append(position)
            size = 2
        size += len(each) + 1
    ends = [*cuts[1:], len(encoded)]
    return (Part(begin, b"[" + b",".join(encoded[begin:end]) + b"]") for begin, end in zip(cuts, ends, strict=True))


def plain_row(row: Mapping[str, Any], position: int = 0) -> dict[str, Any]:
    """Return a row with values that JSON has.

    Raises ClientError (CLIENT_VALUE).
    """
    if not isinstance(row, Mapping):
        raise _unsendable(f"row {position} is {type(row).__name__}, not values by column")
    return {
        name: value if type(value) in _AS_THEY_ARE else plain(value, f"{name} of row {position}")
        for name, value in row.items()
    }


def plain(value: Any, place: str) -> bool | int | float | str | None:
    """Return a value as JSON has it: instants in UTC, NaN as missing, NumPy's scalars as Python's.

    Raises ClientError (CLIENT_VALUE) for a time without a zone, an infinite number, and what is no plain value.
    """
    if value is None or type(value) in _AS_THEY_ARE:
        return value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise _unsendable(f"{place}, {value!r}, has no time zone", "Say which: value.replace(tzinfo=…)")
        try:
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        except OverflowError as error:
            raise _unsendable(f"{place}, {value}, lies outside the years 1 to 9999 in UTC") from error
    if isinstance(value, float):
        if math.isinf(value):
            raise _unsendable(f"{place} is {value}")
        return None if math.isnan(value) else float(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str(value)
    if (scalar := getattr(value, "item", None)) is not None and getattr(value, "ndim", None) == 0:
        return plain(scalar(), place)
    raise _unsendable(f"{place} is {type(value).__name__}")


def _encoded(value: Any, position: int) -> bytes:
    try:
        encoded = _encode(value)
    except (TypeError, UnicodeEncodeError) as error:
        raise _unsendable(f"row {position} cannot be written as JSON: {error}") from error
    if len(encoded) + 2 > _ROOM:
        raise _unsendable(f"row {position} has {len(encoded):,} bytes; a request may have {_ROOM:,}")
    return encoded


def _arrow_parts(frame: pl.DataFrame) -> Iterator[Part]:
    for first in range(0, max(frame.height, 1), ROWS_PER_REQUEST):
        yield from _fitting(frame.slice(first, ROWS_PER_REQUEST), first)


def _fitting(frame: pl.DataFrame, first: int) -> Iterator[Part]:
    written = io.BytesIO()
    frame.write_ipc_stream(written)
    body = written.getvalue()
    if len(body) <= BODY_BYTES:
        yield Part(first, body, ARROW)
    elif frame.height < 2:
        raise _unsendable(f"row {first} has {len(body):,} bytes; a request may have {BODY_BYTES:,}")
    else:
        half = frame.height // 2
        yield from _fitting(frame.slice(0, half), first)
        yield from _fitting(frame.slice(half), first + half)


def _unsendable(
    what: str, fix: str = "Send plain values: true or false, numbers, text, aware datetimes, None"
) -> ClientError:
    return ClientError("CLIENT_VALUE", f"It cannot be sent: {what}.", fix=f"{fix}.")
