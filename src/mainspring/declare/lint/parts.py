"""The parts of a system that rules walk over, and how messages speak of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from mainspring.declare.column import Column, UnknownColumn
from mainspring.declare.expression import Aggregate, Expression, Literal, walk
from mainspring.declare.kind import Kind
from mainspring.declare.system import System
from mainspring.declare.table import Table
from mainspring.errors import Origin

__all__ = [
    "aggregates", "columns_of", "listed", "origin_of", "predictors", "row_parts", "row_tables", "shared_key",
    "suggested",
]  # fmt: skip


def predictors(system: System) -> dict[str, Expression]:
    """What is computed as of the decision: the features and the heuristic, by the name a reader knows them by."""
    found = {f"feature {name!r}": expression for name, expression in system.features.items()}
    return found if system.heuristic is None else {**found, "the heuristic": system.heuristic}


def row_parts(expression: Expression) -> Iterator[Expression]:
    """Every node that is outside all aggregates: what is read from one row."""
    if isinstance(expression, Aggregate):
        return
    yield expression
    for child in expression.children:
        yield from row_parts(child)


def aggregates(expression: Expression) -> Iterator[Aggregate]:
    """Every aggregate, nested ones included."""
    return (node for node in walk(expression) if isinstance(node, Aggregate))


def row_tables(parts: Iterable[Expression]) -> dict[type[Table], None]:
    """The tables whose columns expressions read from a row, aggregates left out, in order of appearance."""
    return {
        node.table: None
        for part in parts
        for node in row_parts(part)
        if isinstance(node, Column | UnknownColumn) and node.table is not None
    }


def origin_of(expression: Expression, system: System) -> Origin | None:
    """The user's line; a bare column or constant has its line elsewhere, so the system's stands for it."""
    return system.origin if isinstance(expression, Column | Literal) else expression.origin


def columns_of(table: type[Table]) -> str:
    """A sentence that lists what a table has."""
    return f"{table.__name__} has {listed(column.name for column in table.__schema__.columns)}."


def listed(names: Iterable[str]) -> str:
    """Names with commas and a final "and"."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def suggested(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant."""
    return next(iter(get_close_matches(name, list(names), n=1)), None)


def shared_key(table: type[Table], decision: type[Table]) -> str:
    """A column of both tables by which rows can be found: a key if there is one."""
    shared = [column for column in table.__schema__.columns if decision.__schema__.column(column.name) is not None]
    keys = [column.name for column in shared if column.kind is Kind.KEY]
    categories = [column.name for column in shared if column.kind is Kind.CATEGORY]
    return next(iter(keys + categories), "key")
