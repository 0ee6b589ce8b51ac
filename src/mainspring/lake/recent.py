"""The lake for whoever reads its newest rows again and again: what was read is remembered, and only what came since is read.

A server commits every few seconds, so that the rows of some days lie in thousands of files, each of which takes milliseconds
to open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from mainspring.declare import Table
from mainspring.lake.iceberg import QUARANTINE_SUFFIX, SEQ, VISIBLE_AT
from mainspring.lake.lake import Lake, Mark

__all__ = ["RecentRows"]


@dataclass(frozen=True)
class _Kept:
    """Rows of a table that are visible after an instant, all that were stored by a mark."""

    first: int
    columns: frozenset[str]
    mark: Mark
    rows: pl.DataFrame


class RecentRows:
    """Reads the rows of a lake that became visible lately. For one thread.

    Guarantee: `read` returns what `Lake.read` would have at the first time that a table was read since `look_again`, or at any
    time since, bit for bit. Memory: the columns that were asked for of the rows that are visible after the earliest instant
    that was asked for since the last but one `look_again`.
    """

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._kept: dict[str, _Kept] = {}
        self._asked: dict[str, int] = {}  # by table: the earliest instant asked for since it was last looked at
        self._quarantines: dict[str, tuple[Mark, pl.DataFrame]] = {}
        self._looked_at: set[str] = set()  # tables and quarantines, by the names they are stored under

    def read(
        self, table: type[Table], *, columns: Sequence[str] | None = None, known_after: int | None, known_before: int
    ) -> pl.DataFrame:
        """Read the rows visible after one instant and before another (microseconds), as `Lake.read` does.

        Raises ContractError, WorkspaceError.
        """
        schema = table.__schema__
        if schema.known_at is None or known_after is None:  # whoever asks for all of it does so once
            return self.lake.read(table, columns=columns, known_after=known_after, known_before=known_before)
        names = [c.name for c in schema.columns if columns is None or c.name in columns]
        kept = self._caught_up(table, frozenset(names), known_after)
        self._asked[schema.name] = min(known_after, self._asked.get(schema.name, known_after))
        at = pl.col(VISIBLE_AT).to_physical()
        return kept.rows.filter((at > known_after) & (at < known_before)).select(*names, VISIBLE_AT, SEQ)

    def quarantine(self, table: type[Table]) -> pl.DataFrame:
        """Read the rejected rows of a table as `Lake.quarantine` does, again only where some came."""
        name = table.__schema__.name + QUARANTINE_SUFFIX
        if name not in self._looked_at:
            mark = self.lake.mark(name)
            if name not in self._quarantines or self._quarantines[name][0] != mark:
                self._quarantines[name] = mark, self.lake.quarantine(table)
            self._looked_at.add(name)
        return self._quarantines[name][1]

    def look_again(self) -> None:
        """See what has come since, from now on, and let go of rows that nobody has asked for since the last time."""
        self._looked_at.clear()
        for name, kept in list(self._kept.items()):
            first = self._asked.get(name)
            if first is None:
                del self._kept[name]
            elif first > kept.first:
                rows = kept.rows.filter(pl.col(VISIBLE_AT).to_physical() > first)
                self._kept[name] = _Kept(first, kept.columns, kept.mark, rows)
        self._asked = {}

    def _caught_up(self, table: type[Table], columns: frozenset[str], first: int) -> _Kept:
        name = table.__schema__.name
        kept = self._kept.get(name)
        enough = kept is not None and columns <= kept.columns and first >= kept.first
        if kept is not None and enough and name in self._looked_at:
            return kept
        mark = self.lake.mark(table)
        if kept is None or not enough or mark.revision != kept.mark.revision:
            if kept is not None:
                columns, first = columns | kept.columns, min(first, kept.first)
            rows = self.lake.read(table, mark.snapshot_id, list(columns), known_after=first)
        elif mark.commit == kept.mark.commit:
            rows, columns, first = kept.rows, kept.columns, kept.first
        else:
            columns, first = kept.columns, kept.first
            new = self.lake.read(table, mark.snapshot_id, list(columns), known_after=first, since=kept.mark)
            rows = pl.concat([kept.rows, new]).sort(VISIBLE_AT, SEQ)
        self._kept[name] = found = _Kept(first, columns, mark, rows)
        self._looked_at.add(name)
        return found
