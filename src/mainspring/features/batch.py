"""Every feature of every decision at once: sort each table once for each key, scan once for each window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pyarrow as pa

from mainspring.clock import parse_span
from mainspring.cores import available_cores
from mainspring.declare import Aggregate, Expression, Kind, Latest, Window
from mainspring.features import kernels
from mainspring.features.alignment import ALWAYS, Alignment, align_frames, encode_keys
from mainspring.features.plan import Plan, Scan, plan
from mainspring.features.rows import INSTANT, as_feature, row_expression

__all__ = ["compute", "compute_with_newest"]


def compute(
    expressions: Plan | Mapping[str, Expression], decisions: pl.DataFrame, facts: Mapping[str, pl.DataFrame]
) -> pl.DataFrame:
    """Compute named expressions as of each decision.

    `decisions` has `_at` and the columns of the decision's table, in any order of rows; `facts` maps table names to frames
    with `_visible_at` (null: always) and `_seq`, ordered by both. Returns one row for each decision in the given order and
    one column for each expression: Float64, Int64, Boolean or String, a span in seconds; missing is null. A row's answer
    depends on nothing that became visible after its `_at`.
    """
    return _compute(
        expressions if isinstance(expressions, Plan) else plan(expressions), decisions, facts, newest=False
    )[0]


def compute_with_newest(
    work: Plan, decisions: pl.DataFrame, facts: Mapping[str, pl.DataFrame]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Compute as `compute`, and return beside it, for each scan under its name, the newest fact with the decision's key.

    That is its visible time, in the order of the decisions; null where there is none or it is static. The leakage audit
    compares these with the time at which the label became known.
    """
    return _compute(work, decisions, facts, newest=True)


def _compute(
    work: Plan, decisions: pl.DataFrame, facts: Mapping[str, pl.DataFrame], *, newest: bool
) -> tuple[pl.DataFrame, pl.DataFrame]:
    at = decisions["_at"].to_physical().to_numpy()
    time_order = np.argsort(at, kind="stable")
    values = _row_values(work, facts)

    def run(scan: Scan) -> tuple[list[pl.Series], pl.Series | None]:
        name = scan.table.__schema__.name
        scanner = _Scanner(scan, decisions, facts[name], values[name], at, time_order)
        return scanner.columns(), scanner.newest() if newest else None

    with ThreadPoolExecutor(available_cores()) as pool:
        scanned = list(pool.map(run, work.scans))
    columns = [column for found, _ in scanned for column in found]
    answers = {
        name: as_feature(row_expression(expression, work.names), expression.kind)
        for name, expression in work.expressions.items()
    }
    computed = decisions.with_columns(columns).with_columns(**answers).select(*answers)
    return computed, pl.DataFrame([times for _, times in scanned if times is not None])


def _row_values(work: Plan, facts: Mapping[str, pl.DataFrame]) -> dict[str, dict[str, pl.Series]]:
    """Compute what every aggregate reads of its table's rows, once for all scans: by table, then by fingerprint."""
    wanted: dict[str, dict[str, Expression]] = {}
    for scan in work.scans:
        rows = wanted.setdefault(scan.table.__schema__.name, {})
        for aggregate in scan.aggregates.values():
            rows.update((part.fingerprint, part) for part in aggregate.children)
    found = {}
    for name, rows in wanted.items():
        columns = facts[name].with_columns(**{f"_{key}": row_expression(row) for key, row in rows.items()})
        found[name] = {key: columns[f"_{key}"] for key in rows}
    return found


