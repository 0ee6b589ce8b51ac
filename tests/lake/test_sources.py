"""Sources: files are found, read as text where it matters, and refused in words."""

from __future__ import annotations

import glob
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import mainspring as ms
from mainspring.errors import SourceError
from mainspring.lake import conform, read_source


class Trip(ms.Table):
    bike = ms.Key()
    km = ms.Float(optional=True)
    ended = ms.KnownAt()


def refusal(source: Any, base: Path) -> SourceError:
    with pytest.raises(SourceError) as caught:
        read_source(source, base, Trip)
    return caught.value


def test_files_of_a_glob_are_read_by_name_and_may_order_their_columns_differently(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("ended,bike\n2013-01-02T00:00:00Z,007\n")
    (tmp_path / "a.csv").write_text("bike,km,ended\n008,1.25,2013-01-01T00:00:00Z\n009,NA,2013-01-01T00:00:00Z\n")
    frame = read_source(ms.csv("*.csv"), tmp_path, Trip)
    facts = conform(Trip, frame).facts
    assert facts["bike"].to_list() == ["008", "009", "007"]
    assert facts["km"].to_list() == [1.25, None, None]


def test_the_files_of_a_glob_are_sorted_whatever_the_folder_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "cab":
        (tmp_path / f"{name}.csv").write_text(f"bike\n{name}\n")
    monkeypatch.setattr(glob, "glob", lambda *_, **__: [str(tmp_path / f"{name}.csv") for name in "cab"])
    assert read_source(ms.csv("*.csv"), tmp_path, Trip)["bike"].to_list() == ["a", "b", "c"]


def test_separator_missing_values_byte_order_mark_and_quoted_lines(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes('\ufeffbike;note\n"a\nb";-\n'.encode())
    frame = read_source(ms.csv("a.csv", separator=";", missing=("-",)), tmp_path, Trip)
    assert frame.rows() == [("a\nb", None)]


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    pl.DataFrame({"bike": [1], "km": [2.5]}, schema_overrides={"bike": pl.Int32}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"km": [1], "bike": [2]}).write_parquet(tmp_path / "b.parquet")
    frame = read_source(ms.parquet("a.parquet", "b.parquet"), tmp_path, Trip)
    assert frame.rows() == [(1, 2.5), (2, 1.0)]
    assert frame.schema == {"bike": pl.Int64, "km": pl.Float64}


@pytest.mark.parametrize("make", [pl.DataFrame, pl.LazyFrame, pd.DataFrame, pa.table])
def test_frames_of_every_library(make: Any) -> None:
    moment = datetime(2013, 1, 1, tzinfo=UTC)
    frame = read_source(make({"bike": ["a"], "km": [1.5], "ended": [moment]}), "", Trip)
    assert conform(Trip, frame).facts.drop("_row").rows() == [("a", 1.5, moment)]


def test_a_missing_file_shows_what_the_folder_holds(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "trips.csv").touch()
    error = refusal(ms.csv("data/trip*.txt"), tmp_path)
    assert (error.code, error.origin is not None) == ("SOURCE_MISSING", True)
    assert f"{tmp_path / 'data'} holds trips.csv." in str(error)
    assert f"{tmp_path} holds data/." in str(refusal(ms.parquet("nowhere/x.parquet"), tmp_path))


@pytest.mark.parametrize("content", ["", "bike,km,ended\n"])
def test_an_empty_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    assert refusal(ms.csv("a.csv"), tmp_path).code == "SOURCE_EMPTY"


def test_an_empty_frame() -> None:
    assert refusal(pl.DataFrame({"bike": []}), Path()).code == "SOURCE_EMPTY"


def test_text_that_is_not_utf8_is_located(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("bike\nok\nZürich\n".encode("latin-1"))
    error = refusal(ms.csv("a.csv"), tmp_path)
    assert error.code == "SOURCE_ENCODING"
    assert "a.csv is not UTF-8: line 3 holds the byte 0xfc (byte 9 of the file)" in str(error)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("bike,km\n1,2\n3,4,5\n", "line 3 has 3 cells, the header 2"),
        ("bike,bike\n1,2\n", "several columns named bike"),
        ('bike,km\n1,"2\n', "a.csv"),
    ],
)
def test_a_misshapen_csv(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    error = refusal(ms.csv("a.csv"), tmp_path)
    assert error.code == "SOURCE_FORMAT"
    assert says in str(error)


def test_a_parquet_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("bike,km\n1,2\n")
    assert refusal(ms.parquet("a.parquet"), tmp_path).code == "SOURCE_FORMAT"


def test_parquet_files_that_do_not_fit_together(tmp_path: Path) -> None:
    pl.DataFrame({"bike": [1]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"bike": [[1]]}).write_parquet(tmp_path / "b.parquet")
    assert refusal(ms.parquet("*.parquet"), tmp_path).code == "SOURCE_FORMAT"


@pytest.mark.parametrize("data", [[{"bike": 1}], "trips.csv", pd.DataFrame({"bike": [1, "x", b"y"]})])
def test_data_that_is_no_table(data: Any) -> None:
    assert refusal(data, Path()).code == "SOURCE_FORMAT"
