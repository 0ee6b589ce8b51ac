"""The metrics a model can be judged by, each with its meaning under one weighting of the rows or many at once.

Labels `y` are float64 0/1 (binary), integer codes (multiclass) or float64 (regression); predictions `p` are probabilities
(n,) or (n, classes), or values (n,). Neither may hold missing values. Weights multiply rows; None means one each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mainspring.declare import Objective
from mainspring.errors import EvaluationError
from mainspring.evaluation.reweighting import Floats, average_precision, roc_auc, totals

__all__ = [
    "ECE_BINS",
    "METRICS",
    "Metric",
    "equal_mass_bins",
    "levels",
    "metric_named",
    "metrics_for",
    "objective_metric",
    "pinball",
]

ECE_BINS = 15
_SMALLEST = float(np.finfo(np.float64).eps)  # probabilities are kept this far from 0 and 1 before a logarithm

# y, p, weight, block (n,), counts (blocks, weightings) -> the metric under each weighting
Reweighted = Callable[[NDArray, Floats, Floats | None, NDArray[np.int32], NDArray], Floats]
RowLoss = Callable[[NDArray, Floats], Floats]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A figure of merit: call it with labels and predictions, or `reweighted` for its value under many weightings."""

    name: str
    tasks: tuple[str, ...]  # of "binary", "multiclass", "regression"
    greater_is_better: bool
    description: str  # one sentence with the source
    reweighted: Reweighted
    of_gaps: bool = False  # a sum of absolute gaps: the noise of resampling can only push it up
    classes_needed: int = 1  # with fewer different labels it is undefined
    row_loss: RowLoss | None = None  # of a metric that is a mean over rows (its root, with `root`): what is averaged
    root: bool = False

    def __call__(self, y: NDArray, p: Floats, weight: Floats | None = None) -> float:
        """Return the metric over all rows. Raises EvaluationError (EVALUATE_METRIC) where it is undefined."""
        value = self.value_or_nan(y, p, weight)
        if not np.isfinite(value):
            raise EvaluationError(
                "EVALUATE_METRIC",
                f"The metric {self.name!r} is undefined on these {len(y)} rows.",
                exists=f"They hold {len(np.unique(y))} different labels and {int((~np.isfinite(p)).sum())} predictions "
                "that are no number.",
                fix=f"Give it finite predictions and at least {self.classes_needed} different label(s).",
            )
        return value

    def value_or_nan(self, y: NDArray, p: Floats, weight: Floats | None = None) -> float:
        """Return the metric over all rows, NaN where it is undefined (no rows, one class)."""
        return float(self.reweighted(y, p, weight, np.zeros(len(y), np.int32), np.ones((1, 1), np.uint16))[0])

    def loss(self, value: float) -> float:
        """Return `value` with the sign that makes smaller better."""
        return -value if self.greater_is_better else value


def mean_under(loss: Floats, weight: Floats | None, block: NDArray[np.int32], counts: NDArray) -> Floats:
    """Return the mean of a per-row figure under each weighting; NaN where a weighting has no rows."""
    size = np.ones(len(loss)) if weight is None else np.asarray(weight, dtype=np.float64)
    total, rows = totals(loss * size, block, counts)[0], totals(size, block, counts)[0]
    return np.divide(total, rows, out=np.full(len(rows), np.nan), where=rows > 0)


def _mean_of(row_loss: RowLoss) -> Reweighted:
    return lambda y, p, weight, block, counts: mean_under(row_loss(y, p), weight, block, counts)


def _root_mean_of(row_loss: RowLoss) -> Reweighted:
    return lambda y, p, weight, block, counts: np.sqrt(mean_under(row_loss(y, p), weight, block, counts))


def _log_loss(y: NDArray, p: Floats) -> Floats:
    if p.ndim == 2:
        return -np.log(np.clip(p[np.arange(len(y)), y.astype(np.intp)], _SMALLEST, 1 - _SMALLEST))
    return -np.log(np.clip(np.where(y > 0.5, p, 1.0 - p), _SMALLEST, 1 - _SMALLEST))


def _brier(y: NDArray, p: Floats) -> Floats:
    if p.ndim == 2:  # sum over classes of (p - 1{class})^2, without building the one-hot matrix
        return np.einsum("ij,ij->i", p, p) - 2 * p[np.arange(len(y)), y.astype(np.intp)] + 1.0
    return np.square(p - y)


def _accuracy(y: NDArray, p: Floats) -> Floats:
    return (p.argmax(axis=1) == y).astype(np.float64)


def _squared(y: NDArray, p: Floats) -> Floats:
    return np.square(p - y)


def _absolute(y: NDArray, p: Floats) -> Floats:
    return np.abs(p - y)


def equal_mass_bins(p: Floats, bins: int = ECE_BINS) -> tuple[NDArray[np.intp], int]:
    """Return the bin of each row, by quantiles of `p` (n,), and the number of bins, at most `bins`.

    Equal predictions share a bin, so that many ties make fewer and uneven bins.
    """
    if len(p) == 0:
        return np.zeros(0, np.intp), 1
    last = np.arange(1, bins) * len(p) // bins - 1  # the rank of the greatest prediction in each bin but the last
    edges = np.unique(np.sort(p)[last[last >= 0]])
    raw = np.searchsorted(edges, p, side="left")
    used, dense = np.unique(raw, return_inverse=True)
    return dense.astype(np.intp), len(used)


