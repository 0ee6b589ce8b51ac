"""Rules about kinds: operations, statistics and features whose values do not fit."""

from __future__ import annotations

from collections.abc import Iterator

from mainspring.declare.column import Column, Time, UnknownColumn
from mainspring.declare.estimator import Sklearn
from mainspring.declare.expression import Call, DecidedAt, Expression, Window, walk
from mainspring.declare.kind import FUNCTIONS, NUMBERS, ORDERED, STRINGS, TIME_PARTS, Kind
from mainspring.declare.lint.parts import aggregates, listed, origin_of, suggested
from mainspring.declare.lint.rule import Problem, rule
from mainspring.declare.system import System

__all__: list[str] = []

_ADVICE = (
    ({"and", "or", "not"}, "A condition is made by ==, <, .is_in(...), .is_missing() and the like."),
    (set(TIME_PARTS), "Only a time has parts; a difference of times becomes a number by .minutes() or .hours()."),
    ({"seconds", "minutes", "hours", "days"}, "Subtract one time from another first, for example ms.decided_at - it."),
    ({"length"}, "Only text has a length."),
)


@rule("wrong-kind", "error", "An operation was given values of kinds it cannot take.")
def wrong_kind(system: System) -> Iterator[Problem]:
    for name, expression in system.expressions.items():
        for node in walk(expression):
            kinds = [child.kind for child in node.children]
            if isinstance(node, Call) and node.kind is None and None not in kinds:
                yield Problem(
                    f"{name} cannot compute {node!r}.",
                    _advice(node.function, kinds),
                    f"{node.function!r} takes {FUNCTIONS[node.function].takes}, and was given {listed(map(str, kinds))}.",
                    node.origin,
                )


def _advice(function: str, kinds: list[Kind | None]) -> str:
    special = next((advice for functions, advice in _ADVICE if function in functions), None)
    if special is None and Kind.BOOL in kinds and NUMBERS & set(kinds):
        special = "Turn the condition into a number: ms.where(condition, 1).otherwise(0)."
    return special or "Change what it is combined with, or how the column is declared."


@rule("unknown-zone", "error", "A time zone is not in the IANA time zone database.")
def unknown_zone(system: System) -> Iterator[Problem]:
    named = [
        (f"{name} uses", node.zone, node.origin)
        for name, expression in system.expressions.items()
        for node in walk(expression)
        if isinstance(node, Call) and node.zone is not None
    ]
    named += [
        (f"{column!r} is declared with", column.zone, column.origin)
        for table in system.tables
        for column in table.__schema__.columns
        if isinstance(column, Time) and column.zone is not None
    ]
    for who, zone, origin in named:
        if not _is_zone(zone):
            from zoneinfo import available_timezones

            meant = suggested(zone, sorted(available_timezones())) or "Europe/Berlin"
            yield Problem(
                f"{who} the time zone {zone!r}, which does not exist.",
                f"Write {meant!r} or another name of the IANA database.",
                origin=origin,
            )


def _is_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo  # only where a zone is named: it reads the database

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


@rule("window-kind", "error", "A statistic of a window was asked of values it cannot be computed from.")
def window_kind(system: System) -> Iterator[Problem]:
    needs: dict[str, tuple[frozenset[Kind], str]] = {
        **dict.fromkeys(("sum", "mean", "std"), (NUMBERS, "numbers")),
        **dict.fromkeys(("min", "max"), (ORDERED, "numbers, times or spans")),
        "share": (frozenset({Kind.BOOL}), "a condition"),
    }
    for name, expression in system.expressions.items():
        for window in aggregates(expression):
            if not isinstance(window, Window) or window.row.kind is None:
                continue
            allowed, words = needs.get(window.statistic, (frozenset(Kind), ""))
            if window.row.kind not in allowed:
                yield Problem(
                    f"{name} asks for the {window.statistic} of {window.row!r}, which is {window.row.kind}.",
                    "Ask for .share(...) of a condition." if window.row.kind is Kind.BOOL
                    else "Compare it with something: (column == value).share(...)." if window.statistic == "share"
                    else "Use .count(...), .distinct(...), .first(...) or .latest(...), or turn it into a number.",
                    f"A {window.statistic} needs {words}.",
                    window.origin,
                )  # fmt: skip


