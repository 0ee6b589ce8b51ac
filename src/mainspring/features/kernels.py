"""Window kernels: one linear scan each over (sorted values, lower, upper), with bounds that never decrease.

Every kernel takes what an `Alignment` holds: `lower` and `upper`, the positions [lower, upper) of each sorted decision's
window. Answers are in the same sorted order: float64 where NaN is missing, int64 of counts and positions. Windows write
theirs into `out`, and what they need besides into `scratch` (a row of float64, or two, as long as the values), so that the
caller can allocate once for many: a new page of memory costs about as much as the answers on it. Values are finite:
`Alignment.compact` took the missing ones out. Kernels release the GIL, keep no state, and an answer depends neither on
later facts nor on the facts of other keys, to the last bit.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = [
    "first_position",
    "latest_position",
    "prefix_sums",
    "window_count",
    "window_distinct",
    "window_max",
    "window_mean",
    "window_min",
    "window_std",
    "window_sum",
]


@njit(cache=True, nogil=True)
def window_count(lower, upper, out):  # type: ignore[no-untyped-def]
    """Count the facts of each window; 0 where there are none."""
    for i in range(len(lower)):
        out[i] = upper[i] - lower[i]


def first_position(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Return the sorted position of the first fact of each window; -1 where there is none."""
    return np.where(lower < upper, lower, -1)