class _Scanner:
    """Computes the aggregates of one scan. Sorted facts are shared; what differs is which of them count and their values."""

    def __init__(
        self,
        scan: Scan,
        decisions: pl.DataFrame,
        facts: pl.DataFrame,
        values: Mapping[str, pl.Series],
        at: np.ndarray,
        time_order: np.ndarray,
    ) -> None:
        self.scan = scan
        self.facts = facts
        self._values = values
        self.alignment = align_frames(scan.by, facts, decisions, at, time_order=time_order)
        self._kept: dict[tuple[str, str], Alignment] = {}
        self._numbers: dict[tuple[str, str], np.ndarray] = {}
        self._sums: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}
        self._answers = np.empty(len(at))
        self._scratch = np.empty((2, facts.height))

    def columns(self) -> list[pl.Series]:
        # One allocation for all answers: large enough for the system to give it in large pages.
        rows = np.empty((len(self.scan.aggregates), len(self._answers)))
        return [
            self._column(name, aggregate, out)
            for (name, aggregate), out in zip(self.scan.aggregates.items(), rows, strict=True)
        ]

    def newest(self) -> pl.Series:
        """The visible time of the newest fact of each decision's key."""
        position = kernels.latest_position(self.alignment.floor, self.alignment.upper)
        times = np.append(self.alignment.fact_times, ALWAYS)[position]  # position -1 reads the last entry
        times = self.alignment.in_given_order(times)
        return pl.Series(self.scan.name, times).replace(ALWAYS, None).cast(INSTANT)

    def _column(self, name: str, aggregate: Aggregate, out: np.ndarray) -> pl.Series:
        if isinstance(aggregate, Latest):
            return self._picked(aggregate, kernels.latest_position, aggregate.within).alias(name)
        if not isinstance(aggregate, Window):
            raise TypeError(f"{type(aggregate).__name__} cannot be computed")
        if aggregate.statistic == "first":
            return self._picked(aggregate, kernels.first_position, aggregate.over).alias(name)
        found = self._answers
        if aggregate.statistic in {"count", "distinct"}:
            found, out = found.view(np.int64), out.view(np.int64)
        self._statistic(aggregate, found)
        self.alignment.in_given_order(found, out)
        column = _as_series(name, out)
        stored = _STORED.get(aggregate.kind)
        return column if stored is None or column.dtype == stored else column.cast(pl.Int64).cast(stored)

    def _picked(self, aggregate: Aggregate, position: Callable[..., np.ndarray], over: str | None) -> pl.Series:
        """Gather the value of one row of each window; a missing value of that row stays missing."""
        alignment = self._counted(aggregate, skip_missing=False)
        lower = alignment.lower(None if over is None else parse_span(over))
        if len(alignment.fact_order) == 0:
            return self._value(aggregate.row).clear().extend_constant(None, len(self._answers))
        found = alignment.in_given_order(position(lower, alignment.upper))
        rows = np.where(found >= 0, alignment.fact_order[found], 0)
        index = pl.Series(rows).to_frame("row").select(pl.when(pl.Series(found >= 0)).then(pl.col("row"))).to_series()
        return self._value(aggregate.row).gather(index)

    def _statistic(self, window: Window, out: np.ndarray) -> None:
        alignment = self._counted(window, skip_missing=True)
        windows = alignment.lower(parse_span(window.over)), alignment.upper
        match window.statistic:
            case "count":
                kernels.window_count(*windows, out)
            case "distinct":
                kernels.window_distinct(*self._codes(window), *windows, out)
            case "sum":
                kernels.window_sum(self._number(window), *self._prefix_sums(window), *windows, out)
            case "mean" | "share":
                kernels.window_mean(self._number(window), *self._prefix_sums(window), *windows, out)
            case "std":
                kernels.window_std(self._number(window), *windows, self._scratch, out)
            case "min":
                kernels.window_min(self._number(window), *windows, self._scratch, out)
            case "max":
                kernels.window_max(self._number(window), *windows, self._scratch, out)
            case _:
                raise ValueError(f"{window.statistic!r} is no statistic")

    def _value(self, row: Expression) -> pl.Series:
        """The values of a row expression, in the order of the facts."""
        return self._values[row.fingerprint]

    def _key(self, aggregate: Aggregate, skip_missing: bool) -> tuple[str, str]:
        """Aggregates with the same key count the same facts."""
        where = aggregate.where.fingerprint if aggregate.where is not None else ""
        return where, aggregate.row.fingerprint if skip_missing and self._value(aggregate.row).null_count() else ""

    def _counted(self, aggregate: Aggregate, *, skip_missing: bool) -> Alignment:
        """Return the alignment of the facts that count for an aggregate."""
        key = self._key(aggregate, skip_missing)
        kept = self._kept.get(key)
        if kept is None:
            keep = np.ones(self.facts.height, bool)
            if aggregate.where is not None:
                keep &= self._value(aggregate.where).fill_null(False).to_numpy()
            if key[1]:
                keep &= self._value(aggregate.row).is_not_null().to_numpy()
            everything = key == ("", "")
            kept = self.alignment if everything else self.alignment.compact(keep[self.alignment.fact_order])
            self._kept[key] = kept
        return kept

    def _number(self, window: Window) -> np.ndarray:
        """The counted values as float64, in the alignment's order. Instants fit exactly until the year 2255."""
        key = (self._key(window, True)[0], window.row.fingerprint)
        numbers = self._numbers.get(key)
        if numbers is None:
            alignment = self._counted(window, skip_missing=True)
            values = self._value(window.row).to_physical().cast(pl.Float64).fill_null(0.0).to_numpy()
            numbers = self._numbers[key] = alignment.of_facts(values)
        return numbers

    def _prefix_sums(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        key = (self._key(window, True)[0], window.row.fingerprint)
        sums = self._sums.get(key)
        if sums is None:
            alignment = self._counted(window, skip_missing=True)
            number = self._number(window)
            sums = self._sums[key] = np.empty_like(number), np.empty_like(number)
            kernels.prefix_sums(number, alignment.starts, *sums)
        return sums

    def _codes(self, window: Window) -> tuple[np.ndarray, int]:
        alignment = self._counted(window, skip_missing=True)
        values = self._value(window.row)
        codes, _, n = encode_keys(values.to_frame(), values.clear().to_frame())
        return alignment.of_facts(codes), max(n, 1)


def _as_series(name: str, values: np.ndarray) -> pl.Series:
    """Hand an array over without copying it; NaN becomes null."""
    known = pa.py_buffer(np.packbits(values == values, bitorder="little")) if values.dtype == np.float64 else None
    array = pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [known, pa.py_buffer(values)])
    return pl.Series(name, array)


_STORED: Mapping[Kind | None, pl.DataType | type[pl.DataType]] = {
    Kind.INT: pl.Int64,
    Kind.TIME: INSTANT,
    Kind.SPAN: pl.Duration("us"),
}
