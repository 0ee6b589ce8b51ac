"""What is known of the tables of a lake without reading them anew: totals from their snapshots, days and lags from what came since.

A server commits every few seconds, and a year of facts is some hundred thousand rows. So totals are those that Iceberg's
snapshots tell, and of rows only their times are read, of the last ninety days, each once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mainspring.clock import DAY
from mainspring.declare import Table, TableSchema
from mainspring.lake import Lake
from mainspring.lake.iceberg import SEQ, VISIBLE_AT
from mainspring.lake.stored import Mark, Stored
from mainspring.serving.sink import OUTCOMES_TABLE, PREDICTIONS_TABLE
from mainspring.web.source import Source

__all__ = [
    "DAYS",
    "OWN",
    "FactTable",
    "Rejected",
    "TableDays",
    "days_known",
    "fact_tables",
    "rejected_known",
    "tables_beyond",
]

DAYS = 90
"""How many days of a table are looked at, today included."""
OWN = (PREDICTIONS_TABLE, OUTCOMES_TABLE)
"""What a server writes into the lake itself."""
_SLACK = 7 * DAY

Instants = NDArray[np.int64]


class FactTable(NamedTuple):
    """A table and what its newest snapshots tell: `stored` None where it holds no fact, `rejected` None where none was rejected."""

    table: type[Table]
    stored: Stored | None
    rejected: Stored | None

    @property
    def schema(self) -> TableSchema:
        return self.table.__schema__

    @property
    def own(self) -> bool:
        return self.table in OWN


class TableDays(NamedTuple):
    """The rows of a table by day (UTC) on which they became visible, the oldest first, up to an instant.

    `days` are numbers since the epoch. Lags are microseconds from known_at until a row was visible: None without rows.
    `newest` is the newest known_at of a row that is visible, None where none came in these days; `ahead` counts the rows that
    become visible later than the instant.
    """

    days: list[int]
    rows: list[int]
    median: list[float | None]
    worst: list[float | None]
    newest: int | None
    ahead: int

    @property
    def lag(self) -> tuple[float, float] | None:
        """The median of the days' medians, and the worst lag of all."""
        medians = [each for each in self.median if each is not None]
        return (float(np.median(medians)), max(each for each in self.worst if each is not None)) if medians else None

    def last(self, days: int) -> TableDays:
        """The last of the days only."""
        return self._replace(
            days=self.days[-days:], rows=self.rows[-days:], median=self.median[-days:], worst=self.worst[-days:]
        )


class Rejected(NamedTuple):
    """The rejected rows of a table: how many by sentence, the most frequent first, and a page of them, the newest first."""

    counts: dict[tuple[str, str], int]  # reason and sentence
    matching: int
    page: pl.DataFrame


def fact_tables(source: Source, only: str | None = None) -> Iterator[FactTable]:
    """Give the tables of the system, then the server's own; or only the one with a name."""
    lake = source.lake
    for table in (*source.system.tables, *OWN):
        if only in (None, table.__schema__.name):
            yield FactTable(table, lake.stored(table), lake.rejected(table))


def days_known(source: Source, found: FactTable, now: int) -> TableDays | None:
    """Return the days of a table up to an instant; None for a static table, whose rows are known always, and an empty one."""
    if found.schema.known_at is None or found.stored is None:
        return None
    times = source.once("times of facts", None, lambda: _Times(source.lake))
    first = now // DAY - DAYS + 1
    return times.days(found, first, now)


def rejected_known(source: Source, found: FactTable, sentence: str | None, offset: int, limit: int) -> Rejected:
    """Return the rejected rows of a table, those with one sentence or all; only those of the page are read."""
    reasons = source.once("reasons of rejected rows", None, lambda: _Reasons(source.lake))
    rows = reasons.of(found)
    counted = rows.group_by("reason", "sentence").len().sort("len", "sentence", descending=[True, False])
    counts = {(reason, told): number for reason, told, number in counted.iter_rows()}
    chosen = rows[SEQ] if sentence is None else rows.filter(pl.col("sentence") == sentence)[SEQ]
    seqs = chosen.reverse().slice(offset, limit)
    name = found.schema.name
    page = source.once(f"rejected rows of {name}", seqs.to_list(), lambda: _page(source.lake, name, seqs))
    return Rejected(counts, len(chosen), page)


