"""SQL sees what the lake holds, and nothing else."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

import mainspring as ms
from mainspring.errors import DataError, WorkspaceError
from mainspring.lake import Lake
from mainspring.lake.sql import QueryLimits
from tests.lake.conftest import properties

START = datetime(2013, 1, 1, tzinfo=UTC)


class Departure(ms.Table):
    origin = ms.Key()
    dep_delay = ms.Float(ge=-120)
    left_at = ms.KnownAt(lag="1h")


class Departure2(ms.Table):
    origin = ms.Key()
    note = ms.Text(optional=True)
    left_at = ms.KnownAt()


class Plane(ms.Table, static=True):
    tailnum = ms.Key()


FLIGHTS = pl.DataFrame({"origin": ["JFK", "EWR"], "dep_delay": [1.5, -500.0], "left_at": [START, START]})


@pytest.fixture
def filled(lake: Lake, tmp_path: Path) -> Lake:
    lake.ingest(Departure, FLIGHTS)
    lake.ingest(Plane, pl.DataFrame({"tailnum": ["N1"]}))
    other = Lake(properties(tmp_path), "trains")
    other.ingest(Plane, pl.DataFrame({"tailnum": ["T1", "T2"]}))
    other.ingest(Departure2, FLIGHTS)
    other.close()
    return lake


def test_tables_of_this_system_and_of_others(filled: Lake) -> None:
    counts = (
        "SELECT (SELECT count(*) FROM plane), (SELECT count(*) FROM trains.plane), (SELECT count(*) FROM departure2)"
    )
    assert filled.sql(counts).row(0) == (1, 2, 2)


def test_system_columns_and_utc(filled: Lake) -> None:
    row = filled.sql("SELECT _visible_at, _seq, date_trunc('day', left_at) AS day FROM departure").row(0, named=True)
    assert row == {"_visible_at": datetime(2013, 1, 1, 1, tzinfo=UTC), "_seq": 0, "day": START}
    assert filled.sql("SELECT _visible_at FROM plane").item() is None


def test_rejected_rows(filled: Lake) -> None:
    told = filled.sql("SELECT reason, row->>'origin' FROM flights.departure_quarantine").row(0)
    assert told == ("too_small", "EWR")


def test_columns_declared_later(filled: Lake) -> None:
    class Plane(ms.Table, static=True):
        tailnum = ms.Key()
        seats = ms.Int(optional=True)

    filled.ingest(Plane, pl.DataFrame({"tailnum": ["N2"], "seats": [5]}))
    assert filled.sql("SELECT seats FROM plane ORDER BY _seq")["seats"].to_list() == [None, 5]


def test_an_unknown_table_is_told_which_there_are(filled: Lake) -> None:
    with pytest.raises(DataError) as caught:
        filled.sql("SELECT * FROM departures")
    assert caught.value.code == "DATA_UNKNOWN_TABLE"
    assert "no table departures" in str(caught.value)
    assert "departure, departure_quarantine, plane, trains.plane" in str(caught.value).replace("departure2, ", "")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT nothing FROM departure",
        "SELEKT 1",
        "SELECT no_such_function(1)",
        "SELECT 1; SELECT 2",
        "",
        "DROP VIEW departure",
        "COPY departure TO 'x.csv'",
        "SELECT * FROM read_text('/etc/hostname')",
        "SET enable_external_access = true",
        "INSTALL httpfs",
    ],
)
def test_what_is_refused(filled: Lake, query: str) -> None:
    with pytest.raises(DataError) as caught:
        filled.sql(query)
    assert caught.value.code == "DATA_SQL"


def test_a_file_and_a_python_variable_are_no_tables(filled: Lake) -> None:
    secret = pl.DataFrame({"x": [1]})
    for name in ("secret", "'/etc/hostname'"):
        with pytest.raises(DataError):
            filled.sql(f"SELECT * FROM {name}")
    assert len(secret) == 1


def test_a_lake_of_nothing_answers(lake: Lake) -> None:
    assert lake.sql("SELECT 1 AS one").item() == 1
    with pytest.raises(DataError, match="holds no table yet"):
        lake.sql("SELECT * FROM departure")


# Limits: what a page may ask for


def limits(rows: int = 10, seconds: float = 30.0, memory_megabytes: int = 512) -> QueryLimits:
    return QueryLimits(rows=rows, seconds=seconds, memory_megabytes=memory_megabytes)


@pytest.mark.parametrize("rows", [1, 7, 100])
def test_within_limits_the_answer_is_the_first_rows_of_the_whole_answer(filled: Lake, rows: int) -> None:
    query = "SELECT i, i % 7 AS rest FROM range(50) AS of_numbers(i) ORDER BY rest, i DESC"
    assert filled.sql(query, limits(rows)).equals(filled.sql(query).head(rows))
    assert filled.sql("DESCRIBE departure", limits(rows)).height == min(rows, filled.sql("DESCRIBE departure").height)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM range(100000000000) AS of_numbers(i) WHERE i % 7 = 3",
        "SELECT a.i FROM range(1000000) AS a(i), range(1000000) AS b(i) WHERE a.i + b.i = -1",
    ],
)
def test_a_query_that_takes_too_long_is_broken_off(filled: Lake, query: str) -> None:
    threads, begin = threading.active_count(), time.monotonic()
    with pytest.raises(DataError, match=r"longer than 0\.3s and was broken off") as caught:
        filled.sql(query, limits(seconds=0.3))
    assert caught.value.code == "DATA_SQL"
    assert time.monotonic() - begin < 10
    assert threading.active_count() == threads
    assert filled.sql("SELECT 1 AS one", limits()).item() == 1


def test_a_query_that_takes_too_much_memory_is_broken_off_and_leaves_no_file(
    filled: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here := tmp_path / "here").mkdir()
    monkeypatch.chdir(here)
    query = "SELECT i, array_agg(i) FROM range(3000000) AS of_numbers(i) GROUP BY i ORDER BY 1 DESC"
    with pytest.raises(DataError, match="more memory than the 16 MB") as caught:
        filled.sql(query, limits(memory_megabytes=16))
    assert caught.value.code == "DATA_SQL"
    assert not list(here.iterdir())


@pytest.mark.parametrize("query", ["SET threads = 8", "SET memory_limit = '9GB'", "RESET memory_limit"])
def test_limits_cannot_be_lifted(filled: Lake, query: str) -> None:
    with pytest.raises(DataError):
        filled.sql(query, limits())


def test_a_lake_whose_files_are_gone_says_so(filled: Lake, tmp_path: Path) -> None:
    for file in (tmp_path / "lake").rglob("*.metadata.json"):
        file.unlink()
    with pytest.raises(WorkspaceError) as caught:
        filled.sql("SELECT 1")
    assert caught.value.code == "WORKSPACE_BROKEN"
