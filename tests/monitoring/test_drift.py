from __future__ import annotations

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from mainspring.model.sketch import sketch_features
from mainspring.monitoring.comparison import CategoryDistance, Drift, NumberDistance
from mainspring.monitoring.drift import compare, corrected, share_drifted
from mainspring.monitoring.layout import Layout
from mainspring.monitoring.sketch import Sketch

KINDS = {"x": "float", "skew": "float", "steps": "int", "flag": "bool", "name": "category", "rare": "category"}
p_values = st.lists(st.none() | st.floats(0, 1), max_size=12)


def world(rows: int, draw: np.random.Generator, **changes: pl.Series) -> pl.DataFrame:
    """Columns of every kind, with ties, missing values and rare names."""
    steps = pl.Series(draw.poisson(2, rows)).set(pl.Series(draw.random(rows) < 0.02), None)
    names = np.array([f"v{k}" for k in range(200)])
    frame = pl.DataFrame(
        {
            "x": draw.normal(size=rows),
            "skew": draw.lognormal(size=rows) * (draw.random(rows) < 0.6),
            "steps": steps,
            "flag": draw.random(rows) < 0.3,
            "name": names[draw.integers(0, 6, rows)],
            "rare": names[(draw.pareto(1.0, rows) * 3).astype(int).clip(0, 199)],
        }
    )
    return frame.with_columns(**changes)


def found_in(drifts: list[Drift]) -> list[str]:
    return [drift.name for drift in drifts if drift.drifted]


# Laws


@pytest.mark.parametrize(("kind", "rows_before", "rows"), [("sketch", 1_000, 1_500), ("bundle", 2_000, 50)])
def test_streams_without_drift_raise_no_more_false_alarms_than_announced(
    kind: str, rows_before: int, rows: int
) -> None:
    draw = np.random.default_rng(rows)
    pool = world(200_000, draw)
    streams, alarms, large = 1_000, {"holm": 0, "benjamini-hochberg": 0}, 0
    for _ in range(streams):
        sample = pool[draw.integers(0, pool.height, rows_before + rows)]
        before = sample[:rows_before]
        reference = Sketch.over(before, KINDS) if kind == "sketch" else Sketch.of_bundle(sketch_features(before, KINDS))
        drifts = compare(reference, Sketch.empty(reference.layout).add(sample[rows_before:]))
        for correction in alarms:
            found = corrected([drift.p for drift in drifts], correction)
            alarms[correction] += min(p for p in found if p is not None) <= 0.05
        large += bool(found_in(drifts))
    assert all(0.005 * streams < times <= 0.05 * streams for times in alarms.values()), alarms
    assert large <= 0.02 * streams


@pytest.mark.parametrize("rows", [400, 20_000])
def test_what_has_moved_is_found_and_named(rows: int) -> None:
    draw = np.random.default_rng(5)
    reference = Sketch.over(world(20_000, draw), KINDS)
    empty = Sketch.empty(reference.layout)
    still = world(rows, draw)
    assert found_in(compare(reference, empty.add(still))) == []
    moved = {
        "x": still["x"] + 0.8,
        "skew": still["skew"] * 3,
        "steps": still["steps"].set(pl.Series(draw.random(rows) < 0.3), None),
        "flag": pl.Series(draw.random(rows) < 0.6),
        "name": pl.Series(np.where(draw.random(rows) < 0.3, "new", still["name"].to_numpy())),
        "rare": pl.Series(np.where(draw.random(rows) < 0.4, "v3", still["rare"].to_numpy())),
    }
    for name, column in moved.items():
        assert found_in(compare(reference, empty.add(still.with_columns(column.alias(name))))) == [name]
    drifts = compare(reference, empty.add(still.with_columns(**moved)))
    assert found_in(drifts) == list(KINDS)
    assert share_drifted(drifts) == 1.0
    by_name = {drift.name: drift for drift in drifts}
    assert by_name["steps"].missing.now == pytest.approx(0.32, abs=0.06)
    names = by_name["name"].values
    assert isinstance(names, CategoryDistance)
    assert names.named == (("new", int((moved["name"] == "new").sum())),)
    assert names.unlisted_before == 0
    assert names.unlisted == pytest.approx(0.3, abs=0.06)
    numbers = by_name["x"].values
    assert isinstance(numbers, NumberDistance)
    assert numbers.wasserstein == pytest.approx(0.8, abs=0.15)


def test_what_is_real_but_small_is_told_and_is_no_drift() -> None:
    draw = np.random.default_rng(6)
    before = pl.DataFrame({"x": draw.normal(size=50_000)})
    reference = Sketch.over(before, {"x": "float"})
    (drift,) = compare(reference, Sketch.empty(reference.layout).add(before + 0.05))
    assert drift.corrected is not None
    assert drift.corrected < 1e-6
    assert not drift.drifted
    (drift,) = compare(reference, Sketch.empty(reference.layout).add(before + 0.05), effect=0.001)
    assert drift.drifted


