"""Alerts: of all that monitors say, look after look, what somebody is told, once. Pure; what is kept between looks is data.

A look is one instant with everything that monitors say then. The same looks give the same alerts, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args
from urllib.parse import quote_plus

from msgspec import Struct, field
from msgspec.structs import replace

from mainspring.clock import DAY, format_instant, parse_span
from mainspring.declare import Alerts
from mainspring.ledger import Alert, Silence
from mainspring.monitoring.readings import Kind, Reading, Severity

__all__ = ["AlertBook", "Change", "Signal", "look"]

_WEEK = 7 * DAY
_SEVERITIES: tuple[str, ...] = get_args(Severity)  # the most severe first
_KINDS: tuple[str, ...] = get_args(Kind)
_STATES = ("firing", "unknown", "ok")  # of one thing told twice the first of these counts


class Signal(Struct, frozen=True):
    """Whether one thing is held to be amiss, and how many looks in a row have spoken against that."""

    amiss: bool = False
    against: int = 0


class AlertBook(Struct, frozen=True):
    """What is kept between two looks."""

    signals: dict[str, dict[str, Signal]] = field(default_factory=dict)  # by monitor, by what it speaks of
    alerts: dict[str, Alert] = field(
        default_factory=dict
    )  # by monitor: the open ones, and those ended within the cool-down
    sent: tuple[int, ...] = ()  # when alerts were sent within the last seven days


class Change(Struct, frozen=True):
    """What has become of an alert at a look: "went on" where it is about more, is open again, or is sent only now."""

    what: Literal["opened", "worse", "went on", "ended"]
    alert: Alert


def look(
    rules: Alerts,
    book: AlertBook,
    readings: Iterable[Reading],
    now: int,
    silences: Sequence[Silence] = (),
    *,
    owner: str = "",
) -> tuple[AlertBook, list[Change]]:
    """Take in all that monitors say at an instant, later than the last; return what is kept, and each alert that changed.

    A monitor that says nothing at a look leaves everything as it is, and so does "unknown"; a thing of which a monitor no
    longer speaks, while it speaks of others, is well. A monitor has one alert, about all that is amiss. It is sent once,
    and again when its severity rises. One that was silenced, or found the week's budget spent, is sent as soon as neither
    holds, if it is open still: the most severe first, then in the order of kinds, then the oldest. Silences count until
    their end, whenever they began. `owner` is who is responsible for the kinds that the rules give to nobody.
    """
    cooldown = parse_span(rules.cooldown)
    alerts = {
        name: each for name, each in book.alerts.items() if each.ended_at is None or now - each.ended_at < cooldown
    }
    before, signals = dict(alerts), dict(book.signals)
    for monitor, said in sorted(_by_monitor(readings).items()):
        signals[monitor] = _signals(rules, signals.get(monitor, {}), said)
        firing = [each for about, each in said.items() if each.state == "firing" and _amiss(signals[monitor], about)]
        amiss = any(signal.amiss for signal in signals[monitor].values())
        after = _alert(alerts.get(monitor), amiss, firing, now, rules, owner)
        if after is not None:
            alerts[monitor] = after
    sent = [at for at in book.sent if now - at < _WEEK]
    for alert in sorted(filter(_untold, alerts.values()), key=_urgency):
        fate = _fate(alert, rules.per_week - len(sent), now, silences)
        if fate == "sent":
            sent.append(now)
            alert = replace(alert, sent=(*alert.sent, alert.severity))
        alerts[alert.monitor] = replace(alert, fate=fate)
    changes = [Change(_what(before.get(name), each), each) for name, each in alerts.items() if before.get(name) != each]
    return AlertBook({name: each for name, each in signals.items() if each}, alerts, tuple(sent)), changes


def _by_monitor(readings: Iterable[Reading]) -> dict[str, dict[str, Reading]]:
    """What each monitor says, by what it speaks of; of one thing told twice the worse counts, whatever the order."""
    found: dict[str, dict[str, Reading]] = {}
    for each in readings:
        said = found.setdefault(each.monitor, {})
        known = said.get(each.about)
        if known is None or _badness(each) < _badness(known):
            said[each.about] = each
    return found


def _badness(reading: Reading) -> tuple[int, int, float, str, str]:
    """The worst first: by state and severity, then by how far its figure lies from the limit."""
    value, limit = _finite(reading.value), _finite(reading.limit)
    excess = 0.0 if value is None or limit is None else abs(value - limit) / (abs(limit) or 1.0)
    return _STATES.index(reading.state), _SEVERITIES.index(reading.severity), -excess, reading.about, reading.told


def _signals(rules: Alerts, before: Mapping[str, Signal], said: Mapping[str, Reading]) -> dict[str, Signal]:
    """Count the looks that speak against what is held of each thing, and hold the opposite when they are enough."""
    after = {}
    for about in sorted({*before, *said}):
        signal = before.get(about, Signal())
        state = said[about].state if about in said else "ok"
        if state != "unknown":
            against = 0 if (state == "firing") == signal.amiss else signal.against + 1
            enough = against >= (rules.clear if signal.amiss else rules.after)
            signal = Signal(not signal.amiss) if enough else Signal(signal.amiss, against)
        if signal != Signal():
            after[about] = signal
    return after


def _amiss(signals: Mapping[str, Signal], about: str) -> bool:
    return about in signals and signals[about].amiss


def _alert(
    known: Alert | None, amiss: bool, firing: Sequence[Reading], now: int, rules: Alerts, owner: str
) -> Alert | None:
    """The alert of a monitor after a look; `firing` are the readings of what is amiss that fire at this look too."""
    if not firing:
        ends = known is not None and known.ended_at is None and not amiss
        return replace(known, ended_at=now) if known is not None and ends else known
    worst = min(firing, key=_badness)
    abouts = {each.about for each in firing if each.about}
    if known is None:
        return Alert(
            id=f"{quote_plus(worst.monitor)}@{format_instant(now)}",
            monitor=worst.monitor,
            kind=worst.kind,
            severity=worst.severity,
            owner=rules.owner_of(worst.kind) or owner,
            abouts=tuple(sorted(abouts)),
            opened_at=now,
            told=worst.told,
            value=_finite(worst.value),
            limit=_finite(worst.limit),
            fate="kept",
        )
    after = replace(known, ended_at=None, abouts=tuple(sorted(abouts.union(known.abouts))))
    if _worse(worst.severity, known.severity) or (after != known and worst.severity == known.severity):
        told = {"told": worst.told, "value": _finite(worst.value), "limit": _finite(worst.limit)}
        after = replace(after, severity=worst.severity, **told)
    return after


def _fate(
    alert: Alert, left: float, now: int, silences: Sequence[Silence]
) -> Literal["sent", "silenced", "over budget", "kept"]:
    if alert.severity == "note":
        return "kept"
    if any(each.monitor in ("*", alert.monitor) and now < each.until for each in silences):
        return "silenced"
    return "sent" if alert.severity == "page" or left >= 1 else "over budget"


def _untold(alert: Alert) -> bool:
    """Whether an alert is open, and nobody was told of it as severe as it is."""
    return alert.ended_at is None and alert.sent[-1:] != (alert.severity,)


def _urgency(alert: Alert) -> tuple[int, int, int, str]:
    return _SEVERITIES.index(alert.severity), _KINDS.index(alert.kind), alert.opened_at, alert.id


def _worse(one: str, other: str) -> bool:
    return _SEVERITIES.index(one) < _SEVERITIES.index(other)


def _what(before: Alert | None, after: Alert) -> Literal["opened", "worse", "went on", "ended"]:
    if before is None:
        return "opened"
    if after.ended_at is not None:
        return "ended"
    return "worse" if after.severity != before.severity else "went on"


def _finite(figure: float | None) -> float | None:
    return figure if figure is not None and math.isfinite(figure) else None
