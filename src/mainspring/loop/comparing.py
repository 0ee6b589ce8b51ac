"""Policies side by side: what each would have answered, earned and cost over the same history, and which one to take."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mainspring.adaptation.retraining import Past
from mainspring.adaptation.triggers import leaves
from mainspring.clock import DAY, HOUR, format_instant, parse_span
from mainspring.declare import Degraded
from mainspring.evaluation.baselines import last_label
from mainspring.evaluation.metric import metric_named, metrics_for, objective_metric
from mainspring.loop.compared import Alerting, Compared, EventTold, PolicyResult, Recommendation, Week
from mainspring.loop.hindsight import Hindsight, judged_alerts
from mainspring.loop.incidents import input_incidents, quality_incidents
from mainspring.loop.policies import LAST_LABEL, NEVER_RETRAIN, described, retrain_named
from mainspring.loop.replay import Replay, Story
from mainspring.loop.state import Event, Policy
from mainspring.monitoring.realised import figures_of, judged_by

__all__ = ["compare_policies"]

_WEEK = 7 * DAY
_Z = 1.6448536269514722  # one-sided 95%


@dataclass(frozen=True, eq=False)
class _Told:
    """A policy's answers, and what they were on the rows whose label is known."""

    result: PolicyResult
    losses: NDArray[np.float64]  # (known,) what a decision lost: money where a payoff is declared, else by the metric


def compare_policies(
    past: Past,
    names: Sequence[str],
    *,
    start: int,
    every: int = DAY,
    cost_of_an_hour: float = 1.0,
    facts: Mapping[str, pl.DataFrame] | None = None,
    measured_delay: int = HOUR,
) -> Compared:
    """Live through the history under each policy, from `start` (microseconds) on; "never" and "last-label" are always among them.

    `cost_of_an_hour` of training is in the unit of the payoff. `facts` are the rows that the past was made from, by table;
    without them nobody watches what comes in. `measured_delay` (microseconds) is what `Retrain(delay="measured")` stands for.

    Raises DeclarationError (DECLARE_OPTION) for a name that no policy has.
    """
    system = past.system
    wanted = list(dict.fromkeys([NEVER_RETRAIN, LAST_LABEL, *names]))
    retrains = {name: retrain_named(name, system) for name in wanted}  # before anything takes time
    replay = Replay(past, start, every, facts)
    judge = _Judge(replay, cost_of_an_hour)
    told: list[_Told] = []
    for name in wanted:
        if name == LAST_LABEL:
            baseline = last_label(
                system, past.data, past.y, np.flatnonzero(past.settled <= start), replay.rows, past.task
            )
            if baseline is not None:
                told.append(judge.told(name, baseline.description, baseline.prediction, None))
            continue
        retrain = retrains[name]
        story = replay.run(name, Policy.of(system, retrain, system.rollout, measured_delay=measured_delay))
        told.append(judge.told(name, described(name), story.answers, story))
    told.sort(key=lambda each: each.losses.mean())
    return Compared(
        system=system.name,
        begin=format_instant(start),
        end=format_instant(replay.end),
        decisions=len(replay.rows),
        metric=judge.metric,
        unit=judge.unit,
        policies=[each.result for each in told],
        recommendation=_recommended(told, judge),
    )


