"""The same features in Polars: rolling aggregates over the union of facts and decisions, in several forms."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from flights import KEYS, SPANS, WEATHER, Flights, feature_names


def union_over(flights: Flights) -> pl.DataFrame:
    """Sort the union by time once; rolling_*_by for every window over each key."""
    union = _union(flights, KEYS).sort("time")
    rolled = union.select("row", *(_rolling(span, by).over(by) for by in KEYS for span in _rollings(by)))
    return _finish(flights, _in_order(rolled))


def union_coded(flights: Flights) -> pl.DataFrame:
    """One union for each key, planned together so that they run side by side; keys as integer codes."""
    plans = []
    for by in KEYS:
        union = _union(flights, (by,)).lazy().with_columns(_code(by)).sort("time")
        plans.append(union.select("row", *(_rolling(r, by).over(by) for r in _rollings(by))))
    return _finish(flights, pl.concat([_in_order(part) for part in pl.collect_all(plans)], how="horizontal"))


def union_shifted(flights: Flights) -> pl.DataFrame:
    """The key folded into the time, 31 years apart: one group, so that rolling_*_by needs no over."""
    plans = []
    for by in KEYS:
        shifted = pl.col("time").to_physical() + _code(by).cast(pl.Int64).fill_null(-1) * 10**15
        union = _union(flights, (by,)).lazy().with_columns(time=shifted).sort("time")
        plans.append(union.select("row", *(_rolling(r, by, unit="i") for r in _rollings(by))))
    return _finish(flights, pl.concat([_in_order(part) for part in pl.collect_all(plans)], how="horizontal"))


def prefix_asof(flights: Flights) -> pl.DataFrame:
    """Counts and means from prefix sums joined as-of at both ends of the window; max by rolling_max_by on the union."""
    parts = []
    for by in KEYS:
        decisions = flights.decisions.select(by, "time").with_row_index("row").sort("time")
        facts = flights.departures.filter(pl.col(by).is_not_null()).select(by, "dep_delay", "known_at").sort("known_at")
        prefix = facts.select(
            by, "known_at", n=pl.col("dep_delay").cum_count().over(by), total=pl.col("dep_delay").cum_sum().over(by)
        )
        ends = _prefix_at(decisions, prefix, by, 0)
        columns = [decisions.select("row")]
        for span, over in SPANS.items():
            starts = _prefix_at(decisions, prefix, by, over)
            count, total = ends["n"] - starts["n"], ends["total"] - starts["total"]
            columns.append(pl.select(count.alias(f"{by}_count_{span}"), (total / count).alias(f"{by}_mean_{span}")))
        joined = pl.concat(columns, how="horizontal").sort("row").drop("row")
        union = _union(flights, (by,)).sort("time")
        maxima = union.select(
            "row", *(_rolling((kind, span), by).over(by) for kind, span in _rollings(by) if kind == "max")
        )
        parts += [joined, _in_order(maxima)]
    return _finish(flights, pl.concat(parts, how="horizontal"))


FORMS: dict[str, Callable[[Flights], pl.DataFrame]] = {
    form.__name__: form for form in (union_over, union_shifted, prefix_asof, union_coded)
}
FASTEST = ("union_over", "union_shifted", "prefix_asof")


def _prefix_at(decisions: pl.DataFrame, prefix: pl.DataFrame, by: str, over: int) -> pl.DataFrame:
    moments = decisions.select(by, known_at=pl.col("time") - pl.duration(microseconds=over))
    joined = moments.join_asof(prefix, on="known_at", by=by, check_sortedness=False)
    return joined.select(pl.col("n").fill_null(0).cast(pl.Float64), pl.col("total").fill_null(0.0))


def _union(flights: Flights, keys: tuple[str, ...]) -> pl.DataFrame:
    facts = flights.departures.select(*keys, "dep_delay", time="known_at", row=pl.lit(None, pl.UInt32))
    decisions = flights.decisions.with_row_index("row").select(*keys, "time", "row", dep_delay=pl.lit(None, pl.Float64))
    return pl.concat([facts, decisions.select(facts.columns)])


def _rollings(by: str) -> list[tuple[str, str]]:
    return [(kind, span) for span in SPANS for kind in ("count", "mean", "max")]


def _code(by: str) -> pl.Expr:
    return pl.col(by).cast(pl.Categorical).to_physical()


def _rolling(rolling: tuple[str, str], by: str, unit: str = "us") -> pl.Expr:
    kind, span = rolling
    value, over = pl.col("dep_delay"), f"{SPANS[span]}{unit}"
    if kind == "count":
        rolled = value.is_not_null().cast(pl.Float64).rolling_sum_by("time", over, closed="right")
    elif kind == "mean":
        rolled = value.rolling_mean_by("time", over, closed="right")
    else:
        rolled = value.rolling_max_by("time", over, closed="right")
    return rolled.alias(f"{by}_{kind}_{span}")


def _in_order(rolled: pl.DataFrame) -> pl.DataFrame:
    return rolled.filter(pl.col("row").is_not_null()).sort("row").drop("row")


def _finish(flights: Flights, windows: pl.DataFrame) -> pl.DataFrame:
    """Add the latest values, and answer a decision without a key as nothing seen."""
    decisions = flights.decisions.with_row_index("row").sort("time")
    latest = (
        decisions.join_asof(
            flights.arrivals.sort("known_at", maintain_order=True),
            left_on="time",
            right_on="known_at",
            by="tailnum",
            check_sortedness=False,
        )
        .drop("known_at")
        .join_asof(
            flights.weather.sort("known_at", maintain_order=True),
            left_on="time",
            right_on="known_at",
            by="origin",
            check_sortedness=False,
        )
        .sort("row")
    )
    keyed = [
        pl.when(latest[by].is_not_null())
        .then(pl.col(f"{by}_{kind}_{span}"))
        .otherwise(0.0 if kind == "count" else None)
        .alias(f"{by}_{kind}_{span}")
        for by in KEYS
        for span in SPANS
        for kind in ("count", "mean", "max")
    ]
    windows = windows.select(keyed)
    return pl.concat([windows, latest.select("arr_delay", *WEATHER)], how="horizontal").select(feature_names())
