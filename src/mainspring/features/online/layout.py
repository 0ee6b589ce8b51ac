"""What the online state holds, derived from a plan: groups of keys, the lanes of each, and which lane answers what.

A *group* is a table read by one key, as a scan of the plan. A *lane* of it is a stream of facts that count for the same
aggregates: those for which a condition is true, and without those whose value is missing. Aggregates over values that are
never missing, and those that read whole rows (`latest`, `first`), share the lane of their condition.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from mainspring.clock import parse_span
from mainspring.declare import Aggregate, Call, Column, DecidedAt, Expression, Kind, Latest, Literal, Window
from mainspring.declare.kind import STRINGS
from mainspring.features.online import kernels
from mainspring.features.plan import Plan, Scan

__all__ = ["Group", "Lane", "Layout", "lay_out", "may_be_missing"]

_NUMERIC = {
    "sum": kernels.SUM,
    "mean": kernels.MEAN,
    "share": kernels.MEAN,
    "std": kernels.STD,
    "min": kernels.MIN,
    "max": kernels.MAX,
}
# Functions whose value is there whenever their arguments are: no division, no root, no sum that could leave the floats.
_SAFE = {
    "negate", "absolute", "clip", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "is_in", "and",
    "or", "not", "length", "minute", "hour", "weekday", "day", "day_of_year", "week", "month", "year",
}  # fmt: skip


@dataclass(eq=False)
class Lane:
    """One stream of counted facts: `where` must be true, `present` (if any) must not be missing."""

    where: Expression | None
    present: Expression | None
    numbers: list[Expression] = field(default_factory=list)
    payloads: list[tuple[Expression, str]] = field(default_factory=list)  # and its use: "value", "known" or "distinct"
    retention: int = 0  # microseconds; what is older is in no window
    keeps_last: bool = False  # the newest fact stays whatever its age


@dataclass(eq=False)
class Group:
    """A table read by one key: the slots of one key are those of its lanes, one after the other."""

    scan: Scan
    lanes: list[Lane] = field(default_factory=list)
    first_lane: int = 0  # the number of its first lane among all


@dataclass(frozen=True)
class Layout:
    """All groups, and three tables that the kernels read: `lanes` and `texts` (a row for each lane), and `asked`.

    `texts` tells of each payload of a lane whether it is the code of a text.

    `asked` has a row for each aggregate, in the order of `aggregates`; after them a row more for each whole number that may be
    missing, which says whether it is there: no value of 64 bits is free to mean that it is not. `known` holds for each
    aggregate the number of that row, or -1. `groups_of` holds the group of each row of `asked`.
    """

    groups: tuple[Group, ...]
    lanes: np.ndarray
    texts: np.ndarray
    asked: np.ndarray
    groups_of: np.ndarray
    aggregates: Mapping[str, Aggregate]
    known: tuple[int, ...]


def lay_out(work: Plan) -> Layout:
    """Lay out the state of a plan."""
    groups = [Group(scan) for scan in work.scans]
    aggregates = {name: aggregate for group in groups for name, aggregate in group.scan.aggregates.items()}
    placed = [_place(groups[number], aggregate) for number, aggregate in _numbered(groups)]
    group_of = [number for number, _ in _numbered(groups)]
    known = []
    for number, (aggregate, (_, lane, _, span)) in enumerate(zip(aggregates.values(), placed[:], strict=True)):
        if _is_picked(aggregate) and aggregate.kind is Kind.INT and may_be_missing(aggregate.row):
            statistic = placed[number][0]
            known.append(len(placed))
            placed.append(
                (statistic, lane, _payload(groups[group_of[number]].lanes[lane], aggregate.row, "known"), span)
            )
            group_of.append(group_of[number])
        else:
            known.append(-1)
    for before, group in pairwise(groups):
        group.first_lane = before.first_lane + len(before.lanes)
    lanes = [
        (len(lane.numbers), len(lane.payloads), lane.retention, lane.keeps_last, len(group.lanes))
        for group in groups
        for lane in group.lanes
    ]
    payloads = [lane.payloads for group in groups for lane in group.lanes]
    texts = np.zeros((len(lanes), max(map(len, payloads), default=0)), np.bool_)
    for row, held in zip(texts, payloads, strict=True):
        row[: len(held)] = [use != "known" and value.kind in STRINGS for value, use in held]
    asked = [
        (statistic, lane, groups[number].first_lane + lane, column, span)
        for number, (statistic, lane, column, span) in zip(group_of, placed, strict=True)
    ]
    return Layout(
        groups=tuple(groups),
        lanes=np.array(lanes, np.int64).reshape(-1, 5),
        texts=texts,
        asked=np.array(asked, np.int64).reshape(-1, 5),
        groups_of=np.array(group_of, np.int64),
        aggregates=aggregates,
        known=tuple(known),
    )


def _numbered(groups: Sequence[Group]) -> Iterator[tuple[int, Aggregate]]:
    for number, group in enumerate(groups):
        for aggregate in group.scan.aggregates.values():
            yield number, aggregate


def _place(group: Group, aggregate: Aggregate) -> tuple[int, int, int, int]:
    """Return the statistic, the lane within the group, the column and the span that answer an aggregate."""
    lane = _lane_of(group, aggregate)
    over = aggregate.within if isinstance(aggregate, Latest) else aggregate.over  # type: ignore[attr-defined]
    span = kernels.FOREVER if over is None else parse_span(over)
    lane.keeps_last |= over is None
    lane.retention = max(lane.retention, span, 0)
    statistic, column = _column(lane, aggregate)
    return statistic, group.lanes.index(lane), column, span


def _lane_of(group: Group, aggregate: Aggregate) -> Lane:
    present = None if _is_picked(aggregate) or not may_be_missing(aggregate.row) else aggregate.row
    for lane in group.lanes:
        if _same(lane.where, aggregate.where) and _same(lane.present, present):
            return lane
    group.lanes.append(Lane(aggregate.where, present))
    return group.lanes[-1]


def _same(a: Expression | None, b: Expression | None) -> bool:
    return (a.fingerprint if a is not None else None) == (b.fingerprint if b is not None else None)


def _is_picked(aggregate: Aggregate) -> bool:
    """Whether the aggregate is a value of one row, missing where that row's value is."""
    return isinstance(aggregate, Latest) or (isinstance(aggregate, Window) and aggregate.statistic == "first")


