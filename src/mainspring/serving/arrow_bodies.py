"""Arrow IPC streams that strangers send: how much one unpacks to is read before anything of it is, and nothing in it is
trusted. Polars reads such a stream faster, and a few wrong bytes in it end the process; Arrow's own reader checks them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa
from pyarrow import ipc

__all__ = ["Unpacked", "measure", "read_stream"]

# Places in the tables of Arrow's Message.fbs; a record batch stands in a dictionary batch as its second field.
_MESSAGE_HEADER, _DICTIONARY_DATA = 2, 1
_BATCH_LENGTH, _BATCH_BUFFERS, _BATCH_COMPRESSION = 0, 2, 3
_NOT_COMPRESSED = -1


class Unpacked(NamedTuple):
    """The rows and the bytes that a stream says it has; what it holds is no more, for a reader trusts these numbers."""

    rows: int
    bytes: int


def measure(body: bytes) -> Unpacked:
    """Measure an Arrow IPC stream, without unpacking it.

    Raises ValueError for bytes that are no such stream.
    """
    rows = size = 0
    try:
        for message in ipc.MessageReader.open_stream(body):
            if message.type not in ("record batch", "dictionary"):
                continue
            metadata, data = message.metadata.to_pybytes(), memoryview(message.body)
            batch = _table(metadata, _root(metadata), _MESSAGE_HEADER)
            if message.type == "dictionary":
                batch = _table(metadata, batch, _DICTIONARY_DATA)
            else:
                rows += _length(metadata, batch)
            compressed = _field(metadata, batch, _BATCH_COMPRESSION) is not None
            size += sum(_sizes(metadata, batch, data)) if compressed else len(data)
    except (pa.ArrowException, struct.error, OSError) as error:
        raise ValueError(f"it is no Arrow stream: {error}") from error
    return Unpacked(rows, size)


def read_stream(body: bytes) -> pl.DataFrame:
    """Read an Arrow IPC stream.

    Raises ValueError for one that does not keep what it says.
    """
    try:
        with ipc.open_stream(body) as stream:
            table = stream.read_all()
        table.validate(full=True)
        return pl.DataFrame(pl.from_arrow(table))
    except (pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise ValueError(str(error)) from error


def _sizes(metadata: bytes, batch: int, data: memoryview) -> Iterator[int]:
    """The bytes that each buffer of a compressed batch unpacks to: they stand before it."""
    place = _field(metadata, batch, _BATCH_BUFFERS)
    if place is None:
        return
    vector = place + _read(metadata, "<I", place)
    for number in range(_read(metadata, "<I", vector)):
        offset, length = struct.unpack_from("<qq", metadata, vector + 4 + 16 * number)
        if not 0 <= offset <= offset + length <= len(data):
            raise ValueError("a buffer lies outside of its message")
        if length:
            unpacked = _read(data, "<q", offset)
            if unpacked < _NOT_COMPRESSED:
                raise ValueError("a buffer has less than no bytes")
            yield length if unpacked == _NOT_COMPRESSED else unpacked


def _length(metadata: bytes, batch: int) -> int:
    place = _field(metadata, batch, _BATCH_LENGTH)
    length: int = 0 if place is None else _read(metadata, "<q", place)
    if length < 0:
        raise ValueError("a batch has less than no rows")
    return length


# FlatBuffers: a table begins with the distance back to its list of fields, which has the place of each, 0 where it is absent.


def _root(metadata: bytes) -> int:
    return int(_read(metadata, "<I", 0))


def _field(metadata: bytes, table: int, number: int) -> int | None:
    fields = table - _read(metadata, "<i", table)
    if 4 + 2 * number >= _read(metadata, "<H", fields):
        return None
    place = _read(metadata, "<H", fields + 4 + 2 * number)
    return None if place == 0 else table + place


def _table(metadata: bytes, table: int, number: int) -> int:
    place = _field(metadata, table, number)
    if place is None:
        raise ValueError("a message has no content")
    return place + int(_read(metadata, "<I", place))


def _read(of: bytes | memoryview, form: str, place: int) -> Any:
    if place < 0:
        raise ValueError("a message points outside of itself")
    return struct.unpack_from(form, of, place)[0]
