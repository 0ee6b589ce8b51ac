"""The lake: one Iceberg table for the facts of each declared table, and one for its rejected rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from mainspring.clock import parse_span
from mainspring.declare import Table, TableSchema
from mainspring.lake import iceberg
from mainspring.lake.iceberg import ARRIVED_AT, NO_SNAPSHOT, QUARANTINE, QUARANTINE_SUFFIX, SEQ, VISIBLE_AT
from mainspring.lake.ingestion import Arrival, Ingested, ingest
from mainspring.lake.parsing import DTYPES, TIME
from mainspring.lake.stored import Mark, Stored, mark_of, stored_of
from mainspring.storage import storage_errors

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

    from mainspring.lake.sql import QueryLimits

__all__ = ["Lake", "Mark", "visible_at"]


@dataclass(frozen=True)
class Lake:
    """Facts at rest, in the namespace of one system. Making one opens nothing; `properties` are those of a PyIceberg catalog.

    Guarantees: an ingestion is one commit, so that a process killed at any time leaves whole facts; what is read at a
    pinned snapshot is the same bit for bit for ever; writers in several processes are put in order by the catalog.
    """

    properties: Mapping[str, str]
    namespace: str

    @cached_property
    def _catalog(self) -> Catalog:
        from pyiceberg.catalog import load_catalog

        with storage_errors(self._place):
            return load_catalog("mainspring", **self.properties)

    @property
    def _place(self) -> str:
        return self.properties.get("warehouse", "the lake").removeprefix("file://")

    def close(self) -> None:
        """Let go of the catalog's connections; they are opened again when the lake is used."""
        catalog = self.__dict__.pop("_catalog", None)
        if catalog is not None:
            catalog.close()

    def ingest(
        self, table: type[Table], frame: pl.DataFrame, *, arrived_at: Arrival = None, none_stored: bool = False
    ) -> Ingested:
        """Keep the facts of a frame that are new, quarantine the rows that break the contract, leave alone the rest.

        `arrived_at` is the instant at which live rows came in, or a series with one for each row: none is visible before it.
        None: the rows are history.
        Rows equal in all declared columns are one fact; ingesting a frame twice changes nothing. With `none_stored` the
        caller vouches that the lake has no fact with the identity of any of the rows: nothing is read to make sure.

        Raises ContractError when a whole column breaks its contract (CONTRACT_COLUMN_MISSING, CONTRACT_TYPE,
        CONTRACT_NAIVE_TIME), when a static table changes (CONTRACT_STATIC_CHANGES) or when every row is rejected
        (CONTRACT_ALL_REJECTED; the rows are in quarantine), WorkspaceError when the lake cannot be written.
        """
        with storage_errors(self._place):
            return ingest(self._catalog, self.namespace, table, frame, arrived_at=arrived_at, none_stored=none_stored)

    def read(
        self,
        table: type[Table],
        snapshot_id: int | None = None,
        columns: Sequence[str] | None = None,
        known_before: int | None = None,
        matching: Mapping[str, str] | None = None,
        known_after: int | None = None,
        since: Mark | None = None,
    ) -> pl.DataFrame:
        """Read facts as of a snapshot (None: the newest), sorted by `_visible_at` and `_seq`.

        The declared columns (or those of them named) come in declared order; then `_visible_at`, from when a row may be
        used (known_at plus lag, and not before a live row arrived; missing in a static table: always), and `_seq`, its
        place in the order of ingestion. `known_before` keeps the rows visible before that instant, `known_after` those visible
        after it, `matching` those with these texts in these columns (files that cannot hold them are not read), `since`
        those that were stored after a mark of the table. A column declared after a row was stored is missing in it.

        Raises ContractError (CONTRACT_TYPE) when a column is stored as another kind.
        """
        schema = table.__schema__
        known_at = schema.known_at
        wanted = [c.name for c in schema.columns if columns is None or c.name in columns]
        dtypes = {c.name: DTYPES[c.of] for c in schema.columns if c.name in wanted or c is known_at}
        dtypes |= {ARRIVED_AT: TIME, SEQ: pl.Int64()}
        lag = parse_span(known_at.lag) if known_at is not None else 0
        conditions = [iceberg.equal_to(name, text) for name, text in (matching or {}).items()]
        if known_at is not None and known_before is not None:
            conditions.append(iceberg.known_between(known_at.name, high=known_before - lag))
        if known_at is not None and known_after is not None:
            conditions.append(iceberg.later_than({known_at.name: known_after - lag, ARRIVED_AT: known_after}))
        found = iceberg.rows(
            iceberg.load(self._catalog, (self.namespace, schema.name)),
            dtypes,
            snapshot_id=snapshot_id,
            where=iceberg.all_of(conditions),
            after=None if since is None else since.commit,
        )
        found = found.with_columns(visible_at(schema, pl.col(ARRIVED_AT)).alias(VISIBLE_AT))
        if known_at is not None and known_before is not None:
            found = found.filter(pl.col(VISIBLE_AT) < pl.lit(known_before, pl.Int64).cast(TIME))
        if known_at is not None and known_after is not None:
            found = found.filter(pl.col(VISIBLE_AT) > pl.lit(known_after, pl.Int64).cast(TIME))
        return found.select(*wanted, VISIBLE_AT, SEQ).sort(VISIBLE_AT, SEQ)

    def snapshots(self, tables: Iterable[type[Table]]) -> dict[str, int]:
        """Return the newest snapshot of each table by name, to pin what is read; 0 for a table without facts."""
        found = {}
        for table in tables:
            name = table.__schema__.name
            stored = iceberg.load(self._catalog, (self.namespace, name))
            snapshot = stored.current_snapshot() if stored is not None else None
            found[name] = NO_SNAPSHOT if snapshot is None else snapshot.snapshot_id
        return found

    def histories(self, tables: Iterable[type[Table]]) -> dict[str, str]:
        """Return for each table by name a mark that changes whenever its facts change in another way than by live ones.

        Whoever has all live facts from elsewhere, from a log, has all that the lake has while the marks stay the same.
        """
        found = {}
        for table in tables:
            name = table.__schema__.name
            stored = iceberg.load(self._catalog, (self.namespace, name))
            count = "" if stored is None else stored.properties.get(iceberg.HISTORIES, "")
            found[name] = f"{stored.metadata.table_uuid} {count}" if stored is not None and count else ""
        return found

    def mark(self, table: type[Table] | str) -> Mark:
        """Return how far a table, named by itself or by the name that it is stored under, has been written."""
        name = table if isinstance(table, str) else table.__schema__.name
        stored = iceberg.load(self._catalog, (self.namespace, name))
        return Mark("", 0, NO_SNAPSHOT) if stored is None else mark_of(stored)

    def expire(self, table: type[Table], *, keep: int) -> None:
        """Let all snapshots of a table go but the newest `keep`, of a table that no run pins; all facts stay.

        Raises WorkspaceError.
        """
        with storage_errors(self._place):
            stored = iceberg.load(self._catalog, (self.namespace, table.__schema__.name))
            if stored is not None:
                iceberg.expire(stored, keep)

    def tables(self) -> list[str]:
        """List the tables that hold facts or rejected rows, by name."""
        from pyiceberg.exceptions import NoSuchNamespaceError

        try:
            names = {name for _, name in self._catalog.list_tables(self.namespace)}
        except NoSuchNamespaceError:
            return []
        return sorted({name.removesuffix(QUARANTINE_SUFFIX) for name in names})

    def quarantine(
        self,
        table: type[Table] | str,
        *,
        columns: Sequence[str] = tuple(QUARANTINE),
        seqs: tuple[int, int] | None = None,
        since: Mark | None = None,
    ) -> pl.DataFrame:
        """Read the rejected rows of a table: reason, sentence, the row as given in JSON, and `_seq`, in which they are sorted.

        They count from 0 in `_seq`, in the order in which they came. `seqs` keeps those from the first to the last of two
        numbers, `since` those that were stored after a mark of the quarantine.
        """
        name = table if isinstance(table, str) else table.__schema__.name
        stored = iceberg.load(self._catalog, (self.namespace, name + QUARANTINE_SUFFIX))
        dtypes = {each: dtype for each, dtype in QUARANTINE.items() if each in columns or each == SEQ}
        where = None if seqs is None else iceberg.numbered(SEQ, *seqs)
        return iceberg.rows(stored, dtypes, where=where, after=None if since is None else since.commit).sort(SEQ)

    def stored(self, table: type[Table] | str, *, newest: int = 0) -> Stored | None:
        """Return how much a table holds, as its newest snapshot tells, and its newest snapshots; None for one without any.

        No file of data is opened.
        """
        name = table if isinstance(table, str) else table.__schema__.name
        found = iceberg.load(self._catalog, (self.namespace, name))
        return None if found is None else stored_of(found, newest)

    def rejected(self, table: type[Table] | str) -> Stored | None:
        """Return how many rows of a table were rejected, as `stored` does."""
        return self.stored((table if isinstance(table, str) else table.__schema__.name) + QUARANTINE_SUFFIX)

    def sql(self, query: str, limits: QueryLimits | None = None) -> pl.DataFrame:
        """Answer a SELECT from the newest facts, within limits where some are given.

        Each table of any system is a view `system.table`, its rejected rows `system.table_quarantine`; this system's tables,
        and those whose name only one system has, need no prefix. Rows come with `_visible_at` and `_seq`. A query reads
        nothing but these views, and changes nothing.

        Raises DataError (DATA_SQL, DATA_UNKNOWN_TABLE).
        """
        from mainspring.lake.sql import answer

        return answer(self._catalog, self.namespace, query, limits)


def visible_at(schema: TableSchema, arrived_at: pl.Expr) -> pl.Expr:
    """When rows of a table may be used: known_at plus lag, and not before they arrived (null: they are history)."""
    if schema.known_at is None:
        return pl.lit(None, TIME)
    return pl.max_horizontal(
        pl.col(schema.known_at.name) + pl.duration(microseconds=parse_span(schema.known_at.lag)), arrived_at
    )
