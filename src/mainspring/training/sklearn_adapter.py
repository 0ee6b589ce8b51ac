"""Any scikit-learn estimator or pipeline as a fitter: cloned, seeded, given weights where it takes them."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import polars as pl

from mainspring.declare.estimator import Sklearn
from mainspring.errors import TrainingError
from mainspring.model.encoding import LinearEncoder
from mainspring.model.estimator import EstimatorPredictor
from mainspring.model.schema import FeatureSchema
from mainspring.training.task import Task, check_labels

__all__ = ["SklearnFitter", "fitting", "weight_options"]


class SklearnFitter:
    """Fits clones of the declared estimator, which itself stays as it was.

    Every `random_state` that is None gets the seed. Labels are 0 and 1, positions of classes, or numbers. `effort` is
    ignored. Raises TrainingError (TRAIN_ESTIMATOR) when the estimator cannot answer the label.
    """

    def __init__(
        self, spec: Sklearn, frame: pl.DataFrame, schema: FeatureSchema, y: np.ndarray, task: Task, *, seed: int = 0
    ) -> None:
        self.schema = schema
        self._spec, self._frame, self._y, self._task, self._seed = spec, frame, y, task, seed
        self._scores = _answers_with_scores(spec.estimator, task)

    def fit(
        self,
        rows: np.ndarray | None = None,
        *,
        weights: np.ndarray | None = None,
        without: Collection[str] = (),
        effort: float = 1.0,
    ) -> EstimatorPredictor:
        """Fit a clone on some rows.

        Raises TrainingError (TRAIN_FAILED with the estimator's message; TRAIN_ESTIMATOR when it takes no weights).
        """
        frame, y = (self._frame, self._y) if rows is None else (self._frame[rows], self._y[rows])
        check_labels(y, self._task)
        kept = FeatureSchema(tuple(f for f in self.schema.features if f.name not in without))
        encoder = LinearEncoder.learn(kept, frame) if self._spec.inputs == "encoded" else None
        inputs = frame.select(kept.names) if encoder is None else encoder.encode(frame)
        estimator = _seeded(self._spec.estimator, self._seed)
        options = {} if weights is None else weight_options(estimator, weights)
        labels = y if self._task.kind == "regression" else y.astype(np.int64)
        with fitting(estimator):
            estimator.fit(inputs, labels, **options)
        return EstimatorPredictor(
            estimator, self._task.kind, tuple(kept.names), encoder, self._scores, len(self._task.classes)
        )


@contextmanager
def fitting(estimator: Any) -> Iterator[None]:
    """Let an estimator learn: without its warnings, and with its errors as TrainingError (TRAIN_FAILED)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an estimator that has not converged is judged by its quality
            yield
    except (ValueError, TypeError, AttributeError, LookupError, RuntimeError, ArithmeticError) as error:
        raise TrainingError(
            "TRAIN_FAILED",
            f"{type(estimator).__name__} failed while fitting: {error}",
            fix="Check the estimator's parameters; with inputs='frame' it must take missing values and text itself.",
        ) from error


def _answers_with_scores(estimator: Any, task: Task) -> bool:
    """Say whether a yes/no label is answered by decision_function, for want of probabilities."""
    if task.kind == "regression":
        if hasattr(estimator, "predict") and not hasattr(estimator, "predict_proba"):
            return False
        needed = "predict, and be a regressor"
    elif hasattr(estimator, "predict_proba"):
        return False
    elif task.kind == "binary" and hasattr(estimator, "decision_function"):
        return True
    else:
        needed = "predict_proba or decision_function" if task.kind == "binary" else "predict_proba"
    raise TrainingError(
        "TRAIN_ESTIMATOR",
        f"{type(estimator).__name__} cannot answer a {task.kind} label.",
        exists=f"It would have to offer {needed}.",
        fix="Choose another estimator, or wrap it, for example in CalibratedClassifierCV.",
    )


def _seeded(estimator: Any, seed: int) -> Any:
    from sklearn.base import clone

    copy = clone(estimator)
    unset = {
        k: seed for k, v in copy.get_params(deep=True).items() if v is None and k.rpartition("__")[2] == "random_state"
    }
    return copy.set_params(**unset)


def weight_options(estimator: Any, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return how weights are passed to fit: to the estimator itself, or to the last step of a pipeline."""
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import has_fit_parameter

    last, prefix = estimator, ""
    while isinstance(last, Pipeline):
        name, last = last.steps[-1]
        prefix += f"{name}__"
    if not has_fit_parameter(last, "sample_weight"):
        raise TrainingError(
            "TRAIN_ESTIMATOR",
            f"{type(last).__name__} takes no weights, and the declaration weights its rows.",
            fix="Leave out class_weight and half_life, or choose an estimator whose fit takes sample_weight.",
        )
    return {f"{prefix}sample_weight": weights}