def _ece(y: NDArray, p: Floats, weight: Floats | None, block: NDArray[np.int32], counts: NDArray) -> Floats:
    # The bins are those of the unweighted rows under every weighting, so that weightings differ in their rows only.
    size = np.ones(len(p)) if weight is None else np.asarray(weight, dtype=np.float64)
    bin_, bins = equal_mass_bins(p)
    gaps = np.abs(totals(size * (y - p), block, counts, bin_, bins)).sum(axis=0)
    rows = totals(size, block, counts)[0]
    return np.divide(gaps, rows, out=np.full(len(rows), np.nan), where=rows > 0)


def pinball(quantile: float) -> Metric:
    """Return the pinball loss of a quantile in (0, 1), under the name "pinball@0.9" ("pinball" for the median).

    Raises: EvaluationError (EVALUATE_METRIC) when the quantile is not inside (0, 1).
    """
    if not 0.0 < quantile < 1.0:
        raise EvaluationError(
            "EVALUATE_METRIC",
            f"The pinball loss of the quantile {quantile!r} has no meaning.",
            exists="Quantiles lie strictly between 0 and 1.",
            fix="Name it like this: 'pinball@0.9'.",
        )

    def row_loss(y: NDArray, p: Floats) -> Floats:
        return np.maximum(quantile * (y - p), (quantile - 1.0) * (y - p))

    return Metric(
        name="pinball" if quantile == 0.5 else f"pinball@{quantile:g}",
        tasks=("regression",),
        greater_is_better=False,
        description=f"Mean pinball loss of the {quantile:g} quantile (Koenker and Bassett, 1978).",
        reweighted=_mean_of(row_loss),
        row_loss=row_loss,
    )


_ALL = (
    Metric(
        name="log_loss",
        tasks=("binary", "multiclass"),
        greater_is_better=False,
        description="Mean negative log likelihood, in nats, probabilities kept within machine epsilon of 0 and 1 "
        "(Good, 1952).",
        reweighted=_mean_of(_log_loss),
        row_loss=_log_loss,
    ),
    Metric(
        name="brier",
        tasks=("binary", "multiclass"),
        greater_is_better=False,
        description="Mean squared error of the probabilities; for multiclass summed over classes, from 0 to 2 "
        "(Brier, 1950).",
        reweighted=_mean_of(_brier),
        row_loss=_brier,
    ),
    Metric(
        name="auc",
        tasks=("binary",),
        greater_is_better=True,
        description="Area under the ROC curve, ties counting half (Fawcett, 2006).",
        reweighted=roc_auc,
        classes_needed=2,
    ),
    Metric(
        name="pr_auc",
        tasks=("binary",),
        greater_is_better=True,
        description="Average precision: precision at each threshold weighted by the gain in recall, no interpolation "
        "(Davis and Goadrich, 2006).",
        reweighted=average_precision,
        classes_needed=2,
    ),
    Metric(
        name="ece",
        tasks=("binary",),
        greater_is_better=False,
        description=f"Expected calibration error over {ECE_BINS} bins of equal mass (Nguyen and O'Connor, 2015).",
        reweighted=_ece,
        of_gaps=True,
    ),
    Metric(
        name="accuracy",
        tasks=("multiclass",),
        greater_is_better=True,
        description="Share of rows whose most probable class is the label.",
        reweighted=_mean_of(_accuracy),
        row_loss=_accuracy,
    ),
    Metric(
        name="rmse",
        tasks=("regression",),
        greater_is_better=False,
        description="Root of the mean squared error, in the label's unit.",
        reweighted=_root_mean_of(_squared),
        row_loss=_squared,
        root=True,
    ),
    Metric(
        name="mae",
        tasks=("regression",),
        greater_is_better=False,
        description="Mean absolute error, in the label's unit.",
        reweighted=_mean_of(_absolute),
        row_loss=_absolute,
    ),
    pinball(0.5),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}


def metrics_for(task: str) -> list[Metric]:
    """Return the metrics that fit a task ("binary", "multiclass", "regression"), in the order of the registry."""
    return [metric for metric in METRICS.values() if task in metric.tasks]


def metric_named(name: str, task: str | None = None) -> Metric:
    """Return the metric of that name; "pinball@0.9" is the pinball loss of the 0.9 quantile.

    Raises: EvaluationError (EVALUATE_METRIC) when there is none, or none that fits `task`.
    """
    base, _, quantile = name.partition("@")
    found = METRICS.get(name)
    if found is None and base == "pinball":
        try:
            found = pinball(float(quantile))
        except ValueError:
            found = None
    if found is not None and (task is None or task in found.tasks):
        return found
    fitting = metrics_for(task) if task else list(METRICS.values())
    what = "does not exist" if found is None else f"does not fit a {task} label"
    raise EvaluationError(
        "EVALUATE_METRIC",
        f"The metric {name!r} {what}.",
        exists=f"There are {', '.join(metric.name for metric in fitting)}.",
        fix="Name one of these as the objective's metric.",
    )


def objective_metric(objective: Objective, task: str) -> Metric:
    """Return the metric that an objective names, or what a task is judged by where it names none.

    Raises: EvaluationError (EVALUATE_METRIC) when there is no such metric for the task.
    """
    name = objective.metric or ("rmse" if task == "regression" else "log_loss")
    if name == "pinball" and objective.quantile != 0.5:
        name = f"pinball@{objective.quantile:g}"
    return metric_named(name, task)


def levels(y: NDArray, p: Floats) -> tuple[Floats, Floats]:
    """Return per row what is averaged into a label mean and a predicted mean.

    Binary and regression: `y` and `p` themselves. Multiclass: whether the label is the most frequent class of these rows,
    and that class's probability.
    """
    if p.ndim == 1:
        return np.asarray(y, dtype=np.float64), p
    if len(y) == 0:
        return np.zeros(0), np.zeros(0)
    frequent = int(np.bincount(y.astype(np.intp)).argmax())
    return (y == frequent).astype(np.float64), p[:, frequent]