def latest_position(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Return the sorted position of the last fact of each window; -1 where there is none."""
    return np.where(lower < upper, upper - 1, -1)


@njit(cache=True, nogil=True)
def _add_exactly(a, b):  # type: ignore[no-untyped-def]
    """Return the rounded sum of two floats and what the rounding lost (Knuth, TAOCP 2, 4.2.2)."""
    total = a + b
    of_b = total - a
    return total, (a - (total - of_b)) + (b - of_b)


@njit(cache=True, nogil=True)
def prefix_sums(values, starts, high, low):  # type: ignore[no-untyped-def]
    """Write, for each sorted fact, the sum of the earlier values of its key as an unevaluated pair (high, low).

    Serves `window_sum` and `window_mean` for every span. The pair carries 106 bits (Dekker, Numer. Math. 18, 1971), so
    that a window of small values is not lost behind a long history of large ones. Sums start anew at each key's start.
    """
    for key in range(len(starts) - 1):
        total, rest = 0.0, 0.0
        for i in range(starts[key], starts[key + 1]):
            high[i] = total
            low[i] = rest
            total, lost = _add_exactly(total, values[i])
            total, rest = _add_exactly(total, rest + lost)


@njit(cache=True, nogil=True)
def window_sum(values, high, low, lower, upper, out):  # type: ignore[no-untyped-def]
    """Sum the values of each window, given their `prefix_sums`; 0 where there are none.

    The error is one rounding, and about 1e-32 of the largest sum in the key's history for each fact of it.
    """
    for i in range(len(lower)):
        out[i] = _sum_between(values, high, low, lower[i], upper[i])


@njit(cache=True, nogil=True)
def window_mean(values, high, low, lower, upper, out):  # type: ignore[no-untyped-def]
    """Average the values of each window, given their `prefix_sums`; NaN where there are none."""
    for i in range(len(lower)):
        count = upper[i] - lower[i]
        out[i] = _sum_between(values, high, low, lower[i], upper[i]) / count if count > 0 else np.nan


@njit(cache=True, nogil=True)
def _sum_between(values, high, low, first, end):  # type: ignore[no-untyped-def]
    if first >= end:
        return 0.0
    last = end - 1
    total, lost = _add_exactly(high[last], values[last])
    difference, lost_again = _add_exactly(total, -high[first])
    return difference + (lost_again + (lost + (low[last] - low[first])))


@njit(cache=True, nogil=True)
def window_max(values, lower, upper, scratch, out):  # type: ignore[no-untyped-def]
    """Write the greatest value of each window; NaN where there are none."""
    _extreme(values, lower, upper, scratch[0], out, 1.0)


@njit(cache=True, nogil=True)
def window_min(values, lower, upper, scratch, out):  # type: ignore[no-untyped-def]
    """Write the least value of each window; NaN where there are none."""
    _extreme(values, lower, upper, scratch[0], out, -1.0)


@njit(cache=True, nogil=True)
def _extreme(values, lower, upper, nearest, out, sign):  # type: ignore[no-untyped-def]
    """Find extremes stretch by stretch (see `_stretch`).

    Unlike a queue of candidates there is no branch that the values decide: a third to a fifth of its time.
    """
    i = 0
    while i < len(lower):
        first, middle = lower[i], upper[i]
        last, end = _stretch(lower, upper, i)
        best = -np.inf
        for j in range(middle - 1, first - 1, -1):
            best = max(best, sign * values[j])
            nearest[j] = best
        best = -np.inf
        for j in range(middle, end):
            best = max(best, sign * values[j])
            nearest[j] = best
        while i < last:
            if lower[i] == upper[i]:
                out[i] = np.nan
            else:
                out[i] = sign * max(nearest[lower[i]], nearest[upper[i] - 1])
            i += 1


@njit(cache=True, nogil=True)
def _stretch(lower, upper, i):  # type: ignore[no-untyped-def]
    """Return the decision after the last whose window reaches back over upper[i], and the end of the windows before it.

    Every window from i on to there is a piece that ends at the middle, upper[i], and a piece that begins at it. Aggregates
    of all pieces are running ones, backwards and forwards from the middle: nothing is ever taken out of an aggregate, and
    each value is read twice (a two-stack queue, all of whose flips are known beforehand).
    """
    last = i + 1
    while last < len(lower) and lower[last] < upper[i]:
        last += 1
    return last, upper[last - 1]


@njit(cache=True, nogil=True)
def window_std(values, lower, upper, scratch, out):  # type: ignore[no-untyped-def]
    """Write the sample standard deviation (n - 1) of each window; NaN where there are fewer than two values.

    Found stretch by stretch (see `_stretch`), so that a large value that leaves the window leaves no error behind, by
    running means and squared deviations (Welford 1962) merged by Chan, Golub and LeVeque (1979). Each piece of a window
    measures its values from the one next to the middle, which is in all of them: precision does not suffer where the mean
    is large beside the spread.
    """
    means, squares = scratch[0], scratch[1]
    i = 0
    while i < len(lower):
        first, middle = lower[i], upper[i]
        last, end = _stretch(lower, upper, i)
        mean, square = 0.0, 0.0
        for j in range(middle - 1, first - 1, -1):
            value = values[j] - values[middle - 1]
            gap = value - mean
            mean += gap / (middle - j)
            square += gap * (value - mean)
            means[j], squares[j] = mean, square
        mean, square = 0.0, 0.0
        for j in range(middle, end):
            value = values[j] - values[middle]
            gap = value - mean
            mean += gap / (j + 1 - middle)
            square += gap * (value - mean)
            means[j], squares[j] = mean, square
        while i < last:
            before, after = middle - lower[i], upper[i] - middle
            if before + after < 2:
                out[i] = np.nan
            else:
                square = squares[lower[i]]
                if after > 0:
                    gap = (values[middle] - values[middle - 1]) + (means[upper[i] - 1] - means[lower[i]])
                    square += squares[upper[i] - 1] + gap * gap * (before * (after / (before + after)))
                out[i] = np.sqrt(square / (before + after - 1))
            i += 1


@njit(cache=True, nogil=True)
def window_distinct(codes, n_values, lower, upper, out):  # type: ignore[no-untyped-def]
    """Count the different values of each window, given as int32 codes below `n_values`; 0 where there are none."""
    seen = np.zeros(n_values, np.int64)
    first, end, distinct = 0, 0, 0
    for i in range(len(lower)):
        while end < upper[i]:
            distinct += seen[codes[end]] == 0
            seen[codes[end]] += 1
            end += 1
        while first < lower[i]:
            seen[codes[first]] -= 1
            distinct -= seen[codes[first]] == 0
            first += 1
        out[i] = distinct
