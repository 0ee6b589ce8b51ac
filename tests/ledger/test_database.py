from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, event, inspect, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable

from mainspring.errors import MissingExtraError, WorkspaceError
from mainspring.ledger import Ledger, Run, tables

SCHEMAS = Path(__file__).parent / "schemas"  # a ledger as each older version left it
WRITER = """
import sys
from mainspring.ledger import Dataset, Ledger, Metric, Model
ledger = Ledger(sys.argv[1], owner="here")
for at in range(int(sys.argv[2])):
    run = ledger.start_run("flights", started_at=at, declaration="d", version="0")
    ledger.record_dataset(Dataset(run=run.name, fingerprint="f", snapshots={}, decisions=1, labelled=1, features={}))
    ledger.record_model(Model(run=run.name, id="m", dataset="f", estimator={}))
    ledger.record_metrics(Metric(run=run.name, model="m", scope="test", name=str(n), value=n) for n in range(20))
    ledger.finish_run(run.name, ended_at=at, seconds={})
    print(run.name, flush=True)
"""


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'ledger.db'}"


def described(folder: Path) -> dict[str, object]:
    """Every table with its columns, keys and indexes, whatever the words it was made with."""
    seen = inspect(create_engine(url(folder), poolclass=NullPool))
    questions = (seen.get_columns, seen.get_pk_constraint, seen.get_foreign_keys, seen.get_indexes)
    return {table: [str(ask(table)) for ask in questions] for table in seen.get_table_names()}


