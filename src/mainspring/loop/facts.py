"""Bring a system's history into the lake and read it back as of pinned snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from mainspring.declare import System, Table
from mainspring.declare.lint import TableFacts
from mainspring.errors import SourceError
from mainspring.lake import Ingested, Lake, read_source
from mainspring.loop.system_file import LoadedSystem

__all__ = ["Facts", "bring_in", "describe"]


@dataclass(frozen=True)
class Facts:
    """The rows of every table at pinned snapshots, what became of the rows given, and how many lie in quarantine."""

    frames: Mapping[str, pl.DataFrame]
    snapshots: Mapping[str, int]
    ingested: tuple[Ingested, ...]
    quarantined: Mapping[str, int]

    @property
    def rows(self) -> int:
        """All rows of all tables."""
        return sum(frame.height for frame in self.frames.values())


def bring_in(loaded: LoadedSystem, lake: Lake) -> Facts:
    """Ingest what the system's file calls its history, pin the snapshots and read them.

    Without a history the facts already in the lake are read. Raises SourceError, ContractError, WorkspaceError.
    """
    tables = loaded.system.tables
    ingested = []
    for table, source in _sources(loaded).items():
        ingested.append(lake.ingest(table, read_source(source, loaded.path.parent, table)))
    snapshots = lake.snapshots(tables)
    frames = {table.__schema__.name: lake.read(table, snapshots[table.__schema__.name]) for table in tables}
    quarantined = {table.__schema__.name: lake.quarantine(table).height for table in tables}
    return Facts(frames, snapshots, tuple(ingested), quarantined)


def describe(system: System, frames: Mapping[str, pl.DataFrame]) -> dict[str, TableFacts]:
    """Gather what the lint asks about a history."""
    return {table.__schema__.name: _table_facts(table, frames[table.__schema__.name]) for table in system.tables}


def _sources(loaded: LoadedSystem) -> dict[type[Table], Any]:
    history = loaded.history() if callable(loaded.history) else loaded.history
    if history is None:
        return {}
    if not isinstance(history, Mapping):
        raise SourceError(
            "SOURCE_FORMAT",
            f"history() in {loaded.path.name} returned {type(history).__name__}.",
            fix="Return a mapping from each table to its frame or files: {Trip: ms.csv('trips.csv')}.",
        )
    tables = loaded.system.tables
    missing = [table.__name__ for table in tables if table not in history]
    if missing:
        given = ", ".join(getattr(table, "__name__", str(table)) for table in history)
        raise SourceError(
            "SOURCE_EMPTY",
            f"history in {loaded.path.name} has nothing for {', '.join(missing)}.",
            exists=f"It has {given}." if given else "It is empty.",
            fix="Add an entry for each table that the system reads.",
        )
    return {table: history[table] for table in tables}


def _table_facts(table: type[Table], frame: pl.DataFrame) -> TableFacts:
    schema = table.__schema__
    known = frame["_visible_at"].to_physical().drop_nulls()
    names = [column.name for column in schema.columns]
    distinct = frame.select(pl.col(names).drop_nulls().n_unique()).row(0, named=True) if names else {}
    duplicates = frame.height - frame.select(schema.keys).n_unique() if schema.keys and frame.height else 0
    first, last = known.min(), known.max()
    return TableFacts(
        rows=frame.height,
        first_known=int(first) if isinstance(first, int) else None,
        last_known=int(last) if isinstance(last, int) else None,
        distinct=distinct,
        duplicate_keys=duplicates,
    )
