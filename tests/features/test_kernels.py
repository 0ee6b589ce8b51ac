"""Laws of the window kernels: each equals an obvious loop, and no window hears of what is outside it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.features import kernels

Case = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
Kernel = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]

MAGNITUDES = st.one_of(
    st.sampled_from([0.0, -0.0, 1e-3, 2e-3, 1e9, -1e9, 1e9 + 1e-3]),
    st.integers(-50, 50).map(float),
    st.floats(-1e9, 1e9, allow_subnormal=False),
)

HUGE = st.one_of(st.just(1e100), MAGNITUDES)


@st.composite
def cases(draw: st.DrawFn, values: st.SearchStrategy[float] = MAGNITUDES) -> Case:
    """Draw sorted values, the starts of their keys, and monotone windows within the keys."""
    column, starts, lower, upper = [], [0], [], []
    for _ in range(draw(st.integers(1, 3))):
        column += draw(st.lists(values, max_size=25))
        first, last = starts[-1], len(column)
        starts.append(last)
        n = draw(st.integers(0, 12))
        bounds = st.lists(st.integers(first, last), min_size=n, max_size=n).map(sorted)
        for low, high in zip(draw(bounds), draw(bounds), strict=True):
            lower.append(min(low, high))
            upper.append(max(low, high))
    return (
        np.array(column, np.float64),
        np.array(starts, np.int32),
        np.array(lower, np.int32),
        np.array(upper, np.int32),
    )


def windows(case: Case) -> list[list[float]]:
    """Return the values in each window."""
    values, _, lower, upper = case
    return [values[first:end].tolist() for first, end in zip(lower, upper, strict=True)]


def written(kernel: Callable[..., None], *inputs: Any, dtype: type = np.float64) -> np.ndarray:
    """What a kernel writes; the bounds of the windows are its last inputs."""
    out = np.full(len(inputs[-1]), -7, dtype)
    kernel(*inputs, out)
    return out


def sums_before(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    sums = np.full((2, len(values)), -7.0)
    kernels.prefix_sums(values, starts, *sums)
    return sums


def total(values: np.ndarray, starts: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    return written(kernels.window_sum, values, *sums_before(values, starts), lower, upper)


def mean(values: np.ndarray, starts: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    return written(kernels.window_mean, values, *sums_before(values, starts), lower, upper)


def with_scratch(kernel: Callable[..., None]) -> Kernel:
    def run(values: np.ndarray, starts: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        out = np.full(len(lower), -7.0)
        kernel(values, lower, upper, np.full((2, len(values)), -7.0), out)
        return out

    return run


KERNELS: dict[str, Kernel] = {
    "count": lambda values, starts, lower, upper: written(kernels.window_count, lower, upper, dtype=np.int64),
    "sum": total,
    "mean": mean,
    "std": with_scratch(kernels.window_std),
    "min": with_scratch(kernels.window_min),
    "max": with_scratch(kernels.window_max),
    "first": lambda values, starts, lower, upper: kernels.first_position(lower, upper),
    "latest": lambda values, starts, lower, upper: kernels.latest_position(lower, upper),
}


@pytest.mark.parametrize(
    ("name", "obvious"),
    [
        ("count", len),
        ("min", lambda window: min(window, default=math.nan)),
        ("max", lambda window: max(window, default=math.nan)),
    ],
)
@given(case=cases())
@settings(deadline=None)
def test_counts_and_extremes_are_exact(name: str, obvious: Callable[[list[float]], float], case: Case) -> None:
    np.testing.assert_array_equal(KERNELS[name](*case), [float(obvious(window)) for window in windows(case)])


@given(cases())
@settings(deadline=None)
def test_sum_and_mean_equal_fsum(case: Case) -> None:
    sums = [math.fsum(window) for window in windows(case)]
    means = [total / len(window) if window else math.nan for total, window in zip(sums, windows(case), strict=True)]
    # What cancels to nothing keeps the 106 bits of the history: 1e-20 beside 1e9.
    np.testing.assert_allclose(total(*case), sums, rtol=1e-15, atol=1e-20)
    np.testing.assert_allclose(mean(*case), means, rtol=1e-15, atol=1e-20)


def exact_std(window: list[float]) -> float:
    if len(window) < 2:
        return math.nan
    return math.sqrt(statistics.variance(Fraction(value) for value in window))


@given(cases())
@settings(deadline=None)
def test_std_equals_the_exact_one_however_far_the_mean(case: Case) -> None:
    np.testing.assert_allclose(
        KERNELS["std"](*case), [exact_std(window) for window in windows(case)], rtol=1e-13, atol=0
    )


@given(cases(st.integers(0, 3).map(float)))
@settings(deadline=None)
def test_distinct_counts_the_different_values(case: Case) -> None:
    values, _, lower, upper = case
    distinct = written(kernels.window_distinct, values.astype(np.int32), 4, lower, upper, dtype=np.int64)
    assert distinct.tolist() == [len(set(window)) for window in windows(case)]


@given(cases())
@settings(deadline=None)
def test_first_and_latest_are_the_ends_of_the_window(case: Case) -> None:
    values = case[0]
    first, latest = KERNELS["first"](*case), KERNELS["latest"](*case)
    for window, start, end in zip(windows(case), first, latest, strict=True):
        assert (start == end == -1) if not window else (end - start == len(window) - 1)
        assert not window or ([values[start], values[end]] == [window[0], window[-1]])


@pytest.mark.parametrize("name", KERNELS)
@given(case=cases(), other=st.lists(HUGE, min_size=1, max_size=5), later=st.lists(HUGE, max_size=5))
@settings(deadline=None, max_examples=40)
def test_other_keys_and_later_facts_change_no_bit(
    name: str, case: Case, other: list[float], later: list[float]
) -> None:
    values, starts, lower, upper = case
    shift = len(other)
    values = np.concatenate([other, values, later])
    wider = np.concatenate([[0], starts + shift])
    wider[-1] += len(later)
    changed = KERNELS[name](values, wider, lower + shift, upper + shift)
    if name in ("first", "latest"):
        changed = np.where(changed < 0, changed, changed - shift)
    np.testing.assert_array_equal(changed, KERNELS[name](*case))


def test_small_windows_survive_a_million_large_values() -> None:
    """Precision at length: 1e9-sized values next to 1e-3-sized ones over a history of a million facts."""
    rng = np.random.default_rng(7)
    n = 1_000_000
    small = rng.random(n) < 0.5
    small[-5000:] = True
    values = np.where(small, rng.uniform(1e-3, 2e-3, n), rng.uniform(1e9, 2e9, n))
    upper = np.sort(rng.integers(50, n + 1, 2000))
    lower, upper = np.append(upper - 50, n - 50), np.append(upper, n)
    starts = np.array([0, n])
    sums = total(values, starts, lower, upper)
    exact = [math.fsum(values[first:end]) for first, end in zip(lower, upper, strict=True)]
    np.testing.assert_allclose(sums, exact, rtol=1e-12, atol=0)
    std = KERNELS["std"](values, starts, lower, upper)
    assert std[-1] == pytest.approx(exact_std(values[-50:].tolist()), rel=1e-13)
