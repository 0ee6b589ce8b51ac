"""Quality over time: one figure per week of the test part, or per day when it is short."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from mainspring.evaluation.metric import Metric, levels
from mainspring.evaluation.results import PeriodResult
from mainspring.evaluation.reweighting import Floats

__all__ = ["period_results"]

_WEEKLY_FROM_DAYS = 42
_EPOCH = date(1970, 1, 1)
_MONDAY = 3  # 1970-01-01 was a Thursday, three days after a Monday


def period_results(days: NDArray[np.integer], y: NDArray, p: Floats, metric: Metric) -> list[PeriodResult]:
    """Return the metric per week, in order of time; per day when first and last day are less than six weeks apart.

    `days` (n,) are days since 1970-01-01. Weeks begin on Monday, so that the first and last may be part of one. A period
    without rows, or on whose rows the metric is undefined (AUC of one class), is absent.
    """
    if len(days) == 0:
        return []
    label, predicted = levels(y, p)
    weekly = int(days.max()) - int(days.min()) >= _WEEKLY_FROM_DAYS
    start = days - (days + _MONDAY) % 7 if weekly else days
    found: list[PeriodResult] = []
    order = np.argsort(start, kind="stable")
    firsts, begins = np.unique(start[order], return_index=True)
    for first, rows in zip(firsts, np.split(order, begins[1:]), strict=True):
        value = metric.value_or_nan(y[rows], p[rows])
        if np.isfinite(value):
            found.append(
                PeriodResult(
                    start=(_EPOCH + timedelta(days=int(first))).isoformat(),
                    rows=len(rows),
                    label_mean=float(label[rows].mean()),
                    predicted_mean=float(predicted[rows].mean()),
                    metric=value,
                )
            )
    return found
