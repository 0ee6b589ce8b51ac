"""Going on from a fitted model with rows that it has not seen.

Trees stay, and their leaves move towards the new labels. An estimator of scikit-learn with `partial_fit` takes the new rows
once, in the order of their decisions. What a bundle stores of one (skops) is all that it knows, the step of a gradient and
the state of its random numbers included: one that was written and loaded goes on to the same bits.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import polars as pl

from mainspring.errors import TrainingError
from mainspring.model.estimator import EstimatorPredictor
from mainspring.model.model import Predictor
from mainspring.model.openmp import load_lightgbm
from mainspring.model.trees import TreePredictor
from mainspring.training.gbdt import failures, without_machine
from mainspring.training.sklearn_adapter import fitting, weight_options

__all__ = ["go_on", "learn_on", "refit_trees"]


def go_on(
    parent: Predictor, frame: pl.DataFrame, y: np.ndarray, *, keep: float, weights: np.ndarray | None = None
) -> Predictor:
    """Return the predictor that goes on from its parent with rows (n,), in their order; the parent stays as it was.

    `keep` (0 to 1) is what the leaves of trees keep of what they were; other estimators weigh old and new by themselves.

    Raises TrainingError (TRAIN_FAILED; TRAIN_ESTIMATOR for one that cannot, or takes no weights where some are given).
    """
    if isinstance(parent, TreePredictor):
        return refit_trees(parent, frame, y, keep=keep, weights=weights) if len(y) else parent
    if isinstance(parent, EstimatorPredictor) and hasattr(parent.estimator, "partial_fit"):
        return learn_on(parent, frame, y, weights=weights)
    name = type(parent.estimator if isinstance(parent, EstimatorPredictor) else parent).__name__
    raise TrainingError(
        "TRAIN_ESTIMATOR",
        f"{name} cannot go on learning.",
        exists="LightGBM can, and estimators of scikit-learn with partial_fit.",
        fix='Say Retrain(how="fresh").',
    )


def refit_trees(
    parent: TreePredictor, frame: pl.DataFrame, y: np.ndarray, *, keep: float, weights: np.ndarray | None = None
) -> TreePredictor:
    """Return the model whose leaves are `keep` of what they were and the rest what these rows say.

    No tree is added: a model that goes on for a year is as large as it was. Rows that reach no leaf leave it as it is.
    (LightGBM's refit, `decay_rate`.)

    Raises TrainingError (TRAIN_FAILED).
    """
    matrix = parent.schema.encode_for_trees(frame)
    with failures():
        booster = load_lightgbm().Booster(model_str=parent.text)
        found = booster.refit(
            matrix, y, decay_rate=keep, weight=weights, verbosity=-1, deterministic=True, force_row_wise=True
        )
        return TreePredictor(without_machine(found.model_to_string()), parent.schema, parent.threads)


def learn_on(
    parent: EstimatorPredictor, frame: pl.DataFrame, y: np.ndarray, *, weights: np.ndarray | None = None
) -> EstimatorPredictor:
    """Return the estimator after one `partial_fit` of these rows, with the parent's encoding of features.

    Rows of a class that the parent never met teach nothing: it has no place for them until a model is trained afresh. So do
    category levels that its encoding does not know. It has no form in ONNX any more: make a new one (`with_onnx`).

    Raises TrainingError (TRAIN_FAILED; TRAIN_ESTIMATOR when it takes no weights).
    """
    estimator = copy.deepcopy(parent.estimator)
    classes = parent.task != "regression"
    rows = np.flatnonzero(np.isin(y, estimator.classes_)) if classes else np.arange(len(y))
    if not len(rows):
        return parent
    frame, labels = frame[rows], y[rows].astype(np.int64) if classes else y[rows]
    inputs = frame.select(parent.names) if parent.encoder is None else parent.encoder.encode(frame)
    options = {} if weights is None else weight_options(estimator, weights[rows])
    with fitting(estimator):
        estimator.partial_fit(inputs, labels, **options)
    return replace(parent, estimator=estimator, onnx=None, onnx_note="")
