"""Kinds of shift: each that is injected is named right, nothing is named where nothing moved, and noise is not inverted."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit, ndtr

from mainspring.monitoring.calibration_check import Unknown
from mainspring.monitoring.label_shift import LabelShares, label_shares, with_share
from mainspring.monitoring.shift import Shift, kinds_of_shift

STREAMS = 1000
NOMINAL = 0.05 + 3 * math.sqrt(0.05 * 0.95 / STREAMS)  # what 1,000 streams may show of a level of 5%
SHARE = 0.3
CENTRES = np.array([1.0, 0.5, 0.0, 0.0])  # of the features of a true label, less those of a false one
OTHER_CENTRES = np.array([0.2, 0.5, 0.8, 0.0])
Rows = tuple[np.ndarray, np.ndarray]


def world(random: np.random.Generator, n: int, share: float = SHARE) -> Rows:
    """Features (n, 4) and labels whose P(label | features) is known: `truth`."""
    y = (random.random(n) < share) * 1.0
    return random.normal(size=(n, 4)) + np.outer(y - 0.5, CENTRES), y


def truth(x: np.ndarray, share: float = SHARE, centres: np.ndarray = CENTRES) -> np.ndarray:
    return expit(x @ centres + logit(share))


def labelled(random: np.random.Generator, x: np.ndarray, p: np.ndarray) -> Rows:
    return x, (random.random(len(p)) < p) * 1.0


def moved_features(random: np.random.Generator, n: int) -> np.ndarray:
    return world(random, n)[0] + np.array([0.5, -0.3, 0.4, 0.0])


INJECTED: dict[str, tuple[set[str], Callable[[np.random.Generator, int], Rows]]] = {
    "more labels": ({"label"}, lambda random, n: world(random, n, 0.45)),
    "fewer labels": ({"label"}, lambda random, n: world(random, n, 0.2)),
    "features": ({"covariate"}, lambda random, n: labelled(random, x := moved_features(random, n), truth(x))),
    "relation": (
        {"concept"},
        lambda random, n: labelled(random, x := world(random, n)[0], truth(x, centres=OTHER_CENTRES)),
    ),
    "base rate": ({"concept"}, lambda random, n: labelled(random, x := world(random, n)[0], truth(x, share=0.45))),
    "features and relation": (
        {"covariate", "concept"},
        lambda random, n: labelled(random, x := moved_features(random, n), truth(x, centres=OTHER_CENTRES)),
    ),
}


def of_features(before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """The p-value of each feature's mean; a monitor would ask for the whole distribution."""
    chance = np.sqrt(before.var(axis=0) / len(before) + after.var(axis=0) / len(after))
    z = (after.mean(axis=0) - before.mean(axis=0)) / chance
    return {f"x{k}": 2 * float(ndtr(-abs(each))) for k, each in enumerate(z)}


def named(
    random: np.random.Generator,
    now: Rows,
    labels: int = 2500,
    days: np.ndarray | None = None,
    reference: int = 5000,
    tolerance: float = 0.01,
) -> list[Shift] | Unknown:
    before, y = world(random, reference)
    x, came = now
    return kinds_of_shift(
        of_features(before, x),
        reference=(truth(before), y),
        current=truth(x),
        matured=(truth(x[:labels]), came[:labels]),
        days=days,
        tolerance=tolerance,
    )


# Laws


@pytest.mark.parametrize("by_day", [False, True])
def test_where_nothing_moved_nothing_is_named_but_at_the_level(by_day: bool) -> None:
    random = np.random.default_rng(1)
    days = np.arange(1000) // 50 if by_day else None
    found = [named(random, world(random, 1500), 1000, days, reference=1500, tolerance=0.0) for _ in range(STREAMS)]
    assert sum(isinstance(each, list) and bool(each) for each in found) <= NOMINAL * STREAMS
    assert sum(each == [] for each in found) >= 0.92 * STREAMS, "and that is said"


@pytest.mark.parametrize("kind", INJECTED)
def test_what_is_injected_is_named_right(kind: str) -> None:
    random = np.random.default_rng(2)
    expected, draw = INJECTED[kind]
    found = [named(random, draw(random, 5000)) for _ in range(50)]
    kinds = [None if isinstance(each, Unknown) else {shift.kind for shift in each} for each in found]
    assert sum(each == expected for each in kinds) >= 45, kinds


@pytest.mark.parametrize("kind", ["more labels", "features", "relation"])
def test_without_labels_the_kind_is_unknown_but_not_what_moved(kind: str) -> None:
    random = np.random.default_rng(3)
    for labels in (0, 50):
        found = named(random, INJECTED[kind][1](random, 5000), labels)
        assert isinstance(found, Unknown)
        assert found.reason.startswith("No feature moved." if kind == "relation" else "Moved: ")


def test_few_labels_do_not_make_a_label_shift_one_of_features() -> None:
    random = np.random.default_rng(4)
    found = [named(random, world(random, 5000, 0.37), labels=250) for _ in range(100)]
    assert sum(isinstance(each, Unknown) for each in found) >= 50
    assert sum(isinstance(each, list) and "covariate" in {shift.kind for shift in each} for each in found) <= 5


