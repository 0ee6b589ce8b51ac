"""The same features in DuckDB: range windows over a union, or prefix sums joined as-of (max still by range windows)."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import polars as pl

from flights import KEYS, SPANS, WEATHER, Flights, feature_names


def range_windows(flights: Flights) -> pl.DataFrame:
    """Count, mean and max in RANGE windows over the union of facts and decisions."""
    return _query(flights, lambda by: _ranges(by, ("count", "mean", "max")))


def prefix_asof(flights: Flights) -> pl.DataFrame:
    """Counts and means from prefix sums joined as-of at both ends of the window; max in RANGE windows."""
    return _query(flights, lambda by: f"SELECT * FROM ({_ranges(by, ('max',))}) JOIN ({_prefixes(by)}) USING (row)")


FORMS: dict[str, Callable[[Flights], pl.DataFrame]] = {form.__name__: form for form in (prefix_asof, range_windows)}
FASTEST = ("prefix_asof",)


def _ranges(by: str, kinds: tuple[str, ...]) -> str:
    answers = {"count": "count(dep_delay)::DOUBLE", "mean": "avg(dep_delay)", "max": "max(dep_delay)"}
    columns = [
        f"{answers[kind]} OVER w{span} AS {by}_{kind}_{span}".replace("::DOUBLE OVER", " OVER")
        for span in SPANS
        for kind in kinds
    ]
    windows = [
        f"w{span} AS (PARTITION BY key ORDER BY t RANGE BETWEEN {over - 1} PRECEDING AND CURRENT ROW)"
        for span, over in SPANS.items()
    ]
    return f"""
        SELECT * EXCLUDE (key, t, dep_delay) FROM (
            SELECT *, {", ".join(columns)} FROM (
                SELECT {by} AS key, epoch_us(known_at) AS t, dep_delay, NULL AS row FROM departures WHERE {by} IS NOT NULL
                UNION ALL SELECT {by}, epoch_us(time), NULL, row FROM decisions
            ) WINDOW {", ".join(windows)}
        ) WHERE row IS NOT NULL"""


def _prefixes(by: str) -> str:
    sums = f"""(SELECT {by} AS key, known_at, max(n) AS n, arg_max(total, n) AS total FROM (
        SELECT {by}, known_at, count(*) OVER w AS n, sum(dep_delay) OVER w AS total FROM departures
        WHERE {by} IS NOT NULL WINDOW w AS (PARTITION BY {by} ORDER BY known_at ROWS UNBOUNDED PRECEDING)
    ) GROUP BY ALL)"""
    columns, joins = [], [f"ASOF LEFT JOIN sums e ON d.{by} = e.key AND d.time >= e.known_at"]
    for span, over in SPANS.items():
        s, count = f"s{span}", f"(coalesce(e.n, 0) - coalesce(s{span}.n, 0))"
        total = f"(coalesce(e.total, 0) - coalesce({s}.total, 0))"
        columns += [f"{count} AS {by}_count_{span}", f"{total} / nullif({count}, 0) AS {by}_mean_{span}"]
        joins.append(
            f"ASOF LEFT JOIN sums {s} ON d.{by} = {s}.key AND d.time - to_microseconds({over}) >= {s}.known_at"
        )
    return f"WITH sums AS {sums} SELECT d.row, {', '.join(columns)} FROM decisions d {' '.join(joins)}"


def _query(flights: Flights, windows: Callable[[str], str]) -> pl.DataFrame:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")

        def answer(query: str) -> pl.DataFrame:
            return pl.DataFrame(connection.sql(query).to_arrow_table())

        for name, frame in vars(flights).items():
            connection.register(name, (frame.with_row_index("row") if name == "decisions" else frame).to_arrow())
        parts = [answer(f"SELECT * EXCLUDE (row) FROM ({windows(by)}) ORDER BY row") for by in KEYS]
        latest = answer(
            f"""SELECT arr_delay, {", ".join(f"w.{name}" for name in WEATHER)} FROM decisions d
            ASOF LEFT JOIN arrivals a ON d.tailnum = a.tailnum AND d.time >= a.known_at
            ASOF LEFT JOIN weather w ON d.origin = w.origin AND d.time >= w.known_at ORDER BY d.row"""
        )
    return pl.concat([*parts, latest], how="horizontal").select(pl.col(feature_names()).cast(pl.Float64))
