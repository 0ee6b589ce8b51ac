"""Weights of rows."""

from __future__ import annotations

import numpy as np
import pytest

from mainspring.errors import TrainingError
from mainspring.training.weights import class_weights, decay_weights, row_weights


def test_balanced_classes_weigh_the_same_in_total() -> None:
    y = np.array([0.0] * 8 + [1.0] * 2)
    weights = class_weights(y, "balanced")
    assert weights[y == 0].sum() == pytest.approx(weights[y == 1].sum())
    assert weights.mean() == pytest.approx(1)
    three = class_weights(np.array([0.0, 0, 0, 1, 1, 2]), "balanced", ("a", "b", "c"))
    assert three.tolist() == pytest.approx([2 / 3] * 3 + [1.0] * 2 + [2.0])


def test_a_mapping_names_classes_as_the_user_does() -> None:
    assert class_weights(np.array([0.0, 1.0]), {True: 3.0}).tolist() == [1.0, 3.0]
    assert class_weights(np.array([1.0, 0.0]), {"b": 5.0}, ("a", "b")).tolist() == [5.0, 1.0]
    with pytest.raises(TrainingError, match="'late', which is no class") as caught:
        class_weights(np.array([0.0, 1.0]), {"late": 2.0})
    assert caught.value.code == "TRAIN_ESTIMATOR"


def test_a_weight_halves_with_each_half_life() -> None:
    assert decay_weights(np.array([0, 50, 100]), 100, 50).tolist() == [0.25, 0.5, 1.0]


def test_weights_multiply_and_keep_a_mean_of_one() -> None:
    product = row_weights(np.array([1.0, 3.0]), None, np.array([1.0, 1.0]))
    assert product is not None
    assert product.tolist() == [0.5, 1.5]
    assert row_weights(None, None) is None
