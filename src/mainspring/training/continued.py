"""Going on from a fitted model: the trees stay, their leaves move towards new labels."""

from __future__ import annotations

import numpy as np
import polars as pl

from mainspring.model.openmp import load_lightgbm
from mainspring.model.trees import TreePredictor
from mainspring.training.gbdt import failures, without_machine

__all__ = ["refit_trees"]


def refit_trees(parent: TreePredictor, frame: pl.DataFrame, y: np.ndarray, *, keep: float) -> TreePredictor:
    """Return the model whose leaves are `keep` of what they were and the rest what these rows say.

    No tree is added: a model that goes on for a year is as large as it was. Rows that reach no leaf leave it as it is.
    (LightGBM's refit, `decay_rate`.)

    Raises TrainingError (TRAIN_FAILED).
    """
    matrix = parent.schema.encode_for_trees(frame)
    with failures():
        booster = load_lightgbm().Booster(model_str=parent.text)
        found = booster.refit(matrix, y, decay_rate=keep, verbosity=-1, deterministic=True, force_row_wise=True)
        return TreePredictor(without_machine(found.model_to_string()), parent.schema, parent.threads)
