"""Requests to predict as bytes on a connection: however they come, they are answered in their order, and as the handlers do."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cli.serving import Server, order, served


@pytest.fixture(scope="module")
def server(first_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("lane") / "workspace"
    shutil.copytree(first_run, folder)
    with served(folder) as running:
        yield running


def request(server: Server, body: Any, *headers: str, path: str = "/v1/predict", method: str = "POST") -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: here", f"Authorization: Bearer {server.key}", *headers]
    return ("\r\n".join([*lines, f"Content-Length: {len(content)}"]) + "\r\n\r\n").encode() + content


class Connection:
    """A connection that reads one response after the other."""

    def __init__(self, server: Server) -> None:
        place = urlsplit(server.address)
        self.socket = socket.create_connection((place.hostname, place.port), timeout=30)
        self.file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def response(self) -> tuple[int, dict[str, str], Any]:
        status = int(self.file.readline().split()[1])
        headers = {}
        while (line := self.file.readline().strip()) != b"":
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value
        body = self.file.read(int(headers["content-length"]))
        return status, headers, json.loads(body)

    def at_end(self) -> bool:
        return self.file.read(1) == b""


Connect = Callable[[], Connection]


@pytest.fixture
def connect(server: Server) -> Iterator[Connect]:
    with contextlib.ExitStack() as opened:

        def open_one() -> Connection:
            connection = Connection(server)
            opened.callback(connection.socket.close)
            opened.callback(connection.file.close)
            return connection

        yield open_one


def test_what_is_sent_at_once_is_answered_in_order(server: Server, connect: Connect) -> None:
    connection = connect()
    asked = [request(server, {"row": order(i), "explain": True}) for i in range(3)]
    state = request(server, b"", path="/v1/state", method="GET")
    connection.send(asked[0] + state + asked[1] + asked[2] + state)
    answers = [connection.response() for _ in range(5)]
    assert [status for status, _, _ in answers] == [200] * 5
    assert ["prediction_id" in told for _, _, told in answers] == [True, False, True, True, False]
    assert len({headers["request-id"] for _, headers, _ in answers}) == 5


def test_a_request_in_pieces_is_one_request(server: Server, connect: Connect) -> None:
    connection = connect()
    for byte in request(server, {"row": order(1)}):
        connection.send(bytes([byte]))
    assert connection.response()[0] == 200


def test_the_lane_answers_what_the_handlers_answer(server: Server, connect: Connect) -> None:
    connection = connect()
    connection.send(request(server, {"row": order(7), "explain": True}))
    connection.send(request(server, {"row": order(7), "explain": True}, "Request-Id: mine"))  # not for the lane
    quick, usual = connection.response(), connection.response()
    assert usual[1]["request-id"] == "mine"
    assert quick[1].keys() == usual[1].keys()
    assert quick[2] | {"prediction_id": ""} == usual[2] | {"prediction_id": ""}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "SERVE_BODY"),
        (b'{"row": {}}', 422, "SERVE_ROW"),
        (b'{"key": "nothing"}', 404, "SERVE_UNKNOWN"),
        (b'{"row": {"order_id": "' + b"x" * 100_000 + b'"}}', 422, "SERVE_ROW"),
        (b'{"row": ' + b"[" * 100 + b"]" * 100 + b"}", 400, "SERVE_BODY"),
        (b"x" * (5 << 20), 400, "SERVE_BODY"),
    ],
)
def test_what_is_refused_has_its_reason_and_the_next_is_answered(
    server: Server, connect: Connect, body: bytes, status: int, code: str
) -> None:
    connection = connect()
    connection.send(request(server, body))
    found, _, told = connection.response()
    assert (found, told["error"]["code"]) == (status, code)
    if len(body) < 1 << 20:
        connection.send(request(server, {"row": order(2)}))
        assert connection.response()[0] == 200


def test_without_a_key_there_is_nothing(server: Server, connect: Connect) -> None:
    connection = connect()
    connection.send(request(server, {"row": order(2)}).replace(server.key.encode(), b"msk_" + b"x" * 40))
    assert connection.response()[0] == 401


def test_a_connection_that_is_to_be_closed_is_closed_after_its_answer(server: Server, connect: Connect) -> None:
    connection = connect()
    connection.send(request(server, {"row": order(2)}, "Connection: close"))
    status, headers, _ = connection.response()
    assert (status, headers["connection"]) == (200, "close")
    assert connection.at_end()


def test_clients_that_go_away_harm_nobody(server: Server, connect: Connect) -> None:
    for cut in (10, 100, None):
        for _ in range(20):
            leaving = connect()
            leaving.send(request(server, {"row": order(3)})[:cut])
            leaving.socket.close()
            leaving.file.close()
    connection = connect()
    connection.send(request(server, {"row": order(3)}))
    assert connection.response()[0] == 200
