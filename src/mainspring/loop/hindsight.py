"""Alerts judged in hindsight: which were about something, what nobody was told of, and which monitors are worth their cost.

Pure: alerts as a loop raised them and incidents as hindsight knows them go in, judgements come out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, get_args

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mainspring.clock import DAY
from mainspring.loop.incidents import Incident
from mainspring.loop.state import Event
from mainspring.monitoring.readings import Kind

__all__ = ["EARLY", "Hindsight", "JudgedAlert", "JudgedMonitor", "judged_alerts"]

EARLY = 2 * DAY
"""How long before an incident an alert may open and still be a sign of it."""

_KINDS: tuple[str, ...] = get_args(Kind)  # the cheapest first
_EARLIER = (
    "estimated ",
    "proxy ",
    "friction ",
)  # monitors of outcomes that do not wait for the labels of what they judge


class JudgedAlert(Struct, frozen=True, kw_only=True):
    """An alert and whether it was about something. `spans` are when it was open, [from, until) in microseconds."""

    monitor: str
    kind: str
    abouts: tuple[str, ...]
    sent: bool  # whether somebody was told
    spans: tuple[tuple[int, int], ...]
    told: str
    true: bool = False

    @property
    def opened_at(self) -> int:
        """When it was first open, microseconds."""
        return self.spans[0][0]


class JudgedMonitor(Struct, frozen=True, kw_only=True):
    """What the alerts of one monitor were worth, sent or not.

    `told` of the `incidents` that it can be about had an alert of it; `lead` (microseconds) is the median of how long before
    labels could have told an incident its first alert of it was there, below 0: after that. `inside` and `outside` are the
    shares of the days in incidents, and of the other days, on which it was open; by chance they are equal.
    """

    monitor: str
    kind: str
    alerts: int
    true: int
    incidents: int
    told: int
    lead: int | None
    needs_labels: bool
    inside: float
    outside: float

    @property
    def informed(self) -> float:
        """How much it tells beyond chance: 1 is all, 0 nothing (Youden's J, 1950)."""
        return self.inside - self.outside

    @property
    def worth(self) -> float:
        """How much it is shown to tell: one that was right once may have been lucky, and counts half; twice, two thirds."""
        return self.informed * self.true / (self.true + 1)

    @property
    def reason(self) -> str:
        """Why it has its place among the others, in one sentence."""
        told = f"It told {self.told} of {_counted(self.incidents, 'incident')}"
        if self.lead is not None:
            days = abs(self.lead) / DAY
            told += f", {days:.1f} days {'before' if self.lead >= 0 else 'after'} labels could have (median)"
        if self.alerts == 1:
            told += f"; its one alert was {'true' if self.true else 'false'}"
        else:
            told += f"; {self.true} of its {self.alerts} alerts {'was' if self.true == 1 else 'were'} true"
        return f"{told}; it {'waits for' if self.needs_labels else 'needs no'} labels."


class Hindsight(Struct, frozen=True, kw_only=True):
    """Everything that hindsight says of the alerts of a policy. Monitors stand in the order of how much they told."""

    incidents: tuple[Incident, ...]
    alerts: tuple[JudgedAlert, ...]
    missed: tuple[Incident, ...]  # of which nobody was told
    monitors: tuple[JudgedMonitor, ...]
    by_chance: float  # the share of days on which an alert about quality would have been true, whatever raised it

    @property
    def sent(self) -> tuple[JudgedAlert, ...]:
        """The alerts of which somebody was told."""
        return tuple(each for each in self.alerts if each.sent)


def judged_alerts(events: Iterable[Event], incidents: Sequence[Incident], begin: int, end: int) -> Hindsight:
    """Judge alerts, as events of a story that lasts from `begin` to `end` (microseconds), by what really went wrong.

    An alert is true when it was open in an incident that it can be about, until the labels of the incident's last days had
    settled, or had opened at most `EARLY` before; else it is false. Every monitor but those of operations can be about quality,
    for what changes in inputs, features or predictions is an early sign of it. Monitors of inputs can be about the rows of a
    table that they name, monitors of features about any table. An incident is missed when no alert that was sent is about it.

    Monitors are ordered by how much they are shown to tell, to a tenth; then those that need no labels stand first, then the
    cheaper kinds, then those that were earlier.
    """
    alerts = [_judged(alert, incidents) for alert in _heard(events, end)]
    sent = [alert for alert in alerts if alert.sent]
    days = np.arange(begin, end, DAY)
    monitors = [
        _monitor(name, [each for each in alerts if each.monitor == name], incidents, days)
        for name in sorted({each.monitor for each in alerts})
    ]
    chance = _within(days, [(each.begin - EARLY, each.until) for each in incidents if each.kind == "quality"])
    return Hindsight(
        incidents=tuple(incidents),
        alerts=tuple(alerts),
        missed=tuple(each for each in incidents if not any(_tells(alert, each) for alert in sent)),
        monitors=tuple(sorted(monitors, key=_rank)),
        by_chance=float(chance.mean()) if len(days) else 0.0,
    )


def _heard(events: Iterable[Event], end: int) -> list[JudgedAlert]:
    """The alerts of a story in the order in which they opened, as each was in the end."""
    last: dict[str, dict[str, Any]] = {}
    spans: dict[str, list[tuple[int, int]]] = {}
    for event in events:
        alert = dict(event.evidence)
        name = alert["id"]
        mine = spans.setdefault(name, [])
        was_open = name in last and last[name]["ended_at"] is None
        if not was_open and alert["ended_at"] is None:
            mine.append((event.at, end))
        elif was_open and alert["ended_at"] is not None:
            mine[-1] = (mine[-1][0], event.at)
        last[name] = alert
    return [
        JudgedAlert(
            monitor=alert["monitor"],
            kind=alert["kind"],
            abouts=tuple(alert["abouts"]),
            sent=bool(alert["sent"]),
            spans=tuple(spans[name]),
            told=alert["told"],
        )
        for name, alert in last.items()
    ]


def _judged(alert: JudgedAlert, incidents: Sequence[Incident]) -> JudgedAlert:
    true = any(_tells(alert, each) for each in incidents)
    return JudgedAlert(**{name: getattr(alert, name) for name in alert.__struct_fields__} | {"true": true})


def _can_be_about(kind: str, incident: Incident) -> bool:
    return kind in ("inputs", "features") if incident.kind == "inputs" else kind != "operations"


def _tells(alert: JudgedAlert, incident: Incident) -> bool:
    if not _can_be_about(alert.kind, incident):
        return False
    if incident.kind == "inputs" and alert.kind == "inputs" and incident.about not in alert.abouts:
        return False
    return any(
        opened <= incident.until and (ended > incident.begin or opened >= incident.begin - EARLY)
        for opened, ended in alert.spans
    )


def _monitor(
    name: str, alerts: Sequence[JudgedAlert], incidents: Sequence[Incident], days: NDArray[np.int64]
) -> JudgedMonitor:
    kind = alerts[0].kind
    mine = [each for each in incidents if _can_be_about(kind, each)]
    leads = []
    for incident in mine:
        opened = [each.opened_at for each in alerts if _tells(each, incident)]
        if opened:  # one that had been open for long told nothing new
            leads.append(incident.told_by - max(min(opened), incident.begin - EARLY))
    bad = _within(days, [(each.begin, each.until) for each in mine])
    open_at = _within(days, [span for each in alerts for span in each.spans])
    return JudgedMonitor(
        monitor=name,
        kind=kind,
        alerts=len(alerts),
        true=sum(each.true for each in alerts),
        incidents=len(mine),
        told=len(leads),
        lead=int(median(leads)) if leads else None,
        needs_labels=name == "kind of shift" or (kind == "outcomes" and not name.startswith(_EARLIER)),
        inside=_share(open_at, bad),
        outside=_share(open_at, ~bad),
    )


def _rank(monitor: JudgedMonitor) -> tuple[float, bool, int, int, str]:
    lead = 0 if monitor.lead is None else monitor.lead
    return -round(monitor.worth, 1), monitor.needs_labels, _KINDS.index(monitor.kind), -lead, monitor.monitor


def _within(days: NDArray[np.int64], spans: Iterable[tuple[int, int]]) -> NDArray[np.bool_]:
    """Which days (their first instants) have a part in any of some spans."""
    found = np.zeros(len(days), bool)
    for begin, end in spans:
        found |= (days < end) & (days + DAY > begin)
    return found


def _share(what: NDArray[np.bool_], of: NDArray[np.bool_]) -> float:
    return float(what[of].mean()) if of.any() else 0.0


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun if number == 1 else noun + 's'}"
