"""Rules about the label, and all that matures as it does: what it may read, and what may not read it."""

from __future__ import annotations

from collections.abc import Iterator

from mainspring.clock import parse_span
from mainspring.declare.expression import DecidedAt, Latest, Window, walk
from mainspring.declare.kind import NUMBERS, Kind
from mainspring.declare.label import Label
from mainspring.declare.lint.parts import aggregates, listed, origin_of, predictors, row_tables, shared_key
from mainspring.declare.lint.rule import Problem, rule
from mainspring.declare.system import System
from mainspring.declare.table import Table

__all__: list[str] = []


def _row_table(label: Label) -> type[Table] | None:
    """The one table a label of a row reads."""
    tables = row_tables([label.outcome])
    return next(iter(tables)) if len(tables) == 1 and not label.is_window else None


def _names_one_decision(system: System, pairs: tuple[tuple[str, str], ...]) -> bool:
    """Whether `by` covers the key of the decision's row, of which there is one for each decision."""
    keys = set(system.decision.table.__schema__.keys)
    return system.decision.every is None and bool(keys) and keys <= {ours for _, ours in pairs}


@rule("label-kind", "error", "The label is of a kind that cannot be predicted.")
def label_kind(system: System) -> Iterator[Problem]:
    outcome = system.label.outcome
    if outcome.kind in {Kind.TIME, Kind.TEXT, Kind.KEY}:
        yield Problem(
            f"The label {outcome!r} is {outcome.kind}.",
            "Make it a condition (yes/no), a number, or an ms.Category().",
            origin=system.label.origin,
        )


@rule("label-key", "error", "The label does not say by which key its row is found, or says it in the wrong place.")
def label_key(system: System) -> Iterator[Problem]:
    for who, label in system.outcomes.items():
        if label.is_window and label.by:
            yield Problem(
                f"{who} {label.outcome!r} finds its rows itself, and by={dict(label.by)!r} is not used.",
                "Give by to the aggregate alone.",
                origin=label.origin,
            )
        table = _row_table(label)
        if table is not None and not label.by:
            yield Problem(
                f"{who} takes the first row of {table.__name__} that comes, whatever it is about.",
                f'Say which row belongs to the decision: by="{shared_key(table, system.decision.table)}".',
                origin=label.origin,
            )


@rule("label-tables", "error", "The label is not read from the rows of one table.")
def label_tables(system: System) -> Iterator[Problem]:
    decision = system.decision.table
    for who, label in system.outcomes.items():
        tables = row_tables([label.outcome])
        if label.is_window:
            if others := [t.__name__ for t in tables if t is not decision]:
                yield Problem(
                    f"{who} reads a window and rows of {listed(others)}.",
                    "Read everything through aggregates, or everything from one row.",
                    origin=label.origin,
                )
        elif len(tables) != 1:
            yield Problem(
                f"{who} {label.outcome!r} reads {listed(t.__name__ for t in tables) if tables else 'no table'}.",
                "Read it from the one table whose row decides it; bring other columns into that table.",
                origin=label.origin,
            )
        if any(isinstance(node, DecidedAt) for node in walk(label.outcome)):
            yield Problem(
                f"{who} {label.outcome!r} uses ms.decided_at, which its rows do not know.",
                "Bring the time into the table that is read and subtract it there.",
                origin=label.origin,
            )


@rule("label-static", "error", "The label is read from a static table, so it is known before any decision.")
def label_static(system: System) -> Iterator[Problem]:
    for who, label in system.outcomes.items():
        table = _row_table(label)
        if table is not None and table.__schema__.static:
            yield Problem(
                f"{who} is read from {table.__name__}, which is static: known always, so never to be predicted.",
                "Read it from a table with an ms.KnownAt() that says when it came true.",
                origin=label.origin,
            )


@rule(
    "label-known", "error", "The label is read from the decision's own row, which is known when the decision is made."
)
def label_known(system: System) -> Iterator[Problem]:
    decision = system.decision.table
    for who, label in system.outcomes.items():
        reads = [(aggregate.table, aggregate.by) for aggregate in aggregates(label.outcome)]
        if any(
            table is decision and _names_one_decision(system, by)
            for table, by in [*reads, (_row_table(label), label.by)]
        ):
            yield Problem(
                f"{who} {label.outcome!r} is read from the row that the decision is about, which is known by then.",
                "Put what came true into a table of its own, with an ms.KnownAt() that says when it was known.",
                origin=label.origin,
            )


@rule("label-window", "warning", "The label's window begins before the decision.")
def label_window(system: System) -> Iterator[Problem]:
    for who, label in system.outcomes.items():
        for aggregate in aggregates(label.outcome):
            span = aggregate.over if isinstance(aggregate, Window) else getattr(aggregate, "within", None)
            if span is None or parse_span(span) > parse_span(label.within):
                back = f"looks back {span}" if span else "looks back without limit"
                yield Problem(
                    f"{who} {back} from {label.within} after the decision, so it counts what is known when deciding.",
                    f'Write {"within" if isinstance(aggregate, Latest) else "over"}="{label.within}".',
                    origin=label.origin,
                )


@rule("label-otherwise", "error", "What the label is when nothing came is not of the label's kind.")
def label_otherwise(system: System) -> Iterator[Problem]:
    for who, label in system.outcomes.items():
        given, kind = label.otherwise, label.outcome.kind
        if given is None or kind is None:
            continue
        fits = (
            isinstance(given, bool)
            if kind is Kind.BOOL
            else isinstance(given, int | float) and not isinstance(given, bool)
            if kind in NUMBERS | {Kind.SPAN}
            else isinstance(given, str)
        )
        if not fits:
            yield Problem(
                f"{who} is {kind}, and otherwise={given!r} is not.",
                {Kind.BOOL: "Write True or False.", Kind.CATEGORY: "Write the category in quotes."}.get(
                    kind, "Write a number."
                ),
                origin=label.origin,
            )


@rule("leak", "error", "A feature reads the label's table by the decision's own key: only the label itself is there.")
def leak(system: System) -> Iterator[Problem]:
    label = system.label
    tables = {a.table for a in aggregates(label.outcome)} if label.is_window else {_row_table(label)}
    tables -= {None, system.decision.table}
    for name, expression in predictors(system).items():
        for aggregate in aggregates(expression):
            if aggregate.table in tables and _names_one_decision(system, aggregate.by):
                yield Problem(
                    f"{name} reads {aggregate!r}: the row of {aggregate.table!r} with the decision's own key is the label.",
                    "It is missing in every decision that counts, or it is the answer. Read that table by a key that "
                    "other decisions share.",
                    origin=origin_of(aggregate, system),
                )
