"""The schema: what trees are given for every kind of value, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from mainspring.errors import BundleError
from mainspring.model.schema import MAX_VOCABULARY, FeatureSchema

KINDS = {"delay": "float", "seats": "int", "late": "bool", "carrier": "category"}


def frame() -> pl.DataFrame:
    return pl.DataFrame(
        {"delay": [1.5, None], "seats": [2**53 - 1, None], "late": [True, None], "carrier": ["US", None]},
        schema={"delay": pl.Float64, "seats": pl.Int64, "late": pl.Boolean, "carrier": pl.String},
    )


def test_missing_and_unseen_values_become_nan_and_large_integers_stay_exact() -> None:
    schema = FeatureSchema.learn(frame().with_columns(carrier=pl.Series(["US", "AA"])), KINDS)
    matrix = schema.encode_for_trees(frame())
    assert matrix[0].tolist() == [1.5, 2.0**53 - 1, 1.0, 1.0]
    assert np.isnan(matrix[1]).all()
    unseen = schema.encode_for_trees(frame().with_columns(carrier=pl.lit("ZZ")))
    assert np.isnan(unseen[:, 3]).all()


def test_the_vocabulary_does_not_depend_on_the_order_of_rows() -> None:
    values = pl.Series("c", ["b", "a", None, "b", "c"])
    learned = {FeatureSchema.learn(pl.DataFrame(values.shuffle(seed)), {"c": "category"}) for seed in range(5)}
    assert [schema.features[0].vocabulary for schema in learned] == [("a", "b", "c")]


def test_the_vocabulary_keeps_the_most_frequent_values() -> None:
    rare = [f"v{k:06d}" for k in range(MAX_VOCABULARY + 50)]
    schema = FeatureSchema.learn(pl.DataFrame({"c": [*rare, "zz", "zz"]}), {"c": "text"})
    vocabulary = schema.features[0].vocabulary
    assert len(vocabulary) == MAX_VOCABULARY
    assert vocabulary[0] == "v000000"
    assert vocabulary[-1] == "zz"


def test_a_categorical_column_and_a_column_without_values_are_read() -> None:
    schema = FeatureSchema.learn(frame(), KINDS)
    other = frame().with_columns(pl.col("carrier").cast(pl.Categorical), delay=pl.lit(None))
    assert schema.encode_for_trees(other)[0, 3] == 0
    assert np.isnan(schema.encode_for_trees(other)[:, 0]).all()
    assert schema.encode_for_trees(frame().clear()).shape == (0, 4)


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        (frame().drop("seats"), "no column seats"),
        (frame().with_columns(delay=pl.lit("x")), "delay is String and should be a number"),
        (frame().with_columns(late=pl.lit(1)), "late is Int32 and should be true or false"),
        (frame().with_columns(carrier=pl.lit(1.0)), "carrier is Float64 and should be text"),
    ],
)
def test_rows_that_do_not_match_are_refused_by_name(broken: pl.DataFrame, word: str) -> None:
    schema = FeatureSchema.learn(frame(), KINDS)
    with pytest.raises(BundleError, match=word) as caught:
        schema.check(broken)
    assert caught.value.code == "BUNDLE_INPUT"


def test_the_model_room_loads_no_library_of_models() -> None:
    heavy = "{'sklearn', 'skops', 'lightgbm', 'scipy', 'mainspring.training', 'mainspring.evaluation'}"
    code = f"import sys, mainspring.model.bundle; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
