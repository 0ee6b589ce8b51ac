"""One alert: what it said, what became of it, what else happened around then, and what may be done about it."""

from __future__ import annotations

from mainspring.clock import DAY
from mainspring.ledger import KeptAlert, LoopEvent
from mainspring.ledger.alerts import AlertSpan
from mainspring.page.components import Child, absent, definitions, element, paragraph, section, table
from mainspring.page.wording import capital, moment
from mainspring.web.asked import Asked
from mainspring.web.badges import severity_badge
from mainspring.web.links import alert_link, alert_path, model_link
from mainspring.web.pages.alerts_silences import may_change, silence_form
from mainspring.web.pages.alerts_words import (
    abouts,
    delivery,
    fate_words,
    figure_words,
    lasted,
    severity_words,
    signal_path,
)
from mainspring.web.shell import Page, form, hidden, live
from mainspring.web.source import Source

__all__ = ["one_alert"]

_AROUND = 2 * DAY
_EARLIER = 10
_SHOWN = 50


def one_alert(source: Source, asked: Asked, id: str) -> Page:
    """Return the page of one alert."""
    system, log = source.system.name, source.ledger.alerts
    kept = log.find(system, id)
    if kept is None:
        back = element("a", "All alerts", href="/ui/alerts")
        return Page("There is no such alert", f"No alert of {system} has the id {id[:200]}.", (paragraph(back),), 404)
    alert, now = kept.alert, asked.server.now
    earlier = log.page(system, monitor=alert.monitor, opened_before=alert.opened_at, limit=_EARLIER)
    last = alert.opened_at if alert.ended_at is None else alert.ended_at
    begin, end = alert.opened_at - _AROUND, last + _AROUND
    others = [each for each in log.spans(system, begin, end, limit=_SHOWN + 1) if each.id != alert.id][:_SHOWN]
    events = source.once("all that the loop did", source.step(), lambda: source.ledger.loops.events(system))
    near = [each for each in events if begin <= each.at <= end][:_SHOWN]
    parts = [
        live("alert", section("alert", "What it is", _what(kept, now))),
        live("fate", section("fate", "Who knows of it", _fate(kept))),
        section("do", "What may be done", _do(source, asked, kept)),
        live("earlier", section("earlier", "The same monitor before", _earlier(alert.monitor, earlier))),
        live("around", section("around", "What else happened around then", _around(near, others))),
    ]
    return Page(capital(alert.monitor), _lead(kept, now), parts)


def _lead(kept: KeptAlert, now: int) -> str:
    alert = kept.alert
    if alert.ended_at is None:
        return f"Open for {lasted(alert.opened_at, now)}: {alert.told}"
    return f"Ended after {lasted(alert.opened_at, alert.ended_at)}: {alert.told}"


def _what(kept: KeptAlert, now: int) -> Child:
    alert = kept.alert
    value, limit = figure_words(alert)
    href, title = signal_path(alert.kind, alert.abouts[0] if len(alert.abouts) == 1 else "")
    until = "open still" if alert.ended_at is None else f"{moment(alert.ended_at)} UTC"
    length = lasted(alert.opened_at, now if alert.ended_at is None else alert.ended_at)
    return definitions(
        [
            ("what it said at its worst", alert.told),
            ("worst figure", f"{value} ({limit})" if limit else value),
            ("severity", severity_words(alert.severity)),
            ("about", abouts(alert)),
            ("watches", alert.kind),
            ("open", f"{moment(alert.opened_at)} UTC to {until}, {length} of the system's own time"),
            ("its signal", element("a", f"drawn on the page {title}", href=href)),
            ("id", element("code", alert.id)),
        ]
    )


def _fate(kept: KeptAlert) -> Child:
    alert = kept.alert
    after = "nobody yet"
    if kept.acknowledged_at is not None:
        after = f"{kept.acknowledged_by or 'somebody'}, since {moment(kept.acknowledged_at)} UTC (real time)"
    sent = ", then ".join(f"as a {each}" for each in alert.sent) or "never"
    return definitions(
        [
            ("owner", alert.owner or "nobody: no owner is declared for its kind, and the brief names none"),
            ("decided last", fate_words(alert)),
            ("to be told", sent),
            ("delivered", delivery(kept)),
            ("looked after by", after),
        ]
    )


def _do(source: Source, asked: Asked, kept: KeptAlert) -> Child:
    if not may_change(asked):
        return absent("A key that may write acknowledges an alert, and silences a monitor.")
    alert, back = kept.alert, alert_path(kept.alert.id)
    held = source.ledger.alerts.silences(source.system.name, asked.wall)
    parts: list[Child] = []
    if kept.acknowledged_at is None:
        button = element("button", "I look after this", type="submit")
        parts.append(form("acknowledge", back, hidden("alert", alert.id), button, label="Acknowledge"))
    else:
        parts.append(paragraph(f"{kept.acknowledged_by or 'Somebody'} looks after it; who said so first stays."))
    for each in held:
        if each.monitor in (alert.monitor, "*"):
            name = "All monitors are" if each.monitor == "*" else f"{capital(each.monitor)} is"
            parts.append(
                paragraph(
                    f"{name} silenced until {moment(each.until)} UTC (real time): {each.reason or 'no reason given'}"
                )
            )
            end = element("button", "Let it be heard again", type="submit", class_="plain")
            parts.append(form("unsilence", back, hidden("monitor", each.monitor), end, label="End the silence"))
    if not any(each.monitor == alert.monitor for each in held):
        parts.append(silence_form(back, [], alert.monitor))
    return parts


def _earlier(monitor: str, earlier: list[KeptAlert]) -> Child:
    if not earlier:
        return absent(f"It is the first alert of {monitor}.")
    rows: list[list[Child]] = [
        [
            alert_link(each.alert.id, moment(each.alert.opened_at)),
            severity_badge(each.alert.severity),
            "open still" if each.alert.ended_at is None else lasted(each.alert.opened_at, each.alert.ended_at),
            ", ".join(filter(None, figure_words(each.alert))),
            each.alert.told,
        ]
        for each in earlier
    ]
    columns = ["opened (UTC)", "severity", "lasted", "worst figure", "what"]
    return table(f"Earlier alerts of {monitor}, the newest {len(earlier)}", columns, rows)


def _around(events: list[LoopEvent], others: list[AlertSpan]) -> Child:
    found: list[tuple[int, list[Child]]] = [
        (each.at, [moment(each.at), each.what, model_link(each.model), each.told]) for each in events
    ]
    found += [
        (
            each.opened_at,
            [moment(each.opened_at), f"alert ({each.severity})", alert_link(each.id, each.monitor), each.told],
        )
        for each in others
    ]
    if not found:
        return absent("The loop did nothing within two days of it, and no other alert was open.")
    rows = [row for _, row in sorted(found, key=lambda each: each[0], reverse=True)]
    return table(
        "What the loop did, and other alerts, from two days before to two days after; the system's own time",
        ["when (UTC)", "what", "of", "told"],
        rows,
    )
