"""A linear model on encoded features: small enough to be stored as plain numbers."""

from __future__ import annotations

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from mainspring.model.calibration import expit
from mainspring.model.encoding import LinearEncoder

__all__ = ["LinearPredictor"]


class LinearPredictor(Struct, frozen=True):
    """weights @ encoded features + intercept; through the logistic function when the label is a class.

    One row of weights, or one per class (one against the rest, normalised).
    """

    task: str  # "binary", "multiclass", "regression"
    encoder: LinearEncoder
    weights: tuple[tuple[float, ...], ...]
    intercepts: tuple[float, ...]

    def predict(self, frame: pl.DataFrame) -> np.ndarray:
        """Return P(yes) (rows,), the probability of each class (rows, classes), or the number (rows,)."""
        return self.answer(self.encoder.encode(frame))

    def answer(self, matrix: np.ndarray) -> np.ndarray:
        """Return what `predict` returns for rows that are encoded already."""
        scores = matrix @ np.array(self.weights).T + np.array(self.intercepts)
        if self.task == "regression":
            return scores[:, 0]
        chances = expit(scores)
        if self.task == "binary":
            return chances[:, 0]
        return chances / np.maximum(chances.sum(axis=1, keepdims=True), 1e-300)

    def contributions(self, frame: pl.DataFrame) -> np.ndarray:
        """Return what each feature adds to the raw score, and the base value last: (rows, features + 1).

        Only for one row of weights. The features come in the encoder's order.
        """
        terms = self.encoder.encode(frame) * np.array(self.weights[0])
        names = [column.name for column in self.encoder.columns]
        place = {name: position for position, name in enumerate(names)}
        total = np.zeros((len(terms), len(names) + 1))
        for position, source in enumerate(self.encoder.sources):
            total[:, place[source]] += terms[:, position]
        total[:, -1] = self.intercepts[0]
        return total

    def files(self) -> dict[str, bytes]:
        """Return what a bundle stores: one JSON document."""
        return {"model.json": msgspec.json.encode(self)}
