"""An estimator's form in ONNX answers alike, or there is none and the reason is told."""

from __future__ import annotations

import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.linear_model import HuberRegressor, LogisticRegression, PoissonRegressor, Ridge, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeRegressor

from mainspring.declare.estimator import LightGBM, Sklearn
from mainspring.model import Model, Reference, compile_model, frame_of, load_bundle, onnx_form, write_bundle
from mainspring.model.calibration import Calibration, Isotonic, Sigmoid
from mainspring.model.estimator import EstimatorPredictor
from mainspring.model.onnx_export import export
from mainspring.model.onnx_form import TOLERANCE, with_onnx
from mainspring.model.onnx_session import _say_once
from mainspring.training.fit import fit
from mainspring.training.task import Task

KINDS = {"delay": "float", "late": "bool", "carrier": "category", "seats": "int"}
CLASSES = ("low", "mid", "top")
VOTERS = [("logistic", LogisticRegression()), ("bayes", GaussianNB())]

CONVERT: dict[str, tuple[BaseEstimator, str]] = {
    "random forest": (RandomForestClassifier(10), "float32"),
    "extra trees": (ExtraTreesClassifier(10), "float32"),
    "histogram boosting": (HistGradientBoostingClassifier(max_iter=5), "float64"),
    "boosting": (GradientBoostingClassifier(n_estimators=10), "float32"),
    "boosted stumps": (AdaBoostClassifier(n_estimators=10), "float32"),
    "logistic": (LogisticRegression(), "float64"),
    "logistic pipeline": (make_pipeline(StandardScaler(), LogisticRegression()), "float64"),
    "boosting pipeline": (make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=5)), "float64"),
    "neural net": (MLPClassifier((16,), max_iter=30), "float64"),
    "bayes": (GaussianNB(), "float64"),
    "calibrated": (CalibratedClassifierCV(LinearSVC(), cv=2), "float64"),
    "voting": (VotingClassifier(VOTERS, voting="soft", flatten_transform=False), "float64"),
}
MARGINS = {
    "ridge": RidgeClassifier(),
    "support vectors": SVC(),
    "linear support vectors": LinearSVC(),
    "linear support vectors in a pipeline": make_pipeline(StandardScaler(), LinearSVC()),
}
NUMBERS = {
    "random forest": RandomForestRegressor(10),
    "histogram boosting": HistGradientBoostingRegressor(max_iter=5),
    "histogram boosting on a logarithm": HistGradientBoostingRegressor(max_iter=5, loss="poisson"),
    "histogram boosting that never splits": HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=300),
    "boosting": GradientBoostingRegressor(n_estimators=10),
    "tree": DecisionTreeRegressor(max_depth=5),
    "ridge": Ridge(),
    "huber": HuberRegressor(),
    "poisson": PoissonRegressor(),
    "neural net": MLPRegressor(hidden_layer_sizes=(16,), max_iter=30),
}
NOT_CONVERTED = {
    "the rounded softmax of two classes": (LinearDiscriminantAnalysis(), "binary", "differ by up to"),
    "a scaler in float32 before trees": (
        make_pipeline(StandardScaler(), RandomForestRegressor(20)),
        "regression",
        "differ by up to",
    ),
    "a function": (
        make_pipeline(FunctionTransformer(np.nan_to_num), GaussianNB()),
        "binary",
        "cannot be stored",
    ),
    "an option": (VotingClassifier(VOTERS, voting="soft"), "binary", "cannot be converted: NotImplementedError"),
    "a class": (DummyClassifier(), "binary", "cannot be converted: MissingShapeCalculator"),
}
CASES = [
    *((estimator, task, kind) for estimator, kind in CONVERT.values() for task in ("binary", "multiclass")),
    *((estimator, "binary", "float") for estimator in MARGINS.values()),
    *((estimator, "regression", "float") for estimator in NUMBERS.values()),
]


def frame(rows: int = 400, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "delay": pl.Series(np.where(random.random(rows) < 0.1, np.nan, random.normal(size=rows)), nan_to_null=True),
            "late": random.random(rows) < 0.5,
            "carrier": random.choice(["AA", "US", "VX"], rows),
            "seats": random.integers(0, 300, rows),
        }
    )


def fitted(estimator: BaseEstimator, task: str = "binary", **options: Any) -> Model:
    """Return an estimator's model without its form in ONNX."""
    rows = frame()
    score = rows["delay"].fill_null(0).to_numpy() + rows["late"].to_numpy() + (rows["seats"].to_numpy() > 150)
    score = np.abs(score + np.random.default_rng(1).normal(size=rows.height) / 3)
    spec = Sklearn(estimator, **options)
    if task == "multiclass":
        names = np.array(CLASSES)[np.digitize(score, [0.7, 1.5])]
        return fit(spec, rows, KINDS, names, Task(kind=task, classes=CLASSES))
    return fit(spec, rows, KINDS, score if task == "regression" else score > 1, Task(kind=task))


