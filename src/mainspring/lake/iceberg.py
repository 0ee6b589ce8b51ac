"""Frames in Iceberg tables: how declared kinds are stored, read back as of a snapshot, and committed.

PyIceberg takes most of a second to import, so it is imported where it is used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

import polars as pl

from mainspring.declare import TableSchema
from mainspring.errors import ContractError, WorkspaceError
from mainspring.lake.parsing import DTYPES, TIME

if TYPE_CHECKING:
    import pyarrow
    from pyiceberg.catalog import Catalog
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table import DataScan
    from pyiceberg.table import Table as IcebergTable

__all__ = [
    "ARRIVED_AT",
    "BATCH",
    "CONTRACT",
    "DTYPE_BY_TYPE",
    "HISTORIES",
    "KNOWN_AT",
    "LAG",
    "NEXT_SEQ",
    "NO_SNAPSHOT",
    "QUARANTINE",
    "QUARANTINE_SUFFIX",
    "REVISIONS",
    "SEQ",
    "VISIBLE_AT",
    "broken",
    "commit",
    "create",
    "dtypes_of",
    "known_between",
    "load",
    "numbered",
    "rows",
    "stored_columns",
]

SEQ, ARRIVED_AT, VISIBLE_AT = "_seq", "_arrived_at", "_visible_at"
# Properties of a table: the declaration its rows were checked against, the next place in the order of ingestion, the digest
# of the batch last stored, whose facts are all there, how often history came in and rows were taken away, and what SQL must
# know to say when a row is visible.
BATCH = "mainspring.batch"
CONTRACT, NEXT_SEQ, HISTORIES, REVISIONS, KNOWN_AT, LAG = (
    "mainspring.contract",
    "mainspring.next-seq",
    "mainspring.histories",
    "mainspring.revisions",
    "mainspring.known-at",
    "mainspring.lag",
)
NO_SNAPSHOT = 0  # the snapshot of a table that holds nothing yet
QUARANTINE_SUFFIX = "_quarantine"
QUARANTINE = {"reason": pl.String(), "sentence": pl.String(), "row": pl.String(), SEQ: pl.Int64()}
DTYPE_BY_TYPE: dict[str, pl.DataType] = {
    "string": pl.String(),
    "double": pl.Float64(),
    "long": pl.Int64(),
    "boolean": pl.Boolean(),
    "timestamptz": TIME,
}
# A conflicting commit must be compared again with what the other writer stored, so PyIceberg may not simply repeat it.
_PROPERTIES = {
    "commit.retry.num-retries": "0",
    "format-version": "2",
    "commit.manifest-merge.enabled": "true",  # a server commits every few seconds, and a read opens every manifest
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
}


def dtypes_of(schema: TableSchema) -> dict[str, pl.DataType]:
    """Return the dtypes of the stored columns of a table: the declared ones, and those of the system."""
    return {**{c.name: DTYPES[c.of] for c in schema.columns}, ARRIVED_AT: TIME, SEQ: pl.Int64()}


def create(catalog: Catalog, identifier: tuple[str, str], dtypes: Mapping[str, pl.DataType]) -> IcebergTable:
    """Open a table, made empty where it does not exist."""
    from pyiceberg.schema import Schema
    from pyiceberg.types import NestedField

    fields = [
        NestedField(i, name, _iceberg_type(dtype), required=False) for i, (name, dtype) in enumerate(dtypes.items(), 1)
    ]
    catalog.create_namespace_if_not_exists(identifier[0])
    return catalog.create_table_if_not_exists(identifier, Schema(*fields), properties=_PROPERTIES)


def load(catalog: Catalog, identifier: tuple[str, str]) -> IcebergTable | None:
    """Open a table, or return None when it does not exist."""
    from pyiceberg.exceptions import NoSuchTableError

    try:
        return catalog.load_table(identifier)
    except NoSuchTableError:
        return None
    except FileNotFoundError as error:
        raise broken(identifier[1], error) from error


def rows(
    table: IcebergTable | None,
    dtypes: Mapping[str, pl.DataType],
    *,
    snapshot_id: int | None = None,
    where: BooleanExpression | None = None,
    after: int | None = None,
) -> pl.DataFrame:
    """Read the columns of a table as of a snapshot (None: the newest), in no particular order; a column it lacks is missing.

    `after` leaves out the rows of commits up to that sequence number: their files are not opened, nor are the manifests that
    name no other.

    Raises ContractError (CONTRACT_TYPE) for a column that is stored as another kind, WorkspaceError (WORKSPACE_BROKEN) when
    a file of the table is gone or damaged, or there is no such snapshot.
    """
    import pyarrow

    empty = pl.DataFrame(schema=dtypes)
    if table is None or snapshot_id == NO_SNAPSHOT or table.current_snapshot() is None:
        return empty
    if snapshot_id is not None and table.snapshot_by_id(snapshot_id) is None:
        raise broken(table.name()[-1], f"it has no snapshot {snapshot_id}")
    stored = stored_columns(table, snapshot_id)
    for name, dtype in dtypes.items():
        if name in stored and stored[name] != str(_iceberg_type(dtype)):
            raise ContractError(
                "CONTRACT_TYPE",
                f"{table.name()[-1]}.{name} is declared as {_iceberg_type(dtype)}, but its stored facts are {stored[name]}.",
                fix='Give the column another name, with source="' + name + '", or use another workspace.',
            )
    present = tuple(name for name in dtypes if name in stored)
    filters: dict[str, Any] = {} if where is None else {"row_filter": where}
    scan = table.scan(snapshot_id=snapshot_id, selected_fields=present, **filters)
    try:
        arrow = scan.to_arrow() if after is None else _newer(table, scan, after)
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise broken(table.name()[-1], error) from error
    frame = pl.DataFrame(pl.from_arrow(arrow))
    return frame.select(
        pl.col(name).cast(dtype) if name in stored else pl.lit(None, dtype).alias(name)
        for name, dtype in dtypes.items()
    )


def _newer(table: IcebergTable, scan: DataScan, after: int) -> pyarrow.Table:
    """What a scan finds in the files of commits after a sequence number."""
    from pyiceberg.io.pyarrow import ArrowScan
    from pyiceberg.table import FileScanTask

    snapshot = scan.snapshot()
    manifests = [] if snapshot is None else snapshot.manifests(table.io)
    files = [
        FileScanTask(entry.data_file)
        for manifest in manifests
        if manifest.sequence_number > after
        for entry in manifest.fetch_manifest_entry(table.io)
        if (entry.sequence_number or 0) > after  # a manifest that was merged names old files as well
    ]
    return ArrowScan(table.metadata, table.io, scan.projection(), scan.row_filter).to_table(files)


def stored_columns(table: IcebergTable, snapshot_id: int | None = None) -> dict[str, str]:
    """Return the columns a table has as of a snapshot, with the names of their Iceberg types."""
    snapshot = table.current_snapshot() if snapshot_id is None else table.snapshot_by_id(snapshot_id)
    schema = table.schema() if snapshot is None or snapshot.schema_id is None else table.schemas()[snapshot.schema_id]
    return {field.name: str(field.field_type) for field in schema.fields}


def commit(
    table: IcebergTable,
    *,
    append: pl.DataFrame | None = None,
    replace: bool = False,
    properties: Mapping[str, str] | None = None,
) -> bool:
    """Add columns the frame has and the table lacks, append or replace rows and set properties, all or nothing.

    Returns False, with nothing done, when another writer committed since `table` was loaded.
    """
    from pyiceberg.exceptions import CommitFailedException

    try:
        with table.transaction() as transaction:
            if append is not None:
                gained = {n: d for n, d in append.schema.items() if n not in stored_columns(table)}
                if gained:
                    with transaction.update_schema() as update:
                        for name, dtype in gained.items():
                            update.add_column(name, _iceberg_type(dtype))
                arrow = append.to_arrow(compat_level=pl.CompatLevel.oldest())
                (transaction.overwrite if replace else transaction.append)(arrow)
            if properties:
                transaction.set_properties(dict(properties))
    except CommitFailedException:
        return False
    return True


def known_between(column: str, *, low: int | None = None, high: int) -> BooleanExpression:
    """Return the condition that an instant column lies in [low, high], in microseconds."""
    from pyiceberg.expressions import And, GreaterThanOrEqual, LessThanOrEqual

    until = LessThanOrEqual(column, high)
    return until if low is None else And(GreaterThanOrEqual(column, low), until)


def numbered(column: str, first: int, last: int) -> BooleanExpression:
    """Return the condition that a column of numbers lies in [first, last]."""
    from pyiceberg.expressions import And, GreaterThanOrEqual, LessThanOrEqual

    return And(GreaterThanOrEqual(column, first), LessThanOrEqual(column, last))


def expire(table: IcebergTable, keep: int) -> None:
    """Let all but the newest snapshots of a table go. Each commit looks through them all; their rows stay."""
    from pyiceberg.exceptions import CommitFailedException

    snapshots = sorted(table.snapshots(), key=lambda snapshot: snapshot.sequence_number or 0)
    old = [snapshot.snapshot_id for snapshot in snapshots[:-keep]]
    if old:
        with contextlib.suppress(CommitFailedException):  # another writer was first; the next time will do
            table.maintenance.expire_snapshots().by_ids(old).commit()


def later_than(instants: Mapping[str, int]) -> BooleanExpression:
    """Return the condition that one of several instant columns is later than its instant, in microseconds."""
    from pyiceberg.expressions import GreaterThan, Or

    return reduce(Or, [GreaterThan(column, at) for column, at in instants.items()])


def all_of(conditions: Sequence[BooleanExpression]) -> BooleanExpression | None:
    """Return the condition that all of several hold; None for none."""
    from pyiceberg.expressions import And

    return reduce(And, conditions) if conditions else None


def equal_to(column: str, value: str) -> BooleanExpression:
    """Return the condition that a column has a value."""
    from pyiceberg.expressions import EqualTo

    return EqualTo(column, value)


def broken(name: str, why: object) -> WorkspaceError:
    """Return the error that says that the stored facts of a table cannot be read, and why."""
    return WorkspaceError(
        "WORKSPACE_BROKEN",
        f"The stored facts of {name} cannot be read: {why}.",
        fix="Restore the lake from a copy, or ingest the history into another workspace.",
    )


def _iceberg_type(dtype: pl.DataType) -> Any:
    from pyiceberg.types import BooleanType, DoubleType, LongType, StringType, TimestamptzType

    types = (StringType(), DoubleType(), LongType(), BooleanType(), TimestamptzType())
    return next(stored for stored in types if DTYPE_BY_TYPE[str(stored)] == dtype)
