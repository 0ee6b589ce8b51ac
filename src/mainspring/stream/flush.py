"""Bringing a log with relaxed durability to the disk now and then."""

from __future__ import annotations

import os
import time
from pathlib import Path

from mainspring.storage import storage_errors

__all__ = ["FLUSH_SECONDS", "Flush", "flush_file"]

FLUSH_SECONDS = 1.0
"""How much time of acknowledged messages a power cut may take from a log with relaxed durability."""


class Flush:
    """Flushes a file at most `FLUSH_SECONDS` after the first write that was not flushed. For one thread."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._due: float | None = None

    def note_write(self) -> None:
        """Something was written to the file."""
        if self._due is None:
            self._due = time.monotonic() + FLUSH_SECONDS

    def seconds_left(self) -> float | None:
        """Return how long the next flush may wait, None when there is nothing to flush."""
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def when_due(self) -> None:
        """Flush if it is time. One that fails is tried again as long after.

        Raises WorkspaceError, or OSError from a disk that fails.
        """
        if self.seconds_left() == 0.0:
            self.now()

    def now(self) -> None:
        """Flush. Raises as `when_due` does."""
        self._due = time.monotonic() + FLUSH_SECONDS
        flush_file(self._file)
        self._due = None


def flush_file(file: Path) -> None:
    """Bring what any process wrote to a file to the disk; a file that does not exist has nothing to flush.

    Raises WorkspaceError, or OSError from a disk that fails.
    """
    with storage_errors(file):
        try:
            descriptor = os.open(file, os.O_RDWR)
        except FileNotFoundError:
            return
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
