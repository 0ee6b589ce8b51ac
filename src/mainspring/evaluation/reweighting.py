"""Sums, AUC and average precision under many weightings of the same rows at once: resampling without copying a row.

Rows belong to blocks (a day, or each row its own), and a weighting says how often each block counts: column r of `counts`,
of shape (blocks, weightings). A sum under all weightings is then a small product over blocks, and a ranking statistic is
one sweep over the rows in order of prediction with one lane per weighting. All arrays are NumPy; results are float64, in a
fixed order of summation, so that equal inputs give equal bits. A statistic that a weighting leaves undefined is NaN; the
callers drop it.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["average_precision", "roc_auc", "totals"]

Floats = NDArray[np.float64]


def totals(
    values: Floats, block: NDArray[np.int32], counts: NDArray, cell: NDArray[np.intp] | None = None, cells: int = 1
) -> Floats:
    """Return the sum of `values` (n,) in each cell under each weighting: (cells, weightings).

    `cell` (n,) numbers a row's cell from 0; without it all rows share one.
    """
    key = block if cell is None else block.astype(np.intp) * cells + cell
    sums = np.bincount(key, weights=values, minlength=counts.shape[0] * cells).reshape(counts.shape[0], cells)
    return _weighted_sums(sums, counts)


@numba.njit(cache=True, nogil=True)
def _weighted_sums(sums, counts):  # type: ignore[no-untyped-def]
    blocks, cells = sums.shape
    weightings = counts.shape[1]
    out = np.zeros((cells, weightings))
    for b in range(blocks):
        for c in range(cells):
            value = sums[b, c]
            if value != 0.0:
                for r in range(weightings):
                    out[c, r] += value * counts[b, r]
    return out


def roc_auc(y: Floats, p: Floats, weight: Floats | None, block: NDArray[np.int32], counts: NDArray) -> Floats:
    """Return the area under the ROC curve under each weighting, ties counting half (Fawcett, 2006).

    NaN where a weighting has no positive or no negative row.
    """
    order = np.argsort(p)
    return _sweep_auc(*_ordered(order, y, p, weight, block), counts)


def average_precision(y: Floats, p: Floats, weight: Floats | None, block: NDArray[np.int32], counts: NDArray) -> Floats:
    """Return the average precision under each weighting: precision at each threshold, weighted by the gain in recall.

    The step-wise sum, not the trapezoid, which is too optimistic (Davis and Goadrich, 2006). NaN without a positive row.
    """
    order = np.argsort(-p)
    return _sweep_precision(*_ordered(order, y, p, weight, block), counts)


def _ordered(
    order: NDArray, y: Floats, p: Floats, weight: Floats | None, block: NDArray[np.int32]
) -> tuple[NDArray, Floats, Floats, NDArray[np.int32]]:
    scale = np.ones(len(order)) if weight is None else np.asarray(weight, dtype=np.float64)[order]
    return y[order] > 0.5, p[order], scale, block[order]


@numba.njit(cache=True, nogil=True)
def _sweep_auc(positive, p, weight, block, counts):  # type: ignore[no-untyped-def]
    weightings = counts.shape[1]
    below, above, won = np.zeros(weightings), np.zeros(weightings), np.zeros(weightings)
    tied_below, tied_above = np.zeros(weightings), np.zeros(weightings)
    i, n = 0, len(p)
    while i < n:
        j = i + 1
        while j < n and p[j] == p[i]:
            j += 1
        if j == i + 1:  # the common case needs no buffers for ties
            w, b = weight[i], block[i]
            if positive[i]:
                for r in range(weightings):
                    share = w * counts[b, r]
                    won[r] += share * below[r]
                    above[r] += share
            else:
                for r in range(weightings):
                    below[r] += w * counts[b, r]
        else:
            tied_below[:] = 0.0
            tied_above[:] = 0.0
            for k in range(i, j):
                w, b = weight[k], block[k]
                if positive[k]:
                    for r in range(weightings):
                        tied_above[r] += w * counts[b, r]
                else:
                    for r in range(weightings):
                        tied_below[r] += w * counts[b, r]
            for r in range(weightings):
                won[r] += tied_above[r] * (below[r] + 0.5 * tied_below[r])
                below[r] += tied_below[r]
                above[r] += tied_above[r]
        i = j
    out = np.full(weightings, np.nan)
    for r in range(weightings):
        if above[r] > 0.0 and below[r] > 0.0:
            out[r] = won[r] / (above[r] * below[r])
    return out


@numba.njit(cache=True, nogil=True)
def _sweep_precision(positive, p, weight, block, counts):  # type: ignore[no-untyped-def]
    weightings = counts.shape[1]
    true, false, area = np.zeros(weightings), np.zeros(weightings), np.zeros(weightings)
    gained = np.zeros(weightings)
    i, n = 0, len(p)
    while i < n:
        j = i
        gained[:] = 0.0
        gains = False
        while j < n and p[j] == p[i]:
            w, b = weight[j], block[j]
            if positive[j]:
                gains = True
                for r in range(weightings):
                    gained[r] += w * counts[b, r]
            else:
                for r in range(weightings):
                    false[r] += w * counts[b, r]
            j += 1
        if gains:
            for r in range(weightings):
                true[r] += gained[r]  # without a branch this loop is vectorised; nothing seen yet gives 0 / tiny
                area[r] += gained[r] * true[r] / max(true[r] + false[r], 1e-300)
        i = j
    out = np.full(weightings, np.nan)
    for r in range(weightings):
        if true[r] > 0.0:
            out[r] = area[r] / true[r]
    return out
