"""One law book for every fitter: repeatable, weighted, blind to what it is told to leave out, clear when it fails."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mainspring.declare.estimator import LightGBM, Sklearn
from mainspring.errors import DataError, TrainingError
from mainspring.model.schema import FeatureSchema
from mainspring.training.fit import LINEAR, fitter
from mainspring.training.fitter import Fitter
from mainspring.training.task import Task

KINDS = {"signal": "float", "noise": "float", "odd": "bool", "carrier": "category"}
TREES = LightGBM(rounds=8, min_data_in_leaf=5, learning_rate=0.2)
CLASSIFIERS = {
    "trees": TREES,
    "linear": LINEAR,
    "pipeline": Sklearn(make_pipeline(StandardScaler(), LogisticRegression())),
    "forest": Sklearn(RandomForestClassifier(n_estimators=5, max_depth=3)),
    "margins": Sklearn(RidgeClassifier()),
}
REGRESSORS = {"trees": TREES, "linear": LINEAR, "ridge": Sklearn(Ridge()), "forest": Sklearn(RandomForestRegressor(5))}
YES_NO, THREE, NUMBER = Task(kind="binary"), Task(kind="multiclass", classes=("a", "b", "c")), Task(kind="regression")


def sample(rows: int = 400) -> tuple[pl.DataFrame, np.ndarray]:
    random = np.random.default_rng(3)
    signal = random.normal(size=rows)
    frame = pl.DataFrame(
        {
            "signal": signal,
            "noise": pl.Series(np.where(random.random(rows) < 0.2, np.nan, random.normal(size=rows)), nan_to_null=True),
            "odd": random.random(rows) < 0.5,
            "carrier": random.choice(["AA", "US"], rows),
        }
    )
    return frame, signal + frame["odd"].to_numpy() + 0.3 * random.normal(size=rows)


def labels(value: np.ndarray, task: Task) -> np.ndarray:
    if task.kind == "regression":
        return value
    return np.digitize(value, [0.5] if task.kind == "binary" else [0.0, 1.0]).astype(float)


def make(spec: object, task: Task, threads: int = 1) -> Fitter:
    frame, value = sample()
    return fitter(spec, frame, FeatureSchema.learn(frame, KINDS), labels(value, task), task, seed=7, threads=threads)


CASES = [
    *((spec, YES_NO) for spec in CLASSIFIERS.values()),
    *((spec, THREE) for name, spec in CLASSIFIERS.items() if name != "margins"),
    *((spec, NUMBER) for spec in REGRESSORS.values()),
]
each_case = pytest.mark.parametrize(("spec", "task"), CASES, ids=lambda value: getattr(value, "kind", None))


@each_case
def test_the_same_inputs_give_the_same_bytes_and_the_answer_is_useful(spec: object, task: Task) -> None:
    frame, value = sample()
    fitted = make(spec, task).fit()
    assert fitted.files() == make(spec, task).fit().files()
    answer = fitted.predict(frame)
    assert answer.shape == ((len(value), 3) if task is THREE else (len(value),))
    if task is THREE:
        np.testing.assert_allclose(answer.sum(axis=1), 1)
        answer = answer @ [0, 1, 2]
    assert np.corrcoef(answer, value)[0, 1] > 0.75


@each_case
def test_fits_of_one_fitter_do_not_influence_each_other(spec: object, task: Task) -> None:
    shared, rows = make(spec, task), np.arange(0, 400, 2)
    alone, whole = make(spec, task).fit(rows).files(), make(spec, task).fit().files()
    shared.fit(weights=np.linspace(0.5, 2, 400))
    shared.fit(rows, without=["signal"], effort=0.5)
    assert shared.fit(rows).files() == alone
    assert shared.fit().files() == whole


@each_case
def test_a_feature_left_out_does_not_matter(spec: object, task: Task) -> None:
    frame, _ = sample()
    fitted = make(spec, task).fit(without=["signal", "carrier"], effort=0.5)
    changed = frame.with_columns(signal=pl.lit(99.0), carrier=pl.lit("new"))
    assert fitted.predict(frame).tobytes() == fitted.predict(changed).tobytes()
    changed = frame.with_columns(odd=~pl.col("odd"))
    assert fitted.predict(frame).tobytes() != fitted.predict(changed).tobytes()


@pytest.mark.parametrize("spec", [CLASSIFIERS[name] for name in ("trees", "linear", "pipeline")], ids=str)
def test_a_weight_counts_like_repeated_rows(spec: object) -> None:
    frame, value = sample()
    weights = np.where(labels(value, YES_NO) > 0, 5.0, 1.0)
    plain, weighted = make(spec, YES_NO).fit(), make(spec, YES_NO).fit(weights=weights)
    assert weighted.predict(frame).mean() > plain.predict(frame).mean() + 0.05


def test_a_row_of_weight_zero_does_not_count_for_the_linear_model() -> None:
    frame, value = sample()
    y = labels(value, YES_NO)
    turned = np.where(np.arange(400) < 40, 1 - y, y)
    schema = FeatureSchema.learn(frame, KINDS)
    weights = (np.arange(400) >= 40).astype(float)
    fits = [fitter(LINEAR, frame, schema, target, YES_NO).fit(weights=weights) for target in (y, turned)]
    assert fits[0].files() == fits[1].files()


def test_the_text_of_the_trees_does_not_depend_on_the_number_of_threads() -> None:
    texts = {make(TREES, task, threads).fit(rows).text for threads in (1, 2, 3) for task, rows in [(YES_NO, None)]}
    assert len(texts) == 1
    assert "[num_threads: 0]" in texts.pop()


def test_less_effort_means_fewer_and_bolder_trees() -> None:
    fitted = make(TREES, YES_NO).fit(effort=0.25)
    assert fitted.booster.num_trees() == 2
    assert "[learning_rate: 0.8]" in fitted.text


def test_a_quantile_lies_where_it_should() -> None:
    random = np.random.default_rng(0)
    frame, y = pl.DataFrame({"x": random.integers(0, 2, 4000)}), random.normal(size=4000)
    task = Task(kind="regression", loss="quantile", quantile=0.9)
    schema = FeatureSchema.learn(frame, {"x": "int"})
    answer = fitter(LightGBM(rounds=60), frame, schema, y, task, threads=1).fit().predict(frame)
    assert (y < answer).mean() == pytest.approx(0.9, abs=0.02)


def test_the_declared_estimator_stays_as_it_was() -> None:
    spec = CLASSIFIERS["forest"]
    make(spec, YES_NO).fit()
    assert not hasattr(spec.estimator, "estimators_")
    assert spec.estimator.random_state is None


def test_an_estimator_can_be_given_the_frame_itself() -> None:
    class Rates(BaseEstimator):
        """The rate of each carrier, from a Polars frame."""

        def fit(self, frame: pl.DataFrame, y: np.ndarray) -> Rates:
            self.classes_ = np.unique(y)
            self.rates_ = frame.select("carrier", y=pl.Series(y)).group_by("carrier").mean()
            return self

        def predict_proba(self, frame: pl.DataFrame) -> np.ndarray:
            chance = frame.join(self.rates_, on="carrier", how="left", maintain_order="left")["y"].to_numpy()
            return np.column_stack([1 - chance, chance])

    frame, value = sample()
    answer = make(Sklearn(Rates(), inputs="frame"), YES_NO).fit().predict(frame)
    y = labels(value, YES_NO)
    for carrier in ("AA", "US"):
        of_carrier = (frame["carrier"] == carrier).to_numpy()
        assert answer[of_carrier] == pytest.approx(y[of_carrier].mean())


@pytest.mark.parametrize(
    ("spec", "task", "word"),
    [
        (Sklearn(KMeans()), YES_NO, "predict_proba or decision_function"),
        (Sklearn(RidgeClassifier()), THREE, "predict_proba"),
        (Sklearn(LogisticRegression()), NUMBER, "be a regressor"),
        (LightGBM(parameters={"seed": 3}), YES_NO, "sets what Mainspring sets: seed"),
        (LightGBM(parameters={"n_jobs": 3}), YES_NO, "threads"),
        ("forest", YES_NO, "'forest' cannot be fitted"),
    ],
)
def test_an_estimator_that_cannot_answer_is_refused_before_fitting(spec: object, task: Task, word: str) -> None:
    with pytest.raises(TrainingError, match=word) as caught:
        make(spec, task)
    assert caught.value.code == "TRAIN_ESTIMATOR"


def test_weights_for_an_estimator_that_takes_none_are_refused() -> None:
    with pytest.raises(TrainingError, match="takes no weights") as caught:
        make(Sklearn(KNeighborsClassifier()), YES_NO).fit(weights=np.ones(400))
    assert caught.value.code == "TRAIN_ESTIMATOR"


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        (Sklearn(LogisticRegression(C=-1.0)), "LogisticRegression failed while fitting: The 'C' parameter"),
        (LightGBM(parameters={"lambda_l1": -5.0}), "LightGBM failed: .*lambda_l1"),
    ],
)
def test_a_failing_estimator_is_quoted(spec: object, word: str) -> None:
    with pytest.raises(TrainingError, match=word) as caught:
        make(spec, YES_NO).fit()
    assert caught.value.code == "TRAIN_FAILED"


@pytest.mark.parametrize("spec", [TREES, LINEAR, CLASSIFIERS["pipeline"]], ids=str)
def test_one_class_and_no_rows_are_refused(spec: object) -> None:
    _, value = sample()
    one = np.flatnonzero(labels(value, YES_NO) == 1)
    with pytest.raises(DataError, match="have the same value, 1") as caught:
        make(spec, YES_NO).fit(one)
    assert caught.value.code == "DATA_ONE_CLASS"
    with pytest.raises(DataError) as caught:
        make(spec, YES_NO).fit(one[:1])
    assert caught.value.code == "DATA_TOO_FEW"
