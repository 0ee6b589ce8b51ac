"""Ingestion: what becomes of a frame of rows, in an order that can be broken off anywhere and repeated.

Rejected rows are committed first, facts second. A process killed in between has quarantined rows that it will reject again
when the frame is ingested again, and quarantining a row twice changes nothing; the other way round they could be lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from mainspring.clock import parse_span
from mainspring.declare import Table, TableSchema
from mainspring.errors import ContractError, WorkspaceError
from mainspring.lake import iceberg
from mainspring.lake.contract import REJECTED, ROW, Conformed, conform
from mainspring.lake.iceberg import (
    ARRIVED_AT,
    BATCH,
    CONTRACT,
    HISTORIES,
    KNOWN_AT,
    LAG,
    NEXT_SEQ,
    NO_SNAPSHOT,
    QUARANTINE,
    QUARANTINE_SUFFIX,
    REVISIONS,
    SEQ,
)
from mainspring.lake.identity import Sifted, batch_digest, identity, sift
from mainspring.lake.parsing import TIME
from mainspring.lake.quarantine import rejected_rows
from mainspring.lake.revision import Revision, revise

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table as IcebergTable

__all__ = ["Arrival", "Ingested", "ingest"]

Arrival = int | pl.Series | None
"""When rows came in: all at one instant (microseconds), each at its own (int64, one for each row given), or as history."""

_ATTEMPTS = 10
_STATIC_CHANGES = 0.01  # of a static table's rows: above this share it is no static table


@dataclass(frozen=True)
class Ingested:
    """What became of the rows of one ingestion: `accepted + already_there + rejected == given`."""

    table: str
    given: int
    accepted: int
    already_there: int
    rejected: int
    snapshot_id: int
    reasons: dict[str, int] = field(default_factory=dict)  # sentence -> rejected rows, the most frequent first
    ignored: tuple[str, ...] = ()  # columns of the data that the table does not declare
    withdrawn: int = 0  # stored rows that break the declaration since it changed; now in quarantine


def ingest(
    catalog: Catalog,
    namespace: str,
    table: type[Table],
    frame: pl.DataFrame,
    *,
    arrived_at: Arrival = None,
    none_stored: bool = False,
) -> Ingested:
    """Ingest a frame as `Lake.ingest` says. A commit that another writer outran is compared with its facts and tried again."""
    conformed = conform(table, frame)
    name = table.__schema__.name
    for _ in range(_ATTEMPTS):
        done = _attempt(catalog, (namespace, name), table, frame, conformed, arrived_at, none_stored)
        if done is not None:
            break
    else:
        raise _busy(name)
    if done.given and done.rejected == done.given:
        reasons = "; ".join(
            f"{sentence.removesuffix('.')} ({count})" for sentence, count in list(done.reasons.items())[:3]
        )
        raise ContractError(
            "CONTRACT_ALL_REJECTED",
            f"All {done.given} rows given for {table.__name__} break its contract: {reasons}.",
            fix=f"Correct the data or the declaration; the rows are in {name}{QUARANTINE_SUFFIX}.",
            origin=table.__schema__.origin,
        )
    return done


def _attempt(
    catalog: Catalog,
    identifier: tuple[str, str],
    table: type[Table],
    frame: pl.DataFrame,
    conformed: Conformed,
    arrived_at: Arrival,
    none_stored: bool,
) -> Ingested | None:
    schema, facts = table.__schema__, conformed.facts
    stored = iceberg.load(catalog, identifier)
    digest = batch_digest(facts)
    revision = None
    if stored is None or stored.current_snapshot() is None:
        sifted = _sift(schema, facts, pl.DataFrame(schema=iceberg.dtypes_of(schema)))
    elif not _settled(stored, schema):
        revision = revise(table, stored, facts)
        sifted = _sift(schema, facts, revision.rows)
    elif stored.properties.get(BATCH) == digest:
        sifted = Sifted(facts.clear(), len(facts), facts.clear())
    elif none_stored:
        sifted = _sift(schema, facts, pl.DataFrame(schema=iceberg.dtypes_of(schema)))
    else:
        sifted = _sift(schema, facts, _rows_at_the_times_of(stored, schema, facts))
    if arrived_at is None:  # a live row that contradicts goes to quarantine, as any other
        _check_static(table, sifted, len(frame))
    rejected = pl.concat([conformed.rejected, _contradictions(schema, sifted.conflicts)])
    quarantined = rejected_rows(frame, rejected)
    if revision is not None:
        quarantined = pl.concat([quarantined, revision.withdrawn])
    _quarantine(catalog, identifier, quarantined)
    batch = "" if len(sifted.conflicts) else digest
    snapshot_id = _store(catalog, identifier, stored, schema, sifted.fresh, batch, revision, arrived_at)
    if snapshot_id is None:
        return None
    counts = rejected["sentence"].value_counts(sort=True)
    return Ingested(
        table=schema.name,
        given=len(frame),
        accepted=len(sifted.fresh),
        already_there=sifted.already_there,
        rejected=len(rejected),
        snapshot_id=snapshot_id,
        reasons=dict(sorted(counts.iter_rows(), key=lambda item: (-item[1], item[0]))),
        ignored=conformed.ignored,
        withdrawn=0 if revision is None else len(revision.withdrawn),
    )


def _sift(schema: TableSchema, facts: pl.DataFrame, held: pl.DataFrame) -> Sifted:
    return sift(facts, held, [column.name for column in schema.columns], identity(schema))


def _settled(stored: IcebergTable, schema: TableSchema) -> bool:
    """Whether the stored facts were checked against this very declaration and have all its columns."""
    columns = iceberg.stored_columns(stored)
    return stored.properties.get(CONTRACT) == schema.fingerprint and all(c.name in columns for c in schema.columns)


def _rows_at_the_times_of(stored: IcebergTable, schema: TableSchema, facts: pl.DataFrame) -> pl.DataFrame:
    """Read the stored rows that facts could equal or contradict: those with their known_at."""
    where = None
    if schema.known_at is not None and len(facts):
        times = facts[schema.known_at.name].to_physical()
        low, high = times.min(), times.max()
        where = iceberg.known_between(schema.known_at.name, low=low, high=high)  # type: ignore[arg-type]
    return iceberg.rows(stored, iceberg.dtypes_of(schema), where=where)


def _contradictions(schema: TableSchema, conflicts: pl.DataFrame) -> pl.DataFrame:
    names = " and ".join(identity(schema))
    return conflicts.select(
        ROW,
        reason=pl.lit("contradiction"),
        sentence=pl.lit(
            f"A row with the same {names} and different content was there first; give a correction a later time."
        ),
    ).cast(pl.Schema(REJECTED))


def _check_static(table: type[Table], sifted: Sifted, given: int) -> None:
    """A static table may contradict itself in a stray row, kept out by quarantine; more of them mean that it changes."""
    if not table.__schema__.static or len(sifted.conflicts) <= _STATIC_CHANGES * given:
        return
    keys = table.__schema__.keys
    example = dict(zip(keys, sifted.conflicts.select(keys).row(0), strict=True))
    raise ContractError(
        "CONTRACT_STATIC_CHANGES",
        f"{len(sifted.conflicts)} of {given} rows given for the static table {table.__name__} differ from a row with the "
        f"same key that was there first, for example {example}.",
        fix="Give each key once; or, if its rows change with time, leave static=True out and say when with ms.KnownAt().",
        origin=table.__schema__.origin,
    )


def _quarantine(catalog: Catalog, identifier: tuple[str, str], rows: pl.DataFrame) -> None:
    """Add rows to the quarantine of a table, those that are not in it yet."""
    namespace, name = identifier
    for _ in range(_ATTEMPTS if len(rows) else 0):
        stored = iceberg.create(catalog, (namespace, name + QUARANTINE_SUFFIX), QUARANTINE)
        held = iceberg.rows(stored, QUARANTINE)
        fresh = rows.unique(maintain_order=True).join(held, on=rows.columns, how="anti", maintain_order="left")
        fresh = fresh.with_columns(pl.int_range(len(held), len(held) + pl.len(), dtype=pl.Int64).alias(SEQ))
        if not len(fresh) or iceberg.commit(stored, append=fresh):
            break
    else:
        if len(rows):
            raise _busy(name + QUARANTINE_SUFFIX)


def _store(
    catalog: Catalog,
    identifier: tuple[str, str],
    stored: IcebergTable | None,
    schema: TableSchema,
    fresh: pl.DataFrame,
    batch: str,
    revision: Revision | None,
    arrived_at: Arrival,
) -> int | None:
    """Commit new facts and what a changed declaration made of the stored ones; None when another writer was faster."""
    if stored is None:
        if not len(fresh):
            return NO_SNAPSHOT
        stored = iceberg.create(catalog, identifier, iceberg.dtypes_of(schema))
    properties = {CONTRACT: schema.fingerprint}
    if schema.known_at is not None:
        properties |= {KNOWN_AT: schema.known_at.name, LAG: str(parse_span(schema.known_at.lag))}
    next_seq = int(stored.properties.get(NEXT_SEQ, 0))
    append = None
    replace = revision is not None and revision.changed
    if len(fresh) or replace:
        properties[BATCH] = batch
        properties[NEXT_SEQ] = str(next_seq + len(fresh))
        if arrived_at is None or replace:
            properties[HISTORIES] = str(int(stored.properties.get(HISTORIES, 0)) + 1)
        if replace:
            properties[REVISIONS] = str(int(stored.properties.get(REVISIONS, 0)) + 1)
        arrived = arrived_at.gather(fresh[ROW]) if isinstance(arrived_at, pl.Series) else pl.lit(arrived_at, pl.Int64)
        append = fresh.drop(ROW).with_columns(
            arrived.cast(TIME).alias(ARRIVED_AT),
            pl.int_range(next_seq, next_seq + pl.len(), dtype=pl.Int64).alias(SEQ),
        )
        if replace and revision is not None:
            append = pl.concat([revision.rows, append], how="diagonal")
    properties = {name: value for name, value in properties.items() if stored.properties.get(name) != value}
    if (append is not None or properties) and not iceberg.commit(
        stored, append=append, replace=replace, properties=properties
    ):
        return None
    snapshot = stored.current_snapshot()
    return NO_SNAPSHOT if snapshot is None else snapshot.snapshot_id


def _busy(name: str) -> WorkspaceError:
    return WorkspaceError(
        "WORKSPACE_BUSY", f"Other processes kept committing to {name}.", fix="Run again when they are done."
    )
