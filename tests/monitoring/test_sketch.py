from __future__ import annotations

import math
import random
from collections import Counter

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.model.sketch import Reference, sketch_features, sketch_prediction
from mainspring.monitoring.layout import Layout, NumberBins
from mainspring.monitoring.sketch import CategoryCounts, NumberCounts, Sketch

KINDS = {"x": "float", "n": "int", "b": "bool", "c": "category"}
few_examples = settings(max_examples=60, deadline=None, database=None)
numbers = st.one_of(
    st.none(),
    st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf, -math.inf, 1.7e308, -1.7e308, 5e-324]),
    st.floats(-3, 3),
    st.floats(),
)
names = st.none() | st.sampled_from("abcdefg") | st.text(max_size=2)
frames = st.lists(
    st.tuples(numbers, st.none() | st.integers(-5, 5), st.none() | st.booleans(), names), max_size=40
).map(
    lambda rows: pl.DataFrame(
        rows, schema={"x": pl.Float64, "n": pl.Int64, "b": pl.Boolean, "c": pl.String}, orient="row"
    )
)


def counts_of(sketch: Sketch, name: str) -> NumberCounts | CategoryCounts:
    return sketch.columns[[column.name for column in sketch.layout.columns].index(name)]


# Laws


@few_examples
@given(laid=frames, parts=st.lists(frames, max_size=5), seed=st.integers(0, 9))
def test_a_sketch_depends_on_the_rows_alone(laid: pl.DataFrame, parts: list[pl.DataFrame], seed: int) -> None:
    empty = Sketch.empty(Layout.over(laid, KINDS, bins=4))
    at_once = empty.add(pl.concat([*parts, laid]))
    one_by_one = empty
    for part in [laid, *parts]:
        one_by_one = one_by_one.add(part)
    assert one_by_one == at_once
    assert msgspec.json.encode(one_by_one) == msgspec.json.encode(at_once), "to the last bit"
    assert empty.add(pl.concat([*parts, laid]).sample(fraction=1.0, shuffle=True, seed=seed)) == at_once
    sketches = [empty.add(part) for part in [laid, *parts]]
    while len(sketches) > 1:  # merged as any tree, in any order
        random.Random(seed).shuffle(sketches)
        sketches.append(sketches.pop().merge(sketches.pop()))
    assert sketches[0] == at_once
    assert at_once.merge(empty) == empty.merge(at_once) == at_once


@few_examples
@given(laid=frames, added=frames)
def test_every_row_is_counted_once(laid: pl.DataFrame, added: pl.DataFrame) -> None:
    sketch = Sketch.empty(Layout.over(laid, KINDS, bins=4)).add(added)
    assert sketch.rows == added.height
    for counts in sketch.columns:
        assert counts.missing + sum(counts.counts) + getattr(counts, "unlisted", 0) == added.height
    values = added["x"].fill_nan(None).drop_nulls().to_numpy()
    bins = sketch.layout.columns[0]
    assert isinstance(bins, NumberBins)
    edges = np.array(bins.edges)
    expected = np.bincount(np.searchsorted(edges, values.clip(-1.7976931348623157e308, 1.7976931348623157e308)))
    assert counts_of(sketch, "x").counts == tuple(np.pad(expected, (0, len(edges) + 1 - len(expected))).tolist())
    finite = values[np.isfinite(values)]
    found = counts_of(sketch, "x")
    assert isinstance(found, NumberCounts)
    assert (found.low, found.high) == ((finite.min(), finite.max()) if finite.size else (None, None))


@few_examples
@given(laid=frames, added=frames)
def test_what_is_written_is_read_back_equal(laid: pl.DataFrame, added: pl.DataFrame) -> None:
    sketch = Sketch.empty(Layout.over(laid, KINDS)).add(added)
    assert msgspec.json.decode(msgspec.json.encode(sketch), type=Sketch) == sketch
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(sketch), type=Sketch) == sketch


@few_examples
@given(
    seed=st.integers(0, 99),
    sizes=st.lists(st.integers(0, 900), max_size=4),
    different=st.sampled_from([90, 150, 2_000]),
)
def test_values_that_are_not_listed_are_named_within_the_bound(seed: int, sizes: list[int], different: int) -> None:
    draw = np.random.default_rng(seed)
    batches = [[f"v{k}" for k in (different * draw.random(size) ** 3).astype(int)] for size in sizes]
    sketch = Sketch.empty(Layout.over(pl.DataFrame({"c": ["known"]}), {"c": "category"}))
    for batch in batches:
        sketch = sketch.add(pl.DataFrame({"c": [*batch, "known"]}, schema={"c": pl.String}))
    values = Counter(value for batch in batches for value in batch)
    found = counts_of(sketch, "c")
    assert isinstance(found, CategoryCounts)
    assert (found.counts, found.unlisted) == ((len(batches),), values.total())
    assert len(found.named) <= 100
    assert found.lost <= values.total() / 101
    named = dict(found.named)
    for value, rows in values.items():
        assert named.get(value, 0) <= rows <= named.get(value, 0) + found.lost
    if len(values) <= 100:
        assert found.lost == 0


