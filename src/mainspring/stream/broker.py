"""The protocol of a broker: facts in motion, as a log of the machine or a Kafka, RabbitMQ or Pub/Sub behind an adapter.

What every broker promises is written here and held by `mainspring.testing.broker_contract`; where brokers differ, they
say so by `seekable`, `deduplicates` and `atomic`, and whoever needs the promise asks before relying on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Protocol

import msgspec

__all__ = ["NO_OFFSET", "Broker", "Consumer", "Message", "Record"]

NO_OFFSET = -1
"""The offset of a message at a broker that tells none: it was kept, and cannot be sought."""


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event on its way into a topic.

    `id` identifies the event: the same id appended again to the same topic is the same event, whatever its value says
    then. Messages with the same `key` stay in order on every broker. A topic has a name of 1 to 80 bytes of UTF-8;
    an id has 1 to 200 bytes of UTF-8; key and value together have at most the broker's `largest` bytes.
    """

    topic: str
    value: bytes
    id: str
    key: bytes = b""


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event in a topic, with its place there and when it was appended (microseconds UTC, by the broker's clock)."""

    topic: str
    offset: int
    key: bytes
    value: bytes
    id: str
    appended_at: int


class Consumer(Protocol):
    """One group's reading of one topic.

    Guarantees: at least once: what was polled and not committed comes again when the group is opened again; records with
    the same key come in the order in which they were appended (with `seekable`, all of a topic come in order of offset);
    groups are independent of each other. One consumer is for one thread, and one group reads a topic through one
    consumer at a time: of two, each would see and commit what it pleases.
    """

    @property
    def position(self) -> int:
        """The offset that is polled next; `NO_OFFSET` where the broker is not seekable."""
        ...

    def poll(self, limit: int = 1000, timeout: float = 0.0) -> list[Record]:
        """Return the next records, at most `limit`; wait at most `timeout` seconds for the first. Empty: there are none.

        Raises StreamError (STREAM_CLOSED).
        """
        ...

    def commit(self) -> None:
        """Declare everything polled so far done with. Durable when it returns.

        Raises StreamError (STREAM_CLOSED).
        """
        ...

    def seek(self, offset: int) -> None:
        """Poll from `offset` on: one that was polled before, any later one up to the end. Not durable until a commit.

        Raises StreamError (STREAM_NOT_SEEKABLE, STREAM_OFFSET, STREAM_CLOSED).
        """
        ...

    def lag(self) -> int | None:
        """Return how many records of the topic are yet to be polled; None where the broker does not tell."""
        ...

    def close(self) -> None:
        """Stop reading; what was not committed comes again. Closing twice is fine."""
        ...


class Broker(Protocol):
    """Topics that are appended to and read by groups. May be shared by threads.

    `seekable`: records have offsets that count up from 0 without a gap (but for what retention removed), and a consumer
    may go to any. Otherwise offsets are `NO_OFFSET`, and a group sees what was appended after its first consumer.
    `deduplicates`: an id that is appended again is not kept again, as long as retention keeps the first. Otherwise
    consumers may see it again and must leave it out themselves.
    `atomic`: the messages of one submission are kept all or none. Otherwise, when one fails, others may be kept.
    `prompt`: `append` takes about as long as a disk does, so that an event loop may wait for it. Otherwise it may take as
    long as a network.
    `largest`: how many bytes key and value of a message may have together; at least 1,000,000.
    """

    @property
    def seekable(self) -> bool: ...

    @property
    def deduplicates(self) -> bool: ...

    @property
    def atomic(self) -> bool: ...

    @property
    def prompt(self) -> bool: ...

    @property
    def largest(self) -> int: ...

    def submit(self, messages: Sequence[Message]) -> Future[list[int]]:
        """Begin to append. The future resolves once the messages are durable, with the offset of each in its topic.

        Messages submitted by one thread are kept in that order. A future cannot be cancelled; when it fails, its
        messages may be submitted again with the same ids. Waits while too much is on its way already. Callbacks of the
        future run where the broker works: keep them short.

        Raises StreamError (STREAM_MESSAGE, STREAM_NAME, STREAM_CLOSED) at once; the future raises what became known later.
        """
        ...

    def append(self, messages: Sequence[Message]) -> list[int]:
        """Submit and wait until the messages are durable.

        Raises what `submit` and its future raise.
        """
        ...

    def consumer(self, topic: str, group: str) -> Consumer:
        """Open a group's reading of a topic where it last committed; a new group begins at the oldest record kept.

        From the first call on the group is known: retention waits for it. The topic need not exist yet.

        Raises StreamError (STREAM_NAME, STREAM_CLOSED).
        """
        ...

    def end(self, topic: str) -> int:
        """Return the offset that the topic's next record will get: 0 for a topic that does not exist.

        Raises StreamError (STREAM_NOT_SEEKABLE, STREAM_CLOSED).
        """
        ...

    def topics(self) -> list[str]:
        """Return the names of all topics that were appended to, sorted.

        Raises StreamError (STREAM_CLOSED).
        """
        ...

    def close(self) -> None:
        """Finish what was submitted, close the consumers, let go of everything. Closing twice is fine."""
        ...
