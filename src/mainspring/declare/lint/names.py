"""Rules about names: columns, keys, features and tables that do not exist or exist twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mainspring.declare.column import UnknownColumn
from mainspring.declare.expression import walk
from mainspring.declare.kind import FUNCTIONS
from mainspring.declare.lint.parts import aggregates, columns_of, listed, predictors, suggested
from mainspring.declare.lint.rule import Problem, rule
from mainspring.declare.system import System
from mainspring.declare.table import Table
from mainspring.errors import Origin

__all__: list[str] = []


@rule("unknown-column", "error", "An expression reads a column that its table does not have.")
def unknown_column(system: System) -> Iterator[Problem]:
    for name, expression in system.expressions.items():
        for node in walk(expression):
            if isinstance(node, UnknownColumn):
                known = [column.name for column in node.table.__schema__.columns]
                meant = suggested(node.name, known)
                yield Problem(
                    f"{name} reads {node!r}, which does not exist.",
                    f"Write {node.table.__name__}.{meant}." if meant else "Correct the name, or declare the column.",
                    columns_of(node.table),
                    node.origin,
                )


def _keys(system: System) -> Iterator[tuple[str, type[Table], str, str, Origin | None]]:
    """Every pair of key columns: for what, the fact table, its column, the decision's column, the line."""
    for name, expression in {**predictors(system), **{w: each.outcome for w, each in system.outcomes.items()}}.items():
        for aggregate in aggregates(expression):
            if aggregate.table is not None:
                for theirs, ours in aggregate.by:
                    yield name, aggregate.table, theirs, ours, aggregate.origin
    for who, label in system.outcomes.items():
        table = next((node.table for node in walk(label.outcome) if hasattr(node, "table")), None)
        if table is not None:
            for theirs, ours in label.by:
                yield who, table, theirs, ours, label.origin


@rule(
    "unknown-key", "error", "A column named in `by` is missing in the table that is read, or in the decision's table."
)
def unknown_key(system: System) -> Iterator[Problem]:
    decision = system.decision.table
    for name, table, theirs, ours, origin in _keys(system):
        misspelt = theirs == ours and table.__schema__.column(theirs) is None
        for side, column, of_facts in ((table, theirs, True), (decision, ours, False)):
            if side.__schema__.column(column) is None and (of_facts or not misspelt):
                meant = suggested(column, [c.name for c in side.__schema__.columns])
                mapping = {meant or "...": ours} if of_facts else {theirs: meant or "..."}
                yield Problem(
                    f"{name} finds rows of {table.__name__} by {column!r}, which {side.__name__} does not have.",
                    f"Write by={meant!r}." if misspelt and meant else f"Name the column on both sides: by={mapping!r}.",
                    columns_of(side),
                    origin,
                )


@rule("key-kinds", "error", "The two columns that `by` pairs hold values that can never be equal.")
def key_kinds(system: System) -> Iterator[Problem]:
    for name, table, theirs, ours, origin in _keys(system):
        left, right = table.__schema__.column(theirs), system.decision.table.__schema__.column(ours)
        if left is not None and right is not None and FUNCTIONS["equal"].result(left.kind, right.kind) is None:
            yield Problem(
                f"{name} pairs {left!r} ({left.kind}) with {right!r} ({right.kind}), which are never equal.",
                "Declare both columns as the same kind, for example ms.Key().",
                origin=origin,
            )


@rule("unknown-feature", "error", "A check or a group names a feature that is not declared.")
def unknown_feature(system: System) -> Iterator[Problem]:
    named = [(f"The check {check.name!r}", check.feature, check.origin) for check in system.checks]
    named += [(f"The group {group!r}", f, system.origin) for group, names in system.groups.items() for f in names]
    for who, feature, origin in named:
        if feature not in system.features:
            meant = suggested(feature, system.features)
            yield Problem(
                f"{who} names the feature {feature!r}, which does not exist.",
                f"Write {meant!r}." if meant else "Correct the name, or declare the feature.",
                f"There is {listed(system.features)}.",
                origin,
            )


@rule("grouped-twice", "error", "A feature is in two groups, so that leaving one group out would not leave it out.")
def grouped_twice(system: System) -> Iterator[Problem]:
    counts = Counter(feature for names in system.groups.values() for feature in names)
    for feature, count in counts.items():
        if count > 1:
            groups = [group for group, names in system.groups.items() if feature in names]
            yield Problem(
                f"Feature {feature!r} is named {count} times in groups ({listed(groups)}).",
                "Keep it in one group.",
                origin=system.origin,
            )


@rule("table-name", "error", "Two tables have the same name once it is written in snake_case.")
def table_name(system: System) -> Iterator[Problem]:
    first: dict[str, type[Table]] = {}
    for table in system.tables:
        other = first.setdefault(table.__schema__.name, table)
        if other is not table:
            yield Problem(
                f"Tables {other.__name__} and {table.__name__} would both be stored as {table.__schema__.name!r}.",
                "Rename one of the classes.",
                origin=table.__schema__.origin,
            )


_OURS = frozenset({"predictions", "outcomes"})  # what a server keeps beside the facts
_OUR_ENDING = "_quarantine"  # where the rejected rows of a table lie


@rule("reserved-table", "error", "A table has a name under which Mainspring keeps tables of its own.")
def reserved_table(system: System) -> Iterator[Problem]:
    for table in system.tables:
        name = table.__schema__.name
        if name in _OURS or name.endswith(_OUR_ENDING):
            yield Problem(
                f"Table {table.__name__} would be stored as {name!r}, where Mainspring keeps rows of its own.",
                "Rename the class.",
                f"Taken are {listed(sorted(_OURS))}, and every name that ends with {_OUR_ENDING}.",
                table.__schema__.origin,
            )


@rule("same-feature", "note", "Two features have the same expression.")
def same_feature(system: System) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for name, expression in system.features.items():
        other = first.setdefault(expression.fingerprint, name)
        if other != name:
            yield Problem(
                f"Features {other!r} and {name!r} are the same: {expression!r}.", "Drop one.", origin=system.origin
            )
