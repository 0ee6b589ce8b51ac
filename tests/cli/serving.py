"""`mainspring serve` of the shop as a process, and what a client sends it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.cli.conftest import SHOP

__all__ = ["PROMPTLY_SECONDS", "Answer", "Server", "order", "returned", "served", "wait_until"]

PROMPTLY_SECONDS = 60.0


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    retry_after: str | None
    body: Any


class Server:
    """A running server and its key."""

    def __init__(self, workspace: Path, *options: str, file: Path = SHOP, inside: Sequence[str] = ()) -> None:
        """`inside` is a command that runs the one that follows it, in a place of its own."""
        self.told = workspace.with_name("told")
        command = [*inside, sys.executable, "-m", "mainspring", "serve", file, "--port", "0", "--workspace", workspace]
        with self.told.open("w") as errors:
            self.process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=errors, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().partition(" ")[0]
        self.key = self.process.stdout.readline().strip().partition(" ")[2]
        assert self.key, self.told.read_text()

    def ask(self, path: str, body: Any = None, name: str = "", key: str = "") -> Answer:
        """GET a path, or POST a body to it. Raises OSError or HTTPException where there is no answer."""
        headers = {"authorization": f"Bearer {key or self.key}", "content-type": "application/json"}
        if name:
            headers["idempotency-key"] = name
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=PROMPTLY_SECONDS) as answer:
                return _answer(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                return _answer(refused)

    def post(self, path: str, body: Any, name: str = "") -> Any:
        """Return what was answered to a body that is taken."""
        answer = self.ask(path, body, name)
        assert answer.status < 300, answer
        return answer.body

    def flow(self) -> list[int]:
        """Return the ids of the processes that the server has started."""
        found = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(child) for file in found for child in file.read_text().split()]

    def end(self) -> int:
        """Return how the server ends when it is asked to."""
        self.process.terminate()
        return self.process.wait(timeout=PROMPTLY_SECONDS)


@contextmanager
def served(workspace: Path, *options: str, file: Path = SHOP, inside: Sequence[str] = ()) -> Iterator[Server]:
    server = Server(workspace, *options, file=file, inside=inside)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


def wait_until(true: Callable[[], Any]) -> Any:
    """Ask again and again, and return the first answer that counts as true."""
    latest = time.monotonic() + PROMPTLY_SECONDS
    while not (found := true()):
        assert time.monotonic() < latest, "it did not come true"
        time.sleep(0.05)
    return found


def order(number: int) -> dict[str, Any]:
    return {
        "order_id": f"n{number}",
        "customer": "c7",
        "article": "shoes",
        "price": 80.5,
        "ordered_at": "2024-01-30T12:00:00Z",
    }


def returned(number: int) -> dict[str, Any]:
    return {"order_id": f"n{number}", "customer": "c7", "sent_back": True, "known_at": "2024-01-29T12:00:00Z"}


def _answer(answer: Any) -> Answer:
    text = answer.read()
    kind = answer.headers.get("content-type", "")
    return Answer(answer.status, answer.headers.get("retry-after"), json.loads(text) if "json" in kind else text)
