"""What a client may send is read as sent; what cannot be read is refused in words."""

from __future__ import annotations

import io
import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.errors import ServingError
from mainspring.serving import Limits
from mainspring.serving.given_rows import ARROW, read_rows

LIMITS = Limits(body_bytes=5000, rows_per_request=50)
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text())
ROWS = st.lists(st.dictionaries(st.sampled_from("abc"), VALUES), max_size=6)


@given(ROWS.filter(lambda rows: not rows or any(rows)))
def test_an_array_and_lines_say_the_same(rows: list[dict[str, Any]]) -> None:
    array = read_rows(json.dumps(rows).encode(), "application/json; charset=utf-8", LIMITS)
    lines = "\n".join(map(json.dumps, rows))
    assert array.equals(read_rows(lines.encode(), "application/x-ndjson", LIMITS))
    for name in array.columns:
        given_values = [row.get(name) for row in rows]
        kinds = {type(value) for value in given_values if value is not None}
        assert [value is None for value in given_values] == array[name].is_null().to_list()
        if len(kinds) == 1 and array[name].dtype != pl.String:
            assert array[name].to_list() == given_values


def test_whole_numbers_beyond_64_bits_stay_exact() -> None:
    assert read_rows(b'[{"a": 9223372036854775808}, {"a": 1}]', "", LIMITS)["a"].to_list() == [
        "9223372036854775808",
        "1",
    ]


def test_whole_numbers_beside_a_float_stay_exact() -> None:
    exact = read_rows(b'[{"a": 9007199254740993}, {"a": 2.0}]', "", LIMITS)["a"]
    assert exact.to_list() == ["9007199254740993", "2.0"]
    assert read_rows(b'[{"a": 7}, {"a": 2.5}]', "", LIMITS)["a"].to_list() == [7.0, 2.5]


def test_arrow_is_taken_as_it_is() -> None:
    frame = pl.DataFrame({"a": [1, None], "b": ["x", "y"]})
    stream = io.BytesIO()
    frame.write_ipc_stream(stream)
    assert read_rows(stream.getvalue(), ARROW, LIMITS).equals(frame)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/json"),
        (b"{}", "application/json"),
        (b'[{"a": [1]}]', "application/json"),
        (b'[{"a": {"b": 1}}]', "application/json"),
        (b'[{"a": NaN}]', "application/json"),
        (b"[1]", "application/json"),
        (b'\xff\xfe[{"a": 1}]', "application/json"),
        (b'{"a": 1}\n{"a": ', "application/x-ndjson"),
        (b"no stream at all", ARROW),
        (b'[{"a": "' + b"x" * 6000 + b'"}]', "application/json"),
        (b"[" * 3000, "application/json"),
        (json.dumps([{"a": 1}] * 51).encode(), "application/json"),
    ],
)
def test_what_cannot_be_read_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(ServingError) as told:
        read_rows(body, kind, LIMITS)
    assert told.value.code == "SERVE_BODY"
