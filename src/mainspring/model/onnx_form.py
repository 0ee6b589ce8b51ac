"""The form of an estimator in ONNX, made when it was trained and kept only if it answers alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from mainspring.model.estimator import EstimatorPredictor
from mainspring.model.model import Model
from mainspring.model.onnx_export import export
from mainspring.model.onnx_session import OnnxSession
from mainspring.model.scorers import onnx_answer

__all__ = ["COMPARED", "TOLERANCE", "with_onnx"]

TOLERANCE = 1e-5
"""How far answers may differ: as a probability, or as a share of the spread (standard deviation) of predicted numbers."""
COMPARED = 2_000
"""Rows to compare on."""
_LARGEST = 32_000_000  # bytes of model.skops; skl2onnx walks tree by tree in Python, some seconds for every ten million


def with_onnx(model: Model, sample: pl.DataFrame) -> Model:
    """Return the model, its estimator with its form in ONNX where that answers alike; other predictors stay as they are.

    The form takes float64, or float32 where that is what answers alike (scikit-learn's own trees round to it). Guarantee:
    on every row of `sample`, and on as many rows of numbers halfway between those of the sample, where trees have their
    splits, its calibrated answer, as `compile_model` gives it, lies within `TOLERANCE` of the model's. Where it does not,
    or cannot be made, there is none, and `onnx_note` says why: a model is never worse for want of it. Estimators of frames
    have none, since ONNX knows no frames.
    """
    predictor = model.predictor
    if not isinstance(predictor, EstimatorPredictor):
        return model
    if predictor.encoder is None:
        return _noted(model, None, "the estimator reads a frame, which ONNX cannot")
    try:
        stored = len(predictor.files()["model.skops"])
    except Exception as error:  # what no bundle can hold is refused when one is written
        return _noted(model, None, f"the estimator cannot be stored: {type(error).__name__}")
    if stored > _LARGEST:
        return _noted(model, None, f"the estimator is too large to convert: {stored:,} bytes, over {_LARGEST:,}")
    encoded = predictor.encoder.encode(sample)
    encoded = np.vstack([encoded, _halfway(encoded)])
    reasons = []
    for double in (True, False):
        try:
            form = export(predictor.estimator, encoded.shape[1], double=double, margins=predictor.scores)
            difference = _difference(model, predictor, OnnxSession(form), encoded)
        except ImportError as error:
            return _noted(model, None, f"{error.name} is not installed: pip install 'mainspring[onnx]'")
        except Exception as error:  # converter and runtime fail in any class; speed is optional, so no failure may pass
            reasons.append(f"cannot be converted: {type(error).__name__}: {str(error).split(chr(10))[0]:.200}")
            continue
        told = f"its answers differ by up to {difference:.1e} from the estimator's on {len(encoded):,} rows"
        if difference <= TOLERANCE:
            return _noted(model, form, f"model.onnx in {'float64' if double else 'float32'}: {told}")
        reasons.append(f"{told}, more than {TOLERANCE:.0e}")
    return _noted(model, None, "in float64: {}; in float32: {}".format(*reasons))


def _noted(model: Model, form: bytes | None, note: str) -> Model:
    return replace(model, predictor=replace(model.predictor, onnx=form, onnx_note=note))  # type: ignore[type-var]


def _halfway(encoded: np.ndarray) -> np.ndarray:
    """Return as many rows again, each number drawn from those halfway between neighbours in its column.

    A whole number that training did not see may come to lie on a split; there a form in float32 goes astray that answers
    alike on every training row.
    """
    random, rows = np.random.default_rng(0), np.empty_like(encoded)
    for column in range(encoded.shape[1]):
        values = np.unique(encoded[:, column])
        between = (values[1:] + values[:-1]) / 2 if len(values) > 1 else values
        rows[:, column] = random.choice(between, len(rows)) if len(between) else 0.0
    return rows


def _difference(model: Model, predictor: EstimatorPredictor, session: OnnxSession, encoded: np.ndarray) -> float:
    """Return the largest difference of calibrated answers, infinite where one of them is no number."""
    meant = model.calibration.apply(predictor.answer(encoded))
    found = model.calibration.apply(onnx_answer(predictor, session)(encoded))
    if meant.shape != found.shape:
        return np.inf
    spread = float(meant.std()) or 1.0 if model.task == "regression" else 1.0
    return float(np.abs(found - meant).max(initial=0.0)) / spread if np.isfinite(found - meant).all() else np.inf
