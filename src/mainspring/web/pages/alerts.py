"""Alerts: what is open, how much of the week's budget is used, what was, and what is silenced. `alerts/ID` shows one of them."""

from __future__ import annotations

from typing import Any, cast

from mainspring.clock import DAY, HOUR
from mainspring.ledger import KeptAlert
from mainspring.ledger.alerts import AlertSpan, AlertState
from mainspring.page.components import (
    Child,
    Html,
    absent,
    choices,
    element,
    figure,
    figures,
    pager,
    paragraph,
    section,
    table,
)
from mainspring.page.wording import moment, plural
from mainspring.web.asked import Asked
from mainspring.web.badges import severity_badge
from mainspring.web.links import alert_link, link_to
from mainspring.web.pages.alerts_chart import open_when
from mainspring.web.pages.alerts_one import one_alert
from mainspring.web.pages.alerts_silences import silences_section
from mainspring.web.pages.alerts_words import fate_word, lasted
from mainspring.web.paging import ROWS, page_written, rows_of
from mainspring.web.shell import Page, live
from mainspring.web.source import Source

__all__ = ["page"]

_OPEN_SHOWN = 20
_MONITORS_SHOWN = 24
_WEEK, _QUARTER = 7 * DAY, 90 * DAY
_SPANS = 500
_STATES = {"all": "All", "open": "Open", "ended": "Ended"}


