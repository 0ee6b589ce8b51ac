"""Quality per slice: on the rows whose column has one value, beside the whole part and on the same resamples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mainspring.evaluation.bootstrap import FEWEST_DAYS, Resamples, intervals
from mainspring.evaluation.grouping import group
from mainspring.evaluation.metric import Metric, levels
from mainspring.evaluation.results import SliceResult
from mainspring.evaluation.reweighting import Floats

__all__ = ["slice_results"]

_FEWEST_ROWS = 100
_FEWEST_PER_CLASS = 20


def slice_results(
    frame: pl.DataFrame,
    y: NDArray,
    p: Floats,
    resamples: Resamples,
    metrics: Sequence[Metric],
    *,
    columns: Sequence[str] | None = None,
    payoff: Floats | None = None,
    most_values: int = 20,
    bins: int = 5,
) -> list[SliceResult]:
    """Return one result per value of each column of `frame` (rows as in `y`): worst first, small slices last.

    Worst is by the first of `metrics`; slices on which it is undefined come after the others. Values beyond the
    `most_values` most frequent ones are pooled as "(other)", missing ones are "(missing)", numbers with more values than
    that fall into `bins` quantile bins. `payoff` (n,) is what each decision was worth.

    A slice is marked small when a firm statement cannot be made of it: fewer than 100 rows, rows on fewer than 10 days
    (when days were resampled), or, for a binary label, fewer than 20 rows of either class. The mark is about the interval's
    trustworthiness, not about its width.
    """
    label, predicted = levels(y, p)
    results: list[SliceResult] = []
    for column in columns if columns is not None else frame.columns:
        groups = group(frame[column], most=most_values, bins=bins)
        order = np.argsort(groups.code, kind="stable")
        ends = np.cumsum(np.bincount(groups.code, minlength=len(groups.names)))
        for value, rows in zip(groups.names, np.split(order, ends[:-1]), strict=True):
            drawn = resamples.of(rows)
            found = intervals(metrics, y[rows], p[rows], drawn, None if payoff is None else payoff[rows])
            results.append(
                SliceResult(
                    column=column,
                    value=value,
                    rows=len(rows),
                    label_mean=float(label[rows].mean()),
                    predicted_mean=float(predicted[rows].mean()),
                    metrics={name: figure for name, figure in found.items() if name != "payoff"},
                    payoff=found.get("payoff"),
                    small=_small(y[rows], binary="binary" in metrics[0].tasks and p.ndim == 1, drawn=drawn),
                )
            )
    worst = metrics[0]

    def badness(result: SliceResult) -> tuple[bool, bool, float]:
        figure = result.metrics.get(worst.name)
        return result.small, figure is None, 0.0 if figure is None else -worst.loss(figure.value)

    return sorted(results, key=badness)


def _small(y: NDArray, *, binary: bool, drawn: Resamples) -> bool:
    if len(y) < _FEWEST_ROWS or (drawn.unit == "day" and len(np.unique(drawn.block)) < FEWEST_DAYS):
        return True
    return binary and min(int((y > 0.5).sum()), int((y <= 0.5).sum())) < _FEWEST_PER_CLASS
