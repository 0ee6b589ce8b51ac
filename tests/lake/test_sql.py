"""SQL sees what the lake holds, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

import mainspring as ms
from mainspring.errors import DataError
from mainspring.lake import Lake
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
