"""Facts and decisions side by side: both sorted by (key, time), so that every window is a pair of positions.

Because both sides are sorted the same way, the first and the one-past-last position of a decision's window never go
back from one decision to the next, not even where the key changes. A kernel is therefore a function of (values in
sorted order, lower, upper) with monotone bounds, and never knows about keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numba import njit

from mainspring.features.text_codes import number_text

__all__ = ["ALWAYS", "Alignment", "align", "align_frames", "encode_keys"]

ALWAYS = np.iinfo(np.int64).min // 2
"""The visible time of a static fact: before every window, so that only an unbounded `latest` reads it."""

_MISSING = -1


def encode_keys(facts: pl.DataFrame, decisions: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, int]:
    """Number the keys of facts and decisions in one shared dictionary.

    Both frames hold only the key columns, paired by position; their names need not agree. Returns int32 codes of the
    facts, int32 codes of the decisions, and n such that every code is below n (a code may go unused). A row that misses
    any part of its key has code -1: it matches nothing. Without key columns every row has code 0.
    """
    if facts.width == 0:
        return np.zeros(facts.height, np.int32), np.zeros(decisions.height, np.int32), 1
    codes, n_codes = _encode_column(facts.to_series(0), decisions.to_series(0))
    for index in range(1, facts.width):
        more, n_more = _encode_column(facts.to_series(index), decisions.to_series(index))
        codes, n_codes = _number(codes.astype(np.int64) * n_more + more, (codes < 0) | (more < 0))
    return codes[: facts.height], codes[facts.height :], n_codes


def _encode_column(facts: pl.Series, decisions: pl.Series) -> tuple[np.ndarray, int]:
    """Number the values of two columns, one after the other, in a shared dictionary; missing is -1."""
    columns = [_text_if_category(column).rename("key") for column in (facts, decisions)]
    if all(column.dtype == pl.String for column in columns):
        return number_text(*columns)
    column = pl.concat([column.to_frame() for column in columns], how="vertical_relaxed").to_series()
    if column.dtype in (pl.String, pl.Null):
        return number_text(column.cast(pl.String))
    numbers = column.cast(pl.Int8) if column.dtype == pl.Boolean else column.to_physical()
    return _number(numbers.fill_null(0).to_numpy(), column.is_null().to_numpy())


def _text_if_category(column: pl.Series) -> pl.Series:
    return column.cast(pl.String) if isinstance(column.dtype, pl.Categorical | pl.Enum) else column


def _number(values: np.ndarray, missing: np.ndarray) -> tuple[np.ndarray, int]:
    """Number values from 0, by their distance from the least where that stays few enough to count by; missing is -1."""
    if len(values) == 0:
        return np.zeros(0, np.int32), 0
    least, n_codes = values.min(), 0
    if np.issubdtype(values.dtype, np.integer):
        n_codes = int(values.max()) - int(least) + 1
    if 0 < n_codes <= 4 * len(values) + 1024:
        codes = (values - least).astype(np.int32)
    else:
        found, codes = np.unique(values, return_inverse=True)
        codes, n_codes = codes.astype(np.int32), len(found)
    codes[missing] = _MISSING
    return codes, n_codes


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """Facts sorted by (key, given order), decisions by (key, time), and the windows between them as positions.

    fact_order      given row of each sorted fact; facts without a key are left out
    fact_times      visible time of each sorted fact (int64 microseconds)
    starts          position of the first fact of each key code, and their number at the end
    decision_order  given row of each sorted decision; those without a key come last and have empty windows
    decision_rank   sorted position of each given decision: the inverse
    decision_times  time of each sorted decision
    floor           position of the first fact of each sorted decision's key
    upper           one past the last fact of that key with visible time <= decision time

    floor, upper and every `lower` never decrease, and floor <= lower <= upper. Rows and positions are int32 where they
    fit, because half of a scan's time is memory.
    """

    fact_order: np.ndarray
    fact_times: np.ndarray
    starts: np.ndarray
    decision_order: np.ndarray
    decision_rank: np.ndarray
    decision_times: np.ndarray
    floor: np.ndarray
    upper: np.ndarray
    _lowers: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    def lower(self, over: int | None) -> np.ndarray:
        """Return each sorted decision's first fact with visible time > decision time - over (microseconds).

        None: the key's whole history. Computed once for a span; the array belongs to the alignment: do not write to it.
        """
        if over is None:
            return self.floor
        lower = self._lowers.get(over)
        if lower is None:
            lower = np.empty_like(self.upper)
            _lower_bounds(self.fact_times, self.decision_times, self.floor, self.upper, over, lower)
            self._lowers[over] = lower
        return lower

    def of_facts(self, values: np.ndarray) -> np.ndarray:
        """Return the values of the given facts in sorted order."""
        return _taken(_plain(values, values.dtype), self.fact_order, np.empty(len(self.fact_order), values.dtype))

    def in_given_order(self, answers: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return answers for the sorted decisions in the order in which the decisions were given; written to `out` if given.

        Answers are found in sorted order and put in place in a pass of their own: windows that wrote each answer where it
        belongs took up to twice as long once answers outgrew the caches.
        """
        return _taken(answers, self.decision_rank, np.empty_like(answers) if out is None else out)

    def compact(self, keep: np.ndarray) -> Alignment:
        """Return the alignment of the sorted facts where `keep` (bool) is true, as if the others had never been.

        This is how a missing value or a condition takes a fact out of every window.
        """
        kept = np.zeros(len(keep) + 1, self.upper.dtype)
        np.cumsum(keep, out=kept[1:])
        return Alignment(
            fact_order=self.fact_order[keep],
            fact_times=self.fact_times[keep],
            starts=kept[self.starts],
            decision_order=self.decision_order,
            decision_rank=self.decision_rank,
            decision_times=self.decision_times,
            floor=kept[self.floor],
            upper=kept[self.upper],
        )


