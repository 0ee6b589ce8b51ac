"""Walking the trees of a `Forest`: one row at a time, several trees at once, as LightGBM does to the last bit.

`row` is float64 (features,), NaN for missing. Leaves are added in the order of the trees, since a sum of floats depends on
it. Kernels keep no state. Where one of them writes to `values`, `words_at` and `at`, it is scratch of its caller's.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from mainspring.model.forest import AS_IT_IS, CATEGORY, LANES, MISSING_FOR_ZERO, SIGMOID, SOFTMAX

__all__ = ["score_row", "score_rows"]

_ZERO = float(np.float32(1e-35))  # LightGBM takes what is no further from 0 than this for 0


@njit(cache=True)
def score_row(nodes, words, roots, cells, link, scale, row):  # type: ignore[no-untyped-def]
    """Return the answer of a forest with one output.

    Keeps the GIL: some microseconds of work are not worth waiting in line for it afterwards.
    """
    values, words_at, at = np.empty(len(cells)), np.empty(len(cells), np.int64), np.empty(LANES, np.int64)
    _fill_cells(cells, row, values, words_at)
    score = _sum_of_leaves(nodes, words, roots[0], values, words_at, at)
    return 1.0 / (1.0 + math.exp(-scale * score)) if link == SIGMOID else score


@njit(cache=True, nogil=True)
def score_rows(nodes, words, roots, cells, link, scale, rows, out):  # type: ignore[no-untyped-def]
    """Write the answers for rows (rows, features) into `out` (rows, outputs). Releases the GIL."""
    values, words_at, at = np.empty(len(cells)), np.empty(len(cells), np.int64), np.empty(LANES, np.int64)
    for i in range(len(rows)):
        _fill_cells(cells, rows[i], values, words_at)
        for k in range(len(roots)):
            score = _sum_of_leaves(nodes, words, roots[k], values, words_at, at)
            out[i, k] = 1.0 / (1.0 + math.exp(-scale * score)) if link == SIGMOID else score
        if link == SOFTMAX:
            _softmax(out[i])


@njit(cache=True)
def _fill_cells(cells, row, values, words_at):  # type: ignore[no-untyped-def]
    """Write what each cell's nodes compare, and where the answers of its sets begin."""
    for c in range(len(cells)):
        cell = cells[c]
        value = row[cell.feature]
        if abs(value) <= _ZERO:
            value = 0.0
        words_at[c] = cell.offset
        if cell.reading == CATEGORY:
            code = int(value) if -1.0 < value < cell.codes else cell.codes  # toward zero; no code: the row of zeros
            words_at[c] += code * cell.stride
            value = np.nan
        elif cell.reading == MISSING_FOR_ZERO:
            value = np.nan if value == 0.0 else value
        elif cell.reading != AS_IT_IS:
            value = 0.0 if math.isnan(value) else value
        values[c] = value


@njit(cache=True)
def _sum_of_leaves(nodes, words, roots, values, words_at, at):  # type: ignore[no-untyped-def]
    """Return the sum of the leaves that a row reaches from the roots of one output."""
    total = 0.0
    for begin in range(0, len(roots), LANES):
        for lane in range(LANES):
            at[lane] = roots[begin + lane]
        moved = True
        while moved:
            moved = False
            for lane in range(LANES):
                node = nodes[at[lane]]
                value = values[node.cell]
                word = words[words_at[node.cell] + (node.set >> 6)]
                second_if_missing = (word >> np.uint64(node.set & 63)) & np.uint64(1) == 0
                to = node.first + ((value > node.threshold) | ((value != value) & second_if_missing))
                moved |= to != at[lane]
                at[lane] = to
        for lane in range(LANES):
            total += nodes[at[lane]].threshold
    return total


@njit(cache=True)
def _softmax(scores):  # type: ignore[no-untyped-def]
    """Turn scores into probabilities in place, in LightGBM's order of operations."""
    largest = scores[0]
    for k in range(1, len(scores)):
        largest = max(scores[k], largest)
    total = 0.0
    for k in range(len(scores)):
        scores[k] = math.exp(scores[k] - largest)
        total += scores[k]
    for k in range(len(scores)):
        scores[k] /= total
