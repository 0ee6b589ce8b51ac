"""What came of comparing policies, as plain records: what a page shows and a document holds."""

from __future__ import annotations

from msgspec import Struct

from mainspring.clock import DAY, format_instant
from mainspring.loop.hindsight import Hindsight, JudgedMonitor
from mainspring.loop.incidents import Incident

__all__ = [
    "AlertTold",
    "Alerting",
    "Compared",
    "EventTold",
    "IncidentTold",
    "MonitorTold",
    "PolicyResult",
    "Recommendation",
    "Week",
]


class EventTold(Struct, frozen=True):
    """Something that the loop did."""

    at: str
    what: str
    model: str
    told: str


class Week(Struct, frozen=True):
    """A week of decisions: when it began, how many have a label, and the figures over them."""

    begin: str
    labels: int
    figures: dict[str, float]


class IncidentTold(Struct, frozen=True, kw_only=True):
    """Something that really went wrong, and whether nobody was told."""

    begin: str
    end: str
    kind: str
    about: str
    told: str
    missed: bool


class AlertTold(Struct, frozen=True, kw_only=True):
    """An alert of which somebody was told, and whether it was about an incident."""

    at: str
    monitor: str
    kind: str
    abouts: tuple[str, ...]
    told: str
    true: bool
    spans: list[tuple[str, str]]  # when it was open


class MonitorTold(Struct, frozen=True, kw_only=True):
    """What the alerts of a monitor were worth, sent or not; see `JudgedMonitor`."""

    monitor: str
    kind: str
    alerts: int
    true: int
    incidents: int
    told: int
    lead_days: float | None
    needs_labels: bool
    inside: float
    outside: float
    reason: str

    @classmethod
    def of(cls, found: JudgedMonitor) -> MonitorTold:
        return cls(
            monitor=found.monitor,
            kind=found.kind,
            alerts=found.alerts,
            true=found.true,
            incidents=found.incidents,
            told=found.told,
            lead_days=None if found.lead is None else found.lead / DAY,
            needs_labels=found.needs_labels,
            inside=found.inside,
            outside=found.outside,
            reason=found.reason,
        )


class Alerting(Struct, frozen=True, kw_only=True):
    """The alerts of a policy in hindsight: those that were sent, counted; monitors stand in the order of their worth."""

    sent: int
    true: int
    false: int
    missed: int
    by_chance: float  # the share of days on which an alert about quality is true, whatever raises it
    incidents: list[IncidentTold]
    alerts: list[AlertTold]
    monitors: list[MonitorTold]

    @classmethod
    def of(cls, found: Hindsight) -> Alerting:
        """Return what hindsight says in the words of a document."""
        true = sum(each.true for each in found.sent)
        return cls(
            sent=len(found.sent),
            true=true,
            false=len(found.sent) - true,
            missed=len(found.missed),
            by_chance=found.by_chance,
            incidents=[_incident(each, missed=each in found.missed) for each in found.incidents],
            alerts=[
                AlertTold(
                    at=format_instant(each.opened_at),
                    monitor=each.monitor,
                    kind=each.kind,
                    abouts=each.abouts,
                    told=each.told,
                    true=each.true,
                    spans=[(format_instant(opened), format_instant(ended)) for opened, ended in each.spans],
                )
                for each in found.sent
            ],
            monitors=[MonitorTold.of(each) for each in found.monitors],
        )


def _incident(found: Incident, *, missed: bool) -> IncidentTold:
    return IncidentTold(
        begin=format_instant(found.begin),
        end=format_instant(found.end),
        kind=found.kind,
        about=found.about,
        told=found.told,
        missed=missed,
    )


class PolicyResult(Struct, frozen=True, kw_only=True):
    """What became of a policy."""

    name: str
    description: str
    figures: dict[str, float]  # over all decisions whose label is known
    labels: int
    worth: float | None  # payoff of all these decisions together
    retrainings: int
    training_minutes: float
    training_cost: float
    promotions: int
    rollbacks: int
    passed_over: int
    alerting: Alerting | None  # None: nobody watches a baseline
    weeks: list[Week]
    events: list[EventTold]


class Recommendation(Struct, frozen=True):
    """Which policy to take, and why."""

    policy: str
    reason: str


class Compared(Struct, frozen=True, kw_only=True):
    """Policies over the same decisions, the best first."""

    system: str
    begin: str
    end: str
    decisions: int
    metric: str
    unit: str  # of worth and cost
    policies: list[PolicyResult]
    recommendation: Recommendation
