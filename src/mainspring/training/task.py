"""What is to be learned, as plain numbers: the task, the classes and the loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mainspring.declare.objective import Objective
from mainspring.errors import DataError

__all__ = ["Task", "encode_labels", "task_of"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """`kind` is "binary", "multiclass" or "regression"; `classes` names the positions of a multiclass label.

    `loss` is what a number is fitted to: "squared" (its mean), "absolute" (its median) or "quantile" (`quantile` of it).
    """

    kind: str
    classes: tuple[str, ...] = ()
    loss: str = "squared"
    quantile: float = 0.5


def task_of(kind: str, objective: Objective | None = None, classes: Sequence[str] = ()) -> Task:
    """Return the task for a kind of label, with the loss that the objective's metric is about."""
    losses = {"mae": "absolute", "pinball": "quantile"}
    metric = objective.metric if objective is not None else None
    return Task(
        kind=kind,
        classes=tuple(classes),
        loss=losses.get(metric or "", "squared"),
        quantile=objective.quantile if objective is not None else 0.5,
    )


def encode_labels(labels: Any, task: Task) -> np.ndarray:
    """Return labels as float64 (rows,): numbers as they are, names as positions in the task's classes.

    A missing label, and a name that is none of the classes, is NaN.
    """
    values = np.asarray(labels)
    if task.kind != "multiclass" or values.dtype.kind in "fiub":
        return values.astype(np.float64)
    position = {name: float(k) for k, name in enumerate(task.classes)}
    return np.array([position.get(name, np.nan) for name in values.tolist()], dtype=np.float64)


def check_labels(y: np.ndarray, task: Task) -> None:
    """Raise DataError (DATA_ONE_CLASS, DATA_TOO_FEW) when labels (rows,) cannot teach anything."""
    if len(y) < 2:
        raise DataError(
            "DATA_TOO_FEW",
            f"There are {len(y)} labels to train on.",
            fix="Give a longer history, or check the keys by which the label finds its rows.",
        )
    if (y == y[0]).all():
        value = task.classes[int(y[0])] if task.classes else f"{y[0]:g}"
        raise DataError(
            "DATA_ONE_CLASS",
            f"All {len(y):,} labels to train on have the same value, {value}.",
            fix="Check the label's condition and its horizon, or train on a longer history.",
        )
