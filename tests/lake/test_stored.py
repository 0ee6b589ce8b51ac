"""What the snapshots of a table tell is what a reader would count, and no file of data is opened for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

import mainspring as ms
from mainspring.lake import Lake, iceberg

START = datetime(2013, 1, 1, tzinfo=UTC)


class Departure(ms.Table):
    origin = ms.Key()
    dep_delay = ms.Float(ge=-120)
    left_at = ms.KnownAt(lag="1h")


def bring(lake: Lake, number: int, bad: int = 0) -> None:
    """Ingest some rows of an hour of their own, some of them rejected."""
    rows = {
        "origin": [f"{number} {k}" for k in range(number + bad)],
        "dep_delay": [1.0] * number + [-500.0 - number] * bad,
        "left_at": [START + timedelta(hours=number)] * (number + bad),
    }
    lake.ingest(Departure, pl.DataFrame(rows))


def test_what_is_stored_is_what_is_read(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lake.stored(Departure) is None
    assert lake.rejected(Departure) is None
    marks = set()
    for number in (3, 1, 4):
        bring(lake, number, bad=number)
        rows, rejected = lake.read(Departure).height, lake.quarantine(Departure).height
        with monkeypatch.context() as patch:
            patch.setattr(iceberg, "rows", lambda *given, **options: pytest.fail("a file was read"))
            stored, refused = lake.stored(Departure, newest=2), lake.rejected(Departure)
        assert stored is not None
        assert refused is not None
        assert (stored.rows, refused.rows) == (rows, rejected)
        assert stored.snapshots[0].added == number
        assert stored.snapshots[0].rows == rows
        marks.add(stored.mark)
    assert len(marks) == 3
    assert [each.rows for each in stored.snapshots] == [8, 4]  # the newest first
    assert stored.kept == 3
    bring(lake, 4, bad=4)  # is there already
    same = lake.stored(Departure)
    assert same is not None
    assert same.mark == stored.mark


@pytest.mark.parametrize("options", [{}, {"columns": ["reason"]}, {"seqs": (2, 5)}, {"seqs": (5, 2)}])
def test_some_of_the_rejected_rows_are_those_of_all(lake: Lake, options: dict[str, Any]) -> None:
    for number in (1, 2, 3):
        bring(lake, number, bad=number)
    held = lake.quarantine("departure")
    low, high = options.get("seqs", (0, held.height))
    wanted = held.filter(pl.col("_seq").is_between(low, high)).select(
        *options.get("columns", ["reason", "sentence", "row"]), "_seq"
    )
    assert lake.quarantine("departure", **options).equals(wanted)


def test_rejected_rows_since_a_mark_are_the_others(lake: Lake) -> None:
    bring(lake, 2, bad=2)
    before, mark = lake.quarantine(Departure), lake.mark("departure_quarantine")
    bring(lake, 3, bad=3)
    new = lake.quarantine(Departure, since=mark)
    assert pl.concat([before, new]).equals(lake.quarantine(Departure))
    assert new.height == 3
