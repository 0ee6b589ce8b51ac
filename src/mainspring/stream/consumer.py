"""A group's reading of one topic of an embedded log."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

from mainspring.errors import StreamError
from mainspring.stream.blocks import Blocks
from mainspring.stream.broker import Record
from mainspring.stream.flush import flush_file
from mainspring.stream.groups import Groups

__all__ = ["LogConsumer"]

_LOOK_AGAIN_S = 0.01
_POLL_BYTES = 64 << 20


class LogConsumer:
    """Reads a topic in order of offset; the protocol `Consumer` says what is promised.

    Holds a connection of its own, so it never waits for the writer or another consumer. `committed` tells of commits in
    this process as they happen; those of another process are looked for a hundred times a second. A poll returns
    at most 64 MiB or one block, whichever is more.
    """

    def __init__(
        self, folder: Path, topic: str, group: str, *, committed: threading.Condition, closed: Callable[[], bool]
    ) -> None:
        self.topic = topic
        self.group = group
        self._file = folder / "records.db"
        self._groups = Groups(folder / "groups")
        self._committed = committed
        self._closed_outside = closed
        self._closed = False
        self._using = threading.Lock()  # against being closed by another thread in the middle of a poll
        self._blocks: Blocks | None = None
        self._number: int | None = None
        self._ahead: list[Record] = []
        known = self._groups.position(topic, group)
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self.close)
            self._position = self._bounds()[0] if known is None else known
            if known is None:
                self._groups.store(topic, group, self._position)
            on_failure.pop_all()

    @property
    def position(self) -> int:
        """The offset that is polled next, or the first one kept after it."""
        return self._position

    def poll(self, limit: int = 1000, timeout: float = 0.0) -> list[Record]:
        """Return the next records, at most `limit`; wait at most `timeout` seconds for the first.

        Raises StreamError (STREAM_CLOSED), WorkspaceError (WORKSPACE_BROKEN).
        """
        give_up = time.monotonic() + timeout if timeout > 0 else 0.0
        while True:
            with self._using:
                self._check_open()
                if records := self._next(limit):
                    self._position = records[-1].offset + 1
                    return records
            left = give_up - time.monotonic() if give_up else 0.0
            if left <= 0:
                return []
            with self._committed:
                self._committed.wait(min(left, _LOOK_AGAIN_S))

    def commit(self) -> None:
        """Declare everything polled so far done with. Durable when it returns.

        Raises StreamError (STREAM_CLOSED), WorkspaceError (WORKSPACE_DISK_FULL, WORKSPACE_READ_ONLY).
        """
        with self._using:
            self._check_open()
            # A position that outlived the records before it would skip those that take their offsets after a power cut.
            flush_file(self._file.with_name(f"{self._file.name}-wal"))
            self._groups.store(self.topic, self.group, self._position)

    def seek(self, offset: int) -> None:
        """Poll from `offset` on, or from the first one kept after it.

        Raises StreamError (STREAM_OFFSET, STREAM_CLOSED).
        """
        with self._using:
            self._check_open()
            end = self._bounds()[1]
            if not 0 <= offset <= end:
                raise StreamError(
                    "STREAM_OFFSET",
                    f"{offset} is no offset of the topic {self.topic!r}.",
                    exists=f"It has offsets up to {end}, where the next record will be.",
                    fix="Seek one of these.",
                )
            self._position, self._ahead = offset, []

    def lag(self) -> int:
        """Return how many records of the topic are kept and yet to be polled.

        Raises StreamError (STREAM_CLOSED).
        """
        with self._using:
            self._check_open()
            first, end = self._bounds()
            return max(0, end - max(first, self._position))

    def close(self) -> None:
        """Stop reading; what was not committed comes again. Closing twice is fine."""
        with self._using:
            self._closed = True
            if self._blocks is not None:
                self._blocks.close()
                self._blocks = None

    def _check_open(self) -> None:
        if self._closed or self._closed_outside():
            raise StreamError("STREAM_CLOSED", "The consumer is closed.", fix="Open another one with consumer(...).")

    def _open(self) -> tuple[Blocks, int] | None:
        """Return the connection and the topic's number, None as long as nothing was appended."""
        if self._blocks is None:
            self._blocks = Blocks.reading(self._file)
        if self._blocks is not None and self._number is None:
            self._number = self._blocks.topic_ids().get(self.topic)
        return None if self._blocks is None or self._number is None else (self._blocks, self._number)

    def _bounds(self) -> tuple[int, int]:
        opened = self._open()
        return opened[0].bounds(opened[1]) if opened else (0, 0)

    def _next(self, limit: int) -> list[Record]:
        """Records that were read with a block and not yet asked for come first, then further blocks."""
        records, self._ahead = self._ahead, []
        opened = self._open()
        if len(records) < limit and opened is not None:
            position = records[-1].offset + 1 if records else self._position
            size = 0
            with contextlib.closing(opened[0].read(opened[1], position)) as blocks:
                for block in blocks:
                    records += block.records(self.topic, position)
                    size += len(block.body)
                    if len(records) >= limit or size > _POLL_BYTES:
                        break
        self._ahead = records[limit:]
        return records[:limit]
