"""mainspring alerts: what is open is seen and acknowledged, and what is known is silenced for a while."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring.cli.clock import WallClock
from mainspring.clock import HOUR, parse_instant
from mainspring.ledger import Alert
from mainspring.workspace import Workspace
from tests.cli.conftest import SHOP, Command

OPENED = parse_instant("2013-05-07T10:00Z")


def write(workspace: Path, monitor: str, ended_at: int | None = None) -> str:
    """Record an alert of the shop, as its loop would; return the id."""
    alert = Alert(
        id=f"{monitor}@2013-05-07T10:00:00Z", monitor=monitor, kind="features", severity="ticket", owner="ann",
        abouts=("pace",), opened_at=OPENED, ended_at=ended_at, told="It moved.", fate="sent", sent=("ticket",),
    )  # fmt: skip
    Workspace.open(workspace, create=False).ledger.alerts.record("shop", [alert])
    return alert.id


def test_alerts_are_seen_and_acknowledged(workspace: Path, mainspring: Command) -> None:
    assert "Nothing is amiss" in mainspring("alerts", "list", SHOP).out
    open_one, ended = write(workspace, "drift"), write(workspace, "volume", OPENED + HOUR)
    assert [each["alert"]["id"] for each in mainspring("alerts", "list", SHOP, "--json").document] == [open_one]
    both = mainspring("alerts", "list", SHOP, "--all", "--json").document
    assert {each["alert"]["id"] for each in both} == {open_one, ended}
    acknowledged = mainspring("alerts", "ack", SHOP, "drift", "--json").document
    assert acknowledged["alert"]["id"] == open_one
    assert acknowledged["acknowledged_at"] <= WallClock().now()
    shown = mainspring("alerts", "list", SHOP, "--all").out
    assert "It moved. (pace)" in shown
    assert "2013-05-07 11:00" in shown
    assert (acknowledged["acknowledged_by"] or "") in shown


def test_a_silence_is_made_seen_and_ended(workspace: Path, mainspring: Command) -> None:
    before = WallClock().now()
    made = mainspring("alerts", "silence", SHOP, "drift", "--for", "2h", "--reason", "a new shop", "--json").document
    assert before + 2 * HOUR <= made["until"] <= WallClock().now() + 2 * HOUR
    assert mainspring("alerts", "silences", SHOP, "--json").document == [made]
    assert "a new shop" in mainspring("alerts", "silences", SHOP).out
    assert "heard again" in mainspring("alerts", "unsilence", SHOP, "drift").out
    assert "Nothing is silenced" in mainspring("alerts", "silences", SHOP).out
    assert "* is silenced until" in mainspring("alerts", "silence", SHOP, "*").out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["ack", "nothing"], "LEDGER_UNKNOWN_ALERT"),
        (["silence", "drift", "--for", "0s"], "LEDGER_SILENCE"),
        (["silence", "drift", "--for", "a while"], "DECLARE_SPAN"),
        (["unsilence", "drift"], "LEDGER_SILENCE"),
    ],
)
def test_what_cannot_be_is_refused(workspace: Path, mainspring: Command, arguments: list[str], code: str) -> None:
    verb, *rest = arguments
    refused = mainspring("alerts", verb, SHOP, *rest)
    assert refused.code == 1
    assert code in refused.err
