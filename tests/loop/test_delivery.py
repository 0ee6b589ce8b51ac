"""Delivery: at least once, under one key, whatever a webhook does; nothing of it reaches the loop."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from mainspring.clock import DAY, MINUTE, SECOND, parse_instant
from mainspring.errors import WorkspaceError
from mainspring.ledger import Alert, Ledger
from mainspring.loop.delivery import Delivery, body_of, line_of

OPENED = parse_instant("2013-05-07T10:00Z")
KILLED = """
import os, signal, sys
from mainspring.ledger import AlertLog, Ledger
from mainspring.loop.delivery import Delivery
AlertLog.mark_delivered = lambda *given, **named: os.kill(os.getpid(), signal.SIGKILL)
class Clock:
    def now(self): return 1
Delivery("flights", [sys.argv[2]], Ledger(sys.argv[1]).alerts, Clock()).deliver()
"""


class Hook:
    """A webhook on this machine, which answers as it is told and remembers what it got."""

    def __init__(self) -> None:
        self.status, self.hold = 200, threading.Event()
        self.hold.set()
        self.got: list[tuple[str, dict[str, Any]]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                hook.got.append((self.headers["Idempotency-Key"], body))
                hook.hold.wait()
                self.send_response(hook.status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def do_GET(self) -> None:  # the page that a redirect leads to
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/secret"
        threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()

    @property
    def keys(self) -> list[str]:
        return [key for key, _ in self.got]


class Clock:
    """Time as the test tells it."""

    def __init__(self) -> None:
        self.at = OPENED

    def now(self) -> int:
        return self.at


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Hook]]:
    monkeypatch.setenv("no_proxy", "*")
    made: list[Hook] = []

    def make() -> Hook:
        made.append(Hook())
        return made[-1]

    yield make
    for hook in made:
        hook.hold.set()
        hook.server.shutdown()
        hook.server.server_close()


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


def alert(id: str = "drift@1", **others: Any) -> Alert:
    given = {
        "monitor": "drift", "kind": "features", "severity": "ticket", "owner": "ann", "abouts": ("a", "b"),
        "opened_at": OPENED, "told": "Two features\nmoved.", "value": 0.4, "limit": 0.2, "fate": "sent", "sent": ("ticket",),
    }  # fmt: skip
    return Alert(id=id, **given | others)


def test_a_webhook_gets_each_alert_once_with_a_text_and_all_of_it(ledger: Ledger, hooks: Callable[[], Hook]) -> None:
    hook, delivery_at = hooks(), Clock()
    ledger.alerts.record(
        "flights", [alert(), alert("lag@1", fate="over budget", sent=()), alert("note@1", fate="kept")]
    )
    delivery = Delivery("flights", [hook.address], ledger.alerts, delivery_at)
    assert (delivery.deliver(), delivery.deliver()) == (1, 0)
    ((key, body),) = hook.got
    assert key == "drift@1"
    assert body["text"] == "ticket: drift of flights (a, b): Two features moved. Since 2013-05-07 10:00. For ann"
    assert body["alert"].items() >= {"system": "flights", "opened_at": "2013-05-07T10:00:00Z", "ended_at": None}.items()
    assert [each.delivered_at for each in ledger.alerts.history("flights") if each.alert.fate == "sent"] == [OPENED]


def test_one_that_grew_worse_is_sent_under_another_key(ledger: Ledger, hooks: Callable[[], Hook]) -> None:
    hook = hooks()
    delivery = Delivery("flights", [hook.address], ledger.alerts, Clock())
    for state in (
        alert(),
        replace(alert(), severity="page", sent=("ticket", "page")),
        replace(alert(), ended_at=OPENED),
    ):
        ledger.alerts.record("flights", [state])
        delivery.deliver()
    assert hook.keys == ["drift@1", "drift@1/page"]


def test_one_that_fails_is_tried_again_later_and_later_and_holds_up_no_other(
    ledger: Ledger, hooks: Callable[[], Hook], caplog: pytest.LogCaptureFixture
) -> None:
    good, bad, clock = hooks(), hooks(), Clock()
    bad.status = 500
    ledger.alerts.record("flights", [alert()])
    delivery = Delivery("flights", [bad.address, good.address], ledger.alerts, clock)
    tried = []
    for second in (*range(128), *range(1000, 3001, 1000), 3299, 3300):
        clock.at, before = OPENED + second * SECOND, len(bad.got)
        assert delivery.deliver() == 0
        tried += [second] * (len(bad.got) - before)
    assert [later - earlier for earlier, later in pairwise(tried[:8])] == [1, 2, 4, 8, 16, 32, 64]
    assert tried[8:] == [1000, 2000, 3000, 3300], "at most five minutes"
    assert good.keys == ["drift@1"]
    assert set(bad.keys) == {"drift@1"}
    assert "secret" not in caplog.text
    assert "127.0.0.1 answered 500" in caplog.text
    bad.status, clock.at = 204, OPENED + DAY
    assert delivery.deliver() == 1
    assert ledger.alerts.undelivered("flights") == []


@pytest.mark.parametrize("status", [301, 302, 307, 404, 429, 503])
def test_nothing_but_yes_is_a_yes(ledger: Ledger, hooks: Callable[[], Hook], status: int) -> None:
    hook = hooks()
    hook.status = status
    ledger.alerts.record("flights", [alert()])
    assert Delivery("flights", [hook.address], ledger.alerts, Clock()).deliver() == 0
    assert len(hook.got) == 1
    assert len(ledger.alerts.undelivered("flights")) == 1


def test_one_that_hangs_is_given_up_for_now(ledger: Ledger, hooks: Callable[[], Hook]) -> None:
    hook, clock = hooks(), Clock()
    hook.hold.clear()
    ledger.alerts.record("flights", [alert(), alert("lag@1")])
    delivery = Delivery("flights", [hook.address], ledger.alerts, clock, timeout_seconds=0.2)
    begun = time.monotonic()
    assert delivery.deliver() == 0
    assert time.monotonic() - begun < 2
    assert len(hook.got) == 1, "the second alert does not wait for it as well"
    hook.hold.set()
    clock.at += MINUTE
    assert delivery.deliver() == 2
    assert sorted(set(hook.keys)) == ["drift@1", "lag@1"]


def test_killed_between_sending_and_marking_it_is_sent_again_under_the_same_key(
    ledger: Ledger, hooks: Callable[[], Hook], tmp_path: Path
) -> None:
    hook = hooks()
    ledger.alerts.record("flights", [alert()])
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, f"sqlite:///{tmp_path / 'ledger.db'}", hook.address], check=False
    )
    assert ran.returncode == -signal.SIGKILL
    assert Delivery("flights", [hook.address], ledger.alerts, Clock()).deliver() == 1
    assert hook.keys == ["drift@1", "drift@1"]


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/", "https://[", "http://", "https://no such host/", "http://x:y/"]
)
def test_addresses_where_nobody_is_raise_nothing(
    ledger: Ledger, address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    ledger.alerts.record("flights", [alert()])
    assert Delivery("flights", [address], ledger.alerts, Clock()).deliver() == 0
    assert "an alert was not taken" in caplog.text


def test_a_ledger_that_is_down_raises_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def down(system: str) -> list[Alert]:
        raise WorkspaceError("WORKSPACE_BUSY", "Another one writes.", fix="Wait.")

    monkeypatch.setattr(ledger.alerts, "undelivered", down)
    assert Delivery("flights", ["log"], ledger.alerts, Clock()).deliver() == 0
    assert "WORKSPACE_BUSY" in caplog.text


def test_the_log_gets_one_line_as_loud_as_the_alert(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    abouts = tuple("abcdefg")
    ledger.alerts.record("flights", [alert(), alert("lag@1", severity="page", sent=("page",), abouts=abouts, owner="")])
    assert Delivery("flights", ["log", "log"], ledger.alerts, Clock()).deliver() == 2
    lines = [(record.name, record.levelno, record.getMessage()) for record in caplog.records]
    assert lines == [
        ("mainspring.alerts", logging.WARNING, line_of("flights", alert())),
        (
            "mainspring.alerts", logging.ERROR,
            "page: drift of flights (a, b, c, d, e and 2 more): Two features moved. Since 2013-05-07 10:00.",
        ),
    ]  # fmt: skip


def test_one_that_ended_before_it_was_told_says_so() -> None:
    told = body_of("flights", alert(ended_at=OPENED + MINUTE))
    assert told["text"].endswith("Since 2013-05-07 10:00. Ended 2013-05-07 10:01. For ann")
    assert told["alert"]["ended_at"] == "2013-05-07T10:01:00Z"
