"""The embedded log behaves as a list does; what it says of itself beyond the contract; how it refuses."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mainspring.errors import StreamError, WorkspaceError
from mainspring.stream import EmbeddedLog, Message, blocks, flush, identity, writer
from mainspring.stream.consumer import LogConsumer
from tests.stream.conftest import Hand, message

OpenLog = Callable[..., EmbeddedLog]
TOPICS = st.sampled_from(["a", "b"])
GROUPS = st.sampled_from(["one", "other"])


class LogIsAList(RuleBasedStateMachine):
    """Every part is made small, and hashes collide, so that few steps meet every seam."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = pytest.MonkeyPatch()
        self.patches.setattr(blocks, "_BLOCK_RECORDS", 3)
        self.patches.setattr(blocks, "_ROWS_AT_ONCE", 3)
        self.patches.setattr(blocks, "_BLOCK_BYTES", 12)
        self.patches.setattr(identity, "_RECENT", 4)
        self.patches.setattr(identity, "_LARGEST_RUN", 8)
        hashes = identity._hashes
        self.patches.setattr(identity, "_hashes", lambda ids: hashes(ids) % 3)
        self.patches.setattr(writer, "_CHECKPOINT_BYTES", 40_000)
        self.folder = tempfile.TemporaryDirectory()
        self.clock = Hand()
        self.topics: dict[str, dict[str, tuple[bytes, int]]] = {}
        self.committed: dict[tuple[str, str], int] = {}
        self.consumers: dict[tuple[str, str], tuple[LogConsumer, list[int]]] = {}
        self.log = EmbeddedLog(Path(self.folder.name), self.clock)

    def consumer(self, topic: str, group: str) -> tuple[LogConsumer, list[int]]:
        if (topic, group) not in self.consumers:
            position = self.committed.setdefault((topic, group), 0)
            self.consumers[topic, group] = self.log.consumer(topic, group), [position]
        return self.consumers[topic, group]

    @rule(
        events=st.lists(st.tuples(TOPICS, st.integers(0, 40), st.binary(max_size=8)), max_size=12), wait=st.booleans()
    )
    def append(self, events: list[tuple[str, int, bytes]], wait: bool) -> None:
        self.clock.instant += 1
        future = self.log.submit([Message(topic=topic, value=value, id=str(each)) for topic, each, value in events])
        expected = []
        for topic, each, value in events:
            held = self.topics.setdefault(topic, {})
            held.setdefault(str(each), (value, self.clock.instant))
            expected.append(list(held).index(str(each)))
        assert future.result() == expected

    @rule(topic=TOPICS, group=GROUPS, limit=st.integers(1, 9))
    def poll(self, topic: str, group: str, limit: int) -> None:
        consumer, position = self.consumer(topic, group)
        events = list(self.topics.get(topic, {}).items())[position[0] : position[0] + limit]
        records = consumer.poll(limit)
        assert [(each.id, (each.value, each.appended_at)) for each in records] == events
        assert [each.offset for each in records] == list(range(position[0], position[0] + len(events)))
        position[0] += len(events)

    @rule(topic=TOPICS, group=GROUPS)
    def commit(self, topic: str, group: str) -> None:
        consumer, position = self.consumer(topic, group)
        consumer.commit()
        self.committed[topic, group] = position[0]

    @rule(topic=TOPICS, group=GROUPS, share=st.floats(0, 1))
    def seek(self, topic: str, group: str, share: float) -> None:
        consumer, position = self.consumer(topic, group)
        position[0] = round(share * len(self.topics.get(topic, {})))
        consumer.seek(position[0])

    @rule()
    def reopen(self) -> None:
        self.log.close()
        self.log = EmbeddedLog(Path(self.folder.name), self.clock)
        self.consumers = {}

    @invariant()
    def ends_and_lags_agree(self) -> None:
        assert self.log.topics() == sorted(self.topics)
        for topic in "ab":
            assert self.log.end(topic) == len(self.topics.get(topic, {}))
        for (topic, _), (consumer, position) in self.consumers.items():
            assert consumer.position == position[0]
            assert consumer.lag() == len(self.topics.get(topic, {})) - position[0]

    def teardown(self) -> None:
        self.log.close()
        self.folder.cleanup()
        self.patches.undo()


TestLogIsAList = LogIsAList.TestCase
TestLogIsAList.settings = settings(max_examples=25, stateful_step_count=25, deadline=None, database=None)


