"""What to expect of figures under calibrated probabilities, how uncertain that is, and how far a wrong probability moves it.

Ranking figures take sorted probabilities and go over them twice: for the figure, then for how each label would move it. They
return (value, variance, slack): the variance when labels are independent and come true as the probabilities say, by the
slope in each label (delta method), and the sum of the absolute slopes, which is how far the value moves when every
probability is off by one. Equal probabilities are one threshold. The caller sees to it that rows of both classes are
expected. Kernels release the GIL and keep no state.
"""

from __future__ import annotations

from numba import njit

__all__ = ["expected_auc", "expected_average_precision", "expected_sums"]


@njit(cache=True, nogil=True)
def expected_sums(chances, added):  # type: ignore[no-untyped-def]
    """Sum over rows what each is expected to add to a mean, its variance, its slack, and the least and most it can add.

    `added` (labels, rows) is what a row adds with each label, `chances` how likely that label is.
    """
    labels, rows = chances.shape
    value, variance, slack, least, most = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(rows):
        expected, low, high = 0.0, added[0, i], added[0, i]
        for k in range(labels):
            expected += chances[k, i] * added[k, i]
            low = min(low, added[k, i])
            high = max(high, added[k, i])
        middle, of_row, slack_of_row = 0.5 * (low + high), 0.0, 0.0
        for k in range(labels):
            gap = added[k, i] - expected
            of_row += chances[k, i] * gap * gap
            slack_of_row += abs(added[k, i] - middle)
        value += expected
        variance += of_row
        slack += slack_of_row
        least += low
        most += high
    return value, variance, slack, least, most


@njit(cache=True, nogil=True)
def expected_auc(p):  # type: ignore[no-untyped-def]
    """Return the expected area under the ROC curve of ascending probabilities, ties counting half."""
    n = len(p)
    came, won = 0.0, 0.0
    i = 0
    while i < n:
        j = _end_of_ties(p, i)
        tied = (j - i) * p[i]
        won += tied * (i - came + 0.5 * (j - i - tied))  # negatives below, and half of those beside
        came += tied
        i = j
    not_came = n - came
    auc = won / (came * not_came)
    tilt = auc * (1.0 / came - 1.0 / not_came)
    variance, slack, below = 0.0, 0.0, 0.0
    i = 0
    while i < n:
        j = _end_of_ties(p, i)
        tied = (j - i) * p[i]
        beaten = i - below + 0.5 * (j - i - tied)
        beaten_by = came - below - 0.5 * tied
        slope = (beaten - beaten_by) / (came * not_came) - tilt
        variance += tied * (1.0 - p[i]) * slope * slope
        slack += (j - i) * abs(slope)
        below += tied
        i = j
    return auc, variance, slack


@njit(cache=True, nogil=True)
def expected_average_precision(p):  # type: ignore[no-untyped-def]
    """Return the expected average precision of ascending probabilities, read from the greatest one down."""
    n = len(p)
    came, area = 0.0, 0.0
    j = n
    while j > 0:
        i = _start_of_ties(p, j)
        gain = (j - i) * p[i]
        came += gain
        area += gain * came / (n - i)
        j = i
    precision = area / came
    variance, slack, reached, gains = 0.0, 0.0, came, 0.0
    i = 0
    while i < n:  # upwards: a label counts in the precision at its own threshold and at all that are lower
        j = _end_of_ties(p, i)
        gain = (j - i) * p[i]
        gains += gain / (n - i)
        slope = (reached / (n - i) + gains - precision) / came
        variance += gain * (1.0 - p[i]) * slope * slope
        slack += (j - i) * abs(slope)
        reached -= gain
        i = j
    return precision, variance, slack


@njit(cache=True, nogil=True)
def _end_of_ties(p, i):  # type: ignore[no-untyped-def]
    j = i + 1
    while j < len(p) and p[j] == p[i]:
        j += 1
    return j


@njit(cache=True, nogil=True)
def _start_of_ties(p, j):  # type: ignore[no-untyped-def]
    i = j - 1
    while i > 0 and p[i - 1] == p[j - 1]:
        i -= 1
    return i
