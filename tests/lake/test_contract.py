"""The contract against a slow reading of the same values in plain Python, then each rule and each whole-column error."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mainspring as ms
from mainspring.declare import make_table
from mainspring.errors import ContractError
from mainspring.lake import conform, to_frame
from mainspring.lake.parsing import DTYPES
from mainspring.lake.rules import FIRST_YEAR, LAST_YEAR

KINDS: dict[str, Any] = {
    "category": ms.Category,
    "text": ms.Text,
    "float": ms.Float,
    "int": ms.Int,
    "bool": ms.Bool,
    "time": ms.Time,
}


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


def table_of(**columns: Any) -> type[ms.Table]:
    """A table with a time that never fails beside the columns under test."""
    return make_table("Probe", {**columns, "known_at": ms.KnownAt()})


def check(column: Any, values: Any, dtype: Any = None) -> tuple[list[Any], list[str]]:
    """Return the values kept and the reasons of the rows rejected."""
    frame = pl.DataFrame(
        {"x": values if isinstance(values, pl.Series) else pl.Series(values, dtype=dtype, strict=False)}
    )
    frame = frame.with_columns(known_at=pl.lit(datetime(2013, 1, 1, tzinfo=UTC)))
    conformed = conform(table_of(x=column), frame)
    assert sorted([*conformed.facts["_row"], *conformed.rejected["_row"]]) == list(range(len(frame)))
    return conformed.facts["x"].to_list(), conformed.rejected["reason"].to_list()


def slow_reading(kind: str, text: str) -> Any:
    """What a text means as a kind, or None when it means nothing: the law for cells of a CSV file."""
    if kind in ("category", "text"):
        return text
    if kind == "bool":
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.lower())
    if kind == "time":
        moment = _moment(text)
        if moment is None or moment.tzinfo is None:
            return None
        return moment.astimezone(UTC) if FIRST_YEAR <= moment.astimezone(UTC).year <= LAST_YEAR else None
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        return None
    if kind == "float":
        return float(text) if math.isfinite(float(text)) else None
    if not re.fullmatch(r"[+-]?[0-9]+(\.0*)?", text):
        return None
    number = int(Decimal(text))
    return number if -(2**63) <= number < 2**63 else None


def _is_zoned(text: str | None) -> bool:
    moment = _moment(text)
    return moment is not None and moment.tzinfo is not None


def _is_local(text: str | None) -> bool:
    moment = _moment(text)
    return moment is not None and moment.tzinfo is None


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text or "")
    except ValueError:
        return None


times = st.builds(
    lambda moment, form: form(moment),
    st.datetimes(min_value=local("1600-01-02"), max_value=local("2300-01-01")),
    st.sampled_from([
        lambda m: m.isoformat() + "Z",
        lambda m: m.isoformat(" ") + "+05:30",
        lambda m: m.isoformat(timespec="minutes") + "-03:00",
        lambda m: m.isoformat(" "),
        lambda m: m.date().isoformat(),
    ]),
)  # fmt: skip
numbers = st.one_of(
    st.integers(-(2**70), 2**70).map(str), st.floats().map(str), st.integers(-5, 5).map(lambda i: f"{i}.0")
)
words = st.one_of(
    st.sampled_from(["", " ", "1", "0", "yes", "NO", "True", "false", "nan", "inf", "1.5", "+3", "1_0", "٣"]),
    st.text(max_size=4),
)
cells = st.one_of(st.none(), words, numbers, times)


@settings(max_examples=100, deadline=None)
@given(kind=st.sampled_from(sorted(KINDS)), texts=st.lists(cells, min_size=1, max_size=6), optional=st.booleans())
def test_text_is_read_as_it_would_be_by_hand_or_rejected(kind: str, texts: list[str | None], optional: bool) -> None:
    read = [None if text is None else slow_reading(kind, text) for text in texts]
    kept = [value for text, value in zip(texts, read, strict=True) if value is not None or (text is None and optional)]
    if kind == "time" and not any(text and _is_zoned(text) for text in texts) and any(map(_is_local, texts)):
        with pytest.raises(ContractError, match="CONTRACT_NAIVE_TIME"):
            check(ms.Time(optional=optional), texts, pl.String)
        return
    values, reasons = check(KINDS[kind](optional=optional), texts, pl.String)
    assert values == kept
    assert len(reasons) == len(texts) - len(kept)


@settings(max_examples=80, deadline=None)
@given(values=st.lists(st.one_of(st.none(), st.floats()), min_size=1, max_size=6))
def test_a_float_is_kept_bit_for_bit_or_rejected(values: list[float | None]) -> None:
    kept, reasons = check(ms.Float(optional=True), values, pl.Float64)
    finite = [v for v in values if v is None or math.isfinite(v)]
    assert np.array_equal(
        np.array([math.nan if v is None else v for v in kept]).view(np.int64),
        np.array([math.nan if v is None else v for v in finite]).view(np.int64),
    )
    assert reasons == ["not_finite"] * (len(values) - len(finite))


@settings(max_examples=80, deadline=None)
@given(
    values=st.lists(st.one_of(st.none(), st.floats(), st.integers(-(2**63), 2**63).map(float)), min_size=1, max_size=6)
)
def test_a_float_is_an_int_only_when_it_is_equal_to_one(values: list[float | None]) -> None:
    kept, _ = check(ms.Int(optional=True), values, pl.Float64)
    assert kept == [
        None if v is None else int(v)
        for v in values
        if v is None or (math.isfinite(v) and v == math.floor(v) and -(2.0**63) <= v < 2.0**63)
    ]


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=6))
def test_an_int_is_a_float_only_when_nothing_is_lost(values: list[int]) -> None:
    kept, reasons = check(ms.Float(), values, pl.Int64)
    assert kept == [v for v in values if int(float(v)) == v]
    assert set(reasons) <= {"unreadable"}


@pytest.mark.parametrize(
    ("column", "values", "dtype", "kept", "reasons"),
    [
        (ms.Key(), [7, None, 8], pl.Int32, ["7", "8"], ["missing"]),
        (ms.Category(), ["a", None], pl.Categorical, ["a"], ["missing"]),
        (ms.Text(ge=2, le=3), ["é", "éa", "abcd"], pl.String, ["éa"], ["too_short", "too_long"]),
        (ms.Float(ge=0, le=1), [-0.1, 0, 1, 1.1], pl.Float64, [0, 1], ["too_small", "too_large"]),
        (ms.Float(), ["nan", "1e400", "-inf", "x"], pl.String, [], ["not_finite"] * 3 + ["unreadable"]),
        (
            ms.Int(),
            [1.5, math.nan, math.inf, 1e300, 2.0],
            pl.Float64,
            [2],
            ["fraction", "not_finite", "not_finite", "unreadable"],
        ),
        (
            ms.Int(),
            ["3.0", "3.5", "x", "9223372036854775808"],
            pl.String,
            [3],
            ["fraction", "unreadable", "unreadable"],
        ),
        (ms.Int(), [2**63, 5], pl.UInt64, [5], ["unreadable"]),
        (ms.Bool(), ["TRUE", "No", " yes"], pl.String, [True, False], ["unreadable"]),
        (ms.Bool(), [0, 1, 2], pl.Int64, [False, True], ["unreadable"]),
        (ms.Float(optional=True), [None, None], pl.Null, [None, None], []),
        (ms.Float(), [None, None], pl.Null, [], ["missing", "missing"]),
    ],
)
def test_rules(column: Any, values: list[Any], dtype: Any, kept: list[Any], reasons: list[str]) -> None:
    assert check(column, values, dtype) == (kept, reasons)


def test_local_times_are_read_by_their_zone_unless_the_change_of_clocks_skips_or_repeats_them() -> None:
    zone = ms.Time(zone="America/New_York")
    times = [
        local("2013-03-10T01:30"),
        local("2013-03-10T02:30"),
        local("2013-11-03T01:30"),
        local("2013-07-01"),
    ]
    expected = [datetime(2013, 3, 10, 6, 30, tzinfo=UTC), datetime(2013, 7, 1, 4, tzinfo=UTC)]
    reasons = ["impossible_local_time", "impossible_local_time"]
    assert check(zone, times, pl.Datetime("ms")) == (expected, reasons)
    assert check(zone, [time.isoformat(" ") for time in times], pl.String) == (expected, reasons)
    assert check(zone, [date(2013, 7, 1)], pl.Date) == (expected[1:], [])


def test_a_time_with_its_own_zone_keeps_it_whatever_the_column_declares() -> None:
    texts = ["2013-07-01T00:00:00Z", "2013-07-01"]
    assert check(ms.Time(zone="America/New_York"), texts, pl.String)[0] == [
        datetime(2013, 7, 1, tzinfo=UTC),
        datetime(2013, 7, 1, 4, tzinfo=UTC),
    ]


def test_a_text_without_zone_among_texts_with_one_is_rejected() -> None:
    assert check(ms.Time(), ["2013-07-01T00:00:00Z", "2013-07-01T00:00:00"], pl.String)[1] == ["no_zone"]


def test_times_beyond_the_calendar_are_rejected() -> None:
    times = [
        datetime(year, 1, 1, tzinfo=UTC) for year in (1, FIRST_YEAR - 1, FIRST_YEAR, LAST_YEAR, LAST_YEAR + 1, 9999)
    ]
    kept, reasons = check(ms.Time(), times, pl.Datetime("us", "UTC"))
    assert (kept, set(reasons)) == (times[2:4], {"out_of_calendar"})


@pytest.mark.parametrize(
    ("column", "values", "dtype", "code"),
    [
        (ms.Time(), [local("2013-01-01")], pl.Datetime("us"), "CONTRACT_NAIVE_TIME"),
        (ms.Time(), [date(2013, 1, 1)], pl.Date, "CONTRACT_NAIVE_TIME"),
        (ms.Time(), ["2013-01-01 10:00", None], pl.String, "CONTRACT_NAIVE_TIME"),
        (ms.Time(), [1356998400], pl.Int64, "CONTRACT_TYPE"),
        (ms.Key(), [1.0], pl.Float64, "CONTRACT_TYPE"),
        (ms.Category(), [True], pl.Boolean, "CONTRACT_TYPE"),
        (ms.Text(), [1], pl.Int64, "CONTRACT_TYPE"),
        (ms.Float(), [True], pl.Boolean, "CONTRACT_TYPE"),
        (ms.Int(), [[1]], pl.List(pl.Int64), "CONTRACT_TYPE"),
        (ms.Bool(), [local("2013-01-01")], pl.Datetime("us"), "CONTRACT_TYPE"),
    ],
)
def test_a_column_of_the_wrong_type_is_refused_as_a_whole(
    column: Any, values: list[Any], dtype: Any, code: str
) -> None:
    with pytest.raises(ContractError) as caught:
        check(column, values, dtype)
    assert caught.value.code == code
    assert "Probe.x" in str(caught.value)


def test_a_missing_column_is_named_with_what_there_is_and_the_likely_one() -> None:
    frame = pl.DataFrame({"dep_dely": [1.0], "known_at": ["2013-01-01T00:00:00Z"]})
    with pytest.raises(ContractError, match=r'dep_delay.*It has dep_dely, known_at.*source="dep_dely"') as caught:
        conform(table_of(dep_delay=ms.Float()), frame)
    assert caught.value.code == "CONTRACT_COLUMN_MISSING"


def test_an_optional_column_may_be_absent_and_an_undeclared_one_is_ignored_aloud() -> None:
    frame = pl.DataFrame({"speed": [1.0], "seen": ["2013-01-01T00:00:00Z"], "b": [1]})
    table = table_of(x=ms.Float(source="speed"), y=ms.Bool(optional=True))
    conformed = conform(table, frame.rename({"seen": "known_at"}))
    assert conformed.facts.drop("_row").schema == {
        "x": DTYPES[ms.Float.of],
        "y": pl.Boolean,
        "known_at": pl.Datetime("us", "UTC"),
    }
    assert (conformed.facts["x"].to_list(), conformed.facts["y"].to_list()) == ([1.0], [None])
    assert conformed.ignored == ("b",)


def test_a_row_that_breaks_several_rules_is_rejected_once_for_the_first() -> None:
    frame = pl.DataFrame({"x": [None], "y": [-1.0], "known_at": ["2013-01-01T00:00:00Z"]})
    rejected = conform(table_of(x=ms.Key(), y=ms.Float(ge=0)), frame).rejected
    assert rejected["sentence"].to_list() == ["x is missing."]


def test_nan_in_pandas_means_missing() -> None:
    data = pd.DataFrame({"x": [1.0, math.nan], "known_at": pd.to_datetime(["2013-01-01", "2013-01-02"], utc=True)})
    table = table_of(x=ms.Float(optional=True))
    assert conform(table, to_frame(data, table)).facts["x"].to_list() == [1.0, None]
