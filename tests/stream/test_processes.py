"""Several processes, some of which die: what was acknowledged stays, once, and nobody is kept out by the dead."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mainspring.errors import WorkspaceError
from mainspring.stream import EmbeddedLog
from tests.stream.conftest import Hand, message

OpenLog = Callable[..., EmbeddedLog]
PREAMBLE = """
import os, random, signal, sys, threading, time
from pathlib import Path
from mainspring.stream import EmbeddedLog, Message
class Hand:
    def now(self): return 7
def open_log(durability="full"):
    return EmbeddedLog(Path(sys.argv[1]), Hand(), durability=durability)
"""
# Children are forked from a process that has imported everything, so that sixteen of them live and die in two seconds.
KILLED = """
def work(round, thread, log):
    for number in range(1_000_000):
        name = f"{round}-{thread}-{number}"
        log.append([Message(topic="t", value=b"v" * 300, id=f"{name}-{part}") for part in range(3)])
        os.write(1, f"{name}\\n".encode())
        if thread == number == 0:
            os.write(started, b"!")
dice = random.Random(int(sys.argv[3]))
for round in range(16):
    begun, started = os.pipe()
    child = os.fork()
    if child == 0:
        log = open_log(sys.argv[2])
        for thread in range(3):
            threading.Thread(target=work, args=(round, thread, log)).start()
        time.sleep(60)
    os.close(started)
    assert os.read(begun, 1) == b"!"
    time.sleep(dice.uniform(0, 0.1))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""
READING = """
consumer = open_log().consumer("t", "drain")
print("ready", flush=True)
seen = 0
while seen < int(sys.argv[2]):
    for record in consumer.poll(limit=50, timeout=20):
        assert record.offset == seen == int(record.value)
        seen += 1
    consumer.commit()
print(seen, consumer.lag())
"""
FORKING = """
log = open_log()
log.append([Message(topic="t", value=b"", id="1")])
child = os.fork()
if child == 0:
    for use in (log.topics, lambda: log.append([Message(topic="t", value=b"", id="2")]), log.close):
        try:
            use()
        except Exception as error:
            os.write(1, f"{error.code}\\n".encode())  # whole lines: two processes write here
    time.sleep(60)
os.write(1, f"{child}\\n".encode())
time.sleep(0.5)
os._exit(1)
"""


def command(script: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", PREAMBLE + script, *map(str, arguments)]


@pytest.mark.parametrize("durability", ["full", "relaxed"])
def test_what_was_acknowledged_survives_kill_9_exactly_once(open_log: OpenLog, tmp_path: Path, durability: str) -> None:
    done = subprocess.run(
        command(KILLED, tmp_path / "log", durability, 1), stdout=subprocess.PIPE, text=True, check=True
    )
    acknowledged = done.stdout.split()
    assert len({name.split("-")[0] for name in acknowledged}) == 16, "every child came to write"
    log = open_log()
    consumer = log.consumer("t", "g")
    records = [record for page in iter(consumer.poll, []) for record in page]
    assert [record.offset for record in records] == list(range(len(records)))
    kept = Counter(record.id for record in records)
    assert set(kept.values()) == {1}
    assert {f"{name}-{part}" for name in acknowledged for part in range(3)} <= set(kept)
    submissions = Counter(each.rpartition("-")[0] for each in kept)
    assert set(submissions.values()) == {3}, "a submission is kept whole or not at all"
    assert log.append([message(0), message(1)]) == [len(records), len(records) + 1]
    with closing(sqlite3.connect(tmp_path / "log" / "records.db")) as sql:
        assert sql.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_group_in_another_process_reads_while_the_writer_writes(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log()
    with subprocess.Popen(command(READING, tmp_path / "log", 600), stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        for number in range(0, 600, 2):
            log.append([message(number), message(number + 1)])
        assert reader.stdout.read() == "600 0\n"
    assert log.groups("t") == {"drain": 600}


def test_a_writer_of_another_process_is_refused_and_the_reader_is_not(open_log: OpenLog, tmp_path: Path) -> None:
    open_log().append([message(0)])
    script = """
try:
    open_log().append([Message(topic="t", value=b"", id="x")])
except Exception as error:
    print(error.code, open_log().end("t"))
"""
    done = subprocess.run(command(script, tmp_path / "log"), stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "WORKSPACE_BUSY 1\n"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_cannot_write_and_keeps_nobody_out(open_log: OpenLog, tmp_path: Path) -> None:
    with subprocess.Popen(command(FORKING, tmp_path / "log"), stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        told = sorted(parent.stdout.readline().strip() for _ in range(3))
        assert told[1:] == ["STREAM_CLOSED", "STREAM_CLOSED"]
        parent.wait()
        try:
            assert open_log().append([message(0)]) == [1], "the child lives on without the lock"
            os.kill(int(told[0]), 0)
        finally:
            os.kill(int(told[0]), signal.SIGKILL)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only the superuser may mount a file system")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a file system")
    yield place
    subprocess.run(["umount", "--lazy", place], capture_output=True)


def test_a_disk_that_is_really_full(small_disk: Path, clock: Hand) -> None:
    with EmbeddedLog(small_disk / "log", clock) as log:
        log.append([message(0)])
        (small_disk / "filler").write_bytes(bytes(1 << 20))
        kept = [0]
        for number in range(1, 2000):
            try:
                log.append([message(number, size=5000)])
            except WorkspaceError as error:
                assert error.code == "WORKSPACE_DISK_FULL"  # noqa: PT017
                break
            kept.append(number)
        else:
            pytest.fail("the disk was never full")
        (small_disk / "filler").unlink()
        assert log.append([message(number, size=5000)]) == [len(kept)]
        kept.append(number)
    with EmbeddedLog(small_disk / "log", clock) as again:
        consumer = again.consumer("t", "g")
        assert [record.id for page in iter(consumer.poll, []) for record in page] == [str(number) for number in kept]


def test_a_read_only_disk(small_disk: Path, clock: Hand) -> None:
    with EmbeddedLog(small_disk / "log", clock) as log:
        log.append([message(0)])
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    log = EmbeddedLog(small_disk / "log", clock)
    for use in (lambda: log.append([message(1)]), lambda: log.consumer("t", "g")):
        with pytest.raises(WorkspaceError, match="WORKSPACE_READ_ONLY"):
            use()
