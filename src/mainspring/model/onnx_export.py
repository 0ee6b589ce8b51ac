"""skl2onnx, the optional package that writes an estimator in ONNX: the only place that loads it."""

from __future__ import annotations

import warnings
from typing import Any

from mainspring.model.onnx_boosting import boosting_converters, declare_opset

__all__ = ["export"]


def export(estimator: Any, columns: int, *, double: bool, margins: bool) -> bytes:
    """Return a fitted estimator of matrices (rows, columns) as an ONNX model of float64 or float32.

    Its last output is the number, the probability of each class, or, with `margins`, what decision_function says, last
    column last. The same estimator gives the same bytes.

    Raises ImportError without the package, and errors of any class for an estimator that it cannot convert.
    """
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    tensor = DoubleTensorType if double else FloatTensorType
    converters, shapes = boosting_converters()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = convert_sklearn(
            estimator,
            name="estimator",
            initial_types=[("rows", tensor([None, columns]))],
            options=_options(estimator, margins),
            custom_conversion_functions=converters,
            custom_shape_calculators=shapes,
        )
    declare_opset(model)
    return model.SerializeToString()


def _options(estimator: Any, margins: bool) -> dict[int, dict[str, bool]]:
    from sklearn.pipeline import Pipeline
    from sklearn.svm import LinearSVC

    if not margins:
        return {id(estimator): {"zipmap": False}} if hasattr(estimator, "predict_proba") else {}
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if isinstance(last, LinearSVC):  # the one classifier whose answer is never a list of dicts
        return {id(last): {"raw_scores": True}}
    return {id(estimator): {"zipmap": False, "raw_scores": True}}
