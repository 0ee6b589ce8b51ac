"""A model made ready to answer one decision in microseconds, from features as plain Python values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mainspring.errors import BundleError
from mainspring.model.linear import LinearPredictor
from mainspring.model.model import Model
from mainspring.model.plain_values import frame_of
from mainspring.model.scorers import scorer_of
from mainspring.model.single_value import calibrator_of

__all__ = ["CompiledModel", "compile_model"]


def compile_model(model: Model) -> CompiledModel:
    """Return the model made ready for single rows.

    Trees are laid out and their kernels compiled here, so that the first answer is as fast as the next; it takes some
    hundredths of a second, and a few seconds the first time on a machine. Trees and linear models answer by themselves,
    an estimator by ONNX Runtime where the bundle has its form in ONNX and the package is there (`onnx_form`), or itself.

    Raises BundleError (BUNDLE_FORMAT) when a tree of the model leads in circles.
    """
    return CompiledModel(model)


class CompiledModel:
    """Answers what `model` answers from mappings of feature names to plain values.

    How nearly: LightGBM's trees, linear models and estimators that answer themselves, to the last bit. An estimator that
    is answered for by ONNX Runtime, within `onnx_form.TOLERANCE` on every row that was compared when the form was made, and
    on others as far as those speak for them: no proof, as float32 may round a number to the other side of a split.

    A feature that is absent, None or NaN is missing; a category that training did not see is missing; false and true are 0
    and 1 (see `plain_values`). `predict_one` answers as `Model.predict` does for a frame of that row alone. For trees a
    row's answer is the same in any frame; the matrix products of other models may round a row differently among others.

    Guarantee: no call leaves anything behind, so any number of threads may ask at once.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._scorer = scorer_of(model)
        self._score_one = self._scorer.score_one
        self.batches = self._scorer.batches
        """Whether many rows at once cost much less than one after the other (`serving.batching`)."""
        self._calibrate = calibrator_of(model.calibration)

    def predict_one(self, values: Mapping[str, Any]) -> float | tuple[float, ...]:
        """Return P(yes), the probability of each class in the order of `classes`, or the number, calibrated.

        Raises BundleError (BUNDLE_INPUT) for a value that its feature cannot have.
        """
        score = self._score_one(values)
        return score if self._calibrate is None else self._calibrate(score)

    def predict_many(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Return P(yes) (rows,), the probability of each class (rows, classes), or the number (rows,), calibrated.

        Raises BundleError (BUNDLE_INPUT) for a value that its feature cannot have.
        """
        return self.model.calibration.apply(self._scorer.score_many(rows))

    def decide_one(self, prediction: float | tuple[float, ...]) -> bool | str | float:
        """Return the decision for a prediction: act, the name of the most probable class, or the number itself."""
        if isinstance(prediction, tuple):
            return self.model.classes[int(np.argmax(prediction))]
        return prediction >= self.model.threshold if self.model.task == "binary" else prediction

    def interval_one(self, prediction: float) -> tuple[float, float] | None:
        """Return the ends of the interval around a predicted number, or None where `Model.interval` knows none."""
        found = self.model.calibration.interval
        return None if found is None else found.around(prediction)

    def contributions_one(self, values: Mapping[str, Any]) -> dict[str, float] | tuple[dict[str, float], ...]:
        """Return what each feature adds to the uncalibrated raw score, and the base value under "".

        With several classes one dict for each, in the order of `classes`.

        Raises BundleError (BUNDLE_INPUT) when the predictor cannot say, or for a value that its feature cannot have.
        """
        predictor, names = self.model.predictor, self.model.schema.names
        several = self.model.task == "multiclass"
        if isinstance(predictor, LinearPredictor):
            names = [column.name for column in predictor.encoder.columns]
            if several:
                raise BundleError(
                    "BUNDLE_INPUT",
                    "A linear model of several classes cannot say what each feature adds.",
                    fix="Use LightGBM, or ask for permutation importance, which works for every model.",
                )
        terms = self.model.contributions(frame_of([values], self.model.schema)).reshape(-1, len(names) + 1).tolist()
        by_class = tuple(dict(zip([*names, ""], each, strict=True)) for each in terms)
        return by_class if several else by_class[0]
