"""Metrics: equal to scikit-learn's, indifferent to the order of rows, and weights mean repetition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as peer

from mainspring.errors import EvaluationError
from mainspring.evaluation.metric import METRICS, Metric, equal_mass_bins, levels, metric_named, metrics_for, pinball

PEERS = {
    "log_loss": lambda y, p, w: (
        peer.log_loss(y, p, sample_weight=w, labels=range(max(2, p.ndim and p.shape[-1])))
        if p.ndim == 2
        else peer.log_loss(y, p, sample_weight=w, labels=[0, 1])
    ),
    "brier": lambda y, p, w: peer.brier_score_loss(
        y, p, sample_weight=w, labels=range(p.shape[1]) if p.ndim == 2 else [0, 1]
    ),
    "auc": lambda y, p, w: peer.roc_auc_score(y, p, sample_weight=w),
    "pr_auc": lambda y, p, w: peer.average_precision_score(y, p, sample_weight=w),
    "accuracy": lambda y, p, w: peer.accuracy_score(y, p.argmax(axis=1), sample_weight=w),
    "rmse": lambda y, p, w: peer.root_mean_squared_error(y, p, sample_weight=w),
    "mae": lambda y, p, w: peer.mean_absolute_error(y, p, sample_weight=w),
    "pinball": lambda y, p, w: peer.mean_pinball_loss(y, p, sample_weight=w),
}
CASES = [(task, metric) for task in ("binary", "multiclass", "regression") for metric in metrics_for(task)]
NAMES = [f"{task}-{metric.name}" for task, metric in CASES]


def rows(task: str, seed: int, n: int, *, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions of a task; with ties, predictions repeat and reach 0 and 1."""
    random = np.random.default_rng(seed)
    if task == "regression":
        y = random.normal(size=n) * 10
        return y, np.round(y + random.normal(size=n)) if ties else y + random.normal(size=n)
    if task == "multiclass":
        p = random.dirichlet(np.ones(4), n)
        return np.concatenate([np.arange(4), random.integers(0, 4, n - 4)]), p
    p = np.round(random.random(n), 1) if ties else random.random(n)
    return np.concatenate([[0.0, 1.0], (random.random(n - 2) < p[2:]).astype(float)]), p


@pytest.mark.parametrize(("task", "metric"), CASES, ids=NAMES)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(4, 60), ties=st.booleans(), weighted=st.booleans())
def test_metric_equals_scikit_learn(task: str, metric: Metric, seed: int, n: int, ties: bool, weighted: bool) -> None:
    y, p = rows(task, seed, n, ties=ties)
    weight = np.random.default_rng(seed).integers(1, 4, n) / 2 if weighted else None
    if metric.name == "ece":
        return  # scikit-learn has none: see test_ece_is_the_weighted_gap_of_equal_mass_bins
    assert metric(y, p, weight) == pytest.approx(PEERS[metric.name](y, p, weight), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("task", "metric"), CASES, ids=NAMES)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(4, 60), ties=st.booleans())
def test_order_of_rows_does_not_matter(task: str, metric: Metric, seed: int, n: int, ties: bool) -> None:
    y, p = rows(task, seed, n, ties=ties)
    shuffled = np.random.default_rng(seed).permutation(n)
    assert metric(y[shuffled], p[shuffled]) == pytest.approx(metric(y, p), rel=1e-12, abs=1e-13)


@pytest.mark.parametrize(("task", "metric"), [case for case in CASES if case[1].name != "ece"])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(4, 60), ties=st.booleans())
def test_a_whole_weight_is_a_repetition(task: str, metric: Metric, seed: int, n: int, ties: bool) -> None:
    y, p = rows(task, seed, n, ties=ties)
    weight = np.random.default_rng(seed).integers(1, 4, n)
    assert metric(y, p, weight) == pytest.approx(metric(np.repeat(y, weight), np.repeat(p, weight, axis=0)), rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 200), ties=st.booleans(), bins=st.integers(1, 20))
def test_equal_predictions_share_a_bin_and_bins_are_in_order(seed: int, n: int, ties: bool, bins: int) -> None:
    _, p = rows("binary", seed, n, ties=ties)
    cell, count = equal_mass_bins(p, bins)
    assert count <= bins
    assert set(cell) == set(range(count))
    assert all(len(set(cell[p == value])) == 1 for value in set(p))
    assert (np.diff(cell[np.argsort(p)]) >= 0).all()
    if not ties and n >= bins:
        assert np.ptp(np.bincount(cell)) <= 1


def test_ece_is_the_weighted_gap_of_equal_mass_bins() -> None:
    y, p = rows("binary", 1, 3000, ties=False)
    order = np.argsort(p)
    expected = sum(len(part) * abs(y[part].mean() - p[part].mean()) for part in np.array_split(order, 15)) / len(p)
    assert METRICS["ece"](y, p) == pytest.approx(expected)
    assert METRICS["ece"](np.array([0.0, 1.0]), np.array([0.5, 0.5])) == 0.0


def test_pinball_leans_to_the_side_of_its_quantile() -> None:
    y = np.array([0.0])
    assert pinball(0.9)(y, np.array([-1.0])) == pytest.approx(0.9)
    assert pinball(0.9)(y, np.array([1.0])) == pytest.approx(0.1)
    assert metric_named("pinball@0.9").name == "pinball@0.9"


@pytest.mark.parametrize(
    ("name", "task"),
    [("auk", None), ("auc", "regression"), ("pinball@2", None), ("pinball@x", None), ("mae", "binary")],
)
def test_an_unknown_metric_lists_what_exists(name: str, task: str | None) -> None:
    with pytest.raises(EvaluationError) as caught:
        metric_named(name, task)
    assert caught.value.code == "EVALUATE_METRIC"
    if "@2" not in name:
        assert all(metric.name in str(caught.value) for metric in metrics_for(task or "binary"))


@pytest.mark.parametrize(
    ("name", "y", "p"),
    [("auc", [1.0, 1.0], [0.1, 0.2]), ("pr_auc", [0.0], [0.1]), ("rmse", [], []), ("brier", [1.0], [np.nan])],
)
def test_an_undefined_metric_is_refused(name: str, y: list[float], p: list[float]) -> None:
    with pytest.raises(EvaluationError, match="EVALUATE_METRIC"):
        METRICS[name](np.array(y), np.array(p))


def test_levels_of_classes_are_those_of_the_most_frequent() -> None:
    label, predicted = levels(np.array([1, 1, 0]), np.array([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]]))
    assert label.tolist() == [1, 1, 0]
    assert predicted.tolist() == [0.8, 0.5, 0.1]
