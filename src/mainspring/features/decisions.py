"""Which decisions there are: one row each, with the values the decision's table had as of then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from mainspring.clock import parse_span
from mainspring.declare import Decision
from mainspring.features.rows import INSTANT, row_expression

__all__ = ["Decisions", "find_decisions"]


@dataclass(frozen=True)
class Decisions:
    """The decisions in order of time: `frame` has `_at` and the columns of the decision's table; `left_out` counts by reason."""

    frame: pl.DataFrame
    left_out: Mapping[str, int]


def find_decisions(decision: Decision, facts: pl.DataFrame, *, start: int, until: int) -> Decisions:
    """Find the decisions of a history that begins at `start` and ends at `until` (microseconds, both inclusive).

    `facts` are the rows of the decision's table with `_visible_at` and `_seq`, ordered by both.
    """
    keys = list(decision.table.__schema__.keys)
    scheduled = decision.every is not None
    found = _on_schedule(decision, facts, keys, start, until) if scheduled else _for_rows(decision, facts, keys, until)
    if decision.where is None:
        return found
    kept = found.frame.filter(row_expression(decision.where))
    left_out = {"condition not true": found.frame.height - kept.height} if kept.height < found.frame.height else {}
    return Decisions(kept, {**found.left_out, **left_out})


def _for_rows(decision: Decision, facts: pl.DataFrame, keys: list[str], until: int) -> Decisions:
    """A row decides unless it is not known by then, or a newer row of its key is."""
    repeated = bool(keys) and facts.select(keys).n_unique() < facts.height
    newer = pl.col("_visible_at").shift(-1).over(keys) if repeated else pl.lit(None, INSTANT)
    rows = facts.with_columns(row_expression(decision.time).alias("_at"), newer.alias("_newer"))
    reasons = (
        ("decision time missing", pl.col("_at").is_null()),
        ("after the end of the history", pl.col("_at") > pl.lit(until).cast(INSTANT)),
        ("row not known in time", pl.col("_visible_at") > pl.col("_at")),
        ("superseded by a newer row", pl.col("_newer") <= pl.col("_at")),
    )
    left_out = {}
    for reason, condition in reasons:
        kept = rows.filter(~condition.fill_null(False))
        if kept.height < rows.height:
            left_out[reason] = rows.height - kept.height
        rows = kept
    return Decisions(rows.drop("_newer").sort("_at", "_seq", maintain_order=True), left_out)


def _on_schedule(decision: Decision, facts: pl.DataFrame, keys: list[str], start: int, until: int) -> Decisions:
    every, offset = parse_span(decision.every or ""), parse_span(decision.offset)
    known = pl.coalesce(pl.col("_visible_at").cast(pl.Int64), pl.lit(start)).clip(lower_bound=start)
    first_tick = -((offset - known) // every)  # rounds up
    last_tick = (until - offset) // every
    ticks = (
        facts.group_by(keys, maintain_order=True)
        .agg(pl.col("_visible_at").min(), pl.col("_seq").min().alias("_first_seq"))
        .select(*keys, "_first_seq", pl.int_ranges(first_tick, last_tick + 1).alias("_at"))
        .filter(pl.col("_at").list.len() > 0)
        .explode("_at")
        .with_columns((pl.col("_at") * every + offset).cast(INSTANT))
        .sort("_at", "_first_seq")
    )
    always = facts.with_columns(pl.col("_visible_at").fill_null(pl.lit(start).cast(INSTANT)).alias("_known")).sort(
        "_known", "_seq"
    )
    frame = ticks.join_asof(
        always, left_on="_at", right_on="_known", by=keys, strategy="backward", check_sortedness=False
    )
    return Decisions(frame.drop("_first_seq", "_known"), {})
