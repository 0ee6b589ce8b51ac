"""Boosted trees in LightGBM's own text format, the one form in which they are stored and read."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from mainspring.model.openmp import load_lightgbm
from mainspring.model.schema import FeatureSchema

__all__ = ["TreePredictor"]


@dataclass(frozen=True, eq=False)
class TreePredictor:
    """A LightGBM model by its text; `threads` is how many threads a prediction may take (0: all cores)."""

    text: str = field(repr=False)
    schema: FeatureSchema
    threads: int = 0

    @cached_property
    def booster(self) -> Any:
        """LightGBM's booster, made from the text on first use: what predicts is always what is stored."""
        return load_lightgbm().Booster(model_str=self.text)

    def predict(self, frame: pl.DataFrame) -> np.ndarray:
        """Return P(yes) (rows,), the probability of each class (rows, classes), or the number (rows,)."""
        matrix = self.schema.encode_for_trees(frame)
        if not len(matrix):
            shape = (0, self.booster.num_model_per_iteration())
            return np.empty(shape if shape[1] > 1 else 0)
        return np.asarray(self.booster.predict(matrix, num_threads=self.threads))

    def contributions(self, frame: pl.DataFrame) -> np.ndarray:
        """Return what each feature adds to the raw score, and the base value last: (rows, features + 1).

        With several classes (rows, classes * (features + 1)). TreeSHAP: Lundberg et al. 2018, Consistent Individualized
        Feature Attribution for Tree Ensembles.
        """
        matrix = self.schema.encode_for_trees(frame)
        return np.asarray(self.booster.predict(matrix, pred_contrib=True, num_threads=self.threads))

    def gain(self) -> np.ndarray:
        """Return each feature's share of the total split gain (features,); zeros when no tree splits."""
        gain = self.booster.feature_importance(importance_type="gain")
        return gain / (gain.sum() or 1.0)

    def files(self) -> dict[str, bytes]:
        """Return what a bundle stores: the text, in a file of its own."""
        return {"model.txt": self.text.encode()}
