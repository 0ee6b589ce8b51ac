"""What a client sends, as a frame: JSON arrays, newline-delimited JSON, or an Arrow IPC stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import polars as pl

from mainspring.errors import ServingError
from mainspring.serving.limits import Limits

__all__ = ["ARROW", "frame_of_values", "read_rows"]

ARROW = "application/vnd.apache.arrow.stream"
_NDJSON = {"application/x-ndjson", "application/ndjson", "application/jsonl"}
_EXACT = 2**53  # beyond it a float would round a whole number
_MOST_NAMES = 1000
_UNPACKS_TO = 16  # times the bytes that a body may have
_INT64 = range(-(2**63), 2**63)
Value = bool | int | float | str | None
_decode_row = msgspec.json.Decoder(dict[str, Value]).decode
_decode_rows = msgspec.json.Decoder(list[dict[str, Value]]).decode


def read_rows(body: bytes, content_type: str, limits: Limits) -> pl.DataFrame:
    """Read a body of facts: a JSON array of flat objects, one such object a line, or an Arrow IPC stream.

    A column whose values are of several kinds becomes text, as it would be in a CSV; the table's contract reads it.

    Raises ServingError (SERVE_BODY) for a body that cannot be read or is larger than the limits. An Arrow stream may be
    compressed; it may unpack to sixteen times what a body may have.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if refused := _too_large(body, limits) if kind == ARROW else limits.refuse_body(body):
        raise refused
    if kind == ARROW:
        return _read_arrow(body, limits)
    rows = _read_lines(body) if kind in _NDJSON else _read_array(body)
    if refused := limits.refuse_rows(len(rows)):  # before they are put into columns
        raise refused
    frame = frame_of_values(rows)
    if rows and not frame.width:
        raise _unreadable("JSON", "its rows are empty")
    return frame


def _read_array(body: bytes) -> list[dict[str, Value]]:
    try:
        return _decode_rows(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _unreadable("JSON", error) from error


def _read_lines(body: bytes) -> list[dict[str, Value]]:
    rows = []
    for number, line in enumerate(body.splitlines(), 1):
        if line.strip():
            try:
                rows.append(_decode_row(line))
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise _unreadable("newline-delimited JSON", f"line {number}: {error}") from error
    return rows


def _read_arrow(body: bytes, limits: Limits) -> pl.DataFrame:
    from mainspring.serving.arrow_bodies import measure, read_stream

    largest = _UNPACKS_TO * limits.body_bytes
    try:
        unpacked = measure(body)
        if refused := limits.refuse_rows(unpacked.rows):
            raise refused
        if unpacked.bytes > largest:
            raise _unpacks_too_far(largest)
        frame = read_stream(body)
    except ValueError as error:
        raise _unreadable(ARROW, error) from error
    texts = frame.select(pl.col(pl.Categorical, pl.Enum).cast(pl.String), pl.col(pl.String))
    if sum(text.str.len_bytes().sum() for text in texts) > largest:  # one long text may stand in many rows
        raise _unpacks_too_far(largest)
    return frame


def _unreadable(kind: str, why: object) -> ServingError:
    return ServingError(
        "SERVE_BODY",
        f"The body cannot be read as {kind}: {why}.",
        fix=f"Send a JSON array of flat objects, one object a line (application/x-ndjson), or {ARROW}.",
    )


def _unpacks_too_far(largest: int) -> ServingError:
    return ServingError(
        "SERVE_BODY",
        f"The body unpacks to more than {largest:,} bytes.",
        fix="Send the rows in several requests.",
    )


def _too_large(body: bytes, limits: Limits) -> ServingError | None:
    return limits.refuse_body(body) if len(body) > limits.body_bytes else None


def frame_of_values(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Make a frame of plain rows; a name that a row lacks is missing in it."""
    names = dict.fromkeys(name for row in rows for name in row)
    if len(names) > _MOST_NAMES:
        raise ServingError(
            "SERVE_BODY", f"The rows have {len(names):,} different names.", fix=f"Send at most {_MOST_NAMES} columns."
        )
    return pl.DataFrame({name: _series(name, [row.get(name) for row in rows]) for name in names})


def _series(name: str, values: list[Any]) -> pl.Series:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int} and all(value is None or value in _INT64 for value in values):
        return pl.Series(name, values, pl.Int64)
    whole = [value for value in values if type(value) is int]
    if kinds and kinds <= {int, float} and float in kinds and all(abs(value) <= _EXACT for value in whole):
        return pl.Series(name, values, pl.Float64, strict=False)
    if kinds == {bool}:
        return pl.Series(name, values, pl.Boolean)
    return pl.Series(name, [None if value is None else _text(value) for value in values], pl.String)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
