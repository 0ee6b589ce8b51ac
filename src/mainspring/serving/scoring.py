"""Predictions in batch: rows of a file, each decided at its own time, from the facts of the lake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from mainspring.declare import System
from mainspring.errors import DataError
from mainspring.features import compute, find_decisions, plan
from mainspring.lake import Lake
from mainspring.lake.contract import ROW, conform
from mainspring.lake.lake import visible_at
from mainspring.lake.parsing import TIME
from mainspring.model import Model

__all__ = ["Scored", "score_rows"]

_ALWAYS, _NEVER = 0, 2**62


@dataclass(frozen=True, eq=False)
class Scored:
    """Predictions in order of decision time: the row's columns, `decided_at`, and what the model answers.

    A yes/no label has `probability` and `decision` (to act), a numeric one `value`, one of several classes a column
    `probability_CLASS` for each and `decision`. `rejected` counts rows by the rule of the contract that they break,
    `left_out` those for which no decision is made, by reason.
    """

    frame: pl.DataFrame
    rejected: Mapping[str, int]
    left_out: Mapping[str, int]


def score_rows(system: System, model: Model, lake: Lake, rows: pl.DataFrame) -> Scored:
    """Predict for rows of the decision's table with what is known at the decision time of each, as in training.

    The rows themselves are no facts: features that read the decision's table read the lake's.

    Raises ContractError for a whole column that cannot be read, DataError (DATA_NO_DECISIONS) when no row can be decided.
    """
    table = system.decision.table
    if system.decision.every is not None:
        raise _undecided(f"{system.name} decides on a schedule, not for rows of a file.", {})
    conformed = conform(table, rows)
    visible = visible_at(table.__schema__, pl.lit(None, TIME))
    given = conformed.facts.with_columns(visible.alias("_visible_at"), pl.col(ROW).alias("_seq"))
    given = given.drop(ROW).sort("_visible_at", "_seq")
    found = find_decisions(system.decision, given, start=_ALWAYS, until=_NEVER)
    rejected = dict(conformed.rejected["sentence"].value_counts().iter_rows())
    if not found.frame.height:
        raise _undecided(f"No decision of {system.name} is made for these rows.", {**rejected, **found.left_out})
    decisions = found.frame
    facts = {each.__schema__.name: lake.read(each) for each in system.tables}
    predictions = model.predict(compute(plan(system.features), decisions, facts))
    kept = decisions.drop("_visible_at", "_seq").rename({"_at": "decided_at"})
    return Scored(kept.with_columns(_told(model, predictions)), rejected, found.left_out)


def _undecided(problem: str, reasons: Mapping[str, int]) -> DataError:
    return DataError(
        "DATA_NO_DECISIONS",
        problem,
        exists="; ".join(f"{count:,} rows: {reason}" for reason, count in reasons.items()),
        fix="Give rows of the decision's table that keep its contract and are known by their decision time.",
    )


def _told(model: Model, predictions: np.ndarray) -> list[pl.Series]:
    if model.task == "regression":
        return [pl.Series("value", predictions)]
    decision = pl.Series("decision", model.decide(predictions))
    if model.task == "binary":
        return [pl.Series("probability", predictions), decision]
    classes = [pl.Series(f"probability_{name}", predictions[:, k]) for k, name in enumerate(model.classes)]
    return [*classes, decision]
