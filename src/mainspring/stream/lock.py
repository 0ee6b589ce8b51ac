"""The lock that makes a log's writer the only one."""

from __future__ import annotations

import fcntl
import functools
import os
import weakref
from pathlib import Path

from mainspring.errors import WorkspaceError
from mainspring.storage import storage_errors

__all__ = ["WriterLock"]

_held: weakref.WeakSet[WriterLock] = weakref.WeakSet()


class WriterLock:
    """A lock on a file, held from the moment it is made until `release` or the end of the process, however it ends.

    It also keeps out a second writer in the same process. A forked child does not hold it: the parent alone does, so a
    child that outlives the parent keeps nobody out.

    Raises WorkspaceError (WORKSPACE_BUSY, WORKSPACE_READ_ONLY, WORKSPACE_DISK_FULL).
    """

    def __init__(self, path: Path) -> None:
        with storage_errors(path):
            self._file: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as busy:
            os.close(self._file)
            raise WorkspaceError(
                "WORKSPACE_BUSY",
                f"Another writer holds the log {path.parent}.",
                exists="A log has one writer at a time and any number of readers.",
                fix="Close the other one, or send messages through it.",
            ) from busy
        _watch_forks()
        _held.add(self)

    def release(self) -> None:
        """Let the next writer in. Releasing twice is fine."""
        _held.discard(self)
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)
            os.close(self._file)
            self._file = None

    def abandon(self) -> None:
        """Forget the lock without letting go of it: it belongs to the process that was forked from."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


@functools.cache
def _watch_forks() -> None:
    """Once in the life of a process: a registration cannot be taken back."""
    os.register_at_fork(after_in_child=_abandon_all)


def _abandon_all() -> None:
    for lock in list(_held):
        lock.abandon()
