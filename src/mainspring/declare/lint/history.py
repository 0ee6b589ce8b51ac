"""Rules that compare a declaration with the history it is to learn from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mainspring.clock import format_instant, format_span, parse_instant, parse_span
from mainspring.declare.column import Column
from mainspring.declare.expression import Latest, Window, walk
from mainspring.declare.lint.parts import aggregates, origin_of, predictors
from mainspring.declare.lint.rule import Problem, TableFacts, history_rule
from mainspring.declare.system import System
from mainspring.declare.table import Table

__all__: list[str] = []

Facts = Mapping[str, TableFacts]


def _span(facts: Facts, *names: str) -> tuple[int, int] | None:
    """The first and the last instant at which anything in these tables (default: in any) was known."""
    chosen = [facts[name] for name in names or facts if name in facts]
    firsts = [f.first_known for f in chosen if f.first_known is not None]
    lasts = [f.last_known for f in chosen if f.last_known is not None]
    return (min(firsts), max(lasts)) if firsts and lasts else None


def _words(span: tuple[int, int]) -> str:
    hours = (span[1] - span[0]) // 3_600_000_000 * 3_600_000_000  # to the hour, or seconds would clutter the sentence
    length = format_span(hours or span[1] - span[0])
    return f"from {format_instant(span[0])} to {format_instant(span[1])} ({length})"


@history_rule("empty-table", "error", "A table that the system reads has no facts.")
def empty_table(system: System, facts: Facts) -> Iterator[Problem]:
    for table in system.tables:
        if table.__schema__.name not in facts or facts[table.__schema__.name].rows == 0:
            yield Problem(
                f"Table {table.__name__} has no facts.",
                f"Give its rows in history, under {table.__name__}.",
                origin=table.__schema__.origin,
            )


@history_rule(
    "window-beyond-history", "warning", "A window is longer than the history of its table, so it is never full."
)
def window_beyond_history(system: System, facts: Facts) -> Iterator[Problem]:
    for name, expression in predictors(system).items():
        for aggregate in aggregates(expression):
            table: type[Table] | None = aggregate.table
            over = (
                aggregate.over
                if isinstance(aggregate, Window)
                else aggregate.within
                if isinstance(aggregate, Latest)
                else None
            )
            known = _span(facts, table.__schema__.name) if table is not None else None
            if table is None or over is None or known is None or parse_span(over) <= known[1] - known[0]:
                continue
            yield Problem(
                f"{name} looks back {over}, longer than the history of {table.__name__}.",
                "Shorten it, or bring more history.",
                f"{table.__name__} is known {_words(known)}.",
                origin_of(aggregate, system),
            )


@history_rule("horizon-beyond-history", "error", "The label takes longer to come true than the history lasts.")
def horizon_beyond_history(system: System, facts: Facts) -> Iterator[Problem]:
    known = _span(facts)
    if known is not None and parse_span(system.label.within) >= known[1] - known[0]:
        yield Problem(
            f"The label needs {system.label.within} after each decision, and the history is no longer than that.",
            "Shorten within, or bring more history.",
            f"History is known {_words(known)}.",
            system.label.origin,
        )


@history_rule(
    "label-table-ends-early",
    "warning",
    "The label's table stops before the others, so `otherwise` stands in for rows to come.",
)
def label_table_ends_early(system: System, facts: Facts) -> Iterator[Problem]:
    read = {node.table for node in walk(system.label.outcome) if isinstance(node, Column) and node.table is not None}
    known, of_label = _span(facts), _span(facts, *(table.__schema__.name for table in read)) if read else None
    waits = system.label.otherwise is not None or system.label.is_window
    if (
        waits
        and known is not None
        and of_label is not None
        and known[1] - of_label[1] > parse_span(system.label.within)
    ):
        yield Problem(
            f"The history goes on after the last row that could decide a label: labels after that are all "
            f"{'empty windows' if system.label.is_window else repr(system.label.otherwise)}.",
            "Bring the rest of that table, or end the others with it.",
            f"{' and '.join(sorted(table.__name__ for table in read))} is known {_words(of_label)}, everything {_words(known)}.",
            system.label.origin,
        )


@history_rule("static-duplicates", "error", "A static table has several rows for one key.")
def static_duplicates(system: System, facts: Facts) -> Iterator[Problem]:
    for table in system.tables:
        repeated = facts[table.__schema__.name].duplicate_keys if table.__schema__.name in facts else 0
        if table.__schema__.static and repeated:
            yield Problem(
                f"Table {table.__name__} is static and has {repeated:,} rows whose key another row has.",
                "Keep one row for each key; or if its rows change, leave static=True out and say when each was known.",
                f"Its key is {', '.join(table.__schema__.keys)}.",
                table.__schema__.origin,
            )


@history_rule("test-beyond-history", "error", "The test part begins outside the history.")
def test_beyond_history(system: System, facts: Facts) -> Iterator[Problem]:
    known, test = _span(facts), system.training.test
    if known is not None and isinstance(test, str) and not known[0] < parse_instant(test) < known[1]:
        yield Problem(
            f"The test part begins {test}, outside the history.",
            "Choose an instant inside it, or the newest share of the decisions: test=0.25.",
            f"History is known {_words(known)}.",
            system.training.origin,
        )


@history_rule("training-beyond-history", "warning", "The training window is longer than the history.")
def training_beyond_history(system: System, facts: Facts) -> Iterator[Problem]:
    known = _span(facts)
    windows = [("Training", system.training.window, system.training.origin)]
    if system.retrain is not None:
        windows += [("Retrain", window, system.retrain.origin) for window in system.retrain.windows]
    for who, window, origin in windows:
        if known is not None and window is not None and parse_span(window) > known[1] - known[0]:
            yield Problem(
                f"{who}(window={window!r}) is longer than the history, so it cuts nothing off.",
                "Shorten it, leave it out, or bring more history.",
                f"History is known {_words(known)}.",
                origin,
            )


@history_rule("constant-column", "warning", "A column that a feature reads has no more than one value in the history.")
def constant_column(system: System, facts: Facts) -> Iterator[Problem]:
    read: dict[Column, str] = {}
    for name, expression in predictors(system).items():
        for node in walk(expression):
            if isinstance(node, Column):
                read.setdefault(node, name)
    for column, name in read.items():
        of_table = facts.get(column.table.__schema__.name)
        values = of_table.distinct.get(column.name) if of_table is not None and of_table.rows else None
        if values is not None and values <= 1:
            yield Problem(
                f"{name} reads {column!r}, which {'is always missing' if values == 0 else 'has one value alone'}.",
                "Look at the data, or drop the column.",
                origin=column.origin,
            )
