from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from mainspring.monitoring.distances import (
    chi_square,
    jensen_shannon,
    kolmogorov_smirnov,
    large_cells,
    p_of_shares,
    population_stability,
    wasserstein,
)
from mainspring.monitoring.layout import Layout, NumberBins
from mainspring.monitoring.sketch import NumberCounts, Sketch

few_examples = settings(max_examples=150, deadline=None, database=None)
LARGEST = np.finfo(np.float64).max
values = st.one_of(
    st.sampled_from([0.0, 1.0, np.inf, -np.inf, LARGEST, 5e-324]),
    st.integers(-3, 3).map(float),
    st.floats(-5, 5),
    st.floats(allow_nan=False),
)
samples = st.lists(values, min_size=1, max_size=60).map(np.array)
finite_samples = st.lists(st.integers(-3, 3).map(float) | st.floats(-5, 5), min_size=1, max_size=60).map(np.array)
counts = st.lists(st.integers(0, 300), min_size=1, max_size=8)


def counted(reference: np.ndarray, current: np.ndarray, bins: int = 4) -> tuple[NumberBins, NumberCounts, NumberCounts]:
    frame = pl.DataFrame({"x": reference})
    empty = Sketch.empty(Layout.over(frame, {"x": "float"}, bins=bins))
    column = empty.layout.columns[0]
    before, now = (empty.add(pl.DataFrame({"x": each})).columns[0] for each in (reference, current))
    assert isinstance(column, NumberBins)
    assert isinstance(before, NumberCounts)
    assert isinstance(now, NumberCounts)
    return column, before, now


# Laws


@few_examples
@given(reference=samples, current=samples)
def test_the_exact_kolmogorov_smirnov_lies_within_the_stated_error(reference: np.ndarray, current: np.ndarray) -> None:
    column, before, now = counted(reference, current)
    found = kolmogorov_smirnov(column.edges, before.counts, now.counts)
    points = np.concatenate((reference, current)).clip(-LARGEST, LARGEST)
    shares = [
        np.searchsorted(np.sort(each.clip(-LARGEST, LARGEST)), points, "right") / len(each)
        for each in (reference, current)
    ]
    exact = np.abs(shares[0] - shares[1]).max()
    assert found is not None
    assert found.statistic - 1e-12 <= exact <= found.statistic + found.error + 1e-12
    assert 0 <= found.p <= 1


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_the_stated_error_is_small_whatever_repeats(decimals: int) -> None:
    draw = np.random.default_rng(decimals)
    reference, current = draw.normal(size=30_000).round(decimals), draw.normal(0.1, 1.1, 20_000).round(decimals)
    column, before, now = counted(reference, current, bins=256)
    found = kolmogorov_smirnov(column.edges, before.counts, now.counts)
    exact = stats.ks_2samp(reference, current, method="asymp")
    assert found is not None
    assert found.error < 1.2 / 256
    assert found.statistic == pytest.approx(exact.statistic, abs=found.error + 1e-12)
    assert found.p >= exact.pvalue


@few_examples
@given(reference=finite_samples, current=finite_samples)
def test_the_exact_wasserstein_distance_lies_within_the_stated_error(
    reference: np.ndarray, current: np.ndarray
) -> None:
    column, before, now = counted(reference, current)
    both = np.concatenate((reference, current))
    found = wasserstein(column.edges, before.counts, now.counts, float(both.min()), float(both.max()))
    assert found is not None
    distance, error = found
    assert stats.wasserstein_distance(reference, current) == pytest.approx(distance, abs=error + 1e-9)


@few_examples
@given(before=counts, data=st.data())
def test_jensen_shannon_is_that_of_scipy(before: list[int], data: st.DataObject) -> None:
    now = data.draw(st.lists(st.integers(0, 300), min_size=len(before), max_size=len(before)))
    found = jensen_shannon(before, now)
    if not sum(before) or not sum(now):
        assert found is None
        return
    assert found == pytest.approx(jensenshannon(before, now, base=2), abs=1e-6)
    assert found == pytest.approx(jensen_shannon(now, before), abs=1e-6)
    assert 0 <= found <= 1 + 1e-12