def _column(lane: Lane, aggregate: Aggregate) -> tuple[int, int]:
    """Return the statistic and the column that answer an aggregate; the lane gets the column if it does not have it."""
    row = aggregate.row
    if isinstance(aggregate, Window) and aggregate.statistic == "count":
        return kernels.COUNT, 0
    if isinstance(aggregate, Window) and aggregate.statistic in _NUMERIC:
        column = next((i for i, held in enumerate(lane.numbers) if held.fingerprint == row.fingerprint), None)
        if column is None:
            column = len(lane.numbers)
            lane.numbers.append(row)
        return _NUMERIC[aggregate.statistic], column
    if isinstance(aggregate, Window) and aggregate.statistic == "distinct":
        return kernels.DISTINCT, _payload(lane, row, "distinct")
    statistic = kernels.LATEST if isinstance(aggregate, Latest) else kernels.FIRST_VALUE
    return statistic, _payload(lane, row, "value")


def _payload(lane: Lane, row: Expression, use: str) -> int:
    for column, (held, held_use) in enumerate(lane.payloads):
        if held.fingerprint == row.fingerprint and held_use == use:
            return column
    lane.payloads.append((row, use))
    return len(lane.payloads) - 1


def may_be_missing(row: Expression) -> bool:
    """Whether a row's value can be missing in a row that keeps its table's contract."""
    match row:
        case Column():
            return row.optional
        case Literal() | DecidedAt():
            return False
        case Call():
            if row.function == "is_missing":
                return False
            if row.function == "fill_missing":
                return may_be_missing(row.arguments[1])
            if row.function in _SAFE:
                return any(may_be_missing(argument) for argument in row.arguments)
    return True
