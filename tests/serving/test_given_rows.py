"""What a client may send is read as sent; what cannot be read is refused in words."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import ipc

from mainspring.errors import ServingError
from mainspring.serving import Limits
from mainspring.serving.arrow_bodies import measure
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
        (b'{"a": 1}\n' * 51, "application/x-ndjson"),
        (b"[{}, {}]", "application/json"),
    ],
)
def test_what_cannot_be_read_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(ServingError) as told:
        read_rows(body, kind, LIMITS)
    assert told.value.code == "SERVE_BODY"


def test_of_many_lines_the_one_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ServingError, match=r"as newline-delimited JSON: line 4: "):
        read_rows(b'{"a": 1}\n\n{"a": 2}\n{"a": [3]}\n', "application/x-ndjson", LIMITS)
    with pytest.raises(ServingError, match=r"as JSON: .*\$\[1\]"):
        read_rows(b'[{"a": 1}, {"a": [3]}]', "application/json", LIMITS)


# Arrow


def stream(frame: pl.DataFrame, compression: Any = "uncompressed") -> bytes:
    written = io.BytesIO()
    frame.write_ipc_stream(written, compression=compression)
    return written.getvalue()


def arrow(table: pa.Table, **options: Any) -> bytes:
    written = io.BytesIO()
    with ipc.new_stream(written, table.schema, options=ipc.IpcWriteOptions(**options)) as writer:
        if table.num_rows:
            writer.write_table(table)
    return written.getvalue()


SMALL = pl.DataFrame(
    {
        "number": [1.5, None, 2.0],
        "text": ["x", None, "longer than what fits beside its length"],
        "truth": [True, None, False],
        "name": pl.Series(["p", "q", "p"], dtype=pl.Categorical),
        "time": pl.Series([0, None, 10**15]).cast(pl.Datetime("us", "UTC")),
    }
)


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_a_compressed_stream_is_read_as_any_other(compression: str) -> None:
    body = stream(SMALL, compression)
    assert read_rows(body, ARROW, LIMITS).equals(SMALL)
    assert measure(body).rows == 3


@given(st.integers(0, 3000), st.sampled_from(["uncompressed", "lz4", "zstd"]), st.integers(0, 300))
@settings(deadline=None, max_examples=40)
def test_a_stream_is_as_large_as_it_says_before_it_is_unpacked(rows: int, compression: str, length: int) -> None:
    frame = pl.DataFrame({"a": [0] * rows, "b": ["x" * length] * rows}, schema={"a": pl.Int64, "b": pl.String})
    measured = measure(stream(frame, compression))
    assert measured.rows == rows
    least = rows * 8 + rows * 16  # numbers, and the views of texts; their bytes may be shared
    assert least <= measured.bytes <= least + rows * (length + 1) + 2000


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
@pytest.mark.parametrize("kind", ["numbers", "texts", "dictionary", "rows", "views"])
def test_what_unpacks_too_far_is_refused_before_it_does(compression: str, kind: str) -> None:
    limits = Limits(body_bytes=200_000)  # which may unpack to 3,200,000
    body = {
        "numbers": lambda: stream(pl.DataFrame({f"c{n}": [0.0] * 9000 for n in range(60)}), compression),
        "texts": lambda: stream(pl.DataFrame({"a": ["x" * 1000] * 9000}), compression),
        "dictionary": lambda: arrow(
            pa.table({"a": pa.array(["x" * 1000] * 9000).dictionary_encode()}), compression=compression
        ),
        "rows": lambda: arrow(pa.table({"a": pa.nulls(1_000_000)}), compression=compression),
        "views": lambda: stream(pl.DataFrame({"a": pl.Series(["x" * 1000]).new_from_index(0, 9000)}), compression),
    }[kind]()
    assert len(body) < limits.body_bytes
    tracemalloc.start()
    try:
        with pytest.raises(ServingError, match="SERVE_BODY") as told:
            read_rows(body, ARROW, limits)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
    assert ("rows" if kind == "rows" else "unpacks to more than 3,200,000 bytes") in told.value.problem


BODIES = [*(stream(SMALL, each) for each in ("uncompressed", "lz4", "zstd")), arrow(pa.table({"l": [[1], None, [2]]}))]


WRONG = [b"\xff" * 8, (1 << 40).to_bytes(8, "little"), b"\x7f", b"\0"]


@pytest.mark.parametrize("body", BODIES, ids=["uncompressed", "lz4", "zstd", "nested"])
@pytest.mark.parametrize("wrong", WRONG, ids=["ones", "far", "byte", "zero"])
def test_wrong_bytes_anywhere_in_a_stream_are_refused_or_read_and_never_end_the_process(
    body: bytes, wrong: bytes
) -> None:
    """Polars' own reader aborts the process for some of these."""
    for place in range(len(body) - len(wrong)):
        damaged = body[:place] + wrong + body[place + len(wrong) :]
        try:
            frame = read_rows(damaged, ARROW, LIMITS)
        except ServingError:
            continue
        assert frame.height <= LIMITS.rows_per_request
        frame.hash_rows()  # every value is looked at


def test_a_schema_nested_too_deep_is_refused() -> None:
    kind: Any = pa.int64()
    for _ in range(200):
        kind = pa.list_(kind)
    with pytest.raises(ServingError, match="SERVE_BODY"):
        read_rows(arrow(pa.table({"a": pa.nulls(0, kind)})), ARROW, Limits())
