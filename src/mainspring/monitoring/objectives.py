"""All that a system has promised, in one table: its service objectives, the metric it is judged by, and its guards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from mainspring.clock import parse_span
from mainspring.declare import SLO, Guard, System
from mainspring.evaluation.metric import objective_metric
from mainspring.monitoring.calibration_check import Unknown
from mainspring.monitoring.counted import Counted
from mainspring.monitoring.settled import Settled, metric_reading
from mainspring.monitoring.slo import budget_left, burns, slo_reading

__all__ = ["ObjectiveRow", "objective_rows"]

_WINDOW = "30d"
_NOTHING_SETTLED = "no decision is settled yet"


class ObjectiveRow(Struct, frozen=True, kw_only=True):
    """One objective at an instant: plain values for a terminal or a page.

    `value` is a share for what is counted, else the metric; None: unknown. `budget_left` (a share of the error budget, below
    0: overspent) and `burn` (the fastest known burn rate over a long window) belong to what is counted. `told` says it in words.
    """

    name: str
    kind: Literal["operational", "model"]
    target: str  # "99.9%", "at most 0.03"; "" where a metric has no limit
    window: str
    value: float | None
    budget_left: float | None = None
    burn: float | None = None
    state: Literal["ok", "firing", "unknown"]
    told: str


def objective_rows(
    system: System, kept: Mapping[str, Counted], settled: Settled | None, now: int
) -> list[ObjectiveRow]:
    """Return a row for each operational SLO, each SLO on a metric, the objective's metric and each guard, in this order.

    `kept` holds what was counted of SLOs by name, `settled` what is known of the champion's settled decisions (None: nothing
    yet). The metric and guards are told of the last 30 days; the metric has no row of its own where an SLO limits it. A guard on
    a slice is held when a model is let in, and not followed here.
    """
    rows = [_counted(slo, kept.get(slo.name, Counted()), now) for slo in system.slos if slo.is_operational]
    on_metrics = [slo for slo in system.slos if not slo.is_operational]
    rows += [_on_metric(slo.name, slo, settled) for slo in on_metrics]
    judged = objective_metric(system.objective, system.label.task).name
    if judged not in {slo.of for slo in on_metrics}:
        rows.append(_judged_by(judged, settled))
    return rows + [_guard(guard, settled) for guard in system.objective.guards]


def _counted(slo: SLO, counted: Counted, now: int) -> ObjectiveRow:
    reading = slo_reading(slo, counted, now)
    window = counted.over(parse_span(slo.window), now)
    known = [burn.long for burn in burns(slo, counted, now) if burn.long is not None]
    return ObjectiveRow(
        name=slo.name,
        kind="operational",
        target=slo.limits,
        window=slo.window,
        value=window.good / window.events if window is not None and window.events else None,
        budget_left=budget_left(slo, counted, now),
        burn=max(known, default=None) if counted.buckets else None,
        state=reading.state,
        told=reading.told,
    )


def _on_metric(name: str, slo: SLO, settled: Settled | None) -> ObjectiveRow:
    if settled is None:
        return _unknown(name, slo.limits, slo.window, _NOTHING_SETTLED)
    reading = metric_reading(slo, settled)
    return ObjectiveRow(
        name=name, kind="model", target=slo.limits, window=slo.window, value=reading.value, state=reading.state, told=reading.told
    )  # fmt: skip


def _guard(guard: Guard, settled: Settled | None) -> ObjectiveRow:
    slo = SLO(guard.metric, at_most=guard.at_most, at_least=guard.at_least, window=_WINDOW, origin=guard.origin)
    if guard.where is not None:
        name = f"guard {guard.metric} where {guard.where!r}"
        return _unknown(name, slo.limits, "", "a guard on a slice is held when a model is let in, and not followed")
    return _on_metric(f"guard {guard.metric}", slo, settled)


def _judged_by(metric: str, settled: Settled | None) -> ObjectiveRow:
    found = Unknown(_NOTHING_SETTLED) if settled is None else settled.over(metric, parse_span(_WINDOW))
    if isinstance(found, Unknown):
        return _unknown(metric, "", _WINDOW, found.reason)
    told = (
        f"{metric} is {found.value:.4g} ({found.low:.4g} to {found.high:.4g}) over {found.known:,} settled decisions."
    )
    return ObjectiveRow(name=metric, kind="model", target="", window=_WINDOW, value=found.value, state="ok", told=told)


def _unknown(name: str, target: str, window: str, why: str) -> ObjectiveRow:
    told = f"{name} is unknown: {why}."
    return ObjectiveRow(name=name, kind="model", target=target, window=window, value=None, state="unknown", told=told)
