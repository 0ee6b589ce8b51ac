"""Intervals of numbers: from a stored calibration to the ends around one prediction."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.model import Calibration, Feature, FeatureSchema, LinearEncoder, Model, compile_model
from mainspring.model.conformal import Conformal
from mainspring.model.linear import LinearPredictor


def model(calibration: Calibration, task: str = "regression") -> Model:
    schema = FeatureSchema((Feature("delay", "float"),))
    predictor = LinearPredictor(task, LinearEncoder(()), ((),), (3.0,))
    return Model(schema=schema, predictor=predictor, task=task, calibration=calibration)


@given(
    predictions=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=9),
    half_width=st.floats(0, 1e9),
)
def test_one_interval_is_that_of_many_and_holds_its_prediction(predictions: list[float], half_width: float) -> None:
    made = model(Calibration(interval=Conformal(half_width, 0.9, 100)))
    ends = made.interval(np.array(predictions))
    assert ends is not None
    assert ends.shape == (len(predictions), 2)
    fast = compile_model(made)
    for prediction, (low, high) in zip(predictions, ends.tolist(), strict=True):
        assert fast.interval_one(prediction) == (low, high)
        assert low <= prediction <= high


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_without_a_learned_width_there_is_no_interval(task: str) -> None:
    made = model(Calibration(), task)
    assert made.interval(np.array([0.5])) is None
    assert compile_model(made).interval_one(0.5) is None


def test_a_calibration_survives_its_file_and_one_of_an_older_bundle_is_read() -> None:
    calibration = Calibration(interval=Conformal(0.1 + 0.2, 0.9, 100))
    assert msgspec.json.decode(msgspec.json.encode(calibration), type=Calibration) == calibration
    assert msgspec.json.decode(b'{"method":"none","maps":[]}', type=Calibration) == Calibration()