def writer(folder: Path, runs: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, url(folder), str(runs)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_what_was_acknowledged_survives_kill_9_and_nothing_is_kept_by_halves(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    for lines in (1, 2):
        with writer(tmp_path, 10_000) as process:
            assert process.stdout is not None
            acknowledged += [process.stdout.readline().strip() for _ in range(lines)]
            process.kill()
    ledger = Ledger(url(tmp_path), owner="here", writer_alive=lambda: False)
    runs = {run.name: run for run in ledger.runs()}
    assert all(runs[name].status == "finished" for name in acknowledged)
    assert {run.status for run in runs.values()} <= {"finished", "interrupted"}
    for run in runs.values():
        assert len(ledger.metrics(run.name)) in ((20,) if run.status == "finished" else (0, 20))
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_two_processes_that_begin_together_never_share_a_name(tmp_path: Path) -> None:
    with writer(tmp_path, 5) as one, writer(tmp_path, 5) as other:
        names = one.communicate()[0].split() + other.communicate()[0].split()
    assert sorted(names) == sorted(f"flights-{number}" for number in range(1, 11))


def test_threads_may_share_a_ledger(ledger: Ledger) -> None:
    def start(at: int) -> str:
        return ledger.start_run("flights", started_at=at, declaration="d", version="0").name

    with ThreadPoolExecutor(4) as pool:
        names = list(pool.map(start, range(12)))
    assert len(set(names)) == 12


def test_many_may_be_the_first_to_open_a_ledger(tmp_path: Path) -> None:
    for attempt in range(5):
        ready = threading.Barrier(4)
        ledgers = [Ledger(f"sqlite:///{tmp_path / str(attempt)}") for _ in range(4)]

        def first_use(ledger: Ledger, ready: threading.Barrier = ready) -> list[Run]:
            ready.wait()
            return ledger.runs()

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(first_use, ledgers)) == [[]] * 4


def test_readers_see_the_last_whole_state_while_another_writes(
    ledger: Ledger, write_run: Callable[..., Run], tmp_path: Path
) -> None:
    write_run()
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")  # with a write-ahead log even this one leaves readers alone
        other.execute("DELETE FROM metrics")
        assert len(ledger.metrics("flights-1")) == 3
        other.execute("ROLLBACK")


def test_making_a_ledger_opens_nothing(tmp_path: Path) -> None:
    repr(Ledger(url(tmp_path)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_file_that_is_no_database_is_broken_and_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ledger.db").write_bytes(content)
    with pytest.raises(WorkspaceError) as raised:
        Ledger(url(tmp_path)).runs()
    assert raised.value.code == "WORKSPACE_BROKEN"
    assert (tmp_path / "ledger.db").read_bytes() == content


def test_a_ledger_of_a_newer_version_is_refused(ledger: Ledger, write_run: Callable[..., Run], tmp_path: Path) -> None:
    write_run()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        connection.execute("UPDATE schema_version SET version = 99")
        connection.commit()
    with pytest.raises(WorkspaceError, match="WORKSPACE_NEWER"):
        Ledger(url(tmp_path)).runs()


def test_tables_without_a_version_are_refused(ledger: Ledger, write_run: Callable[..., Run], tmp_path: Path) -> None:
    write_run()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        connection.execute("DROP TABLE schema_version")
    with pytest.raises(WorkspaceError, match="does not say of which version"):
        Ledger(url(tmp_path)).runs()


def test_an_older_ledger_is_taken_forward_whole_or_not_at_all(
    ledger: Ledger, write_run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run()

    def add_a_column(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE runs ADD COLUMN note VARCHAR"))
        if broken:
            raise RuntimeError("the power went")

    newest = tables.SCHEMA_VERSION
    monkeypatch.setattr(tables, "SCHEMA_VERSION", newest + 1)
    monkeypatch.setitem(tables.MIGRATIONS, newest, add_a_column)
    broken = True
    with pytest.raises(RuntimeError, match="the power went"):
        Ledger(url(tmp_path)).runs()
    broken = False
    assert Ledger(url(tmp_path)).runs() == [run]  # would fail had the column stayed from the first attempt
    assert Ledger(url(tmp_path)).runs() == [run]


@pytest.mark.parametrize("version", range(1, tables.SCHEMA_VERSION))
def test_a_ledger_of_each_older_version_becomes_the_same_as_a_new_one(tmp_path: Path, version: int) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    with closing(sqlite3.connect(old / "ledger.db")) as connection:
        connection.executescript((SCHEMAS / f"{version}.sql").read_text(encoding="utf-8"))
    assert [run.name for run in Ledger(url(old)).runs()] == ["flights-1"], "what was written then is there"
    Ledger(url(new)).runs()
    assert described(old) == described(new)


def test_a_full_disk_is_said_and_leaves_what_was_stored(ledger: Ledger, write_run: Callable[..., Run]) -> None:
    run = write_run()
    engine = ledger._database._engine()

    def fill(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")

    event.listen(engine, "connect", fill)
    with pytest.raises(WorkspaceError) as raised:
        ledger.fail_run(run.name, ended_at=1, code="X", message="long " * 100_000)
    assert raised.value.code == "WORKSPACE_DISK_FULL"
    assert ledger.runs() == [run]


def test_a_read_only_database_is_said(ledger: Ledger, write_run: Callable[..., Run]) -> None:
    write_run()
    engine = ledger._database._engine()

    def forbid(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA query_only = ON")

    event.listen(engine, "connect", forbid)
    with pytest.raises(WorkspaceError, match="WORKSPACE_READ_ONLY"):
        write_run()


def test_every_table_can_be_written_in_the_words_of_postgresql() -> None:
    for table in tables.metadata.sorted_tables:
        statement = str(CreateTable(table).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
        instants = [column.name for column in table.columns if column.name.endswith("_at") or column.name == "as_of"]
        assert all(f"{name} BIGINT" in statement for name in instants)


@pytest.mark.parametrize("address", ["no address", "sqlite://", "sqlite:///:memory:"])
def test_an_address_that_keeps_nothing_is_refused(address: str) -> None:
    with pytest.raises(WorkspaceError, match="WORKSPACE_BROKEN"):
        Ledger(address)


def test_a_missing_driver_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mainspring\[postgres\]'"):
        Ledger("postgresql+psycopg://nobody@localhost/ledger").runs()
