"""How sure a difference of two means is where rows come in days: whole days vary, and the rows of one together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

__all__ = ["days_told_of", "p_of_excess"]

Floats = NDArray[np.float64]


def days_told_of(rows: NDArray) -> float:
    """Return on how many days rows (days,) lie, a day with few of them counting less: as many even days vary as much."""
    return float(rows.sum() ** 2 / max(float(np.square(rows, dtype=np.float64).sum()), 1.0))


def p_of_excess(inside: tuple[NDArray, Floats], outside: tuple[NDArray, Floats]) -> tuple[float, float]:
    """Return by how much the mean of some rows is above that of others, and the one-sided p-value of it being no higher.

    Each is (rows, sums) by day, (days,); both have some rows. Held to Student's t of the sums of days, of which the fewer of
    the two tell (`days_told_of`): rows of one day may depend on each other in any way, inside on outside too.
    """
    days = min(days_told_of(rows) for rows, _ in (inside, outside))
    means = [sums.sum() / rows.sum() for rows, sums in (inside, outside)]
    excess = float(means[0] - means[1])
    if days < 2.0:
        return excess, 1.0
    moved = sum(
        sign * (sums - rows * mean) / rows.sum()
        for sign, mean, (rows, sums) in zip((1.0, -1.0), means, (inside, outside), strict=True)
    )
    error = float(np.sqrt(np.square(moved).sum() * days / (days - 1)))
    if error == 0.0:
        return excess, 0.0 if excess > 0 else 1.0
    return excess, float(stdtr(days - 1, -excess / error))