def page(source: Source, asked: Asked) -> Page:
    """Return the page."""
    _, one, id = asked.path.partition("/")
    if one and id:
        return one_alert(source, asked, id)
    system, log, now = source.system.name, source.ledger.alerts, asked.server.now
    mark = source.ledger.mark(system)
    opened = source.once("open alerts", mark, lambda: log.open(system))
    monitors = source.once("monitors with alerts", mark, lambda: log.monitors(system))
    hour = (now // HOUR + 1) * HOUR  # to the hour, so that a page made again has the same chart
    spans = source.once(
        "alerts of a quarter", (mark, hour), lambda: log.spans(system, hour - _QUARTER, hour, limit=_SPANS)
    )
    chart = source.once(
        "chart of alerts", (mark, hour), lambda: open_when(spans, hour, _QUARTER, full=len(spans) == _SPANS)
    )
    budget = _Budget(source, spans, now)
    parts = [
        live("budget", section("budget", "The week's budget", _figures(budget, opened, sum(monitors.values())))),
        live("open", section("open", "Open now", _open(opened))),
        live("when", section("when", "When alerts were open", chart)),
        live("history", section("history", "History", _history(source, asked, monitors, mark))),
        silences_section(source, asked, list(monitors)),
    ]
    return Page("Alerts", _lead(opened, budget), parts)


class _Budget:
    """How often somebody was told in the last seven days of the system's time, and how often that woke somebody."""

    def __init__(self, source: Source, spans: list[AlertSpan], now: int) -> None:
        rules = source.policy.alerts
        self.most = rules.per_week
        lately = [each for each in spans if now - _WEEK < each.opened_at <= now and each.sends]
        self.woke = sum(each.severity == "page" for each in lately)
        state = source.state()
        if state is None or state.loop is None:
            self.sent = sum(each.sends for each in lately)
        else:
            self.sent = sum(now - _WEEK < at <= now for at in state.loop.alerts.sent)


def _lead(opened: list[KeptAlert], budget: _Budget) -> str:
    used = f"{plural(budget.sent, 'message')} went out in the last seven days, and {budget.most:g} are the budget."
    if not opened:
        return f"Nothing is amiss that anybody watches; {used}"
    urgent = sum(each.alert.severity == "page" for each in opened)
    alone = sum(each.acknowledged_at is None for each in opened)
    wants = f", {urgent:,} of them to wake somebody" if urgent else ""
    return f"{plural(len(opened), 'alert is', 'alerts are')} open{wants}; nobody looks after {alone:,} yet. {used}"


def _figures(budget: _Budget, opened: list[KeptAlert], ever: int) -> list[Child]:
    waiting = sum(each.alert.fate == "over budget" for each in opened)
    left = max(budget.most - budget.sent, 0)
    return [
        figures(
            [
                figure(
                    "Told in seven days",
                    f"{budget.sent:,} of {budget.most:g}",
                    f"{left:g} left until older ones are past",
                    "warning" if budget.sent >= budget.most else "plain",
                ),
                figure(
                    "Woke somebody",
                    f"{budget.woke:,}",
                    "in seven days; always sent, and counted",
                    "bad" if budget.woke else "plain",
                ),
                figure("Wait for budget", f"{waiting:,}", "open, and not told yet", "warning" if waiting else "plain"),
                figure("Open now", f"{len(opened):,}", f"of {ever:,} since the ledger began"),
            ]
        ),
        paragraph(
            "Days and weeks here are the system's own time. Deliveries, acknowledgements and silences are in real time, and say so.",
            class_="aside",
        ),
    ]


def _open(opened: list[KeptAlert]) -> Child:
    if not opened:
        return absent("No alert is open. One opens when a monitor fired at several looks in a row.")
    rows: list[list[Child]] = [
        [
            alert_link(each.alert.id, each.alert.monitor),
            severity_badge(each.alert.severity),
            each.alert.told,
            moment(each.alert.opened_at),
            each.alert.owner or "nobody",
            each.acknowledged_by or "nobody yet",
            fate_word(each.alert),
        ]
        for each in opened[:_OPEN_SHOWN]
    ]
    columns = ["monitor", "severity", "what", "since (UTC)", "owner", "looked after by", "told"]
    more = None
    if len(opened) > _OPEN_SHOWN:
        link = element("a", f"All {len(opened):,} open alerts", href="/ui/alerts?state=open#history")
        more = paragraph(link)
    return [table("Open alerts, the newest first", columns, rows), more]


def _history(source: Source, asked: Asked, monitors: dict[str, int], mark: Any) -> Child:
    if not monitors:
        return absent("There was no alert yet. What monitors say at the loop's looks stands here once it lasts.")
    system, log = source.system.name, source.ledger.alerts
    state = cast(AlertState, asked.query.get("state") if asked.query.get("state") in _STATES else "all")
    monitor = asked.query.get("monitor") or None
    which = mark, state, monitor
    count = source.once("count of alerts", which, lambda: log.count(system, state=state, monitor=monitor))
    rows = rows_of(asked.query.get("page"), count)
    found = source.once(
        "page of alerts",
        (which, rows.page),
        lambda: log.page(system, state=state, monitor=monitor, limit=ROWS, offset=rows.begin),
    )
    states = [(title, _link(each, monitor), each == state) for each, title in _STATES.items()]
    filters = [choices("State", states), _monitors(monitors, state, monitor)]
    if not found:
        return [filters, absent("No alert is like that.")]
    told = f"{rows.begin + 1:,} to {rows.begin + len(found):,} of {plural(count, 'alert')}"
    before = _link(state, monitor, rows.page - 1) if rows.page > 1 else None
    after = _link(state, monitor, rows.page + 1) if rows.page < rows.pages else None
    columns = ["monitor", "severity", "what", "opened (UTC)", "lasted", "owner", "told", "looked after by"]
    return [filters, table("Alerts, the newest first", columns, map(_row, found)), pager(told, before, after)]


def _row(kept: KeptAlert) -> list[Child]:
    alert = kept.alert
    return [
        alert_link(alert.id, alert.monitor),
        severity_badge(alert.severity),
        alert.told,
        moment(alert.opened_at),
        "open still" if alert.ended_at is None else lasted(alert.opened_at, alert.ended_at),
        alert.owner or "nobody",
        fate_word(alert),
        kept.acknowledged_by or "",
    ]


def _monitors(monitors: dict[str, int], state: AlertState, chosen: str | None) -> Html:
    """Links to the monitors with most alerts, and to the one that is chosen."""
    often = sorted(monitors, key=lambda each: (-monitors[each], each))[:_MONITORS_SHOWN]
    if chosen is not None and chosen not in often:
        often.append(chosen)
    links = [("Every monitor", _link(state, None), chosen is None)]
    links += [(f"{each} ({monitors.get(each, 0):,})", _link(state, each), each == chosen) for each in often]
    return choices("Monitor", links)


def _link(state: str, monitor: str | None, at: int = 1) -> str:
    query = {"state": state, "monitor": monitor or "", "page": page_written(at)}
    return link_to("/ui/alerts", query, "history")
