"""A compiled model: the same bits as the model it was made from, one row at a time, from plain values."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier

from mainspring.declare.estimator import LightGBM, Sklearn
from mainspring.errors import BundleError
from mainspring.model import CompiledModel, Model, compile_model, frame_of
from mainspring.model.calibration import Calibration, CalibrationMap, Identity, Isotonic, Sigmoid
from mainspring.model.forest import read_forest
from mainspring.model.linear import LinearPredictor
from mainspring.model.openmp import load_lightgbm
from mainspring.model.plain_values import RowReader
from mainspring.model.schema import Feature, FeatureSchema
from mainspring.model.scorers import ForestScorer, FrameScorer
from mainspring.model.single_value import calibrator_of
from mainspring.model.trees import TreePredictor
from mainspring.training.fit import LINEAR, fit
from mainspring.training.task import Task

KINDS = {"late": "bool", "delay": "float", "carrier": "category", "seats": "int", "tail": "key"}
TAILS = [f"N{k:03d}" for k in range(200)]  # more categories than fit in a word, and more splits on them
CLASSES = ("low", "mid", "top")
NUMBERS = st.one_of(
    st.sampled_from([0.0, -0.0, 1e-36, -1e-35, 2e-35, math.inf, -math.inf, 1e308, 0.5, -0.5, 2.0, 63.0, 64.0, 2.0**31]),
    st.floats(-3, 3),
    st.integers(-5, 250),
)
ROW = st.fixed_dictionaries(
    {},
    optional={
        "delay": st.one_of(st.none(), st.just(math.nan), NUMBERS, st.booleans()),
        "late": st.sampled_from([None, False, True, 0, 1, 1.0]),
        "carrier": st.sampled_from([None, "AA", "US", "VX", "", "new"]),
        "seats": st.one_of(st.none(), st.integers(-(2**70), 2**70), NUMBERS),
        "tail": st.one_of(st.none(), st.sampled_from(TAILS), st.text(max_size=3)),
        "stranger": st.just(object()),
    },
)


def table(rows: int = 400, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    numbers = np.where(random.random(rows) < 0.15, np.nan, random.normal(size=rows).round(1))
    return pl.DataFrame(
        {
            "delay": pl.Series(numbers, nan_to_null=True),
            "late": pl.Series([None if r < 0.1 else r < 0.5 for r in random.random(rows)], dtype=pl.Boolean),
            "carrier": random.choice(["AA", "US", "VX"], rows),
            "seats": random.integers(0, 300, rows),
            "tail": random.choice(TAILS, rows),
        }
    )


def score(rows: pl.DataFrame) -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=rows.height)
    known = rows.select(pl.col("delay", "late").cast(pl.Float64).fill_null(0.3)).to_numpy().sum(axis=1)
    habit = np.sin(rows["tail"].str.slice(1).cast(pl.Int64).to_numpy())
    return known + habit + (rows["seats"].to_numpy() > 150) + (rows["carrier"] == "US").to_numpy() + noise / 3


@cache
def model(kind: str, task: str) -> Model:
    rows = table()
    target = score(rows)
    options: dict[str, Any] = {"threads": 1}
    if task == "multiclass":
        names = np.array(CLASSES)[np.digitize(target, [0.7, 1.8])]
        return fit(SPECS[kind, task], rows, KINDS, names, Task(kind=task, classes=CLASSES), **options)
    y = target if task == "regression" else target > 1.2
    return fit(SPECS[kind, task], rows, KINDS, y, Task(kind=task), **options)


TREES = LightGBM(rounds=40, min_data_in_leaf=2, num_leaves=15, parameters={"min_data_per_group": 2, "cat_smooth": 1})
SPECS = {
    **{("lightgbm", task): TREES for task in ("binary", "multiclass", "regression")},
    **{("linear", task): LINEAR for task in ("binary", "multiclass", "regression")},
    ("logistic", "binary"): Sklearn(LogisticRegression()),
    ("logistic", "multiclass"): Sklearn(LogisticRegression()),
    ("margins", "binary"): Sklearn(RidgeClassifier()),
    ("forest", "multiclass"): Sklearn(RandomForestClassifier(n_estimators=3, max_depth=3)),
    ("boosting", "binary"): Sklearn(HistGradientBoostingClassifier(max_iter=3)),
    ("least squares", "regression"): Sklearn(LinearRegression()),
    ("boosting", "regression"): Sklearn(HistGradientBoostingRegressor(max_iter=3)),
}
MAPS: dict[str, CalibrationMap] = {
    "none": Identity(),
    "platt": Sigmoid(1.3, -0.2),
    "isotonic": Isotonic((0.1, 0.3, 0.9), (0.01, 0.35, 0.99)),
}


@cache
def compiled(kind: str, task: str, method: str = "none") -> CompiledModel:
    plain = model(kind, task)
    maps = () if method == "none" else (MAPS[method],) * max(1, len(plain.classes))
    return compile_model(
        Model(
            schema=plain.schema,
            predictor=plain.predictor,
            task=task,
            classes=plain.classes,
            calibration=Calibration(method, maps),
            threshold=0.1 + 0.2,
        )
    )


def bits(answer: Any) -> bytes:
    return np.asarray(answer, dtype=np.float64).tobytes()


def check_same_bits(fast: CompiledModel, rows: list[dict[str, Any]]) -> None:
    frame = frame_of(rows, fast.model.schema)
    assert bits(fast.predict_many(rows)) == bits(fast.model.predict(frame))
    for number, row in enumerate(rows):
        prediction = fast.predict_one(row)
        alone = fast.model.predict(frame[number])
        assert bits(prediction) == bits(alone[0]), row
        assert isinstance(prediction, tuple if fast.model.task == "multiclass" else float)
        assert fast.decide_one(prediction) == fast.model.decide(alone)[0]


@pytest.mark.parametrize("method", MAPS)
@pytest.mark.parametrize(("kind", "task"), SPECS)
def test_every_kind_of_model_answers_the_same_bits(kind: str, task: str, method: str) -> None:
    if task == "regression" and method != "none":
        return
    fast = compiled(kind, task, method)
    check_same_bits(fast, table(40, seed=5).to_dicts())
    check_same_bits(fast, [{}, {"delay": math.nan, "tail": "never seen", "late": 1, "seats": 2.5}])
    assert bits(fast.predict_many([])) == b""
    assert fast.predict_many([]).shape == fast.model.predict(table().clear()).shape


@settings(max_examples=80, deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=6), task=st.sampled_from(["binary", "multiclass", "regression"]))
def test_trees_and_linear_models_answer_the_same_bits_for_any_values(rows: list[dict[str, Any]], task: str) -> None:
    trees = compiled("lightgbm", task)
    assert isinstance(trees._scorer, ForestScorer)
    check_same_bits(trees, rows)
    with np.errstate(all="ignore"):  # the frame of a linear model overflows aloud, a single row silently
        check_same_bits(compiled("linear", task), rows)


@st.composite
def lightgbm_models(draw: st.DrawFn) -> tuple[Model, list[dict[str, Any]]]:
    """A model of raw columns, some of which LightGBM takes for categories, and rows to ask it about."""
    seed, columns = draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, 4))
    random = np.random.default_rng(seed)
    x = random.normal(size=(80, columns)).round(1) * draw(st.sampled_from([1, 1e-35, 1e300]))
    x[random.random(x.shape) < draw(st.sampled_from([0, 0.2]))] = np.nan
    x[random.random(x.shape) < draw(st.sampled_from([0, 0.3]))] = 0
    categories = draw(st.lists(st.integers(0, columns - 1), unique=True))
    for position in categories:
        x[:, position] = random.integers(0, draw(st.sampled_from([3, 40, 100])), 80)
    task = draw(st.sampled_from(["binary", "multiclass", "regression"]))
    objective = draw(st.sampled_from(["regression", "regression_l1", "quantile"])) if task == "regression" else task
    parameters = {
        "objective": objective,
        "num_leaves": draw(st.integers(2, 12)),
        "use_missing": draw(st.booleans()),
        "zero_as_missing": draw(st.booleans()),
        "boosting": draw(st.sampled_from(["gbdt", "dart"])),
        "max_cat_to_onehot": draw(st.sampled_from([1, 4])),
        "sigmoid": draw(st.sampled_from([1.0, 0.7])) if task == "binary" else 1.0,
        **({"num_class": 3} if task == "multiclass" else {}),
        **dict(min_data_in_leaf=draw(st.sampled_from([1, 60])), min_data_per_group=1, cat_smooth=0, cat_l2=0),
        **dict(num_threads=1, verbosity=-1, feature_pre_filter=False, min_data_in_bin=1),
    }
    y = random.integers(0, 3 if task == "multiclass" else 2, 80).astype(float)
    library = load_lightgbm()
    data = library.Dataset(x, y, categorical_feature=categories, params=parameters)
    booster = library.train(parameters, data, num_boost_round=draw(st.integers(1, 20)))
    schema = FeatureSchema(tuple(Feature(f"f{k}", "float") for k in range(columns)))
    near = st.sampled_from([value for value in x.ravel().tolist() if value == value] or [0.0])
    rows = st.lists(
        st.fixed_dictionaries({}, optional={f"f{k}": st.one_of(near, NUMBERS) for k in range(columns)}), min_size=1
    )
    classes = CLASSES if task == "multiclass" else ()
    return Model(
        schema=schema, predictor=TreePredictor(booster.model_to_string(), schema, 1), task=task, classes=classes
    ), draw(rows)


@settings(max_examples=80, deadline=None)
@given(drawn=lightgbm_models())
def test_any_trees_of_lightgbm_answer_its_bits(drawn: tuple[Model, list[dict[str, Any]]]) -> None:
    made, rows = drawn
    fast = compile_model(made)
    assert isinstance(fast._scorer, ForestScorer)
    check_same_bits(fast, rows)


ODD = [-1e20, -1.0, -0.5, -0.0, 0.0, 1e-36, -1e-36, 0.5, 1.0, 1.9, 2.0, 31.0, 32.0, 2.0**31, 1e20, math.inf, -math.inf]


@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_odd_numbers_among_categories_go_where_lightgbm_sends_them(chosen: int) -> None:
    codes = np.arange(300) % 3
    check_odd_numbers(train_one_column(codes, codes == chosen, categorical_feature=[0]))


def test_what_lightgbm_takes_for_zero_is_zero() -> None:
    x = np.arange(300) % 2 - 0.5
    text = train_one_column(x, x > 0)
    threshold = next(line for line in text.splitlines() if line.startswith("threshold="))
    for edge in ("0", "-0", "1e-36", "-1e-36", "1e-35"):
        check_odd_numbers(text.replace(threshold, f"threshold={edge}"))


def train_one_column(x: np.ndarray, y: np.ndarray, **options: Any) -> str:
    parameters = dict(objective="binary", num_threads=1, verbosity=-1, min_data_per_group=1, cat_smooth=0)
    data = load_lightgbm().Dataset(x.reshape(-1, 1), y.astype(float), params=parameters, **options)
    return load_lightgbm().train(parameters, data, num_boost_round=1).model_to_string()


def check_odd_numbers(text: str) -> None:
    schema = FeatureSchema((Feature("x", "float"),))
    fast = compile_model(Model(schema=schema, predictor=TreePredictor(text, schema, 1), task="binary"))
    rows = [{"x": value} for value in [None, *ODD]]
    check_same_bits(fast, rows)
    assert len(set(fast.predict_many(rows).tolist())) == 2, "a model that never splits shows nothing"


@pytest.mark.parametrize(
    "parameters",
    [
        {"objective": "poisson"},
        {"objective": "regression", "reg_sqrt": True},
        {"objective": "regression", "linear_tree": True},
        {"boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1},
    ],
)
def test_rare_models_are_left_to_lightgbm(parameters: dict[str, Any]) -> None:
    rows = table()
    library = load_lightgbm()
    schema = FeatureSchema.learn(rows, KINDS)
    parameters = {"num_threads": 1, "verbosity": -1, "min_data_in_leaf": 5, **parameters}
    data = library.Dataset(schema.encode_for_trees(rows), np.exp(score(rows)), params=parameters)
    text = library.train(parameters, data, num_boost_round=3).model_to_string()
    fast = compile_model(Model(schema=schema, predictor=TreePredictor(text, schema, 1), task="regression"))
    assert isinstance(fast._scorer, FrameScorer)
    check_same_bits(fast, table(5, seed=2).to_dicts())


def test_trees_that_lead_in_circles_are_refused() -> None:
    predictor = model("lightgbm", "binary").predictor
    assert isinstance(predictor, TreePredictor)
    line = next(line for line in predictor.text.splitlines() if line.startswith("left_child"))
    circular = predictor.text.replace(line, "left_child=" + " ".join("0" for _ in line.split()))
    with pytest.raises(BundleError, match="circles") as caught:
        read_forest(circular, range(len(KINDS)))
    assert caught.value.code == "BUNDLE_FORMAT"


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(ROW, max_size=8))
def test_a_row_is_read_as_its_frame_is_encoded(rows: list[dict[str, Any]]) -> None:
    schema = FeatureSchema.learn(table(), KINDS)
    reader = RowReader(schema)
    frame = frame_of(rows, schema)
    schema.check(frame)
    assert frame.columns == schema.names
    assert sorted(reader.order) == sorted(schema.names)
    order = [schema.names.index(name) for name in reader.order]
    np.testing.assert_array_equal(reader.matrix(rows), schema.encode_for_trees(frame)[:, order])
    assert [repr(reader.read(row)) for row in rows] == [repr(tuple(row)) for row in reader.matrix(rows).tolist()]


def test_a_frame_has_the_types_of_the_schema() -> None:
    schema = FeatureSchema.learn(table(), KINDS)
    types = {"late": pl.Boolean, "delay": pl.Float64, "carrier": pl.String, "seats": pl.Int64, "tail": pl.String}
    assert dict(frame_of([], schema).schema) == types
    assert dict(frame_of([{}], schema).schema) == types
    assert dict(frame_of([{"seats": 3.0, "late": 0, "delay": 1}], schema).schema) == types
    assert frame_of([{"seats": math.nan, "late": math.nan, "delay": math.nan}], schema).null_count().row(0) == (1,) * 5
    assert frame_of([{"seats": 2**53 + 1}], schema)["seats"].item() == 2**53 + 1
    assert frame_of([{"seats": 2.5}], schema)["seats"].dtype == pl.Float64
    assert frame_of(table().to_dicts(), schema).equals(table().select(schema.names))


@pytest.mark.parametrize("kind", ["lightgbm", "linear", "boosting"])
@pytest.mark.parametrize(
    ("broken", "word"),
    [
        ({"delay": "1.5"}, "'1.5' of delay should be a number"),
        ({"seats": b"1"}, "of seats should be a number"),
        ({"seats": 10**400}, "of seats should be a number"),
        ({"delay": [1.0]}, "of delay should be a number"),
        ({"late": 0.5}, "0.5 of late should be true or false"),
        ({"late": "yes"}, "'yes' of late should be true or false"),
        ({"late": []}, "of late should be true or false"),
        ({"carrier": 3}, "3 of carrier should be text"),
        ({"carrier": math.nan}, "nan of carrier should be text"),
        ({"tail": {}}, "of tail should be text"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(kind: str, broken: Mapping[str, Any], word: str) -> None:
    fast = compiled(kind, "binary")
    for refuse in (fast.predict_one, fast.contributions_one, lambda row: fast.predict_many([{}, row])):
        if kind == "boosting" and refuse == fast.contributions_one:
            continue
        with pytest.raises(BundleError, match=word) as caught:
            refuse(broken)
        assert caught.value.code == "BUNDLE_INPUT"


@settings(max_examples=200, deadline=None)
@given(scores=st.lists(st.floats(0, 1), min_size=1, max_size=20), method=st.sampled_from(list(MAPS)))
def test_one_value_is_calibrated_as_among_others(scores: list[float], method: str) -> None:
    calibration = Calibration(method, (MAPS[method],))
    calibrate = calibrator_of(calibration) or float
    assert bits([calibrate(score) for score in scores]) == bits(calibration.apply(np.array(scores)))


@pytest.mark.parametrize(("kind", "task"), [("lightgbm", "binary"), ("lightgbm", "regression"), ("linear", "binary")])
def test_contributions_are_those_of_the_model_by_name(kind: str, task: str) -> None:
    fast = compiled(kind, task)
    row = table(1, seed=3).to_dicts()[0]
    terms = fast.contributions_one(row)
    assert isinstance(terms, dict)
    names = list(terms)
    assert sorted(names) == ["", *sorted(KINDS)]
    assert names[-1] == ""
    assert bits(list(terms.values())) == bits(fast.model.contributions(frame_of([row], fast.model.schema))[0])
    if task == "binary":
        assert 1 / (1 + math.exp(-sum(terms.values()))) == pytest.approx(fast.predict_one(row))


def test_contributions_of_several_classes_come_by_class() -> None:
    fast = compiled("lightgbm", "multiclass")
    row = table(1, seed=3).to_dicts()[0]
    terms = fast.contributions_one(row)
    assert isinstance(terms, tuple)
    chances = np.exp([sum(each.values()) for each in terms])
    assert chances / chances.sum() == pytest.approx(fast.predict_one(row))
    with pytest.raises(BundleError, match="several classes"):
        compiled("linear", "multiclass").contributions_one(row)
    with pytest.raises(BundleError, match="cannot say"):
        compiled("boosting", "binary").contributions_one(row)


def test_a_linear_model_needs_no_frame_for_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = compiled("linear", "binary")
    monkeypatch.setattr(LinearPredictor, "predict", None)
    assert fast.predict_one({"delay": 1.0}) != fast.predict_one({"delay": 2.0})


@pytest.mark.parametrize("kind", ["lightgbm", "linear"])
def test_many_threads_may_ask_at_once(kind: str) -> None:
    fast = compiled(kind, "binary", "platt")
    rows = table(200, seed=9).to_dicts() * 5
    alone = [fast.predict_one(row) for row in rows]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(fast.predict_one, rows, chunksize=1)) == alone


def test_trees_answer_without_lightgbm_and_the_room_loads_no_compiler(tmp_path: Any) -> None:
    predictor = model("lightgbm", "binary").predictor
    (tmp_path / "model.txt").write_bytes(predictor.files()["model.txt"])
    code = f"""
import pathlib, sys
from mainspring.model import Feature, FeatureSchema, Model, compile_model
from mainspring.model.trees import TreePredictor
assert "numba" not in sys.modules
schema = FeatureSchema(tuple(Feature(name, "float") for name in {list(KINDS)!r}))
text = pathlib.Path({str(tmp_path / "model.txt")!r}).read_text()
compile_model(Model(schema=schema, predictor=TreePredictor(text, schema), task="binary")).predict_one({{"delay": 1.0}})
print(sorted({{"lightgbm", "sklearn", "skops"}} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
