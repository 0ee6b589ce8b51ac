"""Columns compared from their counts at once: the figures are those of the slow way, column by column."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.monitoring.column_counts import Places, cells_of, counts_of, moved_columns, stability
from mainspring.monitoring.distances import population_stability
from mainspring.monitoring.drift import compare
from mainspring.monitoring.layout import Layout
from mainspring.monitoring.sketch import Sketch
from mainspring.monitoring.spread import Spread

KINDS = {
    "size": "float",
    "shop": "category",
    "rough": "float",
    "nothing": "float",
    "town": "category",
    "none": "category",
}
SCHEMA = {name: pl.Float64 if kind == "float" else pl.String for name, kind in KINDS.items()}


def rows(seed: int, n: int, moved: float = 0.0, towns: int = 60) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    size = random.normal(moved, 1.0, n)
    size[random.random(n) < 0.1 + moved / 5] = np.nan
    shops = [None if each == 0 else f"s{each}" for each in random.zipf(1.6, n).clip(max=30) - 1]
    town = [f"t{each}" for each in random.integers(0, towns, n)]
    rough = random.integers(0, 4, n) * 1.0
    given = {"size": size, "shop": shops, "rough": rough, "nothing": [None] * n, "town": town, "none": [None] * n}
    return pl.DataFrame(given, schema=SCHEMA, nan_to_null=False)


LEARNED = rows(0, 3_000, towns=40)
LAYOUT = Layout.over(LEARNED, KINDS)
REFERENCE = Sketch.empty(LAYOUT).add(LEARNED)


def without(value: float | None) -> float:
    return np.nan if value is None else value


@given(
    seed=st.integers(1, 10_000),
    n=st.sampled_from([0, 1, 5, 90, 900, 9_000]),
    before=st.sampled_from([0, 4, 300, 3_000]),
    moved=st.sampled_from([0.0, 0.1, 1.0]),
    unlisted=st.booleans(),
)
@settings(max_examples=60, deadline=None, database=None)
def test_columns_at_once_lie_as_far_apart_as_one_by_one(
    seed: int, n: int, before: int, moved: float, unlisted: bool
) -> None:
    reference = rows(seed + 1, before) if unlisted else LEARNED[:before]
    spreads = [Spread.of(Sketch.empty(LAYOUT).add(each)) for each in (reference, rows(seed, n, moved))]
    slow = compare(*(each.sketch(LAYOUT) for each in spreads))
    fast = moved_columns(Places.of(LAYOUT), *map(counts_of, spreads))
    np.testing.assert_allclose(fast.psi, [without(each.psi) for each in slow], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fast.p, [without(each.p) for each in slow], rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("moved", [0.0, 1.0])
def test_the_index_of_many_days_is_that_of_each(moved: float) -> None:
    places = Places.of(LAYOUT)
    reference = counts_of(Spread.of(REFERENCE))
    days = np.stack([counts_of(Spread.of(Sketch.empty(LAYOUT).add(rows(k, 200, moved)))) for k in range(3)])
    cells, starts = cells_of(places, reference)
    assert cells[starts].tolist() == places.first.tolist()
    before, now = np.add.reduceat(reference, cells), np.add.reduceat(days, cells, axis=1)
    found = stability(before, now, starts)
    for day in range(3):
        for column, cell in enumerate(np.split(np.arange(len(cells)), starts[1:])):
            some = cell[(before[cell] + now[day, cell]) > 0]
            expected = population_stability(before[some], now[day, some])
            assert found[day, column] == pytest.approx(expected, rel=1e-9, abs=1e-12)
