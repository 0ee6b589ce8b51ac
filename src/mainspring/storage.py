"""Primitives of durable storage: write a file whole or not at all, and say in plain words why a disk refused."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from mainspring.errors import WorkspaceError

__all__ = ["storage_errors", "write_atomically"]

_FULL, _READ_ONLY, _BROKEN, _BUSY = (
    "WORKSPACE_DISK_FULL",
    "WORKSPACE_READ_ONLY",
    "WORKSPACE_BROKEN",
    "WORKSPACE_BUSY",
)
_PROBLEMS = {
    _FULL: (
        "There is no space left to write {place}.",
        "Free some space, or choose another folder with --workspace; what was stored before is intact.",
    ),
    _READ_ONLY: (
        "{place} cannot be written.",
        "Make it writable, or choose another folder with --workspace or MAINSPRING_HOME.",
    ),
    _BROKEN: (
        "{place} cannot be read: it is damaged, or no file of Mainspring.",
        "Restore it from a copy, or move it away and run again.",
    ),
    _BUSY: (
        "Another process is writing {place}.",
        "Wait for it to end and run again.",
    ),
}
_BY_ERRNO = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _READ_ONLY,
    errno.EPERM: _READ_ONLY,
    errno.ENOTDIR: _READ_ONLY,  # a file stands where a folder should
}
_BY_SQLITE_CODE = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR_SHMSIZE: _FULL,  # the shared-memory file of the write-ahead log could not grow
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_PERM: _READ_ONLY,
    sqlite3.SQLITE_CORRUPT: _BROKEN,
    sqlite3.SQLITE_NOTADB: _BROKEN,
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
}


@contextlib.contextmanager
def storage_errors(place: Path | str) -> Iterator[None]:
    """Turn what the operating system and SQLite say about a full, read-only, damaged or locked store into WorkspaceError.

    Put it around writing to the workspace only, `place` naming what is written: a file of the user's that may not be
    read is no fault of the workspace. Errors are recognised by number, also inside the wrappers of SQLAlchemy and
    PyIceberg; every other error passes through untouched.

    Raises WorkspaceError (WORKSPACE_DISK_FULL, WORKSPACE_READ_ONLY, WORKSPACE_BROKEN, WORKSPACE_BUSY).
    """
    try:
        yield
    except Exception as error:
        code = _code_of(error, Path(place))
        if code is None:
            raise
        problem, fix = _PROBLEMS[code]
        raise WorkspaceError(code, problem.format(place=place), fix=fix) from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that every reader, also after kill -9 or a power cut, sees the old bytes or the new ones.

    The bytes go to a hidden file in the same folder, are flushed to the disk, and the file is renamed. A killed writer
    may leave the hidden file behind, never a half-written `path`. The folder must exist.

    Raises WorkspaceError (WORKSPACE_DISK_FULL, WORKSPACE_READ_ONLY).
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with storage_errors(path):
        try:
            with draft.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except BaseException:  # Ctrl-C as well: the draft is ours to clear away
            draft.unlink(missing_ok=True)
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the rename itself must reach the disk
        finally:
            os.close(folder)


def _code_of(error: BaseException | None, place: Path) -> str | None:
    """Return the workspace code of an error or of what it was raised from, None for errors of another kind."""
    while error is not None and not isinstance(error, WorkspaceError):
        if isinstance(error, sqlite3.Error):
            return _code_of_sqlite(getattr(error, "sqlite_errorcode", None), place)
        if isinstance(error, OSError) and error.errno in _BY_ERRNO:
            return _BY_ERRNO[error.errno]
        error = error.__cause__
    return None


def _code_of_sqlite(code: int | None, place: Path) -> str | None:
    if code is None:
        return None
    if code == sqlite3.SQLITE_CANTOPEN:  # SQLite does not say why: the folder may be read-only, or the file no file
        return _BROKEN if os.access(place.parent, os.W_OK) else _READ_ONLY
    return _BY_SQLITE_CODE.get(code) or _BY_SQLITE_CODE.get(code & 0xFF)  # the low byte is the primary code
