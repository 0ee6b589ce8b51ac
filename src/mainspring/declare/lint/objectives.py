"""Rules about what success means: metrics, payoff, slices, guards, checks."""

from __future__ import annotations

from collections.abc import Iterator

from mainspring.declare.column import Column, UnknownColumn
from mainspring.declare.expression import Aggregate, as_expression, walk
from mainspring.declare.kind import FUNCTIONS, NUMBERS, Kind
from mainspring.declare.lint.parts import listed, row_tables, suggested
from mainspring.declare.lint.rule import Problem, rule
from mainspring.declare.objective import METRIC_NAMES, ErrorCost, Payoff
from mainspring.declare.policy import AllOf, AnyOf, Degraded, Trigger
from mainspring.declare.system import System
from mainspring.errors import DeclarationError, Origin

__all__: list[str] = []


def _task(system: System) -> str | None:
    return None if system.label.outcome.kind is None else system.label.task


def _degraded(trigger: Trigger) -> Iterator[Degraded]:
    if isinstance(trigger, Degraded):
        yield trigger
    if isinstance(trigger, AnyOf | AllOf):
        for inner in trigger.triggers:
            yield from _degraded(inner)


@rule("unknown-metric", "error", "A metric does not exist, or does not fit the label.")
def unknown_metric(system: System) -> Iterator[Problem]:
    task, objective = _task(system), system.objective
    if task is None:
        return
    names = METRIC_NAMES[task] + (("payoff",) if objective.payoff is not None else ())
    used: list[tuple[str, str | None, Origin | None]] = [("The objective", objective.metric, objective.origin)]
    used += [("A guard", guard.metric, guard.origin) for guard in objective.guards]
    used += [("An SLO", slo.of, slo.origin) for slo in system.slos if not slo.is_operational]
    used += [
        (type(t).__name__, t.metric, t.origin)
        for trigger in (system.retrain.when if system.retrain else ())
        for t in _degraded(trigger)
    ]
    for who, metric, origin in used:
        if metric is not None and metric not in names and not (_is_pinball(metric) and "pinball" in names):
            meant = suggested(metric, names)
            elsewhere = any(metric in fitting for fitting in METRIC_NAMES.values())
            yield Problem(
                f"{who} names the metric {metric!r}, which "
                + (f"does not fit a {task} label." if elsewhere
                   else "needs a payoff." if metric == "payoff" else "does not exist."),
                "Declare payoff=ms.Payoff(...) or ms.ErrorCost(...)." if metric == "payoff"
                else f"Write {meant!r}." if meant else "Name one of these.",
                f"There is {listed(names)}.",
                origin,
            )  # fmt: skip


def _is_pinball(metric: str) -> bool:
    """Whether the metric is pinball loss at a quantile, "pinball@0.9"."""
    name, _, quantile = metric.partition("@")
    try:
        return name == "pinball" and 0 < float(quantile) < 1
    except ValueError:
        return False


@rule("payoff-task", "error", "The payoff does not fit the label.")
def payoff_task(system: System) -> Iterator[Problem]:
    payoff, task = system.objective.payoff, _task(system)
    for kind, fitting in ((Payoff, "binary"), (ErrorCost, "regression")):
        if isinstance(payoff, kind) and task not in {fitting, None}:
            advice = {"binary": "Write ms.Payoff(hit=..., miss=..., false_alarm=...).",
                      "regression": "Write ms.ErrorCost(over=..., under=...)."}  # fmt: skip
            yield Problem(
                f"{kind.__name__} is the worth of a {fitting} prediction, and the label is {task}.",
                advice.get(task or "", "Leave the payoff out and choose a metric."),
                origin=payoff.origin,
            )


@rule("slice-column", "error", "A slice is not a column of the decision's table.")
def slice_column(system: System) -> Iterator[Problem]:
    decision = system.decision.table
    for column in system.objective.slices:
        if not isinstance(column, UnknownColumn) and not (isinstance(column, Column) and column.table is decision):
            yield Problem(
                f"The slice {column!r} is not a column of {decision.__name__}.",
                "Slice by a column of the row that the decision is about.",
                f"{decision.__name__} has {listed(c.name for c in decision.__schema__.columns)}.",
                system.objective.origin,
            )


@rule("decision-condition", "error", "A condition that selects decisions is not a condition on the decision's row.")
def decision_condition(system: System) -> Iterator[Problem]:
    decision = system.decision.table
    selecting = [(f"The guard on {g.metric!r} holds", g.where, g.origin) for g in system.objective.guards]
    selecting.append(("Decisions are made", system.decision.where, system.decision.origin))
    selecting.append(("Training learns from decisions", system.training.where, system.training.origin))
    for who, condition, origin in selecting:
        if condition is None or condition.kind is None:
            continue
        foreign = any(table is not decision for table in row_tables([condition]))
        if condition.kind is not Kind.BOOL or foreign or any(isinstance(n, Aggregate) for n in walk(condition)):
            yield Problem(
                f"{who} where={condition!r}, which is not a condition on a row of {decision.__name__}.",
                f'Write for example where={decision.__name__}.column == "value".',
                origin=origin,
            )


@rule("check-kind", "error", "A check moves a feature in a way its kind does not allow.")
def check_kind(system: System) -> Iterator[Problem]:
    for check in system.checks:
        feature = system.features.get(check.feature)
        if feature is None or feature.kind is None:
            continue
        if check.kind in {"direction", "noise"} and feature.kind not in NUMBERS | {Kind.SPAN}:
            yield Problem(
                f"A check of {check.kind} adds to feature {check.feature!r}, which is {feature.kind}.",
                f"Use ms.Check.invariance({check.feature!r}, to=(...)).",
                origin=check.origin,
            )
        for value in check.to or ():
            if not _fits(value, feature.kind):
                yield Problem(
                    f"A check sets feature {check.feature!r} to {value!r}, and the feature is {feature.kind}.",
                    "Give values that the feature can have.",
                    origin=check.origin,
                )


def _fits(value: object, kind: Kind) -> bool:
    if kind is Kind.SPAN:  # a span is seconds once it is a feature
        kind = Kind.FLOAT
    try:
        literal = as_expression(value)
    except DeclarationError:
        return False
    return literal.kind is not None and FUNCTIONS["equal"].result(kind, literal.kind) is not None


@rule("class-weight", "error", "Class weights are given, and the label has no classes.")
def class_weight(system: System) -> Iterator[Problem]:
    if system.training.class_weight is not None and _task(system) == "regression":
        yield Problem(
            f"Training(class_weight={_shown(system.training.class_weight)}) weighs classes, and the label is a number.",
            "Leave class_weight out; half_life weighs rows by age.",
            origin=system.training.origin,
        )


def _shown(weights: object) -> str:
    return repr(weights) if isinstance(weights, str) else "..."
