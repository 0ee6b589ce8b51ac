"""Which model versions answered: counted from the lake, where every prediction is kept with its model and arm."""

from __future__ import annotations

import re

import polars as pl
from msgspec import Struct

from mainspring.clock import DAY, HOUR, parse_instant
from mainspring.declare import System
from mainspring.lake import Lake
from mainspring.loop.deployed_when import Period, periods_of
from mainspring.serving.sink import PREDICTIONS_TABLE
from mainspring.workspace import Workspace

__all__ = ["AnsweredOn", "Answers", "DayAnswers", "answered_on", "answers_of"]

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


def _counted(predictions: pl.DataFrame) -> list[Answers]:
    """Count predictions by model, arm, and whether they answered anybody: what a shadow said is kept under its arm's name."""
    days = (
        predictions.with_columns(
            shadow=pl.col("prediction_id").str.ends_with(pl.concat_str(pl.lit("."), "arm")),
            day=pl.col("decided_at").dt.date(),
            at=pl.col("decided_at").to_physical(),
        )
        .group_by("model", "arm", "shadow", "day")
        .agg(pl.len().alias("decisions"), first=pl.col("at").min(), last=pl.col("at").max())
        .sort("model", "arm", "shadow", "day")
    )
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