class _Judge:
    """Judges answers to the decisions of a replay by the labels that are known at its end."""

    def __init__(self, replay: Replay, cost_of_an_hour: float) -> None:
        self._replay = replay
        past = replay.past
        objective, task = past.system.objective, past.task.kind
        self._task, self._cost = task, cost_of_an_hour
        self.rows = replay.rows
        y = past.y[self.rows]
        self._known = ~np.isnan(y) & (past.data.label_known_at[self.rows] <= replay.end)
        self._y = y[self._known]
        self._at = past.data.decided_at[self.rows][self._known]
        figures = figures_of(task, objective)
        self.metric = objective_metric(objective, task).name
        self._worth = figures.get("payoff")
        self.unit: str = getattr(objective.payoff, "unit", "")
        self._loss = judged_by(figures, task, objective)
        self._day = np.unique(self._at // DAY, return_inverse=True)[1]

    def told(self, name: str, description: str, answers: NDArray[np.float64], story: Story | None) -> _Told:
        y, p = self._y, answers[self._known]
        minutes = 0.0 if story is None else story.training_seconds / 60
        worth = None if self._worth is None else float(self._worth.row(y, p).sum())
        events: Sequence[Event] = () if story is None else story.events
        count = Counter(event.what for event in events)
        result = PolicyResult(
            name=name,
            description=description,
            figures=self._figures(y, p),
            labels=len(y),
            worth=worth,
            retrainings=count["train"],
            training_minutes=minutes,
            training_cost=minutes / 60 * self._cost,
            promotions=count["promoted"],
            rollbacks=count["rolled back"],
            passed_over=count["passed over"],
            alerting=None if story is None else Alerting.of(self.hindsight(story)),
            weeks=self._weeks(p),
            events=[EventTold(format_instant(e.at), e.what, e.model, e.told) for e in events],
        )
        losses = self._row_losses(p)
        if self._worth is not None:
            losses = losses + result.training_cost / max(1, len(losses))
        return _Told(result, losses)

    def hindsight(self, story: Story) -> Hindsight:
        """Return what all labels, which only hindsight has, say of the alerts of a story."""
        system, loss, replay = self._replay.past.system, self._loss, self._replay
        let_in = np.array([each.get(loss.name, np.nan) for each in story.let_in])[story.answered_by[self._known]]
        triggers = leaves(system.retrain.when) if system.retrain is not None else ()
        quality = quality_incidents(
            loss,
            self._at,
            loss.row(self._y, story.answers[self._known]),
            let_in,
            horizon=parse_span(system.label.within),
            by=next((each.by for each in triggers if type(each) is Degraded and each.metric == loss.name), None),
        )
        decided_last = int(replay.past.data.decided_at[-1])
        inputs = input_incidents(system.tables, replay.facts, replay.start, decided_last)
        return judged_alerts(story.alerts, quality + inputs, replay.start, replay.end)

    def surely_worse(self, one: _Told, other: _Told) -> bool:
        """Whether one is worse than another with 95% confidence; the decisions of one day count as one."""
        gap = one.losses - other.losses
        by_day = np.bincount(self._day, gap - gap.mean())
        error = math.sqrt(float(np.square(by_day).sum())) / len(gap)
        return bool(gap.mean() > _Z * error)

    def in_words(self, told: _Told) -> str:
        """What decides between policies, of one."""
        metric = f"{self.metric} {told.result.figures.get(self.metric, float('nan')):.4f}"
        if told.result.worth is None:
            return metric
        net = told.result.worth - told.result.training_cost
        return f"{net:,.0f} {self.unit} earned less the cost of training, {metric}".replace("  ", " ")

    def _row_losses(self, p: NDArray[np.float64]) -> NDArray[np.float64]:
        figure = self._worth or self._loss
        rows = figure.row(self._y, p)
        return -rows if figure.greater_is_better else rows

    def _figures(self, y: NDArray[np.float64], p: NDArray[np.float64]) -> dict[str, float]:
        found = {each.name: each.value_or_nan(y, p) for each in metrics_for(self._task)}
        if self.metric not in found:
            found[self.metric] = metric_named(self.metric, self._task).value_or_nan(y, p)
        if self._worth is not None:
            found["payoff"] = float(self._worth.row(y, p).mean())
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def _weeks(self, p: NDArray[np.float64]) -> list[Week]:
        if not len(self._at):
            return []
        number = (self._at - self._at[0]) // _WEEK
        found = []
        for week in np.unique(number).tolist():
            mine = number == week
            figures = {
                each.name: each.mean(self._y[mine], p[mine]) for each in (self._loss, self._worth) if each is not None
            }
            found.append(Week(format_instant(int(self._at[0]) + week * _WEEK), int(mine.sum()), figures))
        return found


def _recommended(told: Sequence[_Told], judge: _Judge) -> Recommendation:
    """The policy that trains least of those that are not surely worse than the best: what cannot be told apart is not worth
    paying for. Best is who earns most, less the cost of training, where a payoff is declared; else who has the best metric.
    """
    best = told[0]
    good = [each for each in told if not judge.surely_worse(each, best)]
    chosen = min(good, key=lambda each: (each.result.training_minutes, each.result.name != LAST_LABEL))
    if chosen is best:
        less = [each for each in told if each.result.training_minutes < chosen.result.training_minutes]
        against = f"; all that train less are surely worse, {less[0].result.name} by the least" if less else ""
        return Recommendation(chosen.result.name, f"It is the best: {judge.in_words(chosen)}{against}.")
    saved = best.result.training_minutes - chosen.result.training_minutes
    return Recommendation(
        chosen.result.name,
        f"It has {judge.in_words(chosen)}, which cannot be told apart from the best, {best.result.name} with "
        f"{judge.in_words(best)}, and it needs {saved:.1f} minutes of training less.",
    )
