"""Rows in several requests are the rows that were given, and the sums are those of one request."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.client import AsyncClient, Client, Kept, Rejection, bodies
from mainspring.client.bodies import ARROW, json_parts, parts_of, plain
from mainspring.errors import ClientError
from mainspring.serving import Limits
from tests.test_import import HEAVY, modules_after

from .kinds import KINDS, caller

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)


class Table:
    """A server that takes no more than it should and keeps what it was sent; a row whose value is negative is rejected."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        assert len(request.content) <= bodies.BODY_BYTES
        if request.headers["content-type"] == ARROW:
            rows = pl.read_ipc_stream(io.BytesIO(request.content)).to_dicts()
        else:
            rows = json.loads(request.content)
        assert len(rows) <= bodies.ROWS_PER_REQUEST
        self.rows += rows
        return httpx.Response(202, json=self.judged(rows))

    @staticmethod
    def judged(rows: list[dict[str, Any]]) -> dict[str, Any]:
        bad = [row for row, values in enumerate(rows) if values["value"] < 0]
        told = [{"row": row, "reason": "too_small", "message": "No."} for row in bad[:100]]
        there = sum(values["value"] == 0 for values in rows)
        return {
            "table": "t", "given": len(rows), "accepted": len(rows) - len(bad) - there, "already_there": there,
            "rejected": len(bad), "rejections": told,
        }  # fmt: skip


some_rows = st.lists(
    st.fixed_dictionaries({"value": st.integers(-3, 9), "text": st.text("aü", max_size=40)}), max_size=30
)


# Laws


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("as_frame", [False, True], ids=["list", "frame"])
def test_the_sum_of_the_parts_is_the_whole(
    kind: type[Client] | type[AsyncClient], as_frame: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "_ROOM", 200)
    monkeypatch.setattr(bodies, "BODY_BYTES", 800)
    schema = {"value": pl.Int64, "text": pl.String}

    @settings(max_examples=60, deadline=None)
    @given(some_rows, st.integers(1, 12))
    def sent(given: list[dict[str, Any]], most: int) -> None:
        monkeypatch.setattr(bodies, "ROWS_PER_REQUEST", most)
        table = Table()
        kept = caller(kind, table).push("t", pl.DataFrame(given, schema) if as_frame else given)
        whole = Table.judged(given)
        told = [Rejection(**each) for each in whole.pop("rejections")]
        assert kept == Kept(**whole, rejections=tuple(told))
        assert table.rows == given
        assert len(table.requests) <= max(len(given), 1)
        assert len(table.requests) >= -(-len(given) // most)

    sent()


def test_of_many_rejections_the_first_hundred_are_told_by_their_rows_in_the_whole() -> None:
    table = Table()
    kept = caller(Client, table).push("t", [{"value": -1 if row > 9_980 else 1} for row in range(25_000)])
    assert (len(table.requests), kept.given, kept.rejected) == (3, 25_000, 15_019)
    assert [each.row for each in kept.rejections] == list(range(9_981, 10_081))


@given(
    st.floats(-6e10, 2.5e11).map(lambda seconds: datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)),
    st.integers(-23, 23),
)
def test_an_instant_is_the_same_in_every_zone(instant: datetime, hours: int) -> None:
    sent = plain(instant.astimezone(timezone(timedelta(hours=hours))), "x")
    assert isinstance(sent, str)
    assert sent.endswith("Z")
    assert datetime.fromisoformat(sent) == instant


def test_a_client_sends_what_a_server_takes() -> None:
    limits = Limits()
    assert limits.body_bytes == bodies.BODY_BYTES
    assert limits.rows_per_request == bodies.ROWS_PER_REQUEST


def test_the_client_is_light_and_mainspring_does_not_load_it() -> None:
    assert "httpx" not in modules_after("import mainspring")
    loaded = modules_after("import mainspring; mainspring.Client('http://s', 'msk_x').close()")
    assert {"httpx", "msgspec"} <= loaded
    assert {"polars", "numpy", "pyarrow", "sqlalchemy", "starlette", "sklearn"} & HEAVY & loaded == set()
    assert {name.split(".")[1] for name in loaded if name.startswith("mainspring.")} == {
        "answers", "client", "clock", "declare", "errors",
    }  # fmt: skip
    wrong = subprocess.run(
        [sys.executable, "-c", "import mainspring; mainspring.Clint"], capture_output=True, text=True
    )
    assert "AttributeError: module 'mainspring' has no attribute 'Clint'" in wrong.stderr


# Cases


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (None, None), (True, True), (3, 3), (2**70, 2**70), (1.5, 1.5), (float("nan"), None), ("ü", "ü"),
        (np.float64(0.5), 0.5), (np.float32("nan"), None), (np.int64(3), 3), (np.bool_(True), True), (np.str_("a"), "a"),
        (NOON, "2025-01-01T12:00:00Z"), (np.array(4), 4),
    ],
)  # fmt: skip
def test_values_as_json_has_them(given: Any, sent: Any) -> None:
    (part,) = parts_of([{"x": given}])
    assert json.loads(part.body) == [{"x": sent}]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"x": NOON.replace(tzinfo=None)}, r"x of row 1, datetime.*has no time zone\. Say which.*CLIENT_VALUE"),
        ({"x": np.datetime64("2025-01-01T00:00:00", "us")}, "no time zone"),
        ({"x": datetime.min.replace(tzinfo=timezone(timedelta(hours=9)))}, "outside the years 1 to 9999"),
        ({"x": float("-inf")}, "x of row 1 is -inf"),
        ({"x": np.float32("inf")}, "x of row 1 is inf"),
        ({"x": [1]}, "x of row 1 is list"),
        ({"x": {"y": 1}}, "x of row 1 is dict"),
        ({"x": NOON.date()}, "x of row 1 is date"),
        ({"x": np.array([4])}, "x of row 1 is ndarray"),
        ({"x": b"x"}, "x of row 1 is bytes"),
        ({"x": "\ud800"}, "row 1 cannot be written as JSON"),
        ({(1, 2): 1}, "row 1 cannot be written as JSON"),
        ("x", "row 1 is str, not values by column"),
        ({"x": "y" * 5_000_000}, "row 1 has 5,000,008 bytes"),
    ],
)
def test_what_cannot_be_sent_is_told_before_anything_is(row: Any, told: str) -> None:
    table = Table()
    for ask in ("push", "predict_many"):
        given = [{"value": 1}, row]
        with pytest.raises(ClientError, match=told):
            getattr(caller(Client, table), ask)(*(["t", given] if ask == "push" else [given]))
    assert table.requests == []


def test_what_are_no_rows() -> None:
    for rows in (iter([{"x": 1}]), {"x": 1}, 7):
        with pytest.raises(ClientError, match="neither a list of rows nor a Polars frame"):
            parts_of(rows)  # type: ignore[arg-type]
    with pytest.raises(ClientError, match=r"row 1 has 5,.* bytes"):
        list(parts_of(pl.DataFrame({"x": ["a", "y" * 5_000_000]})))


def test_parts_are_no_smaller_than_they_must_be() -> None:
    assert [part.first for part in json_parts([0] * 25_000)] == [0, 10_000, 20_000]
    assert [part.first for part in json_parts(["x" * 1_500_000] * 5)] == [0, 2, 4]
    assert [part.first for part in parts_of(pl.DataFrame({"x": ["y" * 1_500_000] * 5}))] == [0, 2, 3]
