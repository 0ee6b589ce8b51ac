"""Who is compared by `serving.py`: how each is started, what it is asked, and where its answer holds the probability."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from serving_load import Target
from serving_processes import Server

__all__ = ["OURS", "PEERS", "SYSTEM", "Peer", "RefusedError", "post", "serve_ours", "where_ours"]

OURS = "mainspring"
CONTENDERS = Path(__file__).with_name("contenders")
SYSTEM = CONTENDERS / "serving_mainspring.py"
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Peer:
    """A program in contenders/ that serves a booster's file on a port, and the form of its requests and answers."""

    program: str
    path: str
    question: Callable[[list[float]], Mapping[str, Any]]
    answer: Callable[[Any], float]
    options: Sequence[str] = ()

    def command(self, python: str, model: Path, port: int, folder: Path) -> list[str]:
        return [python, str(CONTENDERS / self.program), str(model), str(port), str(folder), *self.options]

    def target(self, port: int, rows: Sequence[list[float]]) -> Target:
        bodies = [json.dumps(self.question(row)).encode() for row in rows]
        return Target(f"http://127.0.0.1:{port}{self.path}", JSON, bodies)


class RefusedError(OSError):
    """A server answered with an error; while it starts, that may pass."""


def _inference(row: list[float]) -> Mapping[str, Any]:
    return {"inputs": [{"name": "row", "shape": [1, len(row)], "datatype": "FP64", "data": row}]}


PEERS = {
    "fastapi": Peer(
        "serving_fastapi.py", "/predict", lambda row: {"row": row}, lambda answer: answer["probability"]
    ),
    "mlserver": Peer(
        "serving_mlserver.py", "/v2/models/served/infer", _inference, lambda answer: answer["outputs"][0]["data"][0]
    ),
    "mlserver-batched": Peer(
        "serving_mlserver.py", "/v2/models/served/infer", _inference, lambda answer: answer["outputs"][0]["data"][0],
        options=["batched"],
    ),
    "mlflow": Peer(
        "serving_mlflow.py", "/invocations", lambda row: {"inputs": [row]}, lambda answer: answer["predictions"][0]
    ),
    "bentoml": Peer("serving_bentoml.py", "/predict", lambda row: {"row": row}, lambda answer: answer),
}  # fmt: skip


def serve_ours(workspace: Path, *options: str) -> list[str]:
    """The command that serves the newest model of a workspace, with features from state and a durable journal."""
    always = ["--port", "0", "--json", "--rate", "1000000", "--workspace", str(workspace)]
    return [str(Path(sys.executable).with_name("mainspring")), "serve", str(SYSTEM), *always, *options]


def where_ours(server: Server) -> Mapping[str, str] | None:
    """What our server printed: its address and a key; None until then."""
    try:
        return json.loads(server.printed.read_text())
    except json.JSONDecodeError:
        return None


def post(target: Target) -> list[Any]:
    """Ask every body once over one connection and return the answers, read.

    Raises OSError where nobody answers, RefusedError where the answer is an error.
    """
    address = urlsplit(target.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    answers = []
    try:
        for body in target.bodies:
            connection.request("POST", address.path, body, dict(target.headers))
            response = connection.getresponse()
            printed = response.read()
            if response.status >= 300:
                raise RefusedError(f"{target.url} answered {response.status}: {printed[:500]!r}")
            answers.append(json.loads(printed))
    finally:
        connection.close()
    return answers