def _page(lake: Lake, name: str, seqs: pl.Series) -> pl.DataFrame:
    if not len(seqs):
        return lake.quarantine(name, seqs=(0, -1))
    found = lake.quarantine(name, seqs=(int(seqs[-1]), int(seqs[0])))
    return found.filter(pl.col(SEQ).is_in(seqs.implode())).sort(SEQ, descending=True)


class _Kept(NamedTuple):
    """The times of the rows that are visible after an instant, sorted, as far as a mark."""

    first: int
    mark: Mark
    visible: Instants
    lag: Instants


class _Times:
    """When rows became visible and how long after their known_at, of each table: read once, then only what came since."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._kept: dict[str, _Kept] = {}
        self._days: dict[str, tuple[tuple[Mark, int, int], TableDays]] = {}

    def days(self, found: FactTable, first: int, now: int) -> TableDays:
        """Return the days from a first one up to an instant."""
        name = found.schema.name
        kept = self._caught_up(found, first * DAY - 1)
        mark = (kept.mark, first, now)
        if name not in self._days or self._days[name][0] != mark:
            self._days[name] = mark, _by_day(kept, first, now)
        return self._days[name][1]

    def _caught_up(self, found: FactTable, first: int) -> _Kept:
        name, kept = found.schema.name, self._kept.get(found.schema.name)
        fresh = found.stored is not None and kept is not None and kept.mark.snapshot_id == found.stored.mark.snapshot_id
        if kept is None or first < kept.first:
            kept = self._read(found, first, None)
        elif not fresh:
            kept = self._read(found, first, kept)
        elif first - kept.first > _SLACK:
            start = int(np.searchsorted(kept.visible, first, "right"))
            kept = _Kept(first, kept.mark, kept.visible[start:].copy(), kept.lag[start:].copy())
        self._kept[name] = kept
        return kept

    def _read(self, found: FactTable, first: int, before: _Kept | None) -> _Kept:
        assert found.stored is not None
        mark = found.stored.mark
        if before is not None and before.mark.revision != mark.revision:
            before = None
        known_at = found.schema.known_at
        assert known_at is not None
        rows = self._lake.read(
            found.table,
            mark.snapshot_id,
            [known_at.name],
            known_after=first if before is None else before.first,
            since=None if before is None else before.mark,
        )
        visible = rows[VISIBLE_AT].to_physical().to_numpy()
        lag = visible - rows[known_at.name].to_physical().to_numpy()
        if before is None:
            return _Kept(first, mark, visible, lag)
        visible, lag = np.concatenate([before.visible, visible]), np.concatenate([before.lag, lag])
        order = np.argsort(visible, kind="stable")  # fast, for most of it is sorted
        return _Kept(before.first, mark, visible[order], lag[order])


def _by_day(kept: _Kept, first: int, now: int) -> TableDays:
    days = list(range(first, now // DAY + 1))
    places = np.searchsorted(kept.visible, [*(day * DAY for day in days), now + 1]).tolist()
    parts = [kept.lag[low:high] for low, high in pairwise(places)]
    seen = slice(places[0], places[-1])
    known = kept.visible[seen] - kept.lag[seen]
    return TableDays(
        days=days,
        rows=[len(each) for each in parts],
        median=[float(np.median(each)) if len(each) else None for each in parts],
        worst=[float(each.max()) if len(each) else None for each in parts],
        newest=int(known.max()) if len(known) else None,
        ahead=len(kept.visible) - places[-1],
    )


class _Reasons:
    """Why rows of each table were rejected: read once, then only what came since."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._kept: dict[str, tuple[Mark, pl.DataFrame]] = {}

    def of(self, found: FactTable) -> pl.DataFrame:
        """Return reason and sentence of each rejected row, with its number."""
        name = found.schema.name
        kept = self._kept.get(name)
        assert found.rejected is not None
        if kept is None or kept[0] != found.rejected.mark:
            mark, columns = found.rejected.mark, ("reason", "sentence")
            if kept is None or kept[0].revision != mark.revision:
                rows = self._lake.quarantine(name, columns=columns)
            else:
                rows = pl.concat([kept[1], self._lake.quarantine(name, columns=columns, since=kept[0])])
            # What came after the mark comes again with the next one.
            kept = self._kept[name] = mark, rows.filter(pl.col(SEQ) < found.rejected.rows)
        return kept[1]


def tables_beyond(source: Source, tables: Sequence[FactTable]) -> list[str]:
    """Return the names of tables in the lake that the declaration does not have any more."""
    known = {each.schema.name for each in tables}
    return [name for name in source.lake.tables() if name not in known]
