"""mainspring serve as a process: what it acknowledged is there, however it ends."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from mainspring.stream import EmbeddedLog
from tests.cli.conftest import SHOP, Command

PROMPTLY_SECONDS = 60.0


class Server:
    """A running server and its key."""

    def __init__(self, workspace: Path, *options: str) -> None:
        command = [
            sys.executable,
            "-m",
            "mainspring",
            "serve",
            str(SHOP),
            "--port",
            "0",
            "--workspace",
            str(workspace),
            *options,
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().split()[0]
        self.key = self.process.stdout.readline().split()[1]

    def post(self, path: str, body: Any, name: str = "") -> Any:
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json", "idempotency-key": name}
        request = urllib.request.Request(self.address + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=PROMPTLY_SECONDS) as answer:
            return json.load(answer)


@contextmanager
def served(workspace: Path, *options: str) -> Iterator[Server]:
    server = Server(workspace, *options)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


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


def test_it_answers_and_ends_when_it_is_told_to(workspace: Path, mainspring: Command) -> None:
    with served(workspace) as server:
        asked = server.post("/v1/predict", {"row": order(1)})
        assert 0 < asked["probability"] < 1
        assert asked["decided_at"].startswith("2024-01-29T"), "time is what the facts say: they are years old"
        assert server.post("/v1/facts/return", [returned(i) for i in range(5)])["accepted"] == 5
        server.process.send_signal(signal.SIGINT)
        _, told = server.process.communicate(timeout=PROMPTLY_SECONDS)
    assert "Traceback" not in told
    (key,) = mainspring("keys", "list", "--json").document
    assert key["revoked_at"] is not None, "the server's own key ends with it"


@pytest.mark.slow
def test_killed_under_load_it_has_everything_it_acknowledged(workspace: Path) -> None:
    """Three times over: clients send facts and ask, the server is killed; the next one has what was acknowledged, once."""
    dice = random.Random(3)
    acknowledged: list[str] = []
    predictions: list[str] = []
    for life in range(3):
        with served(workspace) as server:
            stop = threading.Event()

            def send(thread: int, server: Server = server, stop: threading.Event = stop, life: int = life) -> None:
                number = 0
                while not stop.is_set():
                    number += 1
                    fact = life * 1_000_000 + thread * 100_000 + number
                    try:
                        server.post("/v1/facts/return", [returned(fact)], f"fact-{fact}")
                        acknowledged.append(f"n{fact}")
                        predictions.append(server.post("/v1/predict", {"row": order(fact)})["prediction_id"])
                    except (OSError, HTTPException):
                        return

            threads = [threading.Thread(target=send, args=(i,)) for i in range(4)]
            for thread in threads:
                thread.start()
            stop.wait(dice.uniform(0.3, 1.2))
            server.process.kill()
            stop.set()
            for thread in threads:
                thread.join()
            assert len(acknowledged) > life
    with served(workspace) as server:
        again = server.post("/v1/facts/return", [returned(int(name[1:])) for name in acknowledged])
        assert (again["accepted"], again["already_there"]) == (0, len(acknowledged))
        server.process.send_signal(signal.SIGTERM)
        server.process.communicate(timeout=PROMPTLY_SECONDS)

    class Clock:
        def now(self) -> int:
            return 0

    log = EmbeddedLog(workspace / "log" / "shop", Clock())
    reader = log.consumer("predictions", "test")
    kept = [record.id for records in iter(lambda: reader.poll(10_000), []) for record in records]
    log.close()
    assert set(predictions) <= set(kept)
    assert len(kept) == len(set(kept))


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--clock", "sundial"], "SERVE_OPTION"),
        (["--journal", "none"], "SERVE_OPTION"),
        (["--rate", "0"], "SERVE_LIMITS"),
        (["--grace", "soon"], "DECLARE_SPAN"),
        (["--host", "203.0.113.1", "--port", "9"], "SERVE_OPTION"),
    ],
)
def test_an_option_that_cannot_be_kept_is_told(
    workspace: Path, mainspring: Command, options: list[str], code: str
) -> None:
    told = mainspring("serve", SHOP, *options)
    assert told.code == 1
    assert f"[{code}]" in told.err


def test_without_a_model_there_is_nothing_to_serve(mainspring: Command, tmp_path: Path, workspace: Path) -> None:
    changed = tmp_path / "shop.py"
    changed.write_text(SHOP.read_text().replace("hour=Order.ordered_at.hour()", "hour=Order.ordered_at.weekday()"))
    told = mainspring("serve", changed)
    assert (told.code, "[SERVE_MODEL]" in told.err) == (1, True)
    other = tmp_path / "other.py"
    other.write_text(SHOP.read_text().replace('name="shop"', 'name="other"'))
    told = mainspring("serve", other)
    assert (told.code, "[SERVE_MODEL]" in told.err) == (1, True)
