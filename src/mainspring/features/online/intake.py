"""From a frame of facts to what the kernels insert: times, numbers and payloads of every lane, all rows at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from mainspring.declare import Expression, Kind
from mainspring.declare.kind import STRINGS
from mainspring.features.alignment import ALWAYS, encode_keys
from mainspring.features.online.kernels import NO_SLOT
from mainspring.features.online.layout import Group, Lane
from mainspring.features.online.texts import Texts
from mainspring.features.rows import row_expression

__all__ = ["MISSING_TIME", "Prepared", "PreparedLane", "prepare_lane", "row_values", "slots_of", "times_of"]

MISSING_TIME = np.iinfo(np.int64).min
"""A missing instant or span among payloads: no calendar reaches it."""


_FEW = 64  # facts whose keys are looked up one by one: to number them first takes longer


@dataclass(frozen=True, eq=False)
class PreparedLane:
    """What one lane takes from a frame: the slot of each fact (NO_SLOT: it does not count), its numbers and payloads."""

    lane: int
    rows: np.ndarray  # int64 (facts,)
    values: np.ndarray  # float64 (numbers, facts)
    payloads: np.ndarray  # int64 (payloads, facts)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A frame of facts of one table, ready to be inserted into the state that prepared it, whole or piece by piece."""

    table: str
    times: np.ndarray  # int64 (facts,): visible times
    lanes: tuple[PreparedLane, ...]
    generation: int

    def __len__(self) -> int:
        return len(self.times)


def row_values(facts: pl.DataFrame, wanted: Iterable[Expression]) -> dict[str, pl.Series]:
    """Compute expressions of a table's rows; by fingerprint."""
    expressions = {row.fingerprint: row_expression(row) for row in wanted}
    found = facts.select(**{f"_{key}": expression for key, expression in expressions.items()})
    return {key: found[f"_{key}"] for key in expressions} if expressions else {}


def times_of(facts: pl.DataFrame) -> np.ndarray:
    """The visible times as int64; rows of a static table are visible always."""
    times = facts["_visible_at"].to_physical().cast(pl.Int64).fill_null(ALWAYS).to_numpy()
    return np.require(times, np.int64, ["C", "W"])


def slots_of(group: Group, facts: pl.DataFrame, slot_of: Any) -> np.ndarray:
    """Return the first slot of each fact's key (int64), NO_SLOT without one; `slot_of(key)` finds or makes it."""
    columns = [theirs for theirs, _ in group.scan.by]
    if not columns:
        return np.full(facts.height, slot_of(()), np.int64)
    keys = facts.select(pl.col(name).to_physical().alias(str(i)) for i, name in enumerate(columns))
    if facts.height <= _FEW:
        named = (
            keys.to_series().to_list() if len(columns) == 1 else [None if None in row else row for row in keys.rows()]
        )
        return np.array([NO_SLOT if key is None else slot_of(key) for key in named], np.int64)
    codes, _, _ = encode_keys(keys, keys.clear())
    present, first = np.unique(codes, return_index=True)
    slots = np.full(int(present.max(initial=-1)) + 2, -1, np.int64)  # the last one is that of code -1: no key
    rows = keys[first[present >= 0]]
    found = rows.to_series().to_list() if len(columns) == 1 else rows.rows()
    slots[present[present >= 0]] = [slot_of(key) for key in found]
    return slots[codes]


def prepare_lane(
    lane: Lane, number: int, first_slots: np.ndarray, offset: int, values: dict[str, pl.Series], texts: Texts
) -> PreparedLane:
    """Work out what one lane takes from a frame whose row values are given."""
    counts = first_slots >= 0
    if lane.where is not None:
        counts = counts & values[lane.where.fingerprint].fill_null(False).to_numpy()
    if lane.present is not None:
        counts = counts & values[lane.present.fingerprint].is_not_null().to_numpy()
    numbers = np.empty((len(lane.numbers), len(first_slots)))
    for column, row in enumerate(lane.numbers):
        series = values[row.fingerprint]
        if lane.present is None and series.null_count():
            raise ValueError(f"{row!r} is missing in a row, but its declaration says that it never is")
        numbers[column] = series.to_physical().cast(pl.Float64).fill_null(0.0).to_numpy()
    payloads = np.empty((len(lane.payloads), len(first_slots)), np.int64)
    for column, (row, use) in enumerate(lane.payloads):
        payloads[column] = _as_words(values[row.fingerprint], row.kind, use, texts)
    rows = np.where(counts, first_slots + offset, -1)
    return PreparedLane(number, np.require(rows, np.int64, ["C", "W"]), numbers, payloads)


def _as_words(values: pl.Series, kind: Kind | None, use: str, texts: Texts) -> np.ndarray:
    """The values as 64-bit words: codes of texts, bits of floats, whole numbers, microseconds."""
    if use == "known":
        return values.is_not_null().to_numpy().astype(np.int64)
    if kind in STRINGS:
        return texts.number(values)
    if kind is Kind.FLOAT:
        floats = values.cast(pl.Float64).fill_null(np.nan).to_numpy()
        return (floats + 0.0 if use == "distinct" else floats).view(np.int64)  # 0.0 and -0.0 are not different values
    missing = {Kind.BOOL: -1, Kind.INT: 0}.get(kind, MISSING_TIME)  # type: ignore[arg-type]
    physical = values.cast(pl.Int8) if kind is Kind.BOOL else values.to_physical()
    return physical.cast(pl.Int64).fill_null(missing).to_numpy()