@pytest.mark.parametrize("spread", ["normal", "cauchy", "steps", "rounded", "mostly_zero", "infinite"])
def test_no_bin_of_several_values_is_heavier_than_the_layout_promises(spread: str) -> None:
    draw = np.random.default_rng(1)
    values = {
        "normal": draw.normal(size=200_000),
        "cauchy": draw.standard_cauchy(200_000),
        "steps": draw.integers(0, 5, 200_000).astype(float),
        "rounded": draw.normal(size=200_000).round(2),
        "mostly_zero": draw.lognormal(size=200_000) * (draw.random(200_000) < 0.3),
        "infinite": np.where(draw.random(200_000) < 0.4, -np.inf, draw.normal(size=200_000)),
    }[spread]
    sketch = Sketch.over(pl.DataFrame({"x": values}), {"x": "float"})
    bins, counts = sketch.layout.columns[0], np.array(sketch.columns[0].counts)
    assert isinstance(bins, NumberBins)
    ends = np.concatenate(([-np.inf], bins.edges, [np.finfo(float).max]))
    several = np.nextafter(ends[:-1], np.inf) < ends[1:]
    assert counts[several].max(initial=0) < 1.5 * len(values) / 256
    assert len(bins.edges) < 600


# A bundle's reference


def test_what_a_bundle_carries_is_a_sketch_that_rows_can_be_added_to() -> None:
    draw = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "x": [*draw.normal(size=500), None, math.nan],
            "c": [*(f"v{k}" for k in draw.integers(0, 80, 501)), None],
        }
    )
    kinds = {"x": "float", "c": "category"}
    bundle = Reference(sketch_features(frame, kinds), sketch_prediction(draw.random((502, 2)), ("no", "yes")))
    reference = Sketch.of_bundle(msgspec.json.decode(msgspec.json.encode(bundle), type=Reference).features)
    counted = Sketch.empty(reference.layout).add(frame)
    numbers, before = counted.columns[0], reference.columns[0]
    assert numbers == before
    names, names_before = counted.columns[1], reference.columns[1]
    assert isinstance(names, CategoryCounts)
    assert isinstance(names_before, CategoryCounts)
    assert msgspec.structs.replace(names, named=()) == names_before
    assert reference.merge(counted).rows == 1004
    prediction = Sketch.of_bundle(bundle.prediction)
    assert [column.name for column in prediction.layout.columns] == ["no", "yes"]
    assert Sketch.of_bundle(()).rows == 0


# Cases


def test_columns_of_every_type_are_read_as_what_they_mean() -> None:
    frame = pl.DataFrame({"x": [1, 2, None], "n": [True, None, False], "c": ["a", "a", None]})
    kinds = {"x": "float", "n": "bool", "c": "category"}
    sketch = Sketch.over(frame, kinds)
    other = frame.with_columns(
        pl.col("x").cast(pl.Float32), pl.col("n").cast(pl.Int8), pl.col("c").cast(pl.Categorical)
    )
    assert Sketch.empty(sketch.layout).add(other) == sketch
    assert Sketch.empty(sketch.layout).add(other.with_columns(pl.col("c").cast(pl.Enum(["z", "a"])))) == sketch
    unknown = pl.DataFrame({name: [None, None] for name in kinds})
    assert [counts.missing for counts in Sketch.empty(sketch.layout).add(unknown).columns] == [2, 2, 2]
    nothing = Sketch.over(unknown, kinds)
    assert [counts.missing for counts in nothing.columns] == [2, 2, 2]
    assert sum(Sketch.empty(nothing.layout).add(frame).columns[0].counts) == 2


def test_a_negative_zero_is_a_zero() -> None:
    one, other = (pl.DataFrame({"x": values}) for values in ([0.0, -0.0, -0.0], [-0.0, 0.0, -0.0]))
    first, second = (Sketch.over(frame, {"x": "float"}) for frame in (one, other))
    assert msgspec.json.encode(first) == msgspec.json.encode(second)
    counts = first.columns[0]
    assert isinstance(counts, NumberCounts)
    assert (str(counts.low), str(counts.high)) == ("0.0", "0.0")


def test_many_columns_on_all_cores_are_counted_as_one_by_one() -> None:
    draw = np.random.default_rng(3)
    columns = {f"x{k}": draw.normal(size=60_000) for k in range(4)}
    frame = pl.DataFrame(columns).with_columns(pl.Series("c", draw.integers(0, 9, 60_000).astype(str)))
    kinds = {name: "category" if name == "c" else "float" for name in frame.columns}
    at_once = Sketch.over(frame, kinds)
    one_by_one = Sketch.empty(at_once.layout)
    for part in frame.iter_slices(20_001):
        one_by_one = one_by_one.add(part)
    assert one_by_one == at_once


def test_other_layouts_and_absent_columns_are_refused() -> None:
    one = Sketch.over(pl.DataFrame({"x": [1.0]}), {"x": "float"})
    other = Sketch.over(pl.DataFrame({"x": [2.0]}), {"x": "float"})
    with pytest.raises(ValueError, match="different layouts"):
        one.merge(other)
    with pytest.raises(ValueError, match="no column x; it has y"):
        one.add(pl.DataFrame({"y": [1.0]}))