@settings(max_examples=200, deadline=None, database=None)
@given(p_values)
def test_corrections_are_those_of_the_books(values: list[float | None]) -> None:
    holm, discovery = corrected(values), corrected(values, "benjamini-hochberg")
    asked = [p for p in values if p is not None]
    for p, one, other in zip(values, holm, discovery, strict=True):
        assert (p is None) == (one is None) == (other is None)
        if p is not None and one is not None and other is not None:
            assert p <= other + 1e-12
            assert other <= one + 1e-12
            smaller = sorted(asked)[: sorted(asked).index(p) + 1]
            assert one == pytest.approx(min(1, max((len(asked) - k) * q for k, q in enumerate(smaller))))
    if asked:
        assert [p for p in discovery if p is not None] == pytest.approx(false_discovery_control(asked).tolist())


# A bundle's reference


def test_a_bundle_that_lists_few_of_many_names_raises_no_alarm() -> None:
    draw = np.random.default_rng(10)
    names = np.array([f"v{k}" for k in range(500)])
    p_values = []
    for _ in range(60):
        before, now = (pl.DataFrame({"name": names[draw.integers(0, 500, 5_000)]}) for _ in range(2))
        reference = Sketch.of_bundle(sketch_features(before, {"name": "category"}))
        (drift,) = compare(reference, Sketch.empty(reference.layout).add(now))
        p_values.append(1.0 if drift.p is None else drift.p)
    assert sum(p <= 0.05 for p in p_values) <= 3


def test_rows_are_compared_with_what_a_bundle_carries() -> None:
    draw = np.random.default_rng(7)
    reference = Sketch.of_bundle(sketch_features(world(20_000, draw), KINDS))
    empty = Sketch.empty(reference.layout)
    still = world(2_000, draw)
    assert found_in(compare(reference, empty.add(still))) == []
    moved = still.with_columns(x=pl.col("x") + 1, name=pl.lit("new"))
    drifts = compare(reference, empty.add(moved))
    assert found_in(drifts) == ["x", "name"]
    numbers = drifts[0].values
    assert isinstance(numbers, NumberDistance)
    assert numbers.wasserstein == pytest.approx(1, abs=numbers.wasserstein_error)


# Cases


def test_values_that_no_layout_lists_are_told_from_each_other() -> None:
    empty = Sketch.empty(Layout.over(pl.DataFrame({"name": ["a"]}), {"name": "category"}))
    before, now = (pl.DataFrame({"name": ["a"] * 500 + [new] * 500}) for new in ("b", "c"))
    (drift,) = compare(empty.add(before), empty.add(now))
    assert drift.drifted
    assert isinstance(drift.values, CategoryDistance)
    assert drift.values.named == (("c", 500),)
    assert found_in(compare(empty.add(before), empty.add(before))) == []


def test_the_p_value_of_a_column_pays_for_each_test() -> None:
    draw = np.random.default_rng(11)
    before, now = (world(2_000, draw) for _ in range(2))
    reference = Sketch.over(before, KINDS)
    drifts = {drift.name: drift for drift in compare(reference, Sketch.empty(reference.layout).add(now))}
    x, steps = drifts["x"], drifts["steps"]
    assert x.p == x.values.p
    assert steps.p is not None
    assert steps.missing.p is not None
    assert steps.values.p is not None
    assert steps.p == min(1.0, 2 * min(steps.missing.p, steps.values.p)) < 1


def test_nothing_is_said_of_no_rows_and_of_nothing_but_missing_values() -> None:
    draw = np.random.default_rng(8)
    frame = world(500, draw)
    reference = Sketch.over(frame, KINDS)
    empty = Sketch.empty(reference.layout)
    for drifts in (compare(reference, empty), compare(empty, reference), compare(empty, empty)):
        assert [(drift.psi, drift.p, drift.corrected, drift.drifted) for drift in drifts] == [
            (None, None, None, False)
        ] * 6
    gone = empty.add(frame.with_columns(pl.lit(None).alias(name) for name in KINDS))
    assert found_in(compare(reference, gone)) == list(KINDS)
    assert found_in(compare(gone, reference)) == list(KINDS)
    assert found_in(compare(gone, gone)) == []
    nothing = Sketch.empty(Layout.over(frame[:0], KINDS))
    drifts = compare(nothing.add(frame), nothing.add(frame))
    assert found_in(drifts) == []
    assert share_drifted([]) == 0.0


def test_a_constant_that_changes_is_found_without_a_deviation_to_measure_by() -> None:
    reference = Sketch.over(pl.DataFrame({"x": [1.0] * 100}), {"x": "float"})
    (drift,) = compare(reference, Sketch.empty(reference.layout).add(pl.DataFrame({"x": [2.0] * 100})))
    assert drift.drifted
    assert isinstance(drift.values, NumberDistance)
    assert (drift.values.ks, drift.values.ks_error, drift.values.wasserstein) == (1.0, 0.0, None)


def test_what_was_found_is_written_and_read_back() -> None:
    draw = np.random.default_rng(9)
    reference = Sketch.over(world(500, draw), KINDS)
    drifts = compare(reference, Sketch.empty(reference.layout).add(world(100, draw)))
    assert msgspec.json.decode(msgspec.json.encode(drifts), type=list[Drift]) == drifts


def test_sketches_of_different_layouts_are_refused() -> None:
    one, other = (Sketch.over(pl.DataFrame({"x": [x]}), {"x": "float"}) for x in (1.0, 2.0))
    with pytest.raises(ValueError, match="different layouts"):
        compare(one, other)
