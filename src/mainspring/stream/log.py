"""The embedded log: a broker in a folder, without a server."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Literal

from mainspring.clock import Clock
from mainspring.errors import StreamError
from mainspring.stream.blocks import Blocks
from mainspring.stream.broker import Message
from mainspring.stream.consumer import LogConsumer
from mainspring.stream.groups import Groups
from mainspring.stream.names import check_messages, check_name
from mainspring.stream.retention import Retention
from mainspring.stream.writer import Writer

__all__ = ["EmbeddedLog"]

_LARGEST = 256 << 20


class EmbeddedLog:
    """Topics in a folder on a disk of this machine (not of another one: SQLite needs its locks); the protocol `Broker` says
    what is promised.

    Making one opens nothing. The first submission takes the folder's writer lock and starts the writer's thread; it fails
    with WORKSPACE_BUSY while another writer, in this process or another, has it. Reading needs no lock: any number of
    processes may consume at the same time, also before anything was written. Opening for writing reads the ids of what is
    kept, about half a second for a million records, and holds 16 bytes of memory for each.

    Durability "full": a future resolves when its messages are on the disk. Nothing that was acknowledged is lost, neither
    by kill -9 nor by a power cut. Submissions that wait at the same time share one flush of the disk.

    Durability "relaxed": a future resolves when the operating system has its messages, and the disk is flushed once a
    second. Nothing is lost by kill -9; a power cut, or a crash of the operating system, may take the last second, or as
    long as the disk then needs to flush: the end of the log, never something in the middle, and nothing that a group had
    committed.

    A log that is idle is not trimmed: retention is looked after as messages come. A log that was opened before a fork is
    closed in the child.
    """

    seekable = True
    deduplicates = True
    atomic = True
    prompt = True
    largest = _LARGEST

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        durability: Literal["full", "relaxed"] = "full",
        retention: Retention | None = None,
    ) -> None:
        if durability not in ("full", "relaxed"):
            raise StreamError(
                "STREAM_OPTION", f"There is no durability {durability!r}.", fix='Say "full" or "relaxed".'
            )
        self.path = Path(path)
        self._clock = clock
        self._durability = durability
        self._retention = retention or Retention()
        self._groups = Groups(self.path / "groups")
        self._process = os.getpid()
        self._closed = False
        self._lock = threading.RLock()
        self._writer: Writer | None = None
        self._committed = threading.Condition()
        self._consumers: weakref.WeakSet[LogConsumer] = weakref.WeakSet()

    def submit(self, messages: Sequence[Message]) -> Future[list[int]]:
        """Begin to append; see `Broker.submit`.

        Raises StreamError (STREAM_MESSAGE, STREAM_NAME, STREAM_CLOSED), and WorkspaceError (WORKSPACE_BUSY,
        WORKSPACE_READ_ONLY, WORKSPACE_DISK_FULL, WORKSPACE_BROKEN, WORKSPACE_NEWER) where the log cannot be opened for
        writing. The future raises WorkspaceError where it cannot be written; the log goes on once it can.
        """
        messages = tuple(messages)
        size = check_messages(messages, largest=self.largest)
        self._check_open()
        return (self._writer or self._open_writer()).submit(messages, size)

    def append(self, messages: Sequence[Message]) -> list[int]:
        """Commit here and now, with whatever else waits. Raises what `submit` and its future raise."""
        messages = tuple(messages)
        size = check_messages(messages, largest=self.largest)
        self._check_open()
        return (self._writer or self._open_writer()).append(messages, size)

    def consumer(self, topic: str, group: str) -> LogConsumer:
        """Open a group's reading of a topic; see `Broker.consumer`.

        Raises StreamError (STREAM_NAME, STREAM_CLOSED), WorkspaceError (WORKSPACE_READ_ONLY, WORKSPACE_DISK_FULL,
        WORKSPACE_BROKEN, WORKSPACE_NEWER).
        """
        check_name("topic", topic)
        check_name("group", group)
        self._check_open()
        consumer = LogConsumer(
            self.path, topic, group, committed=self._committed, closed=lambda: os.getpid() != self._process
        )
        with self._lock:
            self._consumers.add(consumer)
        return consumer

    def end(self, topic: str) -> int:
        """Return the offset that the topic's next record will get: 0 for a topic that does not exist.

        Raises StreamError (STREAM_CLOSED), WorkspaceError (WORKSPACE_BROKEN, WORKSPACE_NEWER).
        """
        return self._bounds().get(topic, (0, 0))[1]

    def first(self, topic: str) -> int:
        """Return the offset of the first record that retention has kept, the topic's end when there is none.

        Raises StreamError (STREAM_CLOSED), WorkspaceError (WORKSPACE_BROKEN, WORKSPACE_NEWER).
        """
        return self._bounds().get(topic, (0, 0))[0]

    def topics(self) -> list[str]:
        """Return the names of all topics that were appended to, sorted.

        Raises StreamError (STREAM_CLOSED), WorkspaceError (WORKSPACE_BROKEN, WORKSPACE_NEWER).
        """
        return sorted(topic for topic, (_, end) in self._bounds().items() if end)

    def groups(self, topic: str) -> dict[str, int]:
        """Return the known groups of a topic and what each has committed: for these retention waits.

        Raises WorkspaceError (WORKSPACE_BROKEN).
        """
        return self._groups.of(topic)

    def forget(self, topic: str, group: str) -> None:
        """Let retention no longer wait for a group that will not come back; it may be unknown already.

        Raises WorkspaceError (WORKSPACE_READ_ONLY).
        """
        self._groups.forget(topic, group)

    def close(self) -> None:
        """Finish what was submitted, close the consumers, let the next writer in. Closing twice is fine.

        Raises WorkspaceError when the last second of a log with relaxed durability could not be brought to the disk.
        """
        with self._lock:
            self._closed = True
            if os.getpid() != self._process:
                return
            for consumer in list(self._consumers):
                consumer.close()
            if self._writer is not None:
                self._writer.close()

    def __enter__(self) -> EmbeddedLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if os.getpid() != self._process:
            raise StreamError("STREAM_CLOSED", "The log was opened before a fork.", fix="Open it in this process.")
        if self._closed:
            raise StreamError("STREAM_CLOSED", "The log is closed.", fix="Open it again.")

    def _open_writer(self) -> Writer:
        with self._lock:
            self._check_open()
            if self._writer is None:
                self._writer = Writer(
                    self.path,
                    self._clock,
                    flush_each_commit=self._durability == "full",
                    retention=self._retention,
                    committed=self._tell_of_commit,
                )
            return self._writer

    def _tell_of_commit(self) -> None:
        with self._committed:
            self._committed.notify_all()

    def _bounds(self) -> dict[str, tuple[int, int]]:
        """Return the first offset and the end of each topic."""
        self._check_open()
        blocks = Blocks.reading(self.path / "records.db")
        if blocks is None:
            return {}
        try:
            return {name: blocks.bounds(number) for name, number in blocks.topic_ids().items()}
        finally:
            blocks.close()
