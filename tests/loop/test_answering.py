"""Answers counted as they come are the answers counted at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from mainspring.clock import DAY, HOUR
from mainspring.lake import Lake
from mainspring.loop.answering import AnswerCounts, answers_of
from mainspring.serving.sink import PREDICTIONS_TABLE
from mainspring.workspace import Workspace

BEGIN = 1_706_745_600_000_000


def test_at_each_look_answers_are_counted_as_if_all_were_read(tmp_path: Path) -> None:
    lake = Workspace.open(tmp_path).lake("deliveries")
    counts = AnswerCounts(lake)
    assert counts.of("m1") == answers_of(lake, "m1") == []
    for batch in range(5):
        if batch != 2:  # a look at what has not changed
            ingest(lake, batch)
        for model in ("m1", "m2", "m3"):
            assert counts.of(model) == answers_of(lake, model)
    (champion, shadow) = counts.of("m2")
    assert (champion.shadow, shadow.shadow) == (False, True)
    assert champion.decisions + sum(each.decisions for each in counts.of("m1")) == 4 * 20


def test_where_rows_are_stored_anew_all_are_counted_again(tmp_path: Path) -> None:
    lake = Workspace.open(tmp_path).lake("deliveries")
    ingest(lake, 0)
    counts = AnswerCounts(lake)
    before = counts.of("m1")
    lake.expire(PREDICTIONS_TABLE, keep=1)
    ingest(lake, 1)
    after = counts.of("m1")
    assert after == answers_of(lake, "m1") != before


def ingest(lake: Lake, batch: int) -> None:
    rows = [row(f"{batch}-{number}", BEGIN + batch * DAY + number * HOUR, number) for number in range(20)]
    rows += [
        {**each, "prediction_id": f"{each['prediction_id']}.candidate", "model": "m2", "arm": "candidate"}
        for each in rows[:7]
    ]
    frame = pl.DataFrame(rows).with_columns(pl.col("decided_at", "answered_at").cast(pl.Datetime("us", "UTC")))
    lake.ingest(PREDICTIONS_TABLE, frame)


def row(name: str, at: int, number: int) -> dict[str, Any]:
    return {
        "prediction_id": name, "decided_at": at, "answered_at": at, "model": "m1" if number % 3 else "m2", "arm": "champion",
        "prediction": 0.5, "classes": None, "low": None, "high": None, "decision": None, "row": "{}", "features": "{}",
    }  # fmt: skip
