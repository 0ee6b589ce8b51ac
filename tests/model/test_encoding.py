"""The encoder for linear models: no missing value leaves it, and it is the same after being stored."""

from __future__ import annotations

import msgspec
import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.model.encoding import LinearEncoder
from mainspring.model.schema import FeatureSchema

KINDS = {"x": "float", "b": "bool", "c": "category"}
ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.floats(width=64)),
        st.one_of(st.none(), st.booleans()),
        st.one_of(st.none(), st.sampled_from("abc")),
    ),
    min_size=1,
    max_size=30,
)


def to_frame(rows: list[tuple]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"x": pl.Float64, "b": pl.Boolean, "c": pl.String}, orient="row")


def learn(frame: pl.DataFrame, kinds: dict[str, str]) -> LinearEncoder:
    return LinearEncoder.learn(FeatureSchema.learn(frame, kinds), frame)


@settings(max_examples=60, deadline=None)
@given(train=ROWS, later=ROWS)
def test_every_row_is_encoded_as_finite_numbers_and_a_stored_encoder_does_the_same(train: list, later: list) -> None:
    encoder = learn(to_frame(train), KINDS)
    matrix = encoder.encode(to_frame(later))
    assert matrix.shape == (len(later), len(encoder.output_names))
    limited = [row for row in later if row[0] is None or not np.isfinite(row[0]) or abs(row[0]) < 1e100]
    assert np.isfinite(encoder.encode(to_frame(limited))).all()
    again = msgspec.json.decode(msgspec.json.encode(encoder), type=LinearEncoder)
    assert again.encode(to_frame(later)).tobytes() == matrix.tobytes()


def test_numbers_are_standardised_and_missing_ones_stand_at_the_median_with_a_mark() -> None:
    frame = pl.DataFrame({"x": [1.0, 2.0, 3.0, None]})
    encoder = learn(frame, {"x": "float"})
    assert encoder.output_names == ["x", "x is missing"]
    matrix = encoder.encode(frame)
    assert matrix[3].tolist() == [0.0, 1.0]
    np.testing.assert_allclose(matrix[:, 0].mean(), 0, atol=1e-15)
    np.testing.assert_allclose(matrix[:, 0].std(), 1)


def test_rare_unseen_and_missing_categories_share_the_row_of_zeros() -> None:
    frame = pl.DataFrame({"c": ["a"] * 300 + ["b"] * 300 + ["rare"]})
    encoder = learn(frame, {"c": "category"})
    assert encoder.output_names == ["c = a", "c = b"]
    assert encoder.encode(pl.DataFrame({"c": ["b", "rare", "new", None]})).tolist() == [[0, 1], [0, 0], [0, 0], [0, 0]]


def test_at_most_fifty_levels_are_kept() -> None:
    frame = pl.DataFrame({"c": [f"v{k:02d}" for k in range(80) for _ in range(100 - k)]})
    assert len(learn(frame, {"c": "category"}).output_names) == 50


def test_a_constant_column_is_moved_to_zero_and_not_scaled() -> None:
    encoder = learn(pl.DataFrame({"x": [7.0, 7.0]}), {"x": "float"})
    assert encoder.encode(pl.DataFrame({"x": [7.0, 8.0]})).tolist() == [[0.0], [1.0]]
