"""Gradient-boosted trees by LightGBM: binned once, fitted on any part of the rows, repeatable to the byte."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import numpy as np
import polars as pl

from mainspring.cores import available_cores
from mainspring.declare.estimator import LightGBM
from mainspring.errors import TrainingError
from mainspring.model.openmp import load_lightgbm
from mainspring.model.schema import FeatureSchema
from mainspring.model.trees import TreePredictor
from mainspring.training.task import Task, check_labels

__all__ = ["TreeFitter", "failures", "without_machine"]

_OURS = {
    "seed": ("seed", "random_seed", "random_state"),
    "threads": ("num_threads", "num_thread", "nthread", "nthreads", "n_jobs"),
    "rounds": ("num_iterations", "num_iteration", "n_iter", "num_tree", "num_trees", "num_round", "num_rounds", "nrounds",
               "num_boost_round", "n_estimators", "max_iter"),
}  # fmt: skip
_LOSSES = {"squared": "regression", "absolute": "regression_l1", "quantile": "quantile"}


class TreeFitter:
    """LightGBM on rows that are binned once: the first fit, the refit and every ablation share the bins.

    Bins and the vocabulary of categories come from the features of all rows given, so give rows known before the test
    part only. Labels are taken from the rows of each fit alone. The text of a model depends on the inputs and not on the
    number of threads.
    """

    def __init__(
        self,
        spec: LightGBM,
        frame: pl.DataFrame,
        schema: FeatureSchema,
        y: np.ndarray,
        task: Task,
        *,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        self.schema = schema
        self._spec, self._y, self._task = spec, y, task
        self._parameters = _parameters(spec, task, seed, threads or available_cores())
        with failures():
            self._binned = (
                load_lightgbm()
                .Dataset(
                    schema.encode_for_trees(frame),
                    feature_name=[f"f{k}" for k in range(len(schema.features))],  # LightGBM allows few characters
                    categorical_feature=schema.categorical,
                    params=self._parameters,
                )
                .construct()
            )

    def fit(
        self,
        rows: np.ndarray | None = None,
        *,
        weights: np.ndarray | None = None,
        without: Collection[str] = (),
        effort: float = 1.0,
    ) -> TreePredictor:
        """Fit on some rows. `effort` divides the number of trees and multiplies the learning rate."""
        rows = np.arange(len(self._y)) if rows is None else rows
        y = self._y[rows]
        check_labels(y, self._task)
        rounds = max(1, round(self._spec.rounds * effort))
        parameters = {**self._parameters, "learning_rate": self._spec.learning_rate * self._spec.rounds / rounds}
        if without:
            # Features in no group of the interaction constraints are never split on: no second binning is needed.
            allowed = [k for k, name in enumerate(self.schema.names) if name not in without]
            parameters["interaction_constraints"] = [allowed]
        with failures():
            # A subset has labels and weights of its own, so that no fit leaves anything behind for the next. Fits take turns:
            # LightGBM keeps the number of threads in one place for the whole process, and fits side by side crash it.
            data = self._binned.subset(rows).construct()
            data.set_label(y)
            data.set_weight(weights)
            booster = load_lightgbm().train(parameters, data, num_boost_round=rounds, keep_training_booster=True)
            for _ in range(4 * rounds if without else 0):
                # A tree whose sample of features holds none that it may use is dropped: such a round is repeated, since
                # a model without some features would otherwise also be one of fewer trees.
                if booster.num_trees() >= rounds * booster.num_model_per_iteration():
                    break
                booster.update()
            return TreePredictor(without_machine(booster.model_to_string()), self.schema)


def _parameters(spec: LightGBM, task: Task, seed: int, threads: int) -> dict[str, Any]:
    for what, names in _OURS.items():
        given = [name for name in names if name in spec.parameters]
        if given:
            raise TrainingError(
                "TRAIN_ESTIMATOR",
                f"LightGBM(parameters={{{given[0]!r}: …}}) sets what Mainspring sets: {what}.",
                fix="Use Training(seed=…), LightGBM(rounds=…), or leave threads to Mainspring.",
            )
    objective: dict[str, Any] = {"objective": "binary"}
    if task.kind == "multiclass":
        objective = {"objective": "multiclass", "num_class": len(task.classes)}
    elif task.kind == "regression":
        objective = {"objective": _LOSSES[task.loss]}
        if task.loss == "quantile":
            objective["alpha"] = task.quantile
    return {
        **objective,
        "num_leaves": spec.num_leaves,
        "learning_rate": spec.learning_rate,
        "min_data_in_leaf": spec.min_data_in_leaf,
        "feature_fraction": spec.feature_fraction,
        "bagging_fraction": spec.bagging_fraction,
        "bagging_freq": 1 if spec.bagging_fraction < 1 else 0,
        "lambda_l2": spec.lambda_l2,
        "deterministic": True,
        "force_row_wise": True,  # fixed, since LightGBM would otherwise choose by a stopwatch
        "feature_pre_filter": False,  # a part of the rows may make a feature useful that is useless in all of them
        "verbosity": -1,
        **spec.parameters,
        "seed": seed,
        "num_threads": threads,
    }


def without_machine(text: str) -> str:
    """Return a model's text without the number of threads it happened to be fitted with."""
    return re.sub(r"^\[num_threads: \d+\]$", "[num_threads: 0]", text, flags=re.MULTILINE)


class failures:  # noqa: N801 — reads as a statement
    """Turn what LightGBM raises into TrainingError (TRAIN_FAILED) with its own words."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, load_lightgbm().basic.LightGBMError | TypeError | ValueError):
            raise TrainingError(
                "TRAIN_FAILED",
                f"LightGBM failed: {error}",
                fix="Check the parameters of LightGBM(...) and the features.",
            ) from error
