"""Drift: which columns have moved from a reference, how far, and whether that is enough to act on.

Two questions are asked of every column and both must be answered yes. Is the difference large: is its population stability
index at least the declared effect? Is it real: is the p-value, corrected for the number of columns, at most alpha? With
enough rows every difference is real, and with few rows every one is large.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from msgspec.structs import replace

from mainspring.declare.policy import Drifted
from mainspring.monitoring.comparison import Drift, compare_categories, compare_numbers
from mainspring.monitoring.layout import NumberBins
from mainspring.monitoring.sketch import Sketch

__all__ = ["Correction", "compare", "corrected", "share_drifted"]

Correction = Literal["holm", "benjamini-hochberg"]


def compare(
    reference: Sketch,
    current: Sketch,
    *,
    effect: float = Drifted.effect,
    alpha: float = 0.05,
    correction: Correction = "holm",
) -> list[Drift]:
    """Return how far each column of `current` lies from `reference`, in the order of the layout.

    Where nothing has drifted and rows are independent, at most a share alpha of all comparisons finds any column. With
    "benjamini-hochberg" that holds for the share of wrong columns among those found. Either looks once: who compares
    every hour looks often.

    Raises ValueError where the layouts differ.
    """
    if reference.layout != current.layout:
        raise ValueError("sketches of different layouts count in different places and cannot be compared")
    found = [
        compare_numbers(column, before, now)  # type: ignore[arg-type]
        if isinstance(column, NumberBins)
        else compare_categories(column, before, now)  # type: ignore[arg-type]
        for column, before, now in zip(reference.layout.columns, reference.columns, current.columns, strict=True)
    ]
    return [
        replace(drift, corrected=p, drifted=p is not None and p <= alpha and (drift.psi or 0.0) >= effect)
        for drift, p in zip(found, corrected([drift.p for drift in found], correction), strict=True)
    ]


def share_drifted(drifts: Sequence[Drift]) -> float:
    """Return the share of the columns that have drifted, as `Drifted` asks for it; 0 of none."""
    return sum(drift.drifted for drift in drifts) / len(drifts) if drifts else 0.0


def corrected(values: Sequence[float | None], correction: Correction = "holm") -> list[float | None]:
    """Return p-values corrected for their number; None stays None and is not counted.

    Holm's (1979) bound the chance of any false alarm, whatever the dependence of the columns. Benjamini's and Hochberg's
    (1995) bound the share of false alarms among all, where columns are independent or move together, and find more.
    """
    asked = [k for k, p in enumerate(values) if p is not None]
    p = np.array([values[k] for k in asked], np.float64)
    order, rank = np.argsort(p, kind="stable"), np.arange(1, len(p) + 1)
    if correction == "holm":
        made = np.maximum.accumulate(p[order] * (len(p) + 1 - rank))
    else:
        made = np.minimum.accumulate((p[order] * len(p) / rank)[::-1])[::-1]
    found: list[float | None] = [None] * len(values)
    for position, value in zip(order.tolist(), made.tolist(), strict=True):
        found[asked[position]] = min(1.0, value)
    return found