def test_making_and_asking_a_log_opens_nothing(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    assert log.topics() == []
    assert (log.first("t"), log.end("t"), log.groups("t")) == (0, 0, {})
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_a_consumer_may_be_there_before_the_log_is(open_log: OpenLog) -> None:
    early = open_log().consumer("t", "g")
    assert early.poll() == []
    open_log().append([message(0)])
    assert [record.id for record in early.poll(timeout=5)] == ["0"]


def test_a_log_has_one_writer_and_the_next_may_follow(open_log: OpenLog) -> None:
    first, second = open_log(), open_log()
    first.append([message(0)])
    with pytest.raises(WorkspaceError, match="Another writer") as raised:
        second.append([message(1)])
    assert raised.value.code == "WORKSPACE_BUSY"
    assert [record.id for record in second.consumer("t", "g").poll()] == ["0"], "reading needs no lock"
    first.close()
    assert second.append([message(1)]) == [1]


class Gate(Hand):
    """A clock that holds up the writer, which asks it once for each commit."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.entered, self.opened = threading.Event(), threading.Event()

    def now(self) -> int:
        self.asked += 1
        self.entered.set()
        assert self.opened.wait(10)
        return self.instant


def test_what_waits_together_is_committed_together(open_log: OpenLog) -> None:
    log = open_log()
    log._clock = gate = Gate()
    futures = [log.submit([message(0)])]
    assert gate.entered.wait(10)
    futures += [log.submit([message(number)]) for number in range(1, 20)]
    gate.opened.set()
    assert [future.result(10) for future in futures] == [[number] for number in range(20)]
    assert gate.asked == 2


@pytest.mark.parametrize("closed", [False, True])
def test_who_submits_more_than_can_wait_waits(open_log: OpenLog, monkeypatch: pytest.MonkeyPatch, closed: bool) -> None:
    monkeypatch.setattr(writer, "_WAITING_BYTES", 100)
    log = open_log()
    log._clock = gate = Gate()
    with ThreadPoolExecutor(2) as pool:
        log.submit([message(0)])
        assert gate.entered.wait(10)
        futures = [log.submit([message(1, size=100)])]
        held_up = pool.submit(log.submit, [message(2)])
        with pytest.raises(TimeoutError):
            held_up.result(0.1)
        if closed:
            closing_log = pool.submit(log.close)
            with pytest.raises(StreamError, match="STREAM_CLOSED"):
                held_up.result(10)
            gate.opened.set()
            closing_log.result(10)
        else:
            gate.opened.set()
            futures.append(held_up.result(10))
    assert [future.result(10) for future in futures] == [[1], [2]][: len(futures)]


def test_a_commit_that_fails_is_told_and_the_next_one_works(open_log: OpenLog) -> None:
    log = open_log()

    class Broken(Hand):
        def now(self) -> int:
            if broken:
                raise ZeroDivisionError("the clock has stopped")
            return 5

    broken = True
    log._clock = Broken()
    with pytest.raises(ZeroDivisionError):
        log.append([message(0)])
    broken = False
    assert log.append([message(0), message(1)]) == [0, 1]


@pytest.mark.parametrize("durability", ["full", "relaxed"])
def test_a_full_disk_fails_the_batch_and_the_log_goes_on_once_there_is_space(
    open_log: OpenLog, durability: str
) -> None:
    log = open_log(durability=durability)
    log.append([message(0), message(0, topic="u")])
    sql = log._writer._blocks.sql  # type: ignore[union-attr]
    (limit,) = sql.execute("PRAGMA max_page_count").fetchone()
    pages = sql.execute("PRAGMA page_count").fetchone()[0]
    sql.execute(f"PRAGMA max_page_count = {pages + 40}")  # room for what goes to one of the two topics
    large = [message(number, topic=topic, size=60_000) for number in range(1, 5) for topic in "tu"]
    for _ in range(2):
        with pytest.raises(WorkspaceError, match="WORKSPACE_DISK_FULL"):
            log.append(large)
    assert log.end("t") == log.end("u") == 1, "nothing is kept by halves"
    assert log.append([message(9)]) == [1], "what still fits is kept"
    sql.execute(f"PRAGMA max_page_count = {limit}")
    assert log.append(large) == [2, 1, 3, 2, 4, 3, 5, 4]
    assert [record.id for record in log.consumer("t", "g").poll()] == ["0", "9", "1", "2", "3", "4"]


@pytest.mark.parametrize("code", [1, 2])
def test_relaxed_durability_flushes_soon_and_full_at_once(
    open_log: OpenLog, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    flushed = threading.Event()
    monkeypatch.setattr(flush, "FLUSH_SECONDS", 0.05)
    monkeypatch.setattr(flush, "flush_file", lambda _: flushed.set())
    log = open_log(durability={1: "relaxed", 2: "full"}[code])
    log.append([message(0)])
    sql = log._writer._blocks.sql  # type: ignore[union-attr]
    assert sql.execute("PRAGMA synchronous").fetchone() == (code,)
    assert flushed.wait(5 if code == 1 else 0.2) == (code == 1)


def test_a_group_commits_only_what_is_on_the_disk(open_log: OpenLog, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    log = open_log(durability="relaxed")
    consumer = log.consumer("t", "g")
    log.append([message(0)])
    monkeypatch.setattr("mainspring.stream.consumer.flush_file", lambda file: order.append(file.name))
    monkeypatch.setattr("mainspring.stream.groups.write_atomically", lambda file, _: order.append(file.name))
    consumer.poll()
    consumer.commit()
    assert order == ["records.db-wal", "g"]


def test_the_same_group_of_two_topics_or_letters_is_two_groups(open_log: OpenLog) -> None:
    log = open_log()
    names = ["a", "A", ".", "..", "%41", "a/b", "á", "_", " "]
    log.append([message(number, topic=name) for name in names for number in range(len(names))])
    for topic in names:
        for number, group in enumerate(names):
            with closing(log.consumer(topic, group)) as consumer:
                consumer.seek(number)
                consumer.commit()
    expected = {group: number for number, group in enumerate(names)}
    assert all(log.groups(topic) == expected for topic in names)
    log.forget("a", "A")
    log.forget("a", "A")
    assert log.groups("a") == {group: number for group, number in expected.items() if group != "A"}


def test_a_poll_ends_when_the_log_is_closed(open_log: OpenLog) -> None:
    log = open_log()
    consumer = log.consumer("t", "g")
    with ThreadPoolExecutor(1) as pool:
        polling = pool.submit(consumer.poll, timeout=30)
        log.close()
        with pytest.raises(StreamError, match="STREAM_CLOSED"):
            polling.result(10)


@pytest.fixture(params=[b"this is no database" * 1000, b"SQLite format 3\0" + b"\xff" * 9000])
def damaged(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "log" / "records.db"
    file.parent.mkdir()
    file.write_bytes(request.param)
    yield file
    assert file.read_bytes() == request.param


def test_a_file_that_is_no_log_is_broken_and_stays_as_it_is(open_log: OpenLog, damaged: Path) -> None:
    log = open_log()
    for use in (lambda: log.append([message(0)]), lambda: log.consumer("t", "g"), log.topics):
        with pytest.raises(WorkspaceError, match="WORKSPACE_BROKEN"):
            use()


def change(tmp_path: Path, statement: str) -> None:
    with closing(sqlite3.connect(tmp_path / "log" / "records.db", isolation_level=None)) as sql:
        sql.execute(statement)


@pytest.mark.parametrize(("version", "code"), [(99, "WORKSPACE_NEWER"), (0, "WORKSPACE_BROKEN")])
def test_a_log_of_another_version_is_refused(open_log: OpenLog, tmp_path: Path, version: int, code: str) -> None:
    with open_log() as log:
        log.append([message(0)])
    change(tmp_path, f"PRAGMA user_version = {version}")
    for use in (lambda: open_log().append([message(1)]), open_log().topics):
        with pytest.raises(WorkspaceError, match=code):
            use()


def test_a_damaged_block_is_said(open_log: OpenLog, tmp_path: Path) -> None:
    with open_log() as log:
        log.append([message(0)])
    change(tmp_path, "UPDATE blocks SET body = x'c1'")
    with pytest.raises(WorkspaceError, match="WORKSPACE_BROKEN"):
        open_log().consumer("t", "g").poll()


def test_a_damaged_position_is_said(open_log: OpenLog, tmp_path: Path) -> None:
    open_log().consumer("t", "g")
    (tmp_path / "log" / "groups" / "t" / "g").write_bytes(b"many")
    with pytest.raises(WorkspaceError, match="does not hold the position"):
        open_log().consumer("t", "g")


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path, clock: Hand) -> None:
    (tmp_path / "file").write_bytes(b"")
    log = EmbeddedLog(tmp_path / "file" / "log", clock)
    with pytest.raises(WorkspaceError, match="WORKSPACE_READ_ONLY"):
        log.append([message(0)])
    with pytest.raises(WorkspaceError, match="WORKSPACE_READ_ONLY"):
        log.consumer("t", "g")


def test_a_durability_that_does_not_exist_is_refused(open_log: OpenLog) -> None:
    with pytest.raises(StreamError, match="STREAM_OPTION"):
        open_log(durability="none")
