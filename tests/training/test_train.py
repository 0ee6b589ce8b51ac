"""Training as declared: fit, calibrate on later rows, fit again, without a look at the test part."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import RidgeClassifier

from mainspring.clock import DAY, HOUR
from mainspring.declare.estimator import LightGBM, Sklearn, Training
from mainspring.declare.objective import ErrorCost, Objective, Payoff
from mainspring.errors import DataError
from mainspring.training import LINEAR, Rows, Task, Trained, Wanted, decision_threshold, task_of, train

YES_NO = Task(kind="binary")
TREES = LightGBM(rounds=10, min_data_in_leaf=20)
END = 210 * DAY


def history(rows: int = 1500, seed: int = 0) -> Rows:
    random = np.random.default_rng(seed)
    signal = random.normal(size=rows)
    decided_at = np.sort(random.integers(0, 200 * DAY, rows))
    return Rows(
        features=pl.DataFrame({"signal": signal, "carrier": random.choice(["AA", "US"], rows)}),
        kinds={"signal": "float", "carrier": "category"},
        labels=(random.random(rows) < 1 / (1 + np.exp(-2 * signal))).astype(float),
        decided_at=decided_at,
        label_known_at=decided_at + random.integers(1, 100, rows) * HOUR,
    )


def go(spec: object, rows: Rows, task: Task = YES_NO, **options: object) -> Trained:
    return train(spec, rows, task, Training(**options), as_of=END, threads=1)


def changed(rows: Rows, where: np.ndarray) -> Rows:
    """Return the history with every feature and label replaced in some rows."""
    features = rows.features.with_columns(
        pl.when(pl.Series(where)).then(pl.lit(50.0)).otherwise("signal").alias("signal"),
        pl.when(pl.Series(where)).then(pl.lit("ZZ")).otherwise("carrier").alias("carrier"),
    )
    labels = np.where(where, 1 - rows.labels, rows.labels)
    return Rows(
        features=features,
        kinds=rows.kinds,
        labels=labels,
        decided_at=rows.decided_at,
        label_known_at=rows.label_known_at,
    )


@pytest.mark.parametrize("spec", [TREES, LINEAR], ids=["trees", "linear"])
def test_nothing_that_became_known_in_the_test_part_changes_the_model(spec: object) -> None:
    rows = history()
    trained = go(spec, rows)
    unknown = rows.label_known_at > trained.split.test_from
    again = go(spec, changed(rows, unknown))
    assert trained.model.predictor.files() == again.model.predictor.files()
    assert trained.model.calibration == again.model.calibration
    probe = changed(rows, rows.label_known_at <= trained.split.test_from)
    assert go(spec, probe).model.predictor.files() != trained.model.predictor.files()  # the probe can tell


def test_the_first_fit_knows_no_label_of_the_calibrate_part() -> None:
    rows = history()
    trained = go(LINEAR, rows, refit=False)
    late = rows.label_known_at > trained.split.calibrate_from
    assert go(LINEAR, changed(rows, late), refit=False).model.predictor.files() == trained.model.predictor.files()


def test_a_refit_uses_the_newer_rows_and_keeps_the_calibration() -> None:
    first, both = go(TREES, history(), refit=False), go(TREES, history())
    assert first.model.predictor.text != both.model.predictor.text
    assert first.model.calibration == both.model.calibration
    assert set(both.seconds) == {"prepare", "fit", "calibrate"}


def test_the_model_is_good_on_rows_it_never_saw() -> None:
    rows = history(4000)
    trained = go(TREES, rows)
    test = trained.split.test
    answer = trained.model.predict(rows.features[test])
    assert np.corrcoef(answer, rows.labels[test])[0, 1] > 0.5
    assert abs(answer.mean() - rows.labels[test].mean()) < 0.05


def test_margins_become_probabilities_and_a_number_needs_no_calibration() -> None:
    rows = history()
    assert go(Sklearn(RidgeClassifier()), rows, calibration="none").model.calibration.method == "platt"
    value = Rows(**{**vars(rows), "labels": rows.features["signal"].to_numpy() * 3})
    trained = go(LINEAR, value, Task(kind="regression"))
    assert trained.model.calibration.method == "none"
    assert trained.calibration.reason == "a number needs none"


def test_classes_are_given_by_name_and_a_missing_one_takes_no_part() -> None:
    rows = history()
    names = np.where(rows.labels > 0, "late", "early").astype(object)
    names[::10] = None
    task = Task(kind="multiclass", classes=("early", "late"))
    trained = go(TREES, Rows(**{**vars(rows), "labels": names}), task)
    assert trained.split.left_out["label not known"] >= 150
    decided = trained.model.decide(trained.model.predict(rows.features))
    assert set(decided) == {"early", "late"}


def test_weights_and_half_life_reach_the_fit() -> None:
    rows = history()
    plain = go(LINEAR, rows, calibration="none").model.predict(rows.features).mean()
    heavy = go(LINEAR, rows, calibration="none", class_weight={1: 9.0}).model.predict(rows.features).mean()
    assert heavy > plain + 0.1
    turned = np.where(rows.decided_at < 100 * DAY, 1 - rows.labels, rows.labels)
    recent = go(LINEAR, Rows(**{**vars(rows), "labels": turned}), half_life="10d").model
    assert np.corrcoef(recent.predict(rows.features), rows.features["signal"])[0, 1] > 0.9


def test_an_ablation_costs_less_and_uses_the_same_rows() -> None:
    trained = go(TREES, history())
    asked = Wanted(trained.split.refit, trained.split.test_from, effort=0.5)
    cheap, blind = trained.trainer.fit(asked), trained.trainer.fit(replace(asked, without=["signal"]))
    assert cheap.predictor.booster.num_trees() == blind.predictor.booster.num_trees() == 5
    assert blind.predictor.gain()[0] == 0
    assert cheap.predictor.gain()[0] > 0.5


def test_a_fit_leaves_nothing_behind_for_the_next() -> None:
    trained = go(TREES, history(), class_weight="balanced")
    split = trained.split
    trained.trainer.fit(Wanted(split.train, split.calibrate_from, without=["signal"]))
    again = trained.trainer.fit(Wanted(split.refit, split.test_from))
    assert again.predictor.text == trained.model.predictor.text


def test_one_class_is_refused() -> None:
    rows = history()
    with pytest.raises(DataError) as caught:
        go(TREES, Rows(**{**vars(rows), "labels": np.ones(len(rows.decided_at))}))
    assert caught.value.code == "DATA_ONE_CLASS"


def test_the_threshold_follows_from_the_payoff() -> None:
    assert decision_threshold(Payoff(hit=4, miss=-6, false_alarm=-1)) == pytest.approx(1 / 11)
    assert decision_threshold(None) == decision_threshold(ErrorCost(over=1, under=2)) == 0.5


def test_the_loss_follows_from_the_metric() -> None:
    assert task_of("regression", Objective(metric="pinball", quantile=0.8)) == Task(
        kind="regression", loss="quantile", quantile=0.8
    )
    assert task_of("regression", Objective(metric="mae")).loss == "absolute"
    assert task_of("binary", None) == YES_NO


def test_lightgbm_is_loaded_on_first_use_and_leaves_its_wait_policy_to_no_one_else() -> None:
    code = """
import os, sys
import mainspring.training, mainspring.model
assert "lightgbm" not in sys.modules
from mainspring.model.openmp import SLEEP, load_lightgbm
load_lightgbm().Dataset
assert not set(SLEEP) & set(os.environ)
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_"))}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