def align_frames(
    by: Sequence[tuple[str, str]],
    facts: pl.DataFrame,
    decisions: pl.DataFrame,
    at: np.ndarray,
    *,
    time_order: np.ndarray | None = None,
) -> Alignment:
    """Align a table's rows with decisions at the times `at` (int64 microseconds).

    `by` pairs the table's key columns with the decisions'. `facts` has `_visible_at` (null: always) and `_seq` and is
    ordered by both. Without key columns every fact belongs to every decision.
    """
    if by:
        fact_keys = facts.select(pl.col(theirs).alias(f"{i}") for i, (theirs, _) in enumerate(by))
        decision_keys = decisions.select(pl.col(ours).alias(f"{i}") for i, (_, ours) in enumerate(by))
        fact_codes, decision_codes, n_codes = encode_keys(fact_keys, decision_keys)
    else:  # a frame without columns would have lost its height
        fact_codes, decision_codes, n_codes = np.zeros(facts.height, np.int32), np.zeros(len(at), np.int32), 1
    times = facts["_visible_at"].to_physical().fill_null(ALWAYS).to_numpy()
    return align(fact_codes, times, decision_codes, at, n_codes, time_order=time_order)


def align(
    fact_codes: np.ndarray,
    fact_times: np.ndarray,
    decision_codes: np.ndarray,
    decision_times: np.ndarray,
    n_codes: int,
    *,
    time_order: np.ndarray | None = None,
) -> Alignment:
    """Sort facts and decisions by key and find what each decision can see.

    Facts are given in the order (visible time, ingestion), decisions in any order; times are int64 microseconds. Codes
    are those of `encode_keys`. `time_order`, the rows of the decisions by time, saves the sort where keys share it.
    """
    if len(fact_codes) != len(fact_times) or len(decision_codes) != len(decision_times):
        raise ValueError("every fact and every decision needs one code and one time")
    decision_times = _plain(decision_times, np.int64)
    if time_order is None:
        time_order = np.argsort(decision_times, kind="stable")
    dtype = np.int32 if max(len(fact_codes), len(decision_codes)) < np.iinfo(np.int32).max else np.int64
    ingested = np.arange(len(fact_codes), dtype=dtype)
    fact_order, decision_order = np.empty_like(ingested), np.empty(len(decision_codes), dtype)
    starts = _order_by_code(_plain(fact_codes, np.int32), ingested, n_codes, fact_order)
    fact_order = fact_order[: starts[n_codes]]
    time_order = _plain(time_order, dtype)
    decision_starts = _order_by_code(_plain(decision_codes, np.int32), time_order, n_codes, decision_order)
    sorted_fact_times = _taken(_plain(fact_times, np.int64), fact_order, np.empty(len(fact_order), np.int64))
    sorted_decision_times, decision_rank = np.empty_like(decision_times), np.empty_like(decision_order)
    _sort_and_rank(decision_times, decision_order, sorted_decision_times, decision_rank)
    floor, upper = np.empty_like(decision_order), np.empty_like(decision_order)
    _upper_bounds(sorted_fact_times, starts, sorted_decision_times, decision_starts, floor, upper)
    return Alignment(
        fact_order=fact_order,
        fact_times=sorted_fact_times,
        starts=starts[: n_codes + 1],
        decision_order=decision_order,
        decision_rank=decision_rank,
        decision_times=sorted_decision_times,
        floor=floor,
        upper=upper,
    )


