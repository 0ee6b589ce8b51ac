"""Going on: what was stored and loaded goes on to the same bits, and where sums are all that is kept, as if it had seen all."""

import warnings

import numpy as np
import polars as pl
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression, Perceptron, SGDClassifier, SGDRegressor
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.neural_network import MLPClassifier, MLPRegressor

from mainspring.declare.estimator import LightGBM, Sklearn
from mainspring.errors import TrainingError
from mainspring.model.estimator import EstimatorPredictor, load_estimator
from mainspring.model.model import Model
from mainspring.training import Task, fit
from mainspring.training.continued import go_on

ROWS, FIRST = 900, 500
KINDS = {"signal": "float", "carrier": "category"}
RANDOM = np.random.default_rng(0)
FRAME = pl.DataFrame({"signal": RANDOM.normal(size=ROWS).round(2), "carrier": RANDOM.choice(["AA", "US", "DL"], ROWS)})
SIGNAL = FRAME["signal"].to_numpy()
YES = (RANDOM.random(ROWS) < 1 / (1 + np.exp(-2 * SIGNAL))).astype(float)
VALUE = 3 * SIGNAL + RANDOM.normal(size=ROWS)
PARTS = [np.arange(FIRST, 650), np.arange(650, ROWS)]

CLASSIFIERS = [
    BernoulliNB(),
    GaussianNB(),
    Perceptron(),
    SGDClassifier(),
    SGDClassifier(loss="log_loss", learning_rate="adaptive", eta0=0.1, average=True),
    MLPClassifier((5,), max_iter=20),
    MLPClassifier((5,), solver="sgd", learning_rate="invscaling", max_iter=20),
]
REGRESSORS = [SGDRegressor(), MLPRegressor(hidden_layer_sizes=(5,), max_iter=20)]
EVERY = [*[(each, "binary") for each in CLASSIFIERS], *[(each, "regression") for each in REGRESSORS]]


def labels(task: str) -> np.ndarray:
    return YES if task == "binary" else VALUE


def first(estimator: BaseEstimator, task: str, rows: int = FIRST) -> Model:
    return fit(Sklearn(estimator), FRAME[:rows], KINDS, labels(task)[:rows], Task(kind=task))


def loaded(predictor: EstimatorPredictor) -> EstimatorPredictor:
    return load_estimator(predictor.files())


def gone_on(predictor: EstimatorPredictor, task: str, *, stored: bool) -> EstimatorPredictor:
    for rows in PARTS:
        predictor = loaded(predictor) if stored else predictor
        predictor = go_on(predictor, FRAME[rows], labels(task)[rows], keep=0.5)  # type: ignore[assignment]
    return predictor


@pytest.mark.parametrize(("estimator", "task"), EVERY, ids=str)
def test_what_was_stored_and_loaded_goes_on_to_the_same_bits(estimator: BaseEstimator, task: str) -> None:
    begun = first(estimator, task).predictor
    before = begun.files()
    here, there = (gone_on(begun, task, stored=stored) for stored in (False, True))  # type: ignore[arg-type]
    assert here.files() == there.files()
    assert begun.files() == before
    assert here.files()["model.skops"] != before["model.skops"]


@pytest.mark.parametrize(("estimator", "task"), EVERY, ids=str)
def test_it_is_what_scikit_learn_makes_of_the_rows_in_that_order(estimator: BaseEstimator, task: str) -> None:
    begun = first(estimator, task).predictor
    by_hand = loaded(begun)  # type: ignore[arg-type]
    kind = np.int64 if task == "binary" else np.float64
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for rows in PARTS:
            by_hand.estimator.partial_fit(by_hand.encoder.encode(FRAME[rows]), labels(task)[rows].astype(kind))  # type: ignore[union-attr]
    assert (gone_on(begun, task, stored=True).predict(FRAME) == by_hand.predict(FRAME)).all()  # type: ignore[arg-type]


@pytest.mark.parametrize(("estimator", "near"), [(BernoulliNB(), 1e-12), (GaussianNB(), 1e-6)])
def test_where_sums_are_all_that_is_kept_it_is_as_if_it_had_seen_all(estimator: BaseEstimator, near: float) -> None:
    """Up to the order in which floats are added; and of the variance that naive Bayes adds, which is that of the newest rows."""
    begun = first(estimator, "binary").predictor
    assert isinstance(begun, EstimatorPredictor)
    assert begun.encoder is not None
    whole = type(estimator)().fit(begun.encoder.encode(FRAME), YES.astype(np.int64))
    found = gone_on(begun, "binary", stored=True).predict(FRAME)
    assert found == pytest.approx(whole.predict_proba(begun.encoder.encode(FRAME))[:, 1], abs=near)
    assert found != pytest.approx(begun.predict(FRAME), abs=1e-3)


def test_a_class_that_the_parent_never_met_teaches_nothing() -> None:
    task = Task(kind="multiclass", classes=("early", "late", "never"))
    y = YES.copy()
    begun = fit(Sklearn(GaussianNB()), FRAME[:FIRST], KINDS, y[:FIRST], task).predictor
    y[FIRST::7] = 2.0
    rows = np.arange(FIRST, ROWS)
    known = rows[y[rows] < 2]
    here = go_on(begun, FRAME[rows], y[rows], keep=0.5)
    assert here.files() == go_on(begun, FRAME[known], y[known], keep=0.5).files()
    assert (here.predict(FRAME)[:, 2] == 0).all()
    assert go_on(begun, FRAME[:3], np.full(3, 2.0), keep=0.5) is begun


def test_weights_reach_the_estimator_and_the_leaves() -> None:
    rows = np.arange(FIRST, ROWS)
    for spec in (Sklearn(BernoulliNB()), LightGBM(rounds=10, min_data_in_leaf=20)):
        begun = fit(spec, FRAME[:FIRST], KINDS, YES[:FIRST], Task(kind="binary")).predictor
        weights = np.where(YES[rows] > 0, 9.0, 1.0)
        plain, heavy = (go_on(begun, FRAME[rows], YES[rows], keep=0.5, weights=each) for each in (None, weights))
        assert heavy.predict(FRAME).mean() > plain.predict(FRAME).mean() + 0.05


CANNOT = [
    (LogisticRegression(), "TRAIN_ESTIMATOR", "LogisticRegression cannot go on learning"),
    (MLPClassifier((5,), solver="lbfgs", max_iter=5), "TRAIN_ESTIMATOR", "MLPClassifier cannot go on learning"),
    (MLPClassifier((5,), early_stopping=True, max_iter=5), "TRAIN_FAILED", "does not support early_stopping"),
]


@pytest.mark.parametrize(("estimator", "code", "words"), CANNOT, ids=[case[2] for case in CANNOT])
def test_one_that_cannot_says_so(estimator: BaseEstimator, code: str, words: str) -> None:
    """The lint says it before anything runs (continue-estimator)."""
    begun = first(estimator, "binary").predictor
    with pytest.raises(TrainingError, match=words) as caught:
        go_on(begun, FRAME[FIRST:], YES[FIRST:], keep=0.5)
    assert caught.value.code == code


def test_one_that_takes_no_weights_says_so() -> None:
    begun = first(OneVsRestClassifier(BernoulliNB()), "binary").predictor
    assert go_on(begun, FRAME[FIRST:], YES[FIRST:], keep=0.5) is not begun
    with pytest.raises(TrainingError, match="takes no weights"):
        go_on(begun, FRAME[FIRST:], YES[FIRST:], keep=0.5, weights=YES[FIRST:] + 1)
