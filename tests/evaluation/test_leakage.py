"""The leakage audit: what leaks is named, what is merely good is not."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from mainspring.clock import HOUR, MINUTE
from mainspring.evaluation.bootstrap import resample
from mainspring.evaluation.leakage import (
    NO_FACT,
    known_close_to_label,
    shared_groups,
    shared_rows,
    single_feature_figures,
    too_good_alone,
)
from mainspring.evaluation.metric import METRICS

N = 4000


@pytest.fixture(scope="module")
def binary() -> tuple[pl.DataFrame, np.ndarray]:
    """Features that leak in different ways, and honest ones, of a label that comes true in a fifth of the rows."""
    random = np.random.default_rng(0)
    y = (random.random(N) < 0.2).astype(float)
    frame = pl.DataFrame(
        {
            "honest": random.normal(size=N) + y,
            "noise": random.normal(size=N),
            "rare_category": [f"tail{i}" for i in random.integers(0, N // 2, N)],
            "leak": random.normal(size=N) - 10 * y,
            "leak_by_absence": pl.Series(random.normal(size=N)).set(pl.Series(y > 0.5), None),
            "leak_by_category": np.where(y > 0.5, "landed late", "landed"),
            "strong": random.normal(size=N) + 1.6 * y,
            "constant": np.ones(N),
            "yes": random.random(N) < 0.5,
        }
    )
    return frame, y


def test_leaks_are_errors_and_honest_features_are_not(binary: tuple[pl.DataFrame, np.ndarray]) -> None:
    frame, y = binary
    found = {f.subject: f.severity for f in too_good_alone(frame, y, "binary", model_figure=0.99)}
    assert found == {"leak": "error", "leak_by_absence": "error", "leak_by_category": "error"}


def test_a_strong_feature_is_a_warning_only_when_the_model_adds_nothing(
    binary: tuple[pl.DataFrame, np.ndarray],
) -> None:
    frame, y = binary
    figure = single_feature_figures(frame, y, "binary")["strong"]
    assert 0.85 < figure < 0.95
    for model, warned in ((None, True), (figure, True), (figure + 0.02, False)):
        found = {f.subject: f.severity for f in too_good_alone(frame, y, "binary", model_figure=model)}
        assert (found.get("strong") == "warning") is warned


def test_a_number_alone_has_its_auc_and_memory_is_no_quality(binary: tuple[pl.DataFrame, np.ndarray]) -> None:
    frame, y = binary
    figures = single_feature_figures(frame, y, "binary")
    assert figures["honest"] == pytest.approx(roc_auc_score(y, frame["honest"]))
    assert figures["leak"] == pytest.approx(1 - roc_auc_score(y, frame["leak"]))
    assert abs(figures["rare_category"] - 0.5) < 0.05
    assert figures["constant"] == 0.5


def test_rare_values_do_not_drown_the_frequent_ones_of_a_category() -> None:
    random = np.random.default_rng(0)
    rate = np.repeat([0.1, 0.35, 0.6], N)
    value = np.concatenate([["cold"] * N, [f"tail{i}" for i in random.integers(0, N, N)], ["hot"] * N])
    mixed = random.permutation(3 * N)
    y = (random.random(3 * N) < rate).astype(float)
    known = roc_auc_score(y, rate)  # of the true rates
    figure = single_feature_figures(pl.DataFrame({"c": value[mixed]}), y[mixed], "binary")["c"]
    assert known - 0.02 < figure < known + 0.02


def test_numbers_and_classes_have_leaks_too() -> None:
    random = np.random.default_rng(0)
    y = random.normal(size=1000)
    frame = pl.DataFrame({"leak": np.exp(-y), "honest": y + random.normal(size=1000)})
    assert [f.subject for f in too_good_alone(frame, y, "regression")] == ["leak"]
    classes = random.integers(0, 3, 1000)
    frame = pl.DataFrame({"leak": (classes == 2).astype(float), "text": [f"c{c}" for c in classes], "noise": y})
    assert {f.subject for f in too_good_alone(frame, classes, "multiclass")} == {"leak", "text"}


def test_nothing_to_judge_finds_nothing() -> None:
    empty = pl.DataFrame({"a": pl.Series([], dtype=pl.Float64), "b": pl.Series([], dtype=pl.String)})
    assert too_good_alone(empty, np.zeros(0), "binary") == []
    assert too_good_alone(pl.DataFrame({"a": [1.0, 2.0]}), np.ones(2), "binary") == []
    nothing = np.zeros(0, np.int64)
    assert known_close_to_label(nothing, nothing, {"a": nothing}) == []
    assert shared_rows(empty, empty) is None


def test_facts_near_the_label_are_named() -> None:
    decided = np.arange(1000, dtype=np.int64) * HOUR
    label = decided + 3 * HOUR
    far, near, late, never = decided - HOUR, decided.copy(), decided.copy(), np.full(1000, NO_FACT)
    near[:20] = label[:20] - 5 * MINUTE  # known after the decision as well
    soon = label.copy()
    soon[:30] = decided[:30] + 6 * MINUTE
    late[0] += 1
    found = known_close_to_label(decided, label, {"far": far, "late": late, "near": near, "never": never})
    assert [(f.subject, f.severity) for f in found] == [("late", "error"), ("near", "error")]
    found = known_close_to_label(decided, soon, {"now": decided, "far": far})
    assert [(f.subject, f.severity, f.figure) for f in found] == [("label", "note", 0.03), ("now", "warning", 0.03)]
    seldom = never.copy()
    seldom[:10] = decided[:10]
    found = known_close_to_label(decided, soon, {"seldom": seldom})  # judged among the decisions that have a fact
    assert [(f.subject, f.figure) for f in found] == [("label", 0.03), ("seldom", 1.0)]
    found = known_close_to_label(decided, decided + MINUTE)
    assert [(f.subject, f.severity) for f in found] == [("label", "warning")]


def test_copied_rows_are_found_and_coarse_ones_expected() -> None:
    random = np.random.default_rng(0)
    train, test = (pl.DataFrame({c: random.normal(size=2000) for c in "abc"}) for _ in range(2))
    train = train.with_columns(a=pl.when(pl.col("a") > 0).then(None).otherwise(pl.col("a")))
    assert shared_rows(train, test) is None
    found = shared_rows(train, pl.concat([test, train.sample(20, seed=1)]))
    assert found is not None
    assert (found.severity, found.figure) == ("warning", pytest.approx(20 / 2020))
    copied = shared_rows(train, train)
    assert copied is not None
    assert (copied.severity, copied.figure) == ("error", 1.0)
    coarse = shared_rows(*(pl.DataFrame({"a": random.integers(0, 50, 2000)}) for _ in range(2)))
    assert coarse is not None
    assert coarse.severity == "note"


def test_groups_known_by_heart_are_warned_about() -> None:
    random = np.random.default_rng(0)
    key = np.array([f"k{i}" for i in random.integers(0, 100, N)])
    known = np.isin(key, [f"k{i}" for i in range(60)])
    y = (random.random(N) < 0.5).astype(float)
    by_heart = np.where(known, np.where(y > 0.5, 0.8, 0.2), 0.5)
    train = pl.DataFrame({"key": [f"k{i}" for i in range(60)], "other": ["x"] * 60})
    test = pl.DataFrame({"key": key, "other": [None, "x"] * (N // 2)})
    drawn = resample(np.arange(N) // 50)
    for metric in (METRICS["log_loss"], METRICS["auc"]):
        found = shared_groups(train, test, ["key", "other"], y, by_heart, metric, drawn)
        assert [(f.subject, f.severity, f.figure) for f in found] == [("key", "warning", 0.6), ("other", "note", 1.0)]
        assert f"{(~known).sum()} rows of unseen" in found[0].message
    worse_on_seen = np.where(known, 0.5, np.where(y > 0.5, 0.8, 0.2))
    assert shared_groups(train, test, ["key"], y, worse_on_seen, METRICS["log_loss"], drawn)[0].severity == "note"
