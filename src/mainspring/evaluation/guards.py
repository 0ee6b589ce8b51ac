"""Guards: the limits that a model must keep, and whether it does."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mainspring.declare import Guard
from mainspring.evaluation.metric import metric_named
from mainspring.evaluation.results import GuardResult
from mainspring.evaluation.reweighting import Floats
from mainspring.features.rows import row_expression

__all__ = ["guard_figure", "guard_result"]


def guard_figure(
    guard: Guard, task: str, y: NDArray, p: Floats, decisions: pl.DataFrame, worth: Floats | None
) -> float:
    """Return the figure that a guard limits, over its rows; NaN where it is undefined there.

    `decisions` are the rows of the decision's table, `worth` what each decision turned out to be worth, where that is declared.
    """
    chosen = np.ones(len(y), bool)
    if guard.where is not None:
        chosen = decisions.select(row_expression(guard.where).fill_null(False)).to_series().to_numpy()
    if guard.metric != "payoff":
        return metric_named(guard.metric, task).value_or_nan(y[chosen], p[chosen])
    return float(worth[chosen].mean()) if worth is not None and chosen.any() else float("nan")


def guard_result(guard: Guard, figure: float) -> GuardResult:
    """Say whether a figure keeps a guard; one that is undefined does not."""
    kept = (guard.at_most is None or figure <= guard.at_most) and (guard.at_least is None or figure >= guard.at_least)
    limits = [f"at most {guard.at_most:g}"] if guard.at_most is not None else []
    limits += [f"at least {guard.at_least:g}"] if guard.at_least is not None else []
    where = f" where {guard.where!r}" if guard.where is not None else ""
    return GuardResult(metric=guard.metric + where, limit=" and ".join(limits), figure=figure, passed=bool(kept))
