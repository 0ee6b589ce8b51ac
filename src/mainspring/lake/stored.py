"""How much a table holds and how it came to be, as the metadata of its snapshots tell: no file of data is opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainspring.lake.iceberg import NO_SNAPSHOT, REVISIONS

if TYPE_CHECKING:
    from pyiceberg.table import Table as IcebergTable
    from pyiceberg.table.snapshots import Snapshot

__all__ = ["Mark", "Stored", "StoredSnapshot", "mark_of", "stored_of"]


@dataclass(frozen=True)
class Mark:
    """How far a table has been written. Between two marks with the same `revision` rows came and none went."""

    revision: str
    commit: int
    snapshot_id: int


@dataclass(frozen=True)
class StoredSnapshot:
    """One commit: when it was written (real time, microseconds), what it did, rows it added, and rows there were after it."""

    snapshot_id: int
    written_at: int
    operation: str
    added: int
    rows: int


@dataclass(frozen=True)
class Stored:
    """What a table holds, at a mark. `snapshots` are the newest first."""

    mark: Mark
    rows: int
    files: int
    bytes: int
    kept: int  # snapshots that can still be read
    snapshots: tuple[StoredSnapshot, ...]


def mark_of(table: IcebergTable) -> Mark:
    """Return how far an Iceberg table has been written."""
    revision = f"{table.metadata.table_uuid} {table.properties.get(REVISIONS, '')}"
    snapshot = table.current_snapshot()
    if snapshot is None:
        return Mark(revision, 0, NO_SNAPSHOT)
    return Mark(revision, snapshot.sequence_number or 0, snapshot.snapshot_id)


def stored_of(table: IcebergTable, newest: int) -> Stored:
    """Return what an Iceberg table holds, with its `newest` snapshots."""
    snapshots = sorted(table.metadata.snapshots, key=lambda each: each.sequence_number or 0, reverse=True)
    current = table.current_snapshot()
    return Stored(
        mark=mark_of(table),
        rows=_figure(current, "total-records"),
        files=_figure(current, "total-data-files"),
        bytes=_figure(current, "total-files-size"),
        kept=len(snapshots),
        snapshots=tuple(
            StoredSnapshot(
                snapshot_id=each.snapshot_id,
                written_at=each.timestamp_ms * 1000,
                operation="" if each.summary is None else each.summary.operation.value,
                added=_figure(each, "added-records"),
                rows=_figure(each, "total-records"),
            )
            for each in snapshots[:newest]
        ),
    )


def _figure(snapshot: Snapshot | None, name: str) -> int:
    found = None if snapshot is None or snapshot.summary is None else snapshot.summary[name]
    return int(found or 0)
