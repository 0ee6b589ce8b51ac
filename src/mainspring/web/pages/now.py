"""Now: is all well, what answers, what was promised, what is amiss, and what the loop is at. For whoever is on call."""

from __future__ import annotations

import math

from mainspring.ledger import KeptAlert
from mainspring.loop.champion_quality import Quantity
from mainspring.loop.status import ArmStatus, LoopStatus, Status
from mainspring.loop.status_words import arm_why, doing_told, next_told, quantity_of
from mainspring.monitoring.objectives import ObjectiveRow
from mainspring.page.components import (
    Child,
    Html,
    Tone,
    absent,
    bullets,
    callout,
    definitions,
    element,
    figure,
    figures,
    section,
    table,
)
from mainspring.page.wording import ago, capital, metric_title, moment, number, percent, plural
from mainspring.web.asked import Asked, ServerTold
from mainspring.web.badges import severity_badge, severity_tone, state_badge
from mainspring.web.links import alert_link, model_link
from mainspring.web.shell import Page, live
from mainspring.web.source import Source
from mainspring.web.traffic import ArmTraffic

__all__ = ["page"]

_LATE = 3  # steps of the loop that may be due before it counts as standing still


def page(source: Source, asked: Asked) -> Page:
    """Return the page. Raises as `status_of` does."""
    found, server = source.status(), asked.server
    problems = _problems(found, server)
    parts = [
        live("health", _health(problems)),
        live("figures", section("figures", "At a glance", figures(_figures(found, asked)))),
        live("objectives", section("objectives", "What was promised", _objectives(found.objectives))),
        live("alerts", section("alerts", "Open alerts", _alerts(found.alerts, asked.wall))),
        live("arms", section("arms", "What answers", _arms(found.arms, server.traffic.arms))),
        live("loop", section("loop", "What the loop is at", _loop(found, asked.wall))),
    ]
    return Page("Now", _lead(found, problems), parts)


def _lead(found: Status, problems: list[str]) -> str:
    champion = found.arms[0].model
    others = [f"{each.model} is tried as {each.role}" for each in found.arms[1:]]
    answers = ", ".join([f"{champion} answers", *others])
    return f"{answers}; {plural(len(problems), 'thing')} to look at." if problems else f"{answers}. All is well."


def _problems(found: Status, server: ServerTold) -> list[str]:
    """What somebody is to look at, the most urgent first."""
    told = [capital(each) for each in server.problems]
    paged = [each.alert for each in found.alerts if each.alert.severity == "page"]
    told += [f"{capital(each.monitor)}: {each.told}" for each in paged]
    told += [each.told for each in found.objectives if each.state == "firing" and not _said(each, paged)]
    if server.traffic.failed > 0:
        told.append(f"{percent(server.traffic.failed)} of the answers of the last minute were failures of the server.")
    loop = found.loop
    begun = loop is not None and loop.quality is not None  # else its first model is being trained
    if loop is not None and begun and server.now - loop.at > _LATE * loop.every:
        told.append(
            f"The loop stands still: its newest step is of {moment(loop.at)}, and it is {moment(server.now)} now."
        )
    if server.skew_different:
        features = ", ".join(list(server.skew_different)[:5])
        told.append(f"Features that were served are not what batch computes: {features}.")
    return told


def _said(objective: ObjectiveRow, alerts: list) -> bool:
    return any(objective.name in each.monitor for each in alerts)


def _health(problems: list[str]) -> Html:
    if not problems:
        return callout("All is well.", tone="good")
    return callout(f"{plural(len(problems), 'thing')} to look at", bullets(problems), tone="bad")


def _figures(found: Status, asked: Asked) -> list[Html]:
    server, loop = asked.server, found.loop
    traffic = server.traffic
    shown = [
        figure("Requests", f"{traffic.per_second:,.1f}/s", f"{traffic.requests:,} since the server began"),
        figure(
            "Time to answer", _milliseconds(traffic.p99), f"99% within that; half within {_milliseconds(traffic.p50)}"
        ),
    ]
    if loop is not None and loop.quality is not None:
        quality = loop.quality
        name = metric_title(quality.metric)
        since = f"was {number(quality.promoted)} when let in" if quality.promoted is not None else ""
        shown.append(figure(f"Realised {name}", number(quality.realised.value), since or _of(quality.realised)))
        shown.append(figure(f"Estimated {name}", number(quality.estimated.value), _of(quality.estimated)))
    severe = [each for each in found.alerts if each.alert.severity != "note"]
    shown.append(
        figure("Open alerts", f"{len(found.alerts):,}", f"{len(severe):,} ask for something", _worst(found.alerts))
    )
    clock = "what the facts say" if server.follows_facts else "real time"
    day, minute = moment(server.now).split()
    shown.append(figure("The system's time", minute, f"UTC, {day}: {clock}"))
    return shown


