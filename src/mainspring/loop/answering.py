"""Which model versions answered: counted from the lake, where every prediction is kept with its model and arm."""

from __future__ import annotations

import re

import polars as pl
from msgspec import Struct

from mainspring.clock import DAY, HOUR, parse_instant
from mainspring.declare import System
from mainspring.lake import Lake
from mainspring.lake.lake import Mark
from mainspring.loop.deployed_when import Period, periods_of
from mainspring.serving.sink import PREDICTIONS_TABLE
from mainspring.workspace import Workspace

__all__ = ["AnswerCounts", "AnsweredOn", "Answers", "DayAnswers", "answered_on", "answers_of"]

_COLUMNS = ["prediction_id", "decided_at", "model", "arm"]


class DayAnswers(Struct, frozen=True):
    """How many decisions of a day, in UTC."""

    day: str
    decisions: int


class Answers(Struct, frozen=True, kw_only=True):
    """Decisions that a model answered as an arm, or as a shadow was asked about: how many, the first and the last one's time."""

    model: str
    arm: str
    shadow: bool
    decisions: int
    first: int  # microseconds, the system's own time
    last: int
    days: list[DayAnswers]


class AnsweredOn(Struct, frozen=True, kw_only=True):
    """What answered decisions of [begin, end), microseconds of the system's own time, and what was deployed meanwhile."""

    system: str
    begin: int
    end: int
    answers: list[Answers]
    deployed: list[Period]


def answers_of(lake: Lake, model: str) -> list[Answers]:
    """Return what a model answered, arm by arm, the one that it answered most as first.

    Raises WorkspaceError, ContractError, as reading a lake does.
    """
    return _counted(lake.read(PREDICTIONS_TABLE, columns=_COLUMNS, matching={"model": model}))


def answered_on(system: System, workspace: Workspace, when: str) -> AnsweredOn:
    """Return which models answered the decisions of a day ("2013-03-05", in UTC), or of the hour in which an instant lies.

    Raises DeclarationError (DECLARE_SPAN) for what is neither; WorkspaceError, ContractError.
    """
    at = parse_instant(when)
    width = DAY if re.fullmatch(r"\d{4}-\d{2}-\d{2}", when) else HOUR
    begin = at // width * width
    end = begin + width
    made = pl.col("decided_at").to_physical()
    found = workspace.lake(system.name).read(PREDICTIONS_TABLE, columns=_COLUMNS)
    return AnsweredOn(
        system=system.name,
        begin=begin,
        end=end,
        answers=_counted(found.filter((made >= begin) & (made < end))),
        deployed=[
            each
            for each in periods_of(workspace.ledger, system.name)
            if each.begin < end and (each.end is None or each.end > begin)
        ],
    )


class AnswerCounts:
    """Counts what models answered as a lake takes it in: of each look only what came since the last one is read. For one thread.

    Guarantee: `of` returns what `answers_of` would. Memory: a row for each model, arm and day.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._mark: Mark | None = None
        self._days: pl.DataFrame | None = None

    def of(self, model: str) -> list[Answers]:
        """Return what a model has answered by now. Raises WorkspaceError, ContractError, as reading a lake does."""
        return _by_arm(self._caught_up().filter(pl.col("model") == model))

    def _caught_up(self) -> pl.DataFrame:
        mark, before = self._lake.mark(PREDICTIONS_TABLE), self._mark
        if self._days is None or before is None or mark.revision != before.revision:
            self._days = _by_day(self._lake.read(PREDICTIONS_TABLE, mark.snapshot_id, _COLUMNS))
        elif mark.commit != before.commit:
            new = _by_day(self._lake.read(PREDICTIONS_TABLE, mark.snapshot_id, _COLUMNS, since=before))
            self._days = _together(pl.concat([self._days, new]))
        self._mark = mark
        return self._days


def _counted(predictions: pl.DataFrame) -> list[Answers]:
    return _by_arm(_by_day(predictions))


def _by_day(predictions: pl.DataFrame) -> pl.DataFrame:
    """Count predictions by model, arm, day, and whether they answered anybody: what a shadow said is kept under its arm's name."""
    return _together(
        predictions.select(
            "model",
            "arm",
            shadow=pl.col("prediction_id").str.ends_with(pl.concat_str(pl.lit("."), "arm")),
            day=pl.col("decided_at").dt.date(),
            decisions=pl.lit(1, pl.Int64),
            first=pl.col("decided_at").to_physical(),
            last=pl.col("decided_at").to_physical(),
        )
    )


def _together(counts: pl.DataFrame) -> pl.DataFrame:
    return (
        counts.group_by("model", "arm", "shadow", "day")
        .agg(pl.col("decisions").sum(), pl.col("first").min(), pl.col("last").max())
        .sort("model", "arm", "shadow", "day")
    )


def _by_arm(days: pl.DataFrame) -> list[Answers]:
    whole = (
        days.group_by("model", "arm", "shadow", maintain_order=True)
        .agg(pl.col("decisions").sum(), pl.col("first").min(), pl.col("last").max(), "day", counts="decisions")
        .sort("shadow", pl.col("decisions"), descending=[False, True], maintain_order=True)
    )
    return [
        Answers(
            model=row["model"],
            arm=row["arm"],
            shadow=row["shadow"],
            decisions=row["decisions"],
            first=row["first"],
            last=row["last"],
            days=[DayAnswers(day.isoformat(), count) for day, count in zip(row["day"], row["counts"], strict=True)],
        )
        for row in whole.iter_rows(named=True)
    ]
