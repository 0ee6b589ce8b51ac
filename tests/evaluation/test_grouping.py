"""Groups of a column: every row has one, rare values are pooled, numbers fall into ordered bins."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.evaluation.grouping import MISSING, OTHER, group

TEXT = st.lists(st.sampled_from([None, "a", "b", "c", "d", "e"]), max_size=60)
NUMBERS = st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6), st.just(float("nan")), st.just(3.0)), max_size=60)


@settings(max_examples=60, deadline=None)
@given(values=TEXT, most=st.integers(1, 6))
def test_a_row_is_in_the_group_of_its_value_or_pooled(values: list[str | None], most: int) -> None:
    groups = group(pl.Series(values, dtype=pl.String), most=most)
    named = [groups.names[code] for code in groups.code]
    for value, name in zip(values, named, strict=True):
        assert name in (MISSING if value is None else value, OTHER)
    sizes = np.bincount(groups.code, minlength=len(groups.names))[: groups.distinct]
    assert (np.diff(sizes) <= 0).all()
    assert groups.distinct <= most
    assert groups.pooled == (len(set(values)) > most)


@settings(max_examples=60, deadline=None)
@given(values=NUMBERS, bins=st.integers(1, 6))
def test_bins_of_numbers_are_ranges_that_do_not_overlap(values: list[float | None], bins: int) -> None:
    groups = group(pl.Series(values, dtype=pl.Float64), most=3, bins=bins)
    known = [
        (groups.names[c], v) for c, v in zip(groups.code, values, strict=True) if v is not None and not np.isnan(v)
    ]
    absent = [groups.names[c] for c, v in zip(groups.code, values, strict=True) if v is None or np.isnan(v)]
    if groups.pooled:
        return  # a few whole bins were pooled because `most` is smaller than `bins`
    assert set(absent) <= {MISSING}
    spans = sorted(
        (min(v for n, v in known if n == name), max(v for n, v in known if n == name)) for name, _ in set(known)
    )
    assert all(before[1] < after[0] or before == after for before, after in pairwise(spans))


def test_numbers_with_few_values_keep_them() -> None:
    assert group(pl.Series([3, 1, 3, None])).names == ["3", "(missing)", "1"]
    assert group(pl.Series([True, False, True])).names == ["true", "false"]
    assert group(pl.Series(range(100)), bins=4).names == ["0 to 24", "25 to 49", "50 to 74", "75 to 99"]
