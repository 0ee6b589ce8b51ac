"""The plan: which sorts and scans a set of expressions needs. One sort serves everything that reads a table by one key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mainspring.declare import Aggregate, Expression, Table, walk

__all__ = ["Plan", "Scan", "plan"]


@dataclass(frozen=True)
class Scan:
    """Every aggregate that reads one table by one key.

    `by` pairs the table's columns with those of the decision's row, `aggregates` maps the name of a computed column to
    what it holds.
    """

    table: type[Table]
    by: tuple[tuple[str, str], ...]
    aggregates: Mapping[str, Aggregate]

    @property
    def name(self) -> str:
        """The table and the key, in words: "arrival by tailnum"."""
        pairs = (theirs if theirs == ours else f"{theirs}={ours}" for theirs, ours in self.by)
        return self.table.__schema__.name + (f" by {', '.join(pairs)}" if self.by else "")


@dataclass(frozen=True)
class Plan:
    """How named expressions are computed as of decisions: scans first, then row by row from the scans' columns.

    `names` maps the fingerprint of each aggregate to the column that a scan computes for it.
    """

    expressions: Mapping[str, Expression]
    scans: tuple[Scan, ...]
    names: Mapping[str, str]

    def scans_of(self, expression: str) -> list[Scan]:
        """Return the scans that the named expression reads; none when it reads the decision's row alone."""
        used = {
            self.names[node.fingerprint] for node in walk(self.expressions[expression]) if isinstance(node, Aggregate)
        }
        return [scan for scan in self.scans if used & scan.aggregates.keys()]


def plan(expressions: Mapping[str, Expression]) -> Plan:
    """Plan named expressions; an aggregate that several of them use is computed once."""
    names: dict[str, str] = {}
    groups: dict[tuple[type[Table], tuple[tuple[str, str], ...]], dict[str, Aggregate]] = {}
    for expression in expressions.values():
        for node in walk(expression):
            if isinstance(node, Aggregate) and node.fingerprint not in names:
                if node.table is None:
                    raise ValueError(f"{node!r} reads no single table; the lint should have refused it")
                name = names[node.fingerprint] = f"_aggregate_{len(names)}"
                groups.setdefault((node.table, node.by), {})[name] = node
    scans = tuple(Scan(table, by, aggregates) for (table, by), aggregates in groups.items())
    return Plan(dict(expressions), scans, names)
