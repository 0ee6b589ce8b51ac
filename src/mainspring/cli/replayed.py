"""Policies that were compared, as a document for programs and as a table and two sentences for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mainspring.cli.tables import grid

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mainspring.loop.compared import Compared, MonitorTold, PolicyResult

__all__ = ["policy_summary", "replay_figures"]


def replay_figures(compared: Compared) -> dict[str, Any]:
    """Return what a replay found, for programs: the figures of each policy by its name, the monitors, what to take.

    Monitors are judged where nothing is repaired, the one that told most for least first.
    """
    return {
        "begin": compared.begin,
        "end": compared.end,
        "decisions": compared.decisions,
        "metric": compared.metric,
        "policies": {each.name: _figures(each) for each in compared.policies},
        "monitors": _ranked(compared),
        "recommendation": compared.recommendation,
    }


def _figures(each: PolicyResult) -> dict[str, Any]:
    alerts = each.alerting
    return {
        **each.figures,
        "labels": each.labels,
        "worth": each.worth,
        "retrainings": each.retrainings,
        "training_minutes": each.training_minutes,
        "training_cost": each.training_cost,
        "promotions": each.promotions,
        "rollbacks": each.rollbacks,
        "passed_over": each.passed_over,
        "alerts": None
        if alerts is None
        else {"sent": alerts.sent, "true": alerts.true, "false": alerts.false, "missed": alerts.missed},
    }


def _ranked(compared: Compared) -> list[MonitorTold]:
    from mainspring.loop.policies import NEVER_RETRAIN

    watched = next(each.alerting for each in compared.policies if each.name == NEVER_RETRAIN)
    return [] if watched is None else watched.monitors


def policy_summary(compared: Compared) -> Iterator[RenderableType]:
    """Give the table of policies, which one to take, and which monitor was worth most."""
    from mainspring.loop.policy_table import policy_table

    made = policy_table(compared)
    yield grid(made.columns, made.rows, numeric=[at in made.numeric for at in range(len(made.columns))])
    yield f"\nTake {compared.recommendation.policy}. {compared.recommendation.reason}"
    for best in _ranked(compared)[:1]:
        yield f"Of the monitors {best.monitor} is worth most. {best.reason}"
