"""Monitors of predictions: any cut of a stream leaves the same state; a model that says other things is named."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from mainspring.clock import DAY, HOUR
from mainspring.monitoring.prediction_monitors import PredictedDays, prediction_readings, shift_readings

CLASSES = ("cold", "mild", "hot")
TASKS = ("binary", "multiclass", "regression")
JUDGED = np.random.default_rng(0).normal(10.0, 3.0, 500)


def said_of(task: str, random: np.random.Generator, n: int, moved: float = 0.0) -> np.ndarray:
    if task == "binary":
        return expit(random.normal(-1.0 + moved, 1.0, n))
    if task == "regression":
        return random.normal(10.0 + 3.0 * moved, 3.0, n)
    votes = np.exp(random.normal(size=(n, 3)) + np.array([moved, 0.0, -moved]))
    return votes / votes.sum(axis=1, keepdims=True)


def begun(task: str, *, given: bool, now: int = 0) -> PredictedDays:
    judged = said_of(task, np.random.default_rng(1), 1_000) if given or task == "regression" else None
    found = PredictedDays.begin(task, now, classes=CLASSES if task == "multiclass" else (), judged_on=judged)
    assert found is not None
    return found


@given(
    task=st.sampled_from(TASKS),
    given_rows=st.booleans(),
    seed=st.integers(0, 1_000),
    order=st.randoms(use_true_random=False),
    cuts=st.lists(st.integers(0, 60), max_size=5),
)
@settings(max_examples=40, deadline=None, database=None)
def test_any_cut_of_a_stream_leaves_the_same_state(
    task: str, given_rows: bool, seed: int, order: object, cuts: list[int]
) -> None:
    random = np.random.default_rng(seed)
    at, said = random.integers(0, 45 * DAY, 60), said_of(task, random, 60)
    said[random.random(60) < 0.1] = np.nan
    whole = begun(task, given=given_rows).after(at, said)
    places = list(range(60))
    order.shuffle(places)  # type: ignore[attr-defined]
    parts = begun(task, given=given_rows)
    for part in np.split(np.array(places), sorted(cuts)):
        parts = parts.after(at[part], said[part])
    assert parts == whole
    assert len(parts.days) <= 29
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(parts), type=PredictedDays) == parts


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("given_rows", [True, False])
def test_a_model_that_says_other_things_is_named_and_one_that_does_not_is_not(task: str, given_rows: bool) -> None:
    random = np.random.default_rng(2)
    state = begun(task, given=given_rows)
    for day in range(40):
        at = day * DAY + random.integers(0, DAY, 300)
        state = state.after(at, said_of(task, random, 300))
    firing = [each for each in prediction_readings(state, 40 * DAY) if each.state == "firing"]
    assert firing == []
    moved = state.after(40 * DAY + random.integers(0, DAY, 300), said_of(task, random, 300, 1.5))
    found = {each.monitor for each in prediction_readings(moved, 41 * DAY) if each.state == "firing"}
    assert "sudden drift" in found
    stuck = state.after(40 * DAY + random.integers(0, DAY, 300), np.repeat(said_of(task, random, 1), 300, axis=0))
    assert "constant" in {each.monitor for each in prediction_readings(stuck, 41 * DAY) if each.state == "firing"}
    assert {each.kind for each in prediction_readings(stuck, 41 * DAY)} == {"predictions"}


def test_a_model_without_judged_rows_says_nothing_in_its_first_week() -> None:
    random = np.random.default_rng(3)
    state = begun("binary", given=False)
    assert [each.state for each in prediction_readings(state, 3 * HOUR)] == ["unknown"]
    for day in range(7):
        (told,) = prediction_readings(state, day * DAY + HOUR)
        assert told.state == "unknown"
        state = state.after(np.full(100, day * DAY), said_of("binary", random, 100))
    assert prediction_readings(state, 8 * DAY)[0].state == "ok"


def test_where_to_count_the_values_of_a_model_is_not_guessed() -> None:
    assert PredictedDays.begin("regression", 0) is None
    assert PredictedDays.begin("regression", 0, judged_on=JUDGED) is not None


def world(random: np.random.Generator, n: int, share: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    y = (random.random(n) < share) * 1.0
    x = random.normal(size=n) + 1.5 * (y - 0.5)
    return expit(1.5 * x + np.log(0.3 / 0.7)), y


def test_the_kind_of_a_shift_is_named() -> None:
    random = np.random.default_rng(4)
    reference = world(random, 4_000)
    same, more = world(random, 4_000), world(random, 4_000, 0.45)
    (quiet,) = shift_readings({"x": 1.0}, reference=reference, newest=same)
    assert quiet.state == "ok"
    label = shift_readings({"x": 1.0}, reference=reference, newest=more)
    assert [(each.about, each.severity) for each in label] == [("label", "ticket")]
    concept = shift_readings({"x": 1.0}, reference=reference, newest=(same[0], 1.0 - same[1]))
    assert [each.about for each in concept] == ["concept"]
    covariate = shift_readings({"x": 1e-9}, reference=reference, newest=same)
    assert [(each.about, each.severity) for each in covariate] == [("covariate", "note")]
    (few,) = shift_readings({"x": 1.0}, reference=reference, newest=(same[0][:5], same[1][:5]))
    assert few.state == "unknown"


def test_predictions_that_differ_from_day_to_day_are_no_covariate_shift_alone() -> None:
    random = np.random.default_rng(5)
    p = expit(random.normal(-1.0, 1.0, 5_000))
    y = (random.random(5_000) < p) * 1.0
    (told,) = shift_readings(
        {"x": 1.0}, reference=(p[:2_500], y[:2_500]), newest=(np.sort(p)[2_500:], y[np.argsort(p)][2_500:])
    )
    assert told.state == "ok"


def test_label_shift_of_several_classes_is_named() -> None:
    random = np.random.default_rng(6)

    def several(shares: list[float]) -> tuple[np.ndarray, np.ndarray]:
        y = random.choice(3, 4_000, p=shares)
        votes = np.exp(random.normal(size=(4_000, 3)) + 2.0 * np.eye(3)[y])
        return votes / votes.sum(axis=1, keepdims=True), y

    reference = several([0.5, 0.3, 0.2])
    (quiet,) = shift_readings({}, reference=reference, newest=several([0.5, 0.3, 0.2]))
    (told,) = shift_readings({}, reference=reference, newest=several([0.3, 0.3, 0.4]))
    assert (quiet.state, told.state, told.about) == ("ok", "firing", "label")