@rule("where-kind", "error", "The `where` of a window or a latest value is not a condition.")
def where_kind(system: System) -> Iterator[Problem]:
    for name, expression in system.expressions.items():
        for aggregate in aggregates(expression):
            condition = aggregate.where
            if condition is not None and condition.kind not in {Kind.BOOL, None}:
                yield Problem(
                    f"{name} keeps rows where={condition!r}, which is {condition.kind} and not a condition.",
                    "Compare it with something, for example where=column > 0.",
                    origin=origin_of(aggregate, system),
                )


@rule("time-feature", "error", "A feature is a time, which no model can learn from.")
def time_feature(system: System) -> Iterator[Problem]:
    for name, expression in system.features.items():
        if expression.kind is Kind.TIME:
            yield Problem(
                f"Feature {name!r} is a time ({expression!r}), and times never come back.",
                "Use a part of it, such as .hour(zone) or .weekday(zone), or how long ago it was: "
                "(ms.decided_at - it).hours().",
                origin=origin_of(expression, system),
            )


@rule("text-feature", "error", "A feature is free text and the model does not take text.")
def text_feature(system: System) -> Iterator[Problem]:
    if isinstance(system.model, Sklearn) and system.model.inputs == "frame":
        return
    for name, expression in system.features.items():
        if expression.kind is Kind.TEXT:
            yield Problem(
                f"Feature {name!r} is free text ({expression!r}), which {type(system.model).__name__} cannot read.",
                'Use .length() or a condition on it, declare the column as ms.Category(), or give a pipeline that reads '
                'text: ms.Sklearn(pipeline, inputs="frame").',
                origin=origin_of(expression, system),
            )  # fmt: skip


@rule("constant-feature", "warning", "A feature reads no column, so it is the same for every decision.")
def constant_feature(system: System) -> Iterator[Problem]:
    for name, expression in system.features.items():
        if not any(isinstance(node, Column | UnknownColumn | DecidedAt) for node in walk(expression)):
            yield Problem(
                f"Feature {name!r} is always {expression!r}.",
                "Drop it, or compute it from a column.",
                origin=origin_of(expression, system),
            )


@rule("heuristic-kind", "error", "The heuristic does not answer the question the label asks.")
def heuristic_kind(system: System) -> Iterator[Problem]:
    rule_of_thumb: Expression | None = system.heuristic
    if rule_of_thumb is None or rule_of_thumb.kind is None or system.label.outcome.kind is None:
        return
    allowed, words = {
        "binary": (NUMBERS | {Kind.BOOL}, "a condition, or a number that grows with how likely yes is"),
        "regression": (NUMBERS | {Kind.SPAN}, "a number"),
        "multiclass": (STRINGS, "a category"),
    }[system.label.task]
    if rule_of_thumb.kind not in allowed:
        yield Problem(
            f"The heuristic {rule_of_thumb!r} is {rule_of_thumb.kind}, and the label is {system.label.task}.",
            f"Make it {words}.",
            origin=origin_of(rule_of_thumb, system),
        )


@rule("column-limits", "error", "A column that is neither a number nor text has a lower or an upper limit.")
def column_limits(system: System) -> Iterator[Problem]:
    for table in system.tables:
        for column in table.__schema__.columns:
            limited = column.ge is not None or column.le is not None
            if limited and column.kind not in NUMBERS | STRINGS:
                yield Problem(
                    f"{column!r} is {column.kind} and has a limit.",
                    "Leave ge and le out.",
                    "Limits are for numbers and for the length of text.",
                    column.origin,
                )


@rule("unit-mismatch", "warning", "Values of different units are added, compared or chosen between.")
def unit_mismatch(system: System) -> Iterator[Problem]:
    for name, expression in system.expressions.items():
        for node in walk(expression):
            if not isinstance(node, Call) or node.kind is None:
                continue
            values = node.arguments[1:] if node.function == "where" else node.arguments
            units = dict.fromkeys(value.unit for value in values if value.unit)
            if len(units) > 1 and (FUNCTIONS[node.function].same_unit or node.function == "where"):
                yield Problem(
                    f"{name} combines {listed(units)} in {node!r}.",
                    "Multiply one side by the factor between them, or correct a column's unit.",
                    origin=node.origin,
                )
