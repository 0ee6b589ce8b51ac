"""The page Alerts: every alert is reached, none is read that is not shown, and only who may look after them sees how."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.clock import DAY, HOUR, format_instant
from mainspring.ledger import Alert, AlertLog, KeptAlert
from mainspring.page.components import html
from mainspring.web.asked import Asked, ServerTold
from mainspring.web.links import alert_path
from mainspring.web.pages import alerts
from mainspring.web.shell import Page
from mainspring.web.source import Source
from mainspring.workspace import Workspace
from tests.loop.deliveries import instant, system

NOW, WALL = instant(50), instant(4000)
NASTY = "<script>alert(1)</script>"


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(system, Workspace.open(tmp_path / "workspace"), Path(__file__))


def alert(number: int, **others: Any) -> Alert:
    """The alert of an hour before now; the higher its number, the older."""
    monitor, at = others.pop("monitor", "drift"), NOW - number * HOUR
    given: dict[str, Any] = {
        "kind": "features", "severity": "ticket", "owner": "ann", "abouts": ("size",), "ended_at": at + HOUR // 2,
        "told": f"It moved {number}.", "value": 0.4, "limit": 0.2, "fate": "sent", "sent": ("ticket",),
    }  # fmt: skip
    return Alert(id=f"{monitor}@{format_instant(at)}", monitor=monitor, opened_at=at, **given | others)


def show(source: Source, path: str = "alerts", role: Any = "read", **query: str) -> Page:
    return alerts.page(source, Asked(path=path, query=query, role=role, wall=WALL, server=ServerTold(now=NOW)))


def text(page: Page) -> str:
    return html([page.lead, *page.parts])


def listed(page: Page) -> list[str]:
    """The ids in the history of a page, as its links say them."""
    history = next(part for part in page.parts if 'id="history"' in part)
    return [unquote(each) for each in re.findall(r'href="/ui/alerts/([^"]+)"', history)]


# Laws


@pytest.mark.parametrize("count", [0, 1, 50, 51, 120])
def test_the_pages_of_the_history_are_the_history(source: Source, count: int) -> None:
    made = [alert(number) for number in range(count)]
    source.ledger.alerts.record(system.name, made)
    pages = [listed(show(source, page=str(at + 1))) for at in range(max(1, -(-count // 50)))]
    assert [id for page in pages for id in page] == [each.id for each in made]
    assert show(source, page="9999").status == 200


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=30).filter(lambda monitor: "@" not in monitor))
def test_every_alert_is_at_its_path(monitor: str) -> None:
    made = f"{monitor}@{format_instant(NOW)}"
    path = alert_path(made)
    assert path.startswith("/ui/alerts/")
    assert not set(path) & set(" ?#\"'<>")
    assert unquote(path.removeprefix("/ui/alerts/")) == made


def test_a_page_of_thousands_reads_what_it_shows(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    source.ledger.alerts.record(system.name, [alert(number, monitor=f"m{number % 30}") for number in range(2_000)])
    read: list[int] = []
    found = AlertLog._found

    def counted(self: AlertLog, *which: Any, **limits: Any) -> list[KeptAlert]:
        rows = found(self, *which, **limits)
        read.append(len(rows))
        return rows

    monkeypatch.setattr(AlertLog, "_found", counted)
    page = show(source, page="20")
    assert len(listed(page)) == 50
    assert sum(read) <= 50
    assert "951 to 1,000 of 2,000 alerts" in text(page)


# Cases


def test_filters_choose(source: Source) -> None:
    made = [alert(1), alert(2, ended_at=None), alert(3, monitor="volume", kind="inputs")]
    source.ledger.alerts.record(system.name, made)
    assert listed(show(source, state="open")) == [made[1].id]
    assert listed(show(source, state="ended")) == [made[0].id, made[2].id]
    assert listed(show(source, monitor="volume")) == [made[2].id]
    assert listed(show(source, state="nonsense", page="-1")) == [each.id for each in made]
    assert "No alert is like that." in text(show(source, monitor="nothing"))


def test_the_budget_of_a_week_counts_what_was_sent_and_what_woke_somebody(source: Source) -> None:
    woke = alert(2, monitor="slo", kind="operations", severity="page", sent=("ticket", "page"))
    waits = alert(5, fate="over budget", sent=(), ended_at=None)
    others = [alert(1), woke, alert(3, fate="kept", sent=()), alert(24 * 8), waits]
    source.ledger.alerts.record(system.name, others)
    figures = dict(re.findall(r"<dt>([^<]*)</dt><dd><span class=\"value\">([^<]*)</span>", text(show(source))))
    assert figures["Told in seven days"] == "3 of 5"
    assert figures["Woke somebody"] == "1"
    assert figures["Wait for budget"] == "1"
    assert figures["Open now"] == "1"


def test_nothing_at_all_says_so(source: Source) -> None:
    page = show(source)
    assert page.status == 200
    assert "Nothing is amiss that anybody watches" in text(page)
    assert "There was no alert yet" in text(page)
    assert "Nothing is silenced" in text(page)


def test_only_those_who_may_see_forms(source: Source) -> None:
    made = alert(1, ended_at=None)
    source.ledger.alerts.record(system.name, [made])
    source.ledger.alerts.silence(system.name, "volume", at=WALL - 1, until=WALL + DAY, by="ann", reason="a new shop")
    for path in ("alerts", f"alerts/{made.id}"):
        assert "<form" not in text(show(source, path))
        assert "/ui/change/silence" in text(show(source, path, role="write"))
    assert "/ui/change/unsilence" in text(show(source, role="admin"))
    assert "a new shop" in text(show(source))
    assert "/ui/change/acknowledge" in text(show(source, f"alerts/{made.id}", role="write"))


def test_one_alert_tells_all_of_it(source: Source) -> None:
    made, log = alert(1, ended_at=None), source.ledger.alerts
    other = alert(3, monitor="volume", kind="inputs")
    log.record(system.name, [made, alert(100), other])
    log.acknowledge(system.name, made.id, by="bob", at=WALL)
    log.mark_delivered(system.name, made, at=WALL)
    page = show(source, f"alerts/{made.id}")
    told = text(page)
    assert page.title == "Drift"
    for words in (
        "PSI 0.4000 (limit: PSI 0.2000)",
        "/ui/features?feature=size",
        "ann",
        "bob, since",
        "real time",
        "open still",
    ):
        assert words in told
    assert alert_path(alert(100).id) in told
    assert alert_path(other.id) in told
    assert show(source, "alerts/nothing").status == 404


@pytest.mark.parametrize(
    ("monitor", "kind", "value", "words"),
    [
        ("volume", "inputs", 12.0, "12 rows"),
        ("staleness", "inputs", 7200.0, "no row for 2 hours"),
        ("late facts", "inputs", 0.05, "5.0% of rows late"),
        ("slo availability", "operations", 14.4, "14.4 times as fast as its budget allows"),
        ("realised log_loss", "outcomes", 0.5, "0.5000 log loss"),
        ("drift of predictions", "predictions", 0.3, "PSI 0.3000"),
        ("anything new", "outcomes", None, "no one figure"),
    ],
)
def test_figures_have_units(source: Source, monitor: str, kind: str, value: float | None, words: str) -> None:
    made = alert(1, monitor=monitor, kind=kind, value=value)
    source.ledger.alerts.record(system.name, [made])
    assert words in text(show(source, f"alerts/{made.id}"))


def test_text_of_others_is_text(source: Source) -> None:
    made = alert(1, monitor=NASTY, told=NASTY, owner=NASTY, abouts=(NASTY,), ended_at=None)
    source.ledger.alerts.record(system.name, [made])
    source.ledger.alerts.silence(system.name, NASTY, at=WALL - 1, until=WALL + DAY, by=NASTY, reason=NASTY)
    for page in (show(source, role="admin", monitor=NASTY), show(source, f"alerts/{made.id}", role="admin")):
        assert "<script>alert" not in text(page)
        assert "alert(1)" in text(page)
