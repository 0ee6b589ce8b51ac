"""The database under the ledger: opened on first use, one transaction per call, brought up to date once."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Row,
    create_engine,
    event,
    exc,
    insert,
    inspect,
    make_url,
    select,
    update,
)
from sqlalchemy.pool import NullPool

from mainspring.errors import MissingExtraError, WorkspaceError
from mainspring.ledger import tables
from mainspring.storage import storage_errors

__all__ = ["Database", "as_record"]

_Record = TypeVar("_Record", bound=msgspec.Struct)
_BUSY_TIMEOUT_MS = 10_000
_WAL_ATTEMPTS, _WAL_PAUSE_SECONDS = 50, 0.02


class Database:
    """Transactions on the ledger's tables.

    Guarantees: making one opens nothing; no connection is held between transactions, so one object may be used from
    many threads and survives a fork; a transaction is kept whole or not at all, also after kill -9; readers never wait
    for a writer (SQLite: write-ahead log), writers wait for each other up to ten seconds.
    """

    def __init__(self, url: str) -> None:
        self._url = _parse(url)
        self._ready: Engine | None = None
        self._lock = threading.Lock()

    @property
    def place(self) -> str:
        """The file of the database, or its address without the password."""
        return str(self._file) if self._file else self._url.render_as_string(hide_password=True)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection that sees one state of the ledger.

        Raises WorkspaceError (WORKSPACE_NEWER, WORKSPACE_BROKEN, WORKSPACE_READ_ONLY, WORKSPACE_DISK_FULL).
        """
        with self._errors(), self._engine().begin() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection that writes: all of it when the block ends, nothing when it raises.

        Raises WorkspaceError as `reading` does, and WORKSPACE_BUSY when another writer does not end.
        """
        with self._errors(), self._engine().execution_options(writes=True).begin() as connection:
            yield connection

    @property
    def _file(self) -> Path | None:
        return Path(self._url.database or "") if self._url.get_backend_name() == "sqlite" else None

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with storage_errors(self.place):
                yield
        except exc.OperationalError as error:
            raise WorkspaceError(
                "WORKSPACE_BROKEN",
                f"The ledger {self.place} cannot be used: {error.orig}",
                fix="Check the address of the ledger, and that its server runs.",
            ) from error

    def _engine(self) -> Engine:
        with self._lock:
            if self._ready is None:
                engine = _connectable(self._url)
                _bring_up_to_date(engine, self.place)
                self._ready = engine
            return self._ready


def as_record(kind: type[_Record], row: Row[Any]) -> _Record:
    """Return a row as the record it is; columns that the record lacks are left out."""
    fields = row._mapping
    return msgspec.convert({name: fields[name] for name in kind.__struct_fields__}, kind)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        parsed = None
    if parsed is None or (parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:")):
        raise WorkspaceError(
            "WORKSPACE_BROKEN",
            f"{url!r} is not the address of a database that lasts.",
            fix="Write for example sqlite:////data/ledger.db or postgresql+psycopg://user@host/ledger.",
        )
    return parsed


def _connectable(url: URL) -> Engine:
    try:
        engine = create_engine(
            url,
            poolclass=NullPool,
            json_serializer=lambda value: msgspec.json.encode(value).decode(),
            json_deserializer=msgspec.json.decode,
        )
    except ModuleNotFoundError as missing:
        raise MissingExtraError("psycopg", "postgres", f"A ledger at {url.drivername}://") from missing
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")  # a finished run is worth the milliseconds of one flush


def _begin_sqlite(connection: Connection) -> None:
    # A writer that began as a reader could not wait for another writer: SQLite would refuse at once.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _bring_up_to_date(engine: Engine, place: str) -> None:
    """Make the tables of an empty database, or take those of an older version forward, in one transaction."""
    with engine.begin() as connection:
        if _version(connection, place) == tables.SCHEMA_VERSION:
            return
    if engine.dialect.name == "sqlite":
        _use_write_ahead_log(engine)
    with engine.execution_options(writes=True).begin() as connection:
        found = _version(connection, place)
        if found is None:
            tables.metadata.create_all(connection)
            connection.execute(insert(tables.schema_version).values(version=tables.SCHEMA_VERSION))
            return
        for older in range(found, tables.SCHEMA_VERSION):
            tables.MIGRATIONS[older](connection)
        connection.execute(update(tables.schema_version).values(version=tables.SCHEMA_VERSION))


def _use_write_ahead_log(engine: Engine) -> None:
    """Change the journal once. Unlike other statements this one does not wait for a lock, so several openers try again."""
    for attempt in range(_WAL_ATTEMPTS):
        try:
            with contextlib.closing(engine.raw_connection()) as raw:
                raw.cursor().execute("PRAGMA journal_mode = WAL").close()
            return
        except sqlite3.OperationalError:
            if attempt == _WAL_ATTEMPTS - 1:
                raise
            time.sleep(_WAL_PAUSE_SECONDS)


def _version(connection: Connection, place: str) -> int | None:
    """Return the schema version of a database, None for an empty one.

    Raises WorkspaceError (WORKSPACE_NEWER, or WORKSPACE_BROKEN for a database that is no ledger).
    """
    present = set(inspect(connection).get_table_names())
    found = None
    if tables.schema_version.name in present:
        found = connection.execute(select(tables.schema_version.c.version)).scalar()
    if found is None and present & set(tables.metadata.tables):
        raise WorkspaceError(
            "WORKSPACE_BROKEN",
            f"The ledger {place} has tables but does not say of which version.",
            fix="Restore it from a copy, or move it away and run again.",
        )
    if found is not None and found > tables.SCHEMA_VERSION:
        raise WorkspaceError(
            "WORKSPACE_NEWER",
            f"The ledger {place} has schema version {found}.",
            exists=f"This version of Mainspring reads up to {tables.SCHEMA_VERSION}.",
            fix="Upgrade: pip install --upgrade mainspring",
        )
    return found