def _of(found: Quantity) -> str:
    """Of which decisions a figure is; why it is unknown, where the figure itself says that it is."""
    return found.unknown if found.value is None else quantity_of(found)


def _milliseconds(value: float | None) -> str:
    if value is None:
        return "no request"
    return f"{value:g} ms" if math.isfinite(value) else "over 5 s"


def _worst(alerts: list[KeptAlert]) -> Tone:
    tones = [severity_tone(each.alert.severity) for each in alerts]
    return "bad" if "bad" in tones else "warning" if "warning" in tones else "plain"


def _objectives(rows: list[ObjectiveRow]) -> Html:
    if not rows:
        return absent(
            "Nothing is promised yet, or the loop has not begun: slos and guards of the declaration stand here."
        )
    return table(
        "Objectives, of the server and of the model",
        ["objective", "state", "now", "target", "window", "budget left", "burn", "in words"],
        [
            [
                each.name,
                state_badge(each.state),
                _value(each),
                each.target,
                each.window,
                "" if each.budget_left is None else percent(each.budget_left),
                "" if each.burn is None else f"{each.burn:.1f}×",
                each.told,
            ]
            for each in rows
        ],
        numeric=(2, 5, 6),
    )


def _value(row: ObjectiveRow) -> str:
    if row.value is None:
        return "unknown"
    return percent(row.value) if row.kind == "operational" else number(row.value)


def _alerts(alerts: list[KeptAlert], wall: int) -> Child:
    if not alerts:
        return absent("No alert is open.")
    rows: list[list[Child]] = [
        [
            alert_link(each.alert.id, each.alert.monitor),
            severity_badge(each.alert.severity),
            each.alert.owner or "nobody",
            moment(each.alert.opened_at),
            each.acknowledged_by or "nobody yet",
            each.alert.told,
        ]
        for each in alerts[:20]
    ]
    more = (
        element("p", element("a", f"All {len(alerts):,} open alerts", href="/ui/alerts")) if len(alerts) > 20 else None
    )
    return [
        table("Open alerts", ["monitor", "severity", "owner", "since (UTC)", "looked after by", "what"], rows),
        more,
    ]


def _arms(arms: list[ArmStatus], traffic: list[ArmTraffic]) -> Html:
    answered = {(each.arm, each.model): each for each in traffic}
    rows: list[list[Child]] = []
    for arm in arms:
        found = answered.get((arm.name, arm.model))
        rows.append(
            [
                model_link(arm.model),
                arm.role,
                "listens" if arm.role == "shadow" else percent(arm.share),
                "" if found is None else f"{found.per_second:,.1f}/s",
                "" if found is None else f"{found.predictions:,}",
                moment(arm.since),
                arm_why(arm),
            ]
        )
    columns = ["model", "role", "share", "answers now", "since the server began", "role since (UTC)", "why"]
    return table("Models that answer or listen", columns, rows, numeric=(2, 3, 4))


def _loop(found: Status, wall: int) -> Child:
    loop = found.loop
    if loop is None:
        return absent(f"{found.no_loop} It begins with the first turn of mainspring serve, unless that says --no-loop.")
    told = definitions(
        [
            ("doing", doing_told(loop.doing)),
            ("next", next_told(loop.next)),
            ("newest step", _step(loop)),
        ]
    )
    if not found.events:
        return [told, absent("It has done nothing yet.")]
    rows: list[list[Child]] = [[moment(each.at), each.what, each.model, each.told] for each in found.events]
    return [
        told,
        table("What it did last", ["when (UTC)", "what", "model", "why"], rows),
        element("p", element("a", "All that it did, with the evidence", href="/ui/loop")),
    ]


def _step(loop: LoopStatus) -> str:
    return f"number {loop.step:,}, of {moment(loop.at)}; one every {ago(loop.every)} of the system's time"
