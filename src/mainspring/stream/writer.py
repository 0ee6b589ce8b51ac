"""What writes a log: everything submitted while a commit was under way goes into the next.

A thread of its own commits what was submitted, and puts the file in order; who appends and waits commits by itself, with
whatever else is waiting: handing it to the thread and back takes longer than a quick disk does.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

from mainspring.clock import MINUTE, Clock
from mainspring.errors import StreamError, WorkspaceError
from mainspring.storage import storage_errors
from mainspring.stream.blocks import Blocks
from mainspring.stream.broker import Message
from mainspring.stream.flush import Flush
from mainspring.stream.groups import Groups
from mainspring.stream.identity import Identities
from mainspring.stream.lock import WriterLock
from mainspring.stream.retention import Retention, trim

__all__ = ["Writer"]

_WAITING_BYTES = 32 << 20
_CHECKPOINT_BYTES = 8 << 20
_COMMIT_BYTES = 16 << 10  # what a commit writes besides its messages: whole pages


class _Submission(NamedTuple):
    messages: Sequence[Message]
    size: int
    future: Future[list[int]]


class _Topic:
    """What the writer remembers of a topic."""

    def __init__(self, blocks: Blocks, number: int) -> None:
        self.number = number
        self.end = blocks.bounds(number)[1]
        self.identities = Identities(partial(blocks.ids_at, number))
        for first, ids in blocks.ids(number):
            self.identities.add(dict(zip(ids, count(first))))


class Writer:
    """Appends to the log in `folder`. May be shared by threads.

    Guarantees: one submission is kept whole or not at all; what one thread submits is kept in that order; a future
    resolves after the commit, and fails only with the others of its commit: the next commit begins afresh, on a disk that
    may have space again. `committed` is called after each commit, on the thread that made it.

    Raises WorkspaceError (WORKSPACE_BUSY when the log has another writer, and what opening its file raises).
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        flush_each_commit: bool,
        retention: Retention,
        committed: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._retention = retention
        self._committed = committed
        self._groups = Groups(folder / "groups")
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = WriterLock(folder / "writer.lock")
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self._lock.release)
            self._blocks = Blocks.writing(folder / "records.db", flush_each_commit=flush_each_commit)
            on_failure.callback(self._blocks.close)
            self._topics = {name: _Topic(self._blocks, number) for name, number in self._blocks.topic_ids().items()}
            on_failure.pop_all()
        self._file = folder / "records.db"
        self._checkpointer: Blocks | None = None  # a connection of its own, so that commits go on meanwhile
        self._commit = threading.Lock()  # held by who takes what waits and commits it, or removes what is old
        self._flush = None if flush_each_commit else Flush(self._blocks.log_file)
        self._now = 0
        self._trim_due = 0
        self._written_since_checkpoint = self._written_since_trim = 0
        guard = threading.Lock()
        self._arrived = threading.Condition(guard)
        self._taken = threading.Condition(guard)
        self._waiting: list[_Submission] = []
        self._waiting_bytes = 0
        self._closing = self._untidy = False
        self._thread = threading.Thread(target=self._run, name=f"log {folder.name}", daemon=True)
        self._thread.start()

    def submit(self, messages: Sequence[Message], size: int) -> Future[list[int]]:
        """Hand checked messages of `size` bytes to the writer; waits while 32 MiB are on their way.

        Raises StreamError (STREAM_CLOSED).
        """
        future: Future[list[int]] = Future()
        future.set_running_or_notify_cancel()  # from now on it cannot be cancelled
        with self._arrived:
            while self._waiting_bytes > _WAITING_BYTES and not self._closing:
                self._taken.wait()
            if self._closing:
                raise _closed()
            self._waiting.append(_Submission(messages, size, future))
            self._waiting_bytes += size
            self._arrived.notify()
        return future

    def append(self, messages: Sequence[Message], size: int) -> list[int]:
        """Commit checked messages of `size` bytes here and now, with all that waits; return their offsets.

        Raises StreamError (STREAM_CLOSED), and what the commit raises.
        """
        if self._closing:
            raise _closed()
        own = _Submission(messages, size, Future())
        self._commit_waiting(own)
        if self._trim_is_due(times=4):
            self._remove_old()  # the thread is behind: who writes waits for room
        return own.future.result()

    def close(self) -> None:
        """Finish what was submitted and let the next writer in. Closing twice is fine.

        Raises WorkspaceError when the last second of a log with relaxed durability could not be brought to the disk.
        """
        with self._arrived:
            self._closing = True
            self._arrived.notify()
            self._taken.notify_all()
        self._thread.join()
        try:
            if self._flush is not None:
                self._flush.now()
        finally:
            if self._checkpointer is not None:
                self._checkpointer.close()
            self._blocks.close()
            self._lock.release()

    def _run(self) -> None:
        while self._wait():
            self._commit_waiting()
            if self._untidy:
                self._untidy = False
                self._tidy()

    def _wait(self) -> bool:
        """Wait for submissions, or until it is time to flush or to tidy; False at the end."""
        with self._arrived:
            while not self._waiting and not self._untidy:
                if self._closing:
                    return False
                if not self._arrived.wait(None if self._flush is None else self._flush.seconds_left()):
                    break
        return True

    def _commit_waiting(self, own: _Submission | None = None) -> None:
        """Commit all that was submitted, in its order, and then `own`."""
        with self._commit:
            with self._arrived:
                batch, self._waiting, self._waiting_bytes = self._waiting, [], 0
                self._taken.notify_all()
            if own is not None:
                batch.append(own)
            try:
                offsets = self._keep(batch)
            except Exception as error:  # whatever it is: who waits must hear of it, and the next batch must be tried
                for submission in batch:
                    submission.future.set_exception(error)
                return
        self._committed()
        for submission in batch:
            submission.future.set_result([offsets[message.topic][message.id] for message in submission.messages])
        self._note(_COMMIT_BYTES + sum(submission.size for submission in batch))

    def _keep(self, batch: list[_Submission]) -> dict[str, dict[str, int]]:
        """Commit a batch and return the offset of every id in it, by topic."""
        events: dict[str, dict[str, Message]] = {}
        for submission in batch:
            for message in submission.messages:
                events.setdefault(message.topic, {}).setdefault(message.id, message)
        if self._flush is not None:
            self._flush.when_due()
        self._now = self._clock.now()
        offsets, added = dict[str, dict[str, int]](), list[tuple[_Topic, dict[str, int]]]()
        runs: list[tuple[int, int, Sequence[Message]]] = []
        for name, by_id in events.items():
            topic = self._topics.get(name) or self._new_topic(name)
            held = topic.identities.find(by_id)
            fresh = by_id if not held else {each: by_id[each] for each in by_id if each not in held}
            new = dict(zip(fresh, count(topic.end)))
            offsets[name] = held | new if held else new
            if fresh:
                runs.append((topic.number, topic.end, list(fresh.values())))
                added.append((topic, new))
        self._blocks.write(runs, self._now)
        if self._flush is not None and runs:
            self._flush.note_write()
        for topic, new in added:  # only now: a commit that failed has changed nothing
            topic.end += len(new)
            topic.identities.add(new)
        return offsets

    def _new_topic(self, name: str) -> _Topic:
        """Number a topic. One that is numbered and then gets no record is as good as none."""
        self._topics[name] = _Topic(self._blocks, self._blocks.add_topic(name))
        return self._topics[name]

    def _note(self, written: int) -> None:
        """Count what was written, and wake the thread where there is something to flush later or to put in order."""
        self._written_since_checkpoint += written
        self._written_since_trim += written
        untidy = self._written_since_checkpoint >= _CHECKPOINT_BYTES or self._trim_is_due()
        if untidy or self._flush is not None:
            with self._arrived:
                self._untidy = self._untidy or untidy
                self._arrived.notify()

    def _tidy(self) -> None:
        """Do what can wait until those who wait have their answer."""
        try:
            if self._trim_is_due():
                self._remove_old()
            if self._written_since_checkpoint >= _CHECKPOINT_BYTES:
                self._written_since_checkpoint = 0
                if self._checkpointer is None:
                    self._checkpointer = Blocks.writing(self._file, flush_each_commit=True)
                self._checkpointer.checkpoint()  # most of it, while commits go on
                with self._commit:
                    self._blocks.checkpoint()  # and what came meanwhile: only a log that is brought in whole begins again
        except (WorkspaceError, sqlite3.Error, OSError):
            pass  # a full disk, say: what was answered is kept all the same, and after more was written it is tried again

    def _trim_is_due(self, times: int = 1) -> bool:
        keep, size = self._retention, self._retention.smallest_size()
        too_old = keep.age is not None and self._now >= self._trim_due + (times - 1) * MINUTE
        return too_old or (size is not None and self._written_since_trim >= times * min(_CHECKPOINT_BYTES, size // 16))

    def _remove_old(self) -> None:
        """Remove what retention lets go, piece by piece, so that commits find their way between."""
        more = True
        while more:
            with self._commit:
                more = self._trim()

    def _trim(self) -> bool:
        """Remove some of what retention lets go; say whether there may be more."""
        topics = {name: topic.number for name, topic in self._topics.items()}
        removed = trim(self._blocks, topics, self._groups, self._retention, self._now)
        for name, first in removed.items():
            self._topics[name].identities.forget_before(first)
        if not removed:
            self._written_since_trim = 0
            self._trim_due = self._now + min(MINUTE, (self._retention.age or 0) // 16)
        return bool(removed)


def _closed() -> StreamError:
    return StreamError("STREAM_CLOSED", "The log is closed.", fix="Open it again to append.")
