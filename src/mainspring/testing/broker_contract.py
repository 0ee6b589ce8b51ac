"""What every broker promises, as checks that need no test framework.

Each check is given `open_broker`: every call opens the same store again, as another process would, with what earlier ones
left in it. Topics have names of their own in each check, so a server may be shared. A broken promise is an
AssertionError. Promises that a broker does not make (`seekable`, `deduplicates`, `atomic`) are not asked of it, except
that it must say so.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from mainspring.errors import StreamError
from mainspring.stream.broker import NO_OFFSET, Broker, Consumer, Message, Record

__all__ = ["Check", "OpenBroker", "checks"]

OpenBroker = Callable[[], Broker]
Check = Callable[[OpenBroker], None]

_PATIENCE_S = 20.0
_QUIET_S = 0.2


def checks() -> list[Check]:
    """Return every check, in an order to read them in."""
    return list(_CHECKS)


def polled_is_what_was_appended_in_order(open_broker: OpenBroker) -> None:
    with _using(open_broker) as broker:
        topic = _topic("order")
        consumer = broker.consumer(topic, "g")
        messages = [_message(topic, number, key=b"one") for number in range(50)]
        offsets = broker.append(messages[:1]) + broker.append(messages[1:7]) + broker.append(messages[7:])
        records = _drain(consumer, 50)
        _same_events(records, messages)
        assert [(record.topic, record.key) for record in records] == [(topic, b"one")] * 50
        assert all(isinstance(record.appended_at, int) for record in records)
        if broker.seekable:
            assert offsets == [record.offset for record in records] == list(range(50))
            assert broker.end(topic) == 50
        else:
            assert set(offsets) == {NO_OFFSET}
        assert topic in broker.topics()


def keys_keep_their_order(open_broker: OpenBroker) -> None:
    with _using(open_broker) as broker:
        topic = _topic("keys")
        consumer = broker.consumer(topic, "g")
        for start in range(0, 60, 20):
            broker.append([_message(topic, number, key=b"%d" % (number % 3)) for number in range(start, start + 20)])
        records = _drain(consumer, 60)
        for key in (b"0", b"1", b"2"):
            numbers = [int(record.value) for record in records if record.key == key]
            assert numbers == sorted(numbers), f"records of the key {key!r} came out of order: {numbers}"
            assert len(numbers) == 20


def submissions_of_one_thread_keep_their_order(open_broker: OpenBroker) -> None:
    with _using(open_broker) as broker:
        topic = _topic("submit")
        consumer = broker.consumer(topic, "g")
        messages = [_message(topic, number) for number in range(100)]
        futures = [broker.submit([message]) for message in messages]
        for future in futures:
            assert not future.cancel(), "what was submitted cannot be taken back"
            future.result(_PATIENCE_S)
        _same_events(_drain(consumer, 100), messages)


def one_submission_may_have_many_topics(open_broker: OpenBroker) -> None:
    with _using(open_broker) as broker:
        one, two = _topic("one"), _topic("two")
        readers = [broker.consumer(topic, "g") for topic in (one, two)]
        messages = [_message((one, two)[number % 2], number) for number in range(6)]
        offsets = broker.append(messages)
        assert offsets == ([0, 0, 1, 1, 2, 2] if broker.seekable else [NO_OFFSET] * 6)
        for topic, reader in zip((one, two), readers, strict=True):
            _same_events(_drain(reader, 3), [message for message in messages if message.topic == topic])
        assert broker.append([]) == []


def acknowledged_is_there_after_reopening(open_broker: OpenBroker) -> None:
    topic = _topic("reopen")
    messages = [_message(topic, number) for number in range(5)]
    with _using(open_broker) as broker:
        broker.consumer(topic, "g").close()
        broker.append(messages[:3])
    with _using(open_broker) as broker:
        broker.append(messages[3:])
        _same_events(_drain(broker.consumer(topic, "g"), 5), messages)


def closing_finishes_what_was_submitted(open_broker: OpenBroker) -> None:
    topic = _topic("closing")
    messages = [_message(topic, number) for number in range(200)]
    broker = open_broker()
    broker.consumer(topic, "g").close()
    futures = [broker.submit([message]) for message in messages]
    broker.close()
    assert all(future.done() and future.exception() is None for future in futures)
    with _using(open_broker) as again:
        _same_events(_drain(again.consumer(topic, "g"), 200), messages)


def an_id_is_kept_once(open_broker: OpenBroker) -> None:
    topic, other = _topic("once"), _topic("other")
    with _using(open_broker) as broker:
        if not broker.deduplicates:
            return
        first = broker.append([_message(topic, number) for number in range(4)])
        changed = Message(topic=topic, value=b"changed", id="3")
        again = broker.append([changed, _message(topic, 4), _message(topic, 4), _message(topic, 0), _message(other, 0)])
        if broker.seekable:
            assert first == [0, 1, 2, 3]
            assert again == [3, 4, 4, 0, 0]
    with _using(open_broker) as broker:
        broker.append([_message(topic, number) for number in range(6)])
        _same_events(_drain(broker.consumer(topic, "g"), 6), [_message(topic, number) for number in range(6)])


def what_was_not_committed_comes_again(open_broker: OpenBroker) -> None:
    topic = _topic("again")
    messages = [_message(topic, number) for number in range(10)]
    with _using(open_broker) as broker:
        consumer = broker.consumer(topic, "g")
        broker.append(messages)
        _same_events(_drain(consumer, 4, leave_rest=True), messages[:4])
        consumer.commit()
        _same_events(_drain(consumer, 3, leave_rest=True), messages[4:7])
    with _using(open_broker) as broker:
        consumer = broker.consumer(topic, "g")
        _same_events(_drain(consumer, 6), messages[4:])
        consumer.commit()
    with _using(open_broker) as broker:
        assert broker.consumer(topic, "g").poll(timeout=_QUIET_S) == []


def groups_are_independent(open_broker: OpenBroker) -> None:
    topic = _topic("groups")
    messages = [_message(topic, number) for number in range(6)]
    with _using(open_broker) as broker:
        fast, slow = broker.consumer(topic, "fast"), broker.consumer(topic, "slow")
        elsewhere = broker.consumer(_topic("elsewhere"), "fast")
        broker.append(messages)
        _same_events(_drain(fast, 6), messages)
        fast.commit()
        _same_events(_drain(slow, 2, leave_rest=True), messages[:2])
        slow.commit()
        assert elsewhere.poll() == []
    with _using(open_broker) as broker:
        _same_events(_drain(broker.consumer(topic, "slow"), 4), messages[2:])
        assert broker.consumer(topic, "fast").poll(timeout=_QUIET_S) == []


def seeking_goes_anywhere_or_is_refused(open_broker: OpenBroker) -> None:
    with _using(open_broker) as broker:
        topic = _topic("seek")
        consumer = broker.consumer(topic, "g")
        messages = [_message(topic, number) for number in range(10)]
        broker.append(messages)
        if not broker.seekable:
            assert consumer.position == NO_OFFSET
            _refused("STREAM_NOT_SEEKABLE", consumer.seek, 0)
            _refused("STREAM_NOT_SEEKABLE", broker.end, topic)
            return
        _drain(consumer, 2, leave_rest=True)  # what was read ahead of them must not come after a seek
        for start in (7, 0, 10, 3):
            consumer.seek(start)
            assert consumer.position == start
            _same_events(_drain(consumer, 10 - start), messages[start:])
            assert consumer.position == 10
        for nowhere in (-1, 11):
            _refused("STREAM_OFFSET", consumer.seek, nowhere)
        assert consumer.position == 10
        consumer.seek(4)
        consumer.commit()
    with _using(open_broker) as broker:
        assert broker.consumer(topic, "g").position == 4, "a committed position may also go back"


def a_late_group_begins_at_the_oldest_record(open_broker: OpenBroker) -> None:
    with _using(open_broker) as broker:
        topic = _topic("late")
        messages = [_message(topic, number) for number in range(3)]
        broker.append(messages)
        if broker.seekable:
            _same_events(_drain(broker.consumer(topic, "late"), 3), messages)


def lag_is_what_is_yet_to_be_polled(open_broker: OpenBroker) -> None:
    with _using(open_broker) as broker:
        topic = _topic("lag")
        consumer = broker.consumer(topic, "g")
        if consumer.lag() is None:
            return
        seen = [consumer.lag()]
        broker.append([_message(topic, number) for number in range(5)])
        seen.append(consumer.lag())
        _drain(consumer, 2, leave_rest=True)
        seen.append(consumer.lag())
        _drain(consumer, 3)
        seen.append(consumer.lag())
        assert seen == [0, 5, 3, 0]


def an_empty_poll_waits_and_a_record_ends_the_wait(open_broker: OpenBroker) -> None:
    with _using(open_broker) as broker, ThreadPoolExecutor(1) as pool:
        topic = _topic("empty")
        consumer = broker.consumer(topic, "g")
        assert consumer.poll() == [], "a topic that nobody appended to is empty"
        began = time.monotonic()
        assert consumer.poll(timeout=_QUIET_S) == []
        assert time.monotonic() - began >= _QUIET_S * 0.9
        if broker.seekable:
            assert broker.end(topic) == consumer.position == 0
        waiting = pool.submit(consumer.poll, timeout=_PATIENCE_S)
        time.sleep(_QUIET_S / 4)
        began = time.monotonic()
        broker.append([_message(topic, 0)])
        _same_events(waiting.result(_PATIENCE_S), [_message(topic, 0)])
        assert time.monotonic() - began < _PATIENCE_S / 2


def threads_may_submit_at_once(open_broker: OpenBroker) -> None:
    with _using(open_broker) as broker, ThreadPoolExecutor(8) as pool:
        topic = _topic("threads")
        consumer = broker.consumer(topic, "g")

        def produce(thread: int) -> list[int]:
            return [
                offset
                for number in range(25)
                for offset in broker.append([_message(topic, thread * 25 + number, key=b"%d" % thread)])
            ]

        offsets = [offset for each in pool.map(produce, range(8)) for offset in each]
        records = _drain(consumer, 200)
        assert sorted(int(record.value) for record in records) == list(range(200))
        for thread in range(8):
            numbers = [int(record.value) for record in records if record.key == b"%d" % thread]
            assert numbers == sorted(numbers), "what one thread appended came out of order"
        if broker.seekable:
            assert {record.value: record.offset for record in records} == {
                b"%d" % number: offset for number, offset in enumerate(offsets)
            }


def any_bytes_and_any_letters_are_kept(open_broker: OpenBroker) -> None:
    with _using(open_broker) as broker:
        for name in ("prévisions.été", "予測", "A b/c:%2E*#", "x" * 80):
            topic = f"{name[:72]}{secrets.token_hex(4)}"
            consumer = broker.consumer(topic, name)
            values = [b"", bytes(range(256)), "é".encode("latin-1"), b"\0" * 9]
            messages = [
                Message(topic=topic, value=value, key=value, id=f"Grün {number}") for number, value in enumerate(values)
            ]
            broker.append(messages)
            records = sorted(_drain(consumer, 4), key=lambda record: record.id)
            _same_events(records, messages)
            assert [record.key for record in records] == values
            consumer.commit()
            assert topic in broker.topics()


def large_messages_are_kept_and_larger_ones_refused(open_broker: OpenBroker) -> None:
    with _using(open_broker) as broker:
        topic = _topic("large")
        consumer = broker.consumer(topic, "g")
        assert broker.largest >= 1_000_000
        sizes = [999_000, 10, 1_000_000]
        messages = [
            Message(topic=topic, value=bytes([number]) * size, id=str(number)) for number, size in enumerate(sizes)
        ]
        broker.append(messages)
        _same_events(_drain(consumer, 3), messages)
        too_large = Message(topic=topic, value=bytes(broker.largest), key=b"k", id="too large")
        _refused("STREAM_MESSAGE", broker.append, [_message(topic, 7), too_large])
        assert consumer.poll(timeout=_QUIET_S) == [], "a submission that is refused leaves nothing behind"


def what_no_broker_can_keep_is_refused_at_once(open_broker: OpenBroker) -> None:
    with _using(open_broker) as broker:
        topic = _topic("bad")
        for name in ("", "x" * 81, "\ud800", "a\0b"):
            _refused("STREAM_NAME", broker.submit, [Message(topic=name, value=b"", id="1")])
            _refused("STREAM_NAME", broker.consumer, name, "g")
            _refused("STREAM_NAME", broker.consumer, topic, name)
        for each in ("", "x" * 201, "\ud800"):
            _refused("STREAM_MESSAGE", broker.submit, [Message(topic=topic, value=b"", id=each)])
        for no_bytes in ("text", bytearray(b"may change"), None):
            _refused("STREAM_MESSAGE", broker.submit, [Message(topic=topic, value=no_bytes, id="1")])  # type: ignore[arg-type]


def closed_is_closed(open_broker: OpenBroker) -> None:
    topic = _topic("closed")
    broker = open_broker()
    consumer, closed = broker.consumer(topic, "g"), broker.consumer(topic, "h")
    broker.append([_message(topic, 0)])
    closed.close()
    closed.close()
    _refused("STREAM_CLOSED", closed.poll)
    broker.close()
    broker.close()
    _refused("STREAM_CLOSED", broker.append, [_message(topic, 1)])
    _refused("STREAM_CLOSED", broker.consumer, topic, "g")
    for use in (broker.topics, consumer.poll, consumer.commit):
        _refused("STREAM_CLOSED", use)


def _using(open_broker: OpenBroker) -> contextlib.closing[Broker]:
    return contextlib.closing(open_broker())


def _topic(name: str) -> str:
    return f"{name}-{secrets.token_hex(4)}"


def _message(topic: str, number: int, key: bytes = b"") -> Message:
    return Message(topic=topic, value=b"%d" % number, key=key, id=str(number))


def _drain(consumer: Consumer, count: int, *, leave_rest: bool = False) -> list[Record]:
    """Poll until there are `count` records: a broker beyond the network may need a while, and give them in pieces."""
    records: list[Record] = []
    give_up = time.monotonic() + _PATIENCE_S
    while len(records) < count and time.monotonic() < give_up:
        limit = count - len(records) if leave_rest else 1000
        found = consumer.poll(limit, timeout=_QUIET_S)
        assert len(found) <= limit, f"{len(found)} records were polled with a limit of {limit}"
        records += found
    assert len(records) == count, f"{count} records were expected and {len(records)} came"
    return records


def _same_events(records: Iterable[Record], messages: Iterable[Message]) -> None:
    got = [(record.id, record.value) for record in records]
    expected = [(message.id, message.value) for message in messages]
    assert got == expected, f"expected {expected!r:.300}, got {got!r:.300}"


def _refused(code: str, use: Callable[..., object], *arguments: object) -> None:
    try:
        use(*arguments)
    except StreamError as error:
        if error.code == code:
            return
        raise AssertionError(f"{error.code} was raised instead of {code}") from error
    raise AssertionError(f"{code} was not raised")


_CHECKS: tuple[Check, ...] = (
    polled_is_what_was_appended_in_order,
    keys_keep_their_order,
    submissions_of_one_thread_keep_their_order,
    one_submission_may_have_many_topics,
    acknowledged_is_there_after_reopening,
    closing_finishes_what_was_submitted,
    an_id_is_kept_once,
    what_was_not_committed_comes_again,
    groups_are_independent,
    seeking_goes_anywhere_or_is_refused,
    a_late_group_begins_at_the_oldest_record,
    lag_is_what_is_yet_to_be_polled,
    an_empty_poll_waits_and_a_record_ends_the_wait,
    threads_may_submit_at_once,
    any_bytes_and_any_letters_are_kept,
    large_messages_are_kept_and_larger_ones_refused,
    what_no_broker_can_keep_is_refused_at_once,
    closed_is_closed,
)
