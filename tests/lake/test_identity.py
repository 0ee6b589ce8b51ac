"""Sifting against a slow dictionary of what was there first."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.lake.identity import sift

COLUMNS = ["key", "known_at", "value", "note"]
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", None]),
        st.integers(0, 1),
        st.sampled_from([0.0, -0.0, 1.5, None]),
        st.sampled_from(["x", None]),
    ),
    max_size=7,
)


def frame(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    schema = {"key": pl.String, "known_at": pl.Int64, "value": pl.Float64, "note": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row").with_row_index("_row")


def slow_sift(rows: list[tuple[Any, ...]], held: list[tuple[Any, ...]], width: int) -> tuple[list[int], int, list[int]]:
    first = {row[:width]: row for row in held}
    fresh, already_there, conflicts = [], 0, []
    for i, row in enumerate(rows):
        if row[:width] not in first:
            first[row[:width]] = row
            fresh.append(i)
        elif first[row[:width]] == row:
            already_there += 1
        else:
            conflicts.append(i)
    return fresh, already_there, conflicts


@settings(max_examples=200, deadline=None)
@given(rows=ROWS, earlier=ROWS, width=st.sampled_from([2, 4]))
def test_every_row_is_new_known_or_a_contradiction_of_what_was_first(
    rows: list[Any], earlier: list[Any], width: int
) -> None:
    held = [earlier[i] for i in slow_sift(earlier, [], width)[0]]
    sifted = sift(frame(rows), frame(held).drop("_row"), COLUMNS, COLUMNS[:width])
    found = (sifted.fresh["_row"].to_list(), sifted.already_there, sorted(sifted.conflicts["_row"]))
    assert found == slow_sift(rows, held, width)
    assert len(sifted.fresh) + sifted.already_there + len(sifted.conflicts) == len(rows)