@cache
def forest() -> Model:
    return with_onnx(fitted(RandomForestClassifier(10)), frame())


def estimator_of(model: Model) -> EstimatorPredictor:
    assert isinstance(model.predictor, EstimatorPredictor)
    return model.predictor


@pytest.mark.parametrize(("estimator", "task", "kind"), CASES, ids=lambda value: str(value)[:30])
def test_an_estimator_is_answered_for_by_onnx_within_the_tolerance(
    estimator: BaseEstimator, task: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = fitted(estimator, task)
    if task == "binary":
        plain = replace(plain, calibration=Calibration("platt", (Sigmoid(1.2, -0.1),)))
    made = with_onnx(plain, frame())
    assert estimator_of(made).onnx is not None, estimator_of(made).onnx_note
    assert f"model.onnx in {kind}" in estimator_of(made).onnx_note
    fast, unseen = compile_model(made), frame(60, seed=7)
    meant = plain.predict(unseen)
    spread = meant.std() if task == "regression" else 1.0
    monkeypatch.setattr(EstimatorPredictor, "answer", None)  # from here on only ONNX can answer
    many = fast.predict_many(unseen.to_dicts())
    assert many.shape == meant.shape
    assert np.abs(many - meant).max() <= TOLERANCE * spread
    one = [fast.predict_one(row) for row in unseen.to_dicts()]
    assert np.abs(np.array(one) - meant).max() <= TOLERANCE * spread
    assert {type(answer) for answer in one} == {tuple if task == "multiclass" else float}


@pytest.mark.parametrize(("estimator", "task", "word"), NOT_CONVERTED.values(), ids=NOT_CONVERTED)
def test_what_differs_or_cannot_be_converted_has_no_form_and_a_reason(
    estimator: BaseEstimator, task: str, word: str
) -> None:
    plain = fitted(estimator, task)
    made = with_onnx(plain, frame())
    assert estimator_of(made).onnx is None
    assert word in estimator_of(made).onnx_note
    rows = frame(5, seed=3)
    assert compile_model(made).predict_many(rows.to_dicts()).tobytes() == plain.predict(rows).tobytes()


def test_a_form_of_another_estimator_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    other = estimator_of(fitted(RandomForestClassifier(10, random_state=5))).estimator
    monkeypatch.setattr(onnx_form, "export", lambda _, columns, **options: export(other, columns, **options))
    made = estimator_of(with_onnx(fitted(RandomForestClassifier(10)), frame()))
    assert made.onnx is None
    assert "differ by up to" in made.onnx_note


def test_whole_numbers_that_training_did_not_see_go_where_the_estimator_sends_them() -> None:
    """They often lie exactly on a split, halfway between two that it saw, where rounding to float32 leads astray."""
    plain, unseen = fitted(HistGradientBoostingClassifier(max_iter=60), "multiclass"), frame(3_000, seed=7)
    made = with_onnx(plain, frame())
    assert estimator_of(made).onnx is not None
    found = compile_model(made).predict_many(unseen.to_dicts())
    np.testing.assert_allclose(found, plain.predict(unseen), rtol=0, atol=1e-14)


def test_boosting_that_splits_on_categories_is_not_converted() -> None:
    columns = np.random.default_rng(0).integers(0, 4, (200, 2)).astype(float)
    estimator = HistGradientBoostingClassifier(max_iter=2, categorical_features=[1])
    estimator.fit(columns, columns[:, 1] == 2)
    with pytest.raises(NotImplementedError, match="splits on categories"):
        export(estimator, 2, double=True, margins=False)


def test_it_is_calibrated_answers_that_are_compared() -> None:
    plain = fitted(GradientBoostingClassifier(n_estimators=20))
    step = float(np.median(plain.predict(frame())))  # a map that turns the last bits of a score into much
    steep = Calibration("isotonic", (Isotonic((step - 1e-9, step + 1e-9), (0.1, 0.9)),))
    assert estimator_of(with_onnx(plain, frame())).onnx is not None
    assert estimator_of(with_onnx(replace(plain, calibration=steep), frame())).onnx is None


def test_estimators_of_frames_and_large_ones_have_no_form(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {name: kind for name, kind in KINDS.items() if name != "carrier"}
    plain = fit(
        Sklearn(HistGradientBoostingClassifier(max_iter=3), inputs="frame"),
        frame(),
        numbers,
        frame()["late"].to_numpy(),
        Task(kind="binary"),
    )
    assert "reads a frame" in estimator_of(with_onnx(plain, frame())).onnx_note
    monkeypatch.setattr(onnx_form, "_LARGEST", 100)
    assert "too large to convert" in estimator_of(with_onnx(fitted(Ridge(), "regression"), frame())).onnx_note


def test_other_predictors_stay_as_they_are() -> None:
    trees = fit(LightGBM(rounds=2), frame(), KINDS, frame()["late"].to_numpy(), Task(kind="binary"), threads=1)
    assert with_onnx(trees, frame()) is trees
    assert not compile_model(trees).batches


@pytest.mark.parametrize("package", ["skl2onnx", "onnxruntime"])
def test_without_the_packages_nothing_is_converted_and_nothing_fails(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    made = estimator_of(with_onnx(fitted(Ridge(), "regression"), frame()))
    assert made.onnx is None
    assert made.onnx_note == f"{package} is not installed: pip install 'mainspring[onnx]'"


def test_without_onnx_runtime_the_estimator_answers_and_the_log_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made, rows = forest(), frame(5, seed=3)
    _say_once.cache_clear()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with caplog.at_level(logging.WARNING, "mainspring.model"):
        for _ in range(3):
            assert compile_model(made).predict_many(rows.to_dicts()).tobytes() == made.predict(rows).tobytes()
    assert [record.getMessage().split(",")[0] for record in caplog.records] == ["ONNX Runtime is not installed"]


def test_a_form_that_cannot_be_run_is_left_aside(caplog: pytest.LogCaptureFixture) -> None:
    broken, rows = replace(forest(), predictor=replace(estimator_of(forest()), onnx=b"nothing")), frame(5, seed=3)
    assert compile_model(broken).predict_many(rows.to_dicts()).tobytes() == forest().predict(rows).tobytes()
    assert "cannot run model.onnx" in caplog.text


def test_numbers_beyond_float32_are_left_to_the_estimator() -> None:
    fast, far = compile_model(with_onnx(fitted(HistGradientBoostingClassifier(max_iter=5)), frame())), {"delay": 1e300}
    assert fast.predict_one(far) == fast.model.predict(frame_of([far], fast.model.schema))[0]
    with np.errstate(over="ignore"), pytest.raises(ValueError, match="too large"):  # a forest refuses them
        compile_model(forest()).predict_one(far)


def test_many_threads_may_ask_at_once() -> None:
    fast, rows = compile_model(forest()), frame(200, seed=9).to_dicts()
    alone = [fast.predict_one(row) for row in rows]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(fast.predict_one, rows, chunksize=1)) == alone


def written(folder: Path, model: Model) -> str:
    return write_bundle(
        folder,
        model,
        system="flight-delays",
        system_document={},
        fingerprint="0" * 16,
        reference=Reference((), ()),
        card="",
        created=0,
        metadata={"run": "calm-otter"},
    )


def test_a_bundle_carries_the_form_and_its_note(tmp_path: Path) -> None:
    written(tmp_path / "a", forest())
    bundle = load_bundle(tmp_path / "a")
    rows = frame(20, seed=3).to_dicts()
    assert (tmp_path / "a" / "model.onnx").read_bytes() == estimator_of(forest()).onnx
    assert "model.onnx" in bundle.manifest.files
    assert bundle.manifest.metadata == {"run": "calm-otter", "onnx": estimator_of(forest()).onnx_note}
    assert compile_model(bundle.model).predict_many(rows).tobytes() == compile_model(forest()).predict_many(rows).tobytes()  # fmt: skip
    written(tmp_path / "b", bundle.model)  # as a model from the cache is written once more
    assert (tmp_path / "b" / "model.onnx").read_bytes() == estimator_of(forest()).onnx
    assert load_bundle(tmp_path / "b").manifest.metadata == bundle.manifest.metadata


def test_a_bundle_without_the_form_says_why(tmp_path: Path) -> None:
    written(tmp_path / "a", with_onnx(fitted(DummyClassifier()), frame()))
    bundle = load_bundle(tmp_path / "a")
    assert "model.onnx" not in bundle.manifest.files
    assert "MissingShapeCalculator" in bundle.manifest.metadata["onnx"]
    assert compile_model(bundle.model).predict_one({}) == bundle.model.predict(frame(1))[0]


@pytest.mark.parametrize("estimator", [HistGradientBoostingClassifier(max_iter=3), MLPClassifier((4,), max_iter=5)])
def test_the_same_estimator_has_the_same_form(estimator: BaseEstimator) -> None:
    first, again = (estimator_of(with_onnx(fitted(estimator), frame())) for _ in range(2))
    assert first.onnx == again.onnx


def test_the_room_loads_neither_package() -> None:
    code = "import sys, mainspring.model, mainspring.training; print({'onnxruntime', 'skl2onnx'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
