"""Reference sketches count every row once."""

from __future__ import annotations

import msgspec
import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.model.sketch import Reference, sketch_column, sketch_features, sketch_prediction


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats()), max_size=60))
def test_every_number_is_in_one_bin_or_missing(values: list[float | None]) -> None:
    sketch = sketch_column(pl.Series("x", values, dtype=pl.Float64), "float")
    assert sum(sketch.counts) + sketch.missing == sketch.rows == len(values)
    assert len(sketch.counts) == len(sketch.edges) + 1
    assert all(a < b for a, b in zip(sketch.edges, sketch.edges[1:], strict=False))


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 80).map(str)), max_size=120))
def test_every_name_is_counted_once(values: list[str | None]) -> None:
    sketch = sketch_column(pl.Series("c", values, dtype=pl.String), "category")
    assert sum(sketch.counts) + sketch.other + sketch.missing == sketch.rows == len(values)
    assert len(sketch.values) <= 50


def test_continuous_values_fill_the_bins_evenly() -> None:
    sketch = sketch_column(pl.Series("x", np.random.default_rng(0).normal(size=2000)), "float")
    assert len(sketch.counts) == 20
    assert min(sketch.counts) > 90


def test_a_reference_survives_being_stored() -> None:
    frame = pl.DataFrame({"x": [1.0, None, 3.0], "b": [True, False, None], "c": ["a", "b", "a"], "none": [None] * 3})
    kinds = {"x": "float", "b": "bool", "c": "category", "none": "float"}
    scores = np.array([[0.1, 0.9], [0.3, 0.7]])
    reference = Reference(sketch_features(frame, kinds), sketch_prediction(scores, ("no", "yes")))
    assert msgspec.json.decode(msgspec.json.encode(reference), type=Reference) == reference
    assert [s.name for s in reference.prediction] == ["no", "yes"]
