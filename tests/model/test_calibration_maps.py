"""Calibration maps: probabilities in, probabilities out, order kept."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.model.calibration import Calibration, Identity, Isotonic, Sigmoid

MAPS = st.one_of(
    st.just(Identity()),
    st.builds(Sigmoid, slope=st.floats(0, 5), intercept=st.floats(-5, 5)),
    st.lists(st.floats(0, 1), min_size=2, max_size=6, unique=True).map(
        lambda knots: Isotonic(tuple(sorted(knots)), tuple(np.linspace(0.1, 0.9, len(knots)).tolist()))
    ),
)
SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=30).map(lambda values: np.array(sorted(values)))


@settings(deadline=None)
@given(mapping=MAPS, scores=SCORES)
def test_a_map_keeps_the_order_and_stays_inside_0_and_1(
    mapping: Identity | Sigmoid | Isotonic, scores: np.ndarray
) -> None:
    calibrated = Calibration("given", (mapping,)).apply(scores)
    assert (np.diff(calibrated) >= 0).all()
    assert ((calibrated >= 0) & (calibrated <= 1)).all()


@settings(deadline=None)
@given(mapping=MAPS, scores=SCORES)
def test_a_stored_calibration_answers_the_same_bits(mapping: Identity | Sigmoid | Isotonic, scores: np.ndarray) -> None:
    calibration = Calibration("given", (mapping,))
    again = msgspec.json.decode(msgspec.json.encode(calibration), type=Calibration)
    assert again.apply(scores).tobytes() == calibration.apply(scores).tobytes()


def test_several_classes_sum_to_one_also_when_every_map_says_never() -> None:
    never = Isotonic((0.0, 1.0), (0.0, 0.0))
    scores = np.array([[0.2, 0.8], [0.6, 0.4]])
    assert Calibration("isotonic", (never, never)).apply(scores).tolist() == scores.tolist()
    mixed = Calibration("platt", (Sigmoid(2.0, 0.3), Identity())).apply(scores)
    np.testing.assert_allclose(mixed.sum(axis=1), 1)


def test_the_sigmoid_works_on_the_logit() -> None:
    scores = np.array([0.0, 0.1, 0.5, 1.0])
    assert Sigmoid(1.0, 0.0).apply(scores) == pytest.approx(scores, abs=1e-9)
    assert Sigmoid(2.0, 0.0).apply(np.array([0.8]))[0] == pytest.approx(0.8**2 / (0.8**2 + 0.2**2))
