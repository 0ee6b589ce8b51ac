"""A fitted model: a predictor, its calibration and its threshold, over the features it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl

from mainspring.errors import BundleError
from mainspring.model.calibration import Calibration
from mainspring.model.schema import FeatureSchema

__all__ = ["Model", "Predictor"]

_UNCALIBRATED = Calibration()


class Predictor(Protocol):
    """Something fitted that answers rows of features. Guarantee: the answer for a row does not depend on the other rows."""

    def predict(self, frame: pl.DataFrame) -> np.ndarray:
        """Return P(yes) (rows,), the probability of each class (rows, classes), or the number (rows,)."""
        ...

    def files(self) -> dict[str, bytes]:
        """Return the files from which the predictor can be made again, without pickle."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class Model:
    """What answers a decision. Missing feature values are allowed everywhere.

    `task` is "binary", "multiclass" or "regression"; `classes` names the columns of a multiclass prediction; `threshold`
    is the probability from which a binary decision is to act.
    """

    schema: FeatureSchema
    predictor: Predictor
    task: str
    classes: tuple[str, ...] = ()
    calibration: Calibration = _UNCALIBRATED
    threshold: float = 0.5

    def predict(self, frame: pl.DataFrame) -> np.ndarray:
        """Return P(yes) (rows,), the probability of each class (rows, classes), or the number (rows,), calibrated.

        Raises BundleError (BUNDLE_INPUT) when the frame lacks a feature.
        """
        return self.calibration.apply(self.predict_uncalibrated(frame))

    def predict_uncalibrated(self, frame: pl.DataFrame) -> np.ndarray:
        """Return what the predictor says before calibration, in the same shape as `predict`."""
        self.schema.check(frame)
        return self.predictor.predict(frame)

    def decide(self, prediction: np.ndarray) -> np.ndarray:
        """Return the decision for predictions: act (bool), the most probable class (its name), or the number itself."""
        if self.task == "binary":
            return prediction >= self.threshold
        if self.task == "multiclass":
            return np.array(self.classes)[prediction.argmax(axis=1)]
        return prediction

    def interval(self, prediction: np.ndarray) -> np.ndarray | None:
        """Return the ends of the interval around each predicted number (rows, 2), with the coverage of `Conformal`.

        None for labels that are no numbers, for bundles older than intervals, and for models calibrated on too few rows
        for any interval to be sure of its coverage (8 or fewer for 90%) or declared without calibration.
        """
        found = self.calibration.interval
        return None if found is None else np.column_stack(found.around(prediction))

    def contributions(self, frame: pl.DataFrame) -> np.ndarray:
        """Return what each feature adds to the uncalibrated raw score, and the base value last: (rows, features + 1).

        Raises BundleError (BUNDLE_INPUT) when the predictor cannot say.
        """
        self.schema.check(frame)
        explain = getattr(self.predictor, "contributions", None)
        if explain is None:
            raise BundleError(
                "BUNDLE_INPUT",
                f"A {type(self.predictor).__name__} cannot say what each feature adds.",
                fix="Use LightGBM, or ask for permutation importance, which works for every model.",
            )
        return explain(frame)
