"""The table of policies and that of monitors, made once for terminals and pages: plain text by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mainspring.loop.compared import Alerting, Compared, MonitorTold, PolicyResult
from mainspring.page.wording import count, metric_title, number

__all__ = ["TextTable", "metrics_shown", "monitor_table", "policy_table"]

_SHOWN = ("log_loss", "auc", "brier", "accuracy", "rmse", "mae", "payoff")


class TextTable(NamedTuple):
    """A table of text; the columns from `words` on hold numbers."""

    columns: list[str]
    rows: list[list[str]]
    words: int = 1

    @property
    def numeric(self) -> Sequence[int]:
        """The positions of columns that hold numbers."""
        return range(self.words, len(self.columns))


def metrics_shown(found: Compared) -> list[str]:
    """Return the figures of policies that people look at, the objective's metric first."""
    names = dict.fromkeys([found.metric, *(name for each in found.policies for name in each.figures)])
    return [name for name in names if name in (*_SHOWN, found.metric)]


def policy_table(found: Compared) -> TextTable:
    """Return a row for each policy, the best first. Alerts are counts of those sent: true, false, and incidents missed."""
    names = metrics_shown(found)
    worth = [f"worth {found.unit}".strip()] if found.policies[0].worth is not None else []
    columns = [
        "policy",
        *map(metric_title, names),
        *worth,
        "trained",
        "minutes",
        "cost",
        "alerts true",
        "false",
        "missed",
        "promoted",
        "rolled back",
        "passed over",
    ]
    return TextTable(columns, [_row(each, names) for each in found.policies])


def _row(each: PolicyResult, names: Sequence[str]) -> list[str]:
    alerts = each.alerting
    return [
        each.name,
        *(number(each.figures.get(name)) for name in names),
        *([f"{each.worth:,.0f}"] if each.worth is not None else []),
        count(each.retrainings),
        f"{each.training_minutes:.1f}",
        f"{each.training_cost:.2f}",
        *(["–"] * 3 if alerts is None else map(count, (alerts.true, alerts.false, alerts.missed))),
        count(each.promotions),
        count(each.rollbacks),
        count(each.passed_over),
    ]


def monitor_table(found: Alerting) -> TextTable:
    """Return a row for each monitor that raised an alert, the one that told most for least first; what is few is counted."""
    columns = [
        "monitor",
        "looks at",
        "labels",
        "alerts true",
        "incidents told",
        "days before labels",
        "open in them",
        "else",
    ]
    return TextTable(columns, [_monitor(each) for each in found.monitors], words=3)


def _monitor(each: MonitorTold) -> list[str]:
    return [
        each.monitor,
        each.kind,
        "waits for them" if each.needs_labels else "needs none",
        f"{each.true} of {each.alerts}",
        f"{each.told} of {each.incidents}",
        "–" if each.lead_days is None else f"{each.lead_days:.1f}".replace("-", "−"),
        f"{each.inside:.0%}",
        f"{each.outside:.0%}",
    ]
