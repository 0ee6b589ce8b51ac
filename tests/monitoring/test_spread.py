"""The counts of sketches, laid one after the other, are those of the sketches."""

from __future__ import annotations

from functools import reduce

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.monitoring.layout import Layout
from mainspring.monitoring.sketch import CategoryCounts, Sketch
from mainspring.monitoring.spread import Spread, added

KINDS = {"size": "float", "shop": "category", "nothing": "float"}
LAYOUT = Layout.over(
    pl.DataFrame({"size": np.linspace(-2, 2, 300), "shop": ["a", "b", "c"] * 100, "nothing": [None] * 300}).cast(
        {"nothing": pl.Float64}
    ),
    KINDS,
)
ROW = st.tuples(st.none() | st.floats(-3, 3), st.none() | st.sampled_from(["a", "b", "z"]), st.none())
DAYS = st.lists(st.lists(ROW, max_size=12), min_size=1, max_size=6)
SCHEMA = {"size": pl.Float64, "shop": pl.String, "nothing": pl.Float64}


def unnamed(sketch: Sketch) -> Sketch:
    columns = [
        CategoryCounts(each.missing, each.counts, each.unlisted) if isinstance(each, CategoryCounts) else each
        for each in sketch.columns
    ]
    return Sketch(sketch.layout, sketch.rows, tuple(columns))


@given(DAYS)
@settings(max_examples=60, deadline=None)
def test_those_of_many_days_are_those_of_all_their_rows(days: list[list[tuple[object, ...]]]) -> None:
    sketches = [Sketch.empty(LAYOUT).add(pl.DataFrame(rows, SCHEMA, orient="row")) for rows in days]
    whole = unnamed(reduce(Sketch.merge, sketches))
    assert added([Spread.of(each) for each in sketches]).sketch(LAYOUT) == whole