@few_examples
@given(before=counts, data=st.data(), rest=st.tuples(st.integers(0, 20), st.integers(0, 20)), floor=st.integers(0, 50))
def test_chi_square_is_that_of_scipy_over_cells_with_enough_rows(
    before: list[int], data: st.DataObject, rest: tuple[int, int], floor: int
) -> None:
    now = data.draw(st.lists(st.integers(0, 300), min_size=len(before), max_size=len(before)))
    table = np.array([before, now])
    cells = large_cells(table, rest, floor)
    assert cells.sum(axis=1).tolist() == (table.sum(axis=1) + rest).tolist()
    found = chi_square(cells)
    if found is None:
        assert cells.shape[1] == 1 or not cells.sum(axis=1).all()
        return
    exact = stats.chi2_contingency(cells, correction=False)
    assert exact.expected_freq.min() >= 5 - 1e-9
    assert cells[:, :-1].sum(axis=0).min() >= floor
    assert found[:3] == pytest.approx((exact.statistic, exact.dof, exact.pvalue))
    assert found.cramers_v <= stats.contingency.association(cells, correction=False) + 1e-9


@few_examples
@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_equal_shares_are_tested_exactly(before: int, others_before: int, now: int, others: int) -> None:
    found = p_of_shares(before, before + others_before, now, now + others)
    if found is None:
        assert 0 in (before + now, others_before + others, before + others_before, now + others)
        return
    exact = stats.hypergeom(before + others_before + now + others, before + now, now + others)
    assert found == pytest.approx(min(1, 2 * min(exact.cdf(now), exact.sf(now - 1))), rel=1e-9)
    assert found == pytest.approx(p_of_shares(now, now + others, before, before + others_before), rel=1e-9)


@pytest.mark.parametrize(("total", "rows"), [(9_990, 10_000), (10_020, 10_000), (50_000, 9_000), (99_000, 51_000)])
@pytest.mark.parametrize("deviations", [-4, -2, 0, 2, 4])
def test_with_many_rows_the_normal_distribution_is_close_to_the_exact_one(
    total: int, rows: int, deviations: int
) -> None:
    exact = stats.hypergeom(100_000, total, rows)
    now = int(exact.mean() + deviations * exact.std())
    found = p_of_shares(total - now, 100_000 - rows, now, rows)
    assert found == pytest.approx(min(1, 2 * min(exact.cdf(now), exact.sf(now - 1))), rel=0.35)


@few_examples
@given(before=counts, factor=st.integers(1, 5))
def test_the_same_shares_are_no_distance_apart(before: list[int], factor: int) -> None:
    now = [factor * rows for rows in before]
    if sum(before):
        assert population_stability(before, now) == pytest.approx(0, abs=1e-2)
        assert jensen_shannon(before, now) == pytest.approx(0, abs=1e-7)
        tested = chi_square(large_cells(np.array([before, now]), (0, 0)))
        assert tested is None or (tested.statistic == pytest.approx(0, abs=1e-9) and tested.cramers_v == 0)


def test_the_stability_index_is_free_of_the_noise_of_few_rows() -> None:
    draw = np.random.default_rng(0)
    shares = np.full(10, 0.1)
    for n, m in itertools.product((100, 1_000), (100, 1_000)):
        found = [
            population_stability(draw.multinomial(n, shares), draw.multinomial(m, shares)) or 0.0 for _ in range(400)
        ]
        noise = 9 * (1 / n + 1 / m)
        assert np.mean(found) < 0.3 * noise
    drifted = [0.2, 0.2, 0.05, 0.05] + [0.5 / 6] * 6
    plain = sum((q - 0.1) * np.log(q / 0.1) for q in drifted)
    found = [population_stability(draw.multinomial(2_000, shares), draw.multinomial(500, drifted)) for _ in range(300)]
    assert np.mean([each for each in found if each is not None]) == pytest.approx(plain, rel=0.03)


# Cases


def test_nothing_is_said_of_no_rows() -> None:
    for before, now in (([0, 0], [1, 2]), ([1, 2], [0, 0]), ([], [])):
        assert population_stability(before, now) is None
        assert jensen_shannon(before, now) is None
        assert chi_square(np.array([before, now])) is None
        edges = [0.0] * (len(before) - 1)
        assert kolmogorov_smirnov(edges, before, now) is None
        assert wasserstein(edges, before, now, 0.0, 1.0) is None
    assert p_of_shares(0, 0, 3, 5) is None
    assert p_of_shares(1, 3, 0, 0) is None


def test_a_distance_beyond_float64_is_unknown() -> None:
    assert wasserstein([0.0], [1, 0], [0, 1], -LARGEST, LARGEST) is None


def test_shares_of_a_billion_rows_and_differences_beyond_any_doubt() -> None:
    exact = stats.hypergeom(10**9 + 10**6, 11, 10**6)
    assert p_of_shares(10, 10**9, 1, 10**6) == pytest.approx(2 * exact.sf(0), rel=1e-4)
    assert p_of_shares(0, 10**6, 10**4, 10**4) == 0.0
    assert p_of_shares(10**6, 10**6, 0, 10**4) == 0.0