def _plain(array: np.ndarray, dtype: Any) -> np.ndarray:
    """Return the array contiguous and writable: the one layout that kernels are compiled for."""
    return np.require(array, dtype, ["C", "W"])


@njit(cache=True, nogil=True)
def _order_by_code(codes, order, n_codes, sorted_rows):  # type: ignore[no-untyped-def]
    """Counting sort of rows, given in `order`, by code: stable, linear; rows without a code (-1) come last.

    Writes the sorted rows and returns the first position of each code.
    """
    starts = np.zeros(n_codes + 2, order.dtype)
    for row in range(len(codes)):
        code = codes[row] if codes[row] >= 0 else n_codes
        starts[code + 1] += 1
    for code in range(n_codes + 1):
        starts[code + 1] += starts[code]
    free = starts.copy()
    for row in order:
        code = codes[row] if codes[row] >= 0 else n_codes
        sorted_rows[free[code]] = row
        free[code] += 1
    return starts


@njit(cache=True, nogil=True)
def _taken(values, rows, out):  # type: ignore[no-untyped-def]
    """Write the values at these rows; NumPy would widen the rows first."""
    for i in range(len(rows)):
        out[i] = values[rows[i]]
    return out


@njit(cache=True, nogil=True)
def _sort_and_rank(values, order, in_order, ranks):  # type: ignore[no-untyped-def]
    """Write the values in this order, and the place of each row in it."""
    for i in range(len(order)):
        in_order[i] = values[order[i]]
        ranks[order[i]] = i


@njit(cache=True, nogil=True)
def _upper_bounds(fact_times, starts, decision_times, decision_starts, floor, upper):  # type: ignore[no-untyped-def]
    n_codes = len(starts) - 2
    for code in range(n_codes):
        position = starts[code]
        for decision in range(decision_starts[code], decision_starts[code + 1]):
            while position < starts[code + 1] and fact_times[position] <= decision_times[decision]:
                position += 1
            floor[decision] = starts[code]
            upper[decision] = position
    for decision in range(decision_starts[n_codes], len(decision_times)):
        floor[decision] = upper[decision] = len(fact_times)


@njit(cache=True, nogil=True)
def _lower_bounds(fact_times, decision_times, floor, upper, over, lower):  # type: ignore[no-untyped-def]
    position = 0
    for decision in range(len(decision_times)):
        position = max(position, floor[decision])
        horizon = decision_times[decision] - over
        while position < upper[decision] and fact_times[position] <= horizon:
            position += 1
        lower[decision] = position