@pytest.mark.parametrize("form", ["probabilities", "hard", "three classes"])
def test_label_shares_are_right_by_their_errors(form: str) -> None:
    random = np.random.default_rng(5)
    before, now = (np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])) if form == "three classes" else (SHARE, 0.45)

    def predicted(n: int, shares: np.ndarray | float) -> Rows:
        if isinstance(shares, float):
            x, y = world(random, n, shares)
            return truth(x) if form == "probabilities" else (truth(x) >= 0.5) * 1.0, y
        y = random.choice(3, n, p=shares)
        weights = np.exp(1.5 * random.normal(size=(n, 3)) + 2.0 * np.eye(3)[y])
        return weights / weights.sum(axis=1, keepdims=True), y

    inside, right = [], np.atleast_1d(now) if form == "three classes" else np.array([1 - 0.45, 0.45])
    for _ in range(400):
        found = label_shares(*predicted(1500, before), predicted(1500, now)[0])
        assert isinstance(found, LabelShares)
        inside.append(np.abs(np.array(found.shares) - right) <= 1.96 * np.array(found.errors))
    assert 0.95 - 0.035 <= np.mean(inside) <= 0.95 + 0.035


@pytest.mark.parametrize("classes", [2, 4])
def test_unmoved_predictions_are_taken_for_moved_at_the_level(classes: int) -> None:
    random = np.random.default_rng(6)
    rejected = 0
    for _ in range(STREAMS):
        y = random.integers(0, classes, 1500)
        p = random.dirichlet(np.ones(classes), 1500) / 2 + np.eye(classes)[y] / 2
        found = label_shares(p[:1000], y[:1000], p[1000:])
        assert isinstance(found, LabelShares)
        rejected += found.p_value <= 0.05
    assert 0.02 * STREAMS <= rejected <= NOMINAL * STREAMS


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0.01, 0.99))
def test_other_shares_change_all_odds_alike(seed: int, share: float) -> None:
    p = np.random.default_rng(seed).uniform(0.01, 0.99, 50)
    found = with_share(p, share)
    assert found.mean() == pytest.approx(share)
    assert np.ptp(logit(found) - logit(p)) == pytest.approx(0.0, abs=1e-6)


def test_other_shares_are_those_of_bayes() -> None:
    random = np.random.default_rng(7)
    x, y = world(random, 50_000, 0.45)
    assert with_share(truth(x), y.mean()) == pytest.approx(truth(x, share=0.45), abs=0.015)


# Cases


def test_hard_predictions_are_read_through_the_confusion_matrix() -> None:
    y = np.repeat([1.0, 0.0], [100, 200])
    said = np.concatenate([np.arange(100) < 80, np.arange(200) < 20]) * 1.0  # of the true 80% found, of the false 10%
    found = label_shares(said, y, np.repeat([1.0, 0.0], [45, 55]))
    assert isinstance(found, LabelShares)
    assert found.shares[1] == pytest.approx((0.45 - 0.1) / (0.8 - 0.1))
    assert found.before == pytest.approx((2 / 3, 1 / 3))
    by_hand = (0.45 * 0.55 / 99 + 0.5**2 * 0.8 * 0.2 / 99 + 0.5**2 * 0.1 * 0.9 / 199) / 0.7**2
    assert found.errors[1] == pytest.approx(math.sqrt(by_hand))
    none = label_shares(said, y, np.zeros(100))
    assert isinstance(none, LabelShares)
    assert none.shares == (1.0, 0.0), "a share is not below 0"


@pytest.mark.parametrize(
    ("reference", "current", "reason"),
    [
        (np.full(1000, 0.3), np.full(50, 0.3), "tell some classes apart so badly"),
        (np.random.default_rng(8).random(1000), np.full(50, 0.3), "tell some classes apart so badly"),
        (np.random.default_rng(8).dirichlet(np.ones(3), 1000), np.full((50, 3), 1 / 3), "of a class; 10 are needed"),
        (np.zeros(0), np.full(50, 0.3), "There are no predictions."),
        (np.full(1000, 0.3), np.zeros(0), "There are no predictions."),
        (np.full(1000, 0.3), np.full(50, math.nan), "no probabilities"),
    ],
    ids=["constant", "chance", "class missing", "no reference", "no predictions", "nan"],
)
def test_what_cannot_be_inverted_is_refused(reference: np.ndarray, current: np.ndarray, reason: str) -> None:
    found = label_shares(reference, np.arange(len(reference)) % 2, current)
    assert isinstance(found, Unknown)
    assert reason in found.reason


def test_a_model_that_tells_nothing_apart_does_not_hide_a_shift_of_features() -> None:
    random = np.random.default_rng(9)
    p, y = np.full(2000, SHARE), (random.random(2000) < SHARE) * 1.0
    assert kinds_of_shift({"x0": 0.4}, reference=(p, y), current=p, matured=(p, y)) == []
    (found,) = kinds_of_shift({"x0": 1e-9, "x1": 0.9}, reference=(p, y), current=p, matured=(p, y))
    assert found == Shift("covariate", 2e-9, "Moved: x0.")
    more = kinds_of_shift({"x0": 1e-9}, reference=(p, y), current=p, matured=(p, (random.random(2000) < 0.5) * 1.0))
    assert isinstance(more, Unknown)
    assert "came true. The predictions tell some classes apart so badly" in more.reason


def test_the_evidence_is_told() -> None:
    random = np.random.default_rng(10)
    (label,) = named(random, INJECTED["more labels"][1](random, 5000))
    assert isinstance(label, Shift)
    assert label.evidence.startswith("Predictions put the share of yes at 0.4")
    concept, covariate = named(random, INJECTED["features and relation"][1](random, 5000))
    assert concept.evidence.startswith("Of the labels that matured")
    assert covariate.evidence.startswith("Moved: ")
    assert set(covariate.evidence[7:-1].split(", ")) == {"predictions", "x0", "x1", "x2"}
