"""Labels as they mature: what came true for each decision, and from when on that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from mainspring.clock import parse_span
from mainspring.declare import Column, Decision, Expression, Kind, Label, walk
from mainspring.features import INSTANT, compute
from mainspring.features.alignment import align_frames
from mainspring.features.kernels import first_position
from mainspring.features.rows import as_feature, row_expression

__all__ = ["Labels", "mature"]


@dataclass(frozen=True)
class Labels:
    """The label of each decision, as known at the end of a history.

    `frame` has one row for each decision in their order: `label` (Float64: 0 or 1 for yes/no, or a number; String for a
    class; null while unknown), `label_known_at` (null while unknown), and `already_known`, true where the label was known
    before the decision was made: that is no decision (rule 4 of the time rules). `left_out` counts what has no label.
    """

    frame: pl.DataFrame
    left_out: Mapping[str, int]


def mature(
    label: Label, decision: Decision, decisions: pl.DataFrame, facts: Mapping[str, pl.DataFrame], *, as_of: int
) -> Labels:
    """Return the labels of decisions as known at `as_of` (microseconds).

    `decisions` and `facts` are those of `features.compute`. A label of a row is decided by the first row with a value that
    becomes known in (t, t + within]; when none came by then it is `otherwise`, known at t + within. A label of a window is
    read, and known, at t + within. What is not known by `as_of` is null, whatever the facts say later.
    """
    outcome = as_feature(pl.col("outcome"), label.outcome.kind)
    if label.outcome.kind is Kind.BOOL or label.task == "regression":
        outcome = outcome.cast(pl.Float64)
    truth = (_of_window if label.is_window else _of_row)(label, decision, decisions, facts)
    known = (pl.col("known_at") <= as_of) & ~pl.col("already_known") & pl.col("outcome").is_not_null()
    frame = truth.select(
        pl.when(known).then(outcome).alias("label"),
        pl.when(known).then(pl.col("known_at")).cast(INSTANT).alias("label_known_at"),
        "already_known",
    )
    unlabelled = truth.filter(~known)
    left_out = {
        "label already known": int(unlabelled["already_known"].sum()),
        "label not known yet": unlabelled.filter(~pl.col("already_known") & (pl.col("horizon") > as_of)).height,
        "label never came": unlabelled.filter(~pl.col("already_known") & (pl.col("horizon") <= as_of)).height,
    }
    return Labels(frame, {reason: rows for reason, rows in left_out.items() if rows})


def _of_window(
    label: Label, decision: Decision, decisions: pl.DataFrame, facts: Mapping[str, pl.DataFrame]
) -> pl.DataFrame:
    horizon = pl.col("_at").cast(pl.Int64) + parse_span(label.within)
    later = decisions.with_columns(horizon.cast(INSTANT).alias("_at"))
    return compute({"outcome": label.outcome}, later, facts).with_columns(
        later["_at"].to_physical().alias("known_at"),
        later["_at"].to_physical().alias("horizon"),
        pl.lit(False).alias("already_known"),
    )


def _of_row(
    label: Label, decision: Decision, decisions: pl.DataFrame, facts: Mapping[str, pl.DataFrame]
) -> pl.DataFrame:
    """As of t + within, (t, t + within] is a window like any other: its first row decides, rows before it came too early."""
    within = parse_span(label.within)
    rows = facts[_table_of(label.outcome)]
    outcomes = rows.with_columns(row_expression(label.outcome).alias("_outcome"))["_outcome"]
    horizon = decisions["_at"].to_physical().to_numpy() + within
    alignment = align_frames(label.by, rows, decisions, horizon)
    alignment = alignment.compact(outcomes.is_not_null().to_numpy()[alignment.fact_order])
    lower = alignment.lower(within)
    deciding = alignment.in_given_order(first_position(lower, alignment.upper))
    earlier = alignment.in_given_order(lower > alignment.floor)
    came = deciding >= 0
    known_at = np.where(came, np.append(alignment.fact_times, 0)[deciding], horizon)
    picked = pl.Series(np.append(alignment.fact_order, 0)[deciding])
    nothing = pl.Series([label.otherwise], dtype=outcomes.dtype, strict=False)
    outcome = outcomes.gather(pl.select(pl.when(pl.Series(came)).then(picked)).to_series()) if rows.height else None
    return pl.DataFrame(
        {
            "outcome": (
                nothing.new_from_index(0, len(horizon))
                if outcome is None
                else outcome.zip_with(pl.Series(came), nothing)
            ),
            "known_at": known_at,
            "horizon": horizon,
            "already_known": earlier if _tells_the_decision(label, decision) else np.zeros_like(earlier),
        }
    )


def _table_of(outcome: Expression) -> str:
    return next(node.table.__schema__.name for node in walk(outcome) if isinstance(node, Column))


def _tells_the_decision(label: Label, decision: Decision) -> bool:
    """Whether the label's key names one decision, so that an earlier row is this decision's own outcome."""
    keys = set(decision.table.__schema__.keys)
    return decision.every is None and bool(keys) and keys <= {ours for _, ours in label.by}
