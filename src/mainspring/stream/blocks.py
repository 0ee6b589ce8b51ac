"""How a log lies on the disk: one SQLite file of blocks.

A block is a row: consecutive records of one topic that were committed together. A row for each record was tried first:
blocks of a thousand are appended half as fast again and read almost three times as fast, and what sixteen threads submit
at once is one statement. The place of a block, topic and first offset in one number, is the row's own key, so appending
only ever touches the end of its topic.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import chain, count, repeat
from pathlib import Path
from typing import NamedTuple

import msgspec

from mainspring.errors import WorkspaceError
from mainspring.storage import storage_errors
from mainspring.stream.broker import Message, Record

__all__ = ["Block", "Blocks"]

_VERSION = 1
_SCHEMA = f"""
CREATE TABLE topics (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE blocks (
    place INTEGER PRIMARY KEY,    -- id of the topic << 40 | offset of the first record
    records INTEGER NOT NULL,
    appended_at INTEGER NOT NULL, -- microseconds UTC
    ids BLOB NOT NULL,            -- MessagePack: the text id of each record
    body BLOB NOT NULL            -- MessagePack: the key of each record, then the value of each
);
PRAGMA user_version = {_VERSION};
"""
_OFFSET_BITS = 40
_OFFSETS = (1 << _OFFSET_BITS) - 1
_BUSY_TIMEOUT_S = 10.0
_PAGE_BYTES = 8192
_BLOCK_RECORDS = 1000
_BLOCK_BYTES = 1 << 20
_PLACES = "(?, ?, ?, ?, ?)"
_ROWS_AT_ONCE = 64

_decode_ids = msgspec.msgpack.Decoder(list[str]).decode
_decode_body = msgspec.msgpack.Decoder(tuple[list[bytes], list[bytes]]).decode
_encode = msgspec.msgpack.Encoder().encode


class Block(NamedTuple):
    """A row, not yet read."""

    first: int
    length: int
    appended_at: int
    ids: bytes
    body: bytes

    def records(self, topic: str, start: int) -> list[Record]:
        """Read the records of the block from offset `start` on.

        Raises WorkspaceError (WORKSPACE_BROKEN).
        """
        with _readable():
            ids, (keys, values) = _decode_ids(self.ids), _decode_body(self.body)
        records = [
            Record(topic=topic, offset=offset, key=key, value=value, id=each, appended_at=at)
            for offset, key, value, each, at in zip(count(self.first), keys, values, ids, repeat(self.appended_at))
        ]
        return records if start <= self.first else records[start - self.first :]


class Blocks:
    """A connection to the file. For one thread at a time; guarantees and errors are SQLite's, in the words of `storage`.

    A reader sees what was committed when its call began, and never waits for the writer.
    """

    def __init__(self, file: Path, connection: sqlite3.Connection) -> None:
        self.file = file
        self.log_file = file.with_name(f"{file.name}-wal")
        self.sql = connection

    @classmethod
    def reading(cls, file: Path) -> Blocks | None:
        """Open a file for reading, None as long as there is no file.

        Raises WorkspaceError (WORKSPACE_BROKEN, WORKSPACE_NEWER, WORKSPACE_READ_ONLY).
        """
        return cls._open(file, "query_only = ON") if file.exists() else None

    @classmethod
    def writing(cls, file: Path, *, flush_each_commit: bool) -> Blocks:
        """Open the file for writing, and make it when there is none. The caller sees to it that there is one writer.

        Raises WorkspaceError (WORKSPACE_BROKEN, WORKSPACE_NEWER, WORKSPACE_READ_ONLY, WORKSPACE_DISK_FULL).
        """
        with storage_errors(file):
            _make(file)
        return cls._open(
            file,
            f"synchronous = {'FULL' if flush_each_commit else 'NORMAL'}",
            "wal_autocheckpoint = 0",  # the writer does it after it has answered
            "secure_delete = OFF",
            "cache_size = -16384",
        )

    @classmethod
    def _open(cls, file: Path, *settings: str) -> Blocks:
        with storage_errors(file):
            sql = sqlite3.connect(
                f"{file.absolute().as_uri()}?mode=rw",
                uri=True,
                timeout=_BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                version = sql.execute("PRAGMA user_version").fetchone()[0]
                for setting in settings:
                    sql.execute(f"PRAGMA {setting}")
                _check_version(file, version)
            except BaseException:
                sql.close()
                raise
        return cls(file, sql)

    def close(self) -> None:
        """Close the connection. Closing twice is fine."""
        with storage_errors(self.file):
            self.sql.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep what the block writes, whole or not at all.

        Raises WorkspaceError (WORKSPACE_DISK_FULL, WORKSPACE_READ_ONLY, WORKSPACE_BROKEN).
        """
        with storage_errors(self.file):
            self.sql.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.sql.execute("COMMIT")
            except BaseException:
                if self.sql.in_transaction:  # SQLite has rolled back by itself after some errors
                    self.sql.execute("ROLLBACK")
                raise

    def topic_ids(self) -> dict[str, int]:
        """Return the number of every topic."""
        with storage_errors(self.file):
            return dict(self.sql.execute("SELECT name, id FROM topics"))

    def add_topic(self, name: str) -> int:
        """Number a topic, unless it has a number, and return that."""
        statement = "INSERT INTO topics (name) VALUES (?) ON CONFLICT (name) DO UPDATE SET name = name RETURNING id"
        with storage_errors(self.file):
            return int(self.sql.execute(statement, (name,)).fetchone()[0])

    def write(self, runs: Iterable[tuple[int, int, Sequence[Message]]], appended_at: int) -> None:
        """Commit runs of messages, each of a topic from an offset on, cut into blocks that are quick to read.

        All or nothing is kept. Raises WorkspaceError (WORKSPACE_DISK_FULL, WORKSPACE_READ_ONLY, WORKSPACE_BROKEN).
        """
        rows = [
            _row(topic, first, part, appended_at) for topic, start, run in runs for first, part in _parts(start, run)
        ]
        if not rows:
            return
        with storage_errors(self.file):
            if len(rows) <= _ROWS_AT_ONCE:
                # One statement is a transaction by itself, and each statement waits once more for the interpreter's lock.
                self.sql.execute(f"INSERT INTO blocks VALUES {', '.join([_PLACES] * len(rows))}", list(chain(*rows)))
            else:
                with self.transaction():
                    self.sql.executemany(f"INSERT INTO blocks VALUES {_PLACES}", rows)

    def bounds(self, topic: int) -> tuple[int, int]:
        """Return the offset of the first record kept and the offset that the next one will get."""
        low, high = topic << _OFFSET_BITS, (topic + 1) << _OFFSET_BITS
        with storage_errors(self.file):
            found = self.sql.execute(
                "SELECT (SELECT min(place) FROM blocks WHERE place >= ?1 AND place < ?2), max(place), records"
                " FROM blocks WHERE place >= ?1 AND place < ?2",
                (low, high),
            ).fetchone()
        return (0, 0) if found[1] is None else (found[0] & _OFFSETS, (found[1] & _OFFSETS) + found[2])

    def read(self, topic: int, offset: int) -> Generator[Block]:
        """Return the blocks of a topic in order, from the one that holds `offset` on. Close the iterator soon."""
        low, high = topic << _OFFSET_BITS, (topic + 1) << _OFFSET_BITS
        with storage_errors(self.file), contextlib.closing(self.sql.cursor()) as rows:
            rows.execute(
                "SELECT place, records, appended_at, ids, body FROM blocks WHERE place < ?3 AND place >= coalesce("
                "(SELECT max(place) FROM blocks WHERE place <= ?2 AND place >= ?1), ?1) ORDER BY place",
                (low, low | offset, high),
            )
            for place, *rest in rows:
                yield Block(place & _OFFSETS, *rest)

    def ids(self, topic: int) -> Iterator[tuple[int, list[str]]]:
        """Return the ids of all records of a topic, each list with the offset of its first."""
        low, high = topic << _OFFSET_BITS, (topic + 1) << _OFFSET_BITS
        with storage_errors(self.file), contextlib.closing(self.sql.cursor()) as rows:
            rows.execute("SELECT place, ids FROM blocks WHERE place >= ? AND place < ? ORDER BY place", (low, high))
            for place, ids in rows:
                with _readable():
                    decoded = _decode_ids(ids)
                yield place & _OFFSETS, decoded

    def ids_at(self, topic: int, offsets: Sequence[int]) -> Iterator[str | None]:
        """Return the ids of the records at ascending offsets, None for one that is no longer kept."""
        low = topic << _OFFSET_BITS
        first, ids = 0, list[str]()
        for offset in offsets:
            if not first <= offset < first + len(ids):
                with storage_errors(self.file):
                    found = self.sql.execute(
                        "SELECT place, ids FROM blocks WHERE place <= ? AND place >= ? ORDER BY place DESC LIMIT 1",
                        (low | offset, low),
                    ).fetchone()
                with _readable():
                    first, ids = (found[0] & _OFFSETS, _decode_ids(found[1])) if found else (0, [])
            yield ids[offset - first] if first <= offset < first + len(ids) else None

    def fronts(self, topic: int, limit: int) -> list[tuple[int, int, int, int]]:
        """Return the oldest blocks of a topic, without its last one: (first, records, appended_at, bytes)."""
        low, high = topic << _OFFSET_BITS, (topic + 1) << _OFFSET_BITS
        return self.sql.execute(
            "SELECT place & ?4, records, appended_at, length(ids) + length(body) FROM blocks WHERE place >= ?1"
            " AND place < (SELECT max(place) FROM blocks WHERE place >= ?1 AND place < ?2) ORDER BY place LIMIT ?3",
            (low, high, limit, _OFFSETS),
        ).fetchall()

    def remove_before(self, topic: int, offset: int) -> None:
        """Remove the blocks of a topic that begin before `offset`; their space is used again."""
        low = topic << _OFFSET_BITS
        self.sql.execute("DELETE FROM blocks WHERE place >= ? AND place < ?", (low, low | offset))

    def bytes_used(self) -> int:
        """Return how much of the file holds something."""
        (page,), (pages,), (free,) = (
            self.sql.execute(f"PRAGMA {name}").fetchone() for name in ("page_size", "page_count", "freelist_count")
        )
        return int(page * (pages - free))

    def checkpoint(self) -> None:
        """Bring what was committed from the write-ahead log into the file, as far as readers allow.

        Raises WorkspaceError (WORKSPACE_DISK_FULL): nothing is lost, it is to be tried again.
        """
        with storage_errors(self.file):
            self.sql.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _row(topic: int, first: int, messages: Sequence[Message], appended_at: int) -> tuple[int, int, int, bytes, bytes]:
    ids, keys, values = ([getattr(message, name) for message in messages] for name in ("id", "key", "value"))
    return topic << _OFFSET_BITS | first, len(ids), appended_at, _encode(ids), _encode((keys, values))


def _parts(first: int, messages: Sequence[Message]) -> Iterator[tuple[int, Sequence[Message]]]:
    """Cut messages into blocks, and give the offset at which each begins."""
    start, size = 0, 0
    for number, message in enumerate(messages):
        size += len(message.value) + len(message.key)
        if number > start and (size > _BLOCK_BYTES or number - start == _BLOCK_RECORDS):
            yield first + start, messages[start:number]
            start, size = number, len(message.value) + len(message.key)
    yield first + start, messages[start:]


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except msgspec.DecodeError as damaged:
        raise WorkspaceError(
            "WORKSPACE_BROKEN", "A block of the log is damaged.", fix="Restore the log from a copy."
        ) from damaged


def _make(file: Path) -> None:
    """Make the file whole or not at all: a reader that comes at any moment sees none, or one with its tables."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists():
        return
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}.tmp")
    try:
        with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as sql:
            sql.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            sql.execute("PRAGMA journal_mode = WAL")
            sql.executescript(_SCHEMA)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _check_version(file: Path, version: int) -> None:
    if version > _VERSION:
        raise WorkspaceError(
            "WORKSPACE_NEWER",
            f"The log {file} has version {version}.",
            exists=f"This version of Mainspring reads up to {_VERSION}.",
            fix="Upgrade: pip install --upgrade mainspring",
        )
    if version < 1:
        raise WorkspaceError(
            "WORKSPACE_BROKEN",
            f"{file} is a database, but no log.",
            fix="Restore it from a copy, or move it away and run again.",
        )
