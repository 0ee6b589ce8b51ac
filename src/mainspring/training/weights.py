"""How much each training row counts: by its class, and by its age."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mainspring.clock import parse_span
from mainspring.declare.estimator import Training
from mainspring.errors import TrainingError
from mainspring.training.task import Task

__all__ = ["class_weights", "decay_weights", "declared_weights", "row_weights"]


def declared_weights(
    options: Training, task: Task, y: np.ndarray, decided_at: np.ndarray, as_of: int
) -> np.ndarray | None:
    """Return how much rows (n,) count for a model made at an instant (microseconds), as declared; None: all alike."""
    by_class = by_age = None
    if options.class_weight is not None and task.kind != "regression":
        by_class = class_weights(y, options.class_weight, task.classes)
    if options.half_life is not None:
        by_age = decay_weights(decided_at, as_of, parse_span(options.half_life))
    return row_weights(by_class, by_age)


def class_weights(y: np.ndarray, class_weight: str | Mapping[Any, float], classes: tuple[str, ...] = ()) -> np.ndarray:
    """Return one weight per row from its class: rows / (classes * rows of the class) for "balanced", or as mapped.

    `y` holds 0 and 1, or positions in `classes`. A mapping names classes as the user wrote them: by name, or False and
    True (0 and 1) for a yes/no label; a class it does not name weighs 1.

    Raises TrainingError (TRAIN_ESTIMATOR) when a mapping names a class that does not exist.
    """
    codes = y.astype(np.int64)
    names: tuple[Any, ...] = classes or (0, 1)
    if isinstance(class_weight, str):
        counts = np.bincount(codes, minlength=len(names))
        return (len(codes) / (np.count_nonzero(counts) * np.maximum(counts, 1)))[codes]
    unknown = [name for name in class_weight if name not in names]
    if unknown:
        raise TrainingError(
            "TRAIN_ESTIMATOR",
            f"class_weight names {', '.join(map(repr, unknown))}, which is no class of the label.",
            exists=f"The classes are {', '.join(map(repr, names))}.",
            fix="Name these, or use class_weight='balanced'.",
        )
    return np.array([float(class_weight.get(name, 1.0)) for name in names])[codes]


def decay_weights(decided_at: np.ndarray, as_of: int, half_life: int) -> np.ndarray:
    """Return weights that halve with each `half_life` (microseconds) a decision is older than `as_of`."""
    return np.exp2((decided_at - as_of) / half_life)


def row_weights(*factors: np.ndarray | None) -> np.ndarray | None:
    """Return the product of the factors scaled to a mean of 1, None when there are none."""
    given = [factor for factor in factors if factor is not None]
    if not given:
        return None
    product = np.prod(given, axis=0)
    return product / product.mean()
