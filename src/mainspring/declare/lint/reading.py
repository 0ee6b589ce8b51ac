"""Rules about reading: which rows an expression may see, and from where."""

from __future__ import annotations

from collections.abc import Iterator

from mainspring.clock import parse_span
from mainspring.declare.column import Column
from mainspring.declare.expression import Aggregate, DecidedAt, Latest, Window, walk
from mainspring.declare.kind import Kind
from mainspring.declare.lint.parts import (
    aggregates,
    listed,
    origin_of,
    predictors,
    row_parts,
    row_tables,
    shared_key,
)
from mainspring.declare.lint.rule import Problem, rule
from mainspring.declare.system import System

__all__: list[str] = []

_CHANGING = {
    "as_of", "changed", "changed_at", "date", "effective_from", "effective_to", "modified", "modified_at", "timestamp",
    "updated", "updated_at", "valid_from", "valid_to", "valid_until",
}  # fmt: skip


@rule("decision-time", "error", "The decision time is not a time that the decision's own row tells.")
def decision_time(system: System) -> Iterator[Problem]:
    at, table = system.decision.at, system.decision.table
    if at is None:
        return
    origin = system.decision.origin
    fix = f'Write a time of {table.__name__}, moved by a span if need be: {table.__name__}.time - "2h".'
    if at.kind not in {Kind.TIME, None}:
        yield Problem(f"The decision time {at!r} is {at.kind} and not a time.", fix, origin=origin)
    if others := [t.__name__ for t in row_tables([at]) if t is not table]:
        yield Problem(f"The decision time {at!r} reads {listed(others)}.", fix, origin=origin)
    if any(isinstance(node, Aggregate) for node in walk(at)):
        yield Problem(f"The decision time {at!r} depends on other rows.", fix, origin=origin)
    if any(isinstance(node, DecidedAt) for node in walk(at)):
        yield Problem("The decision time is made from ms.decided_at, which is itself.", fix, origin=origin)


@rule("no-aggregate", "error", "A feature reads a column of another table without saying which of its rows.")
def no_aggregate(system: System) -> Iterator[Problem]:
    decision = system.decision.table
    for name, expression in predictors(system).items():
        for node in row_parts(expression):
            if isinstance(node, Column) and node.table is not decision:
                by = shared_key(node.table, decision)
                within = "" if node.table.__schema__.static else ', within="1d"'
                yield Problem(
                    f"{name} reads {node!r}, but a decision is about one row of {decision.__name__}.",
                    f'Say which row, for example {node!r}.latest(by="{by}"{within}).',
                    origin=origin_of(expression, system),
                )


@rule("nested-aggregate", "error", "A window or a latest value is taken of another one.")
def nested_aggregate(system: System) -> Iterator[Problem]:
    for name, expression in system.expressions.items():
        for outer in aggregates(expression):
            for part in outer.children:
                for inner in aggregates(part):
                    yield Problem(
                        f"{name} takes {inner!r} inside {outer!r}.",
                        "A row of a table knows its own columns alone: make two features, or combine the two outside.",
                        origin=outer.origin,
                    )


@rule("mixed-tables", "error", "One window or latest value reads rows of several tables.")
def mixed_tables(system: System) -> Iterator[Problem]:
    for name, expression in system.expressions.items():
        for aggregate in aggregates(expression):
            tables = row_tables(aggregate.children)
            if len(tables) > 1 and system.decision.table not in tables:
                yield Problem(
                    f"{name} reads {listed(t.__name__ for t in tables)} in one aggregate: {aggregate!r}.",
                    "Take one aggregate of each table and combine them outside.",
                    origin=aggregate.origin,
                )


@rule("decision-in-aggregate", "error", "A column of the decision's row is used inside an aggregate of another table.")
def decision_in_aggregate(system: System) -> Iterator[Problem]:
    decision = system.decision.table
    for name, expression in system.expressions.items():
        for aggregate in aggregates(expression):
            tables = row_tables(aggregate.children)
            if len(tables) > 1 and decision in tables:
                others = listed(t.__name__ for t in tables if t is not decision)
                yield Problem(
                    f"{name} compares rows of {others} with the decision's own row inside {aggregate!r}.",
                    f"Match rows with by=..., or use {decision.__name__}'s columns outside the aggregate.",
                    origin=aggregate.origin,
                )


@rule("time-in-aggregate", "error", "The decision time is used inside an aggregate, where there are only rows.")
def time_in_aggregate(system: System) -> Iterator[Problem]:
    for name, expression in system.expressions.items():
        for aggregate in aggregates(expression):
            if any(isinstance(node, DecidedAt) for part in aggregate.children for node in walk(part)):
                yield Problem(
                    f"{name} uses ms.decided_at inside {aggregate!r}.",
                    "Use it outside: ms.decided_at - Table.time.latest(by=...).",
                    origin=aggregate.origin,
                )


@rule("static-window", "error", "A static table is read as if its rows became known at some time.")
def static_window(system: System) -> Iterator[Problem]:
    for name, expression in system.expressions.items():
        for aggregate in aggregates(expression):
            table = aggregate.table
            spanned = isinstance(aggregate, Window) or (isinstance(aggregate, Latest) and aggregate.within is not None)
            if table is not None and table.__schema__.static and spanned:
                yield Problem(
                    f"{name} looks back over a span of {table.__name__}, which is static: its rows are known always.",
                    f"Write .latest(by=...) without a span, or give {table.__name__} an ms.KnownAt().",
                    origin=aggregate.origin,
                )


@rule("static-changes", "warning", "A static table has a time, so its rows probably change.")
def static_changes(system: System) -> Iterator[Problem]:
    for table in system.tables:
        schema = table.__schema__
        times = [c.name for c in schema.columns if c.kind is Kind.TIME or c.name.lower() in _CHANGING]
        if schema.static and times:
            yield Problem(
                f"Table {table.__name__} is static, but {listed(times)} looks as if its rows change.",
                "If they do, training would see values from the future: leave static=True out and declare "
                f"{times[0]} = ms.KnownAt().",
                origin=schema.origin,
            )


@rule("unbounded-latest", "note", "A latest value may be of any age.")
def unbounded_latest(system: System) -> Iterator[Problem]:
    for name, expression in predictors(system).items():
        for aggregate in aggregates(expression):
            table = aggregate.table
            if isinstance(aggregate, Latest) and aggregate.within is None and table and not table.__schema__.static:
                yield Problem(
                    f"{name} takes {aggregate!r} however old it is.",
                    'Say how old it may be, for example within="3h"; it is missing after that.',
                    origin=aggregate.origin,
                )


@rule("long-window", "warning", "A feature looks back further than the span a model is trained on.")
def long_window(system: System) -> Iterator[Problem]:
    windows = [system.training.window, *(system.retrain.windows if system.retrain else ())]
    trained_on = min((window for window in windows if window), key=parse_span, default=None)
    for name, expression in predictors(system).items():
        for aggregate in aggregates(expression):
            if trained_on and isinstance(aggregate, Window) and parse_span(aggregate.over) > parse_span(trained_on):
                yield Problem(
                    f"{name} looks back {aggregate.over}, further than the {trained_on} a model is trained on.",
                    "It hardly changes within the training data: shorten over, or widen the training window.",
                    origin=aggregate.origin,
                )
