"""Revision: what a changed declaration makes of the facts that are stored already.

A fact does not change, but a declaration may look at more of it, or ask more of it. The newest snapshot always holds what
the declaration now in force accepts; the snapshots before it stay as they were, for the runs that pinned them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from mainspring.declare import Table, TableSchema
from mainspring.errors import ContractError
from mainspring.lake import iceberg
from mainspring.lake.contract import ROW, conform
from mainspring.lake.identity import identity, sift
from mainspring.lake.quarantine import rejected_rows

if TYPE_CHECKING:
    from pyiceberg.table import Table as IcebergTable

__all__ = ["Revision", "revise"]


@dataclass(frozen=True)
class Revision:
    """The stored `rows` that the new declaration accepts, those `withdrawn` to quarantine, and whether any row `changed`."""

    rows: pl.DataFrame
    withdrawn: pl.DataFrame
    changed: bool


def revise(table: type[Table], stored: IcebergTable, facts: pl.DataFrame) -> Revision:
    """Check the stored facts against a declaration that is new to them.

    A column declared since is filled in from those of the given facts that equal a stored row in all other columns. Rows
    that break the contract now, or contradict another row under the keys declared now, are withdrawn. Columns no longer
    declared stay in storage.

    Raises ContractError: CONTRACT_TYPE when a column has another kind than it was stored with, CONTRACT_COLUMN_MISSING when
    a new column is not optional and rows remain without it.
    """
    schema = table.__schema__
    declared = iceberg.dtypes_of(schema)
    known = iceberg.stored_columns(stored)
    dtypes = declared | {name: iceberg.DTYPE_BY_TYPE[kind] for name, kind in known.items() if name not in declared}
    rows = iceberg.rows(stored, dtypes).sort(iceberg.SEQ)
    gained = [column.name for column in schema.columns if column.name not in known]
    if gained:
        shared = [column.name for column in schema.columns if column.name in known]
        values = facts.select(*shared, *gained).unique(shared, keep="first", maintain_order=True)
        rows = rows.drop(gained).join(values, on=shared, how="left", nulls_equal=True, maintain_order="left")
        rows = rows.select(*dtypes)
        _check_filled(table, rows, gained)
    sources = {column.name: column.source or column.name for column in schema.columns}
    checked = conform(table, rows.select(pl.col(name).alias(source) for name, source in sources.items()))
    kept = sift(checked.facts, checked.facts.clear(), list(sources), identity(schema)).fresh[ROW]
    lost = _withdrawn(schema, rows, checked.rejected, checked.facts.filter(~pl.col(ROW).is_in(kept.implode())))
    filled = any(rows[name].is_not_null().any() for name in gained)
    return Revision(rows[kept], lost, changed=filled or len(kept) < len(rows))


def _withdrawn(
    schema: TableSchema, rows: pl.DataFrame, broken: pl.DataFrame, contradicting: pl.DataFrame
) -> pl.DataFrame:
    sentence = f"Stored before; since {' and '.join(identity(schema))} identify a row, another one was there first."
    doubles = contradicting.select(ROW, reason=pl.lit("contradiction"), sentence=pl.lit(sentence))
    broken = broken.with_columns(
        pl.lit("Stored before; by the declaration now ").add(pl.col("sentence")).alias("sentence")
    )
    return rejected_rows(rows, pl.concat([broken, doubles.cast(broken.schema)]))


def _check_filled(table: type[Table], rows: pl.DataFrame, gained: list[str]) -> None:
    for name in gained:
        column = table.__schema__.column(name)
        lacking = rows[name].null_count()
        if column is not None and not column.optional and lacking:
            raise ContractError(
                "CONTRACT_COLUMN_MISSING",
                f"{column!r} was declared after {len(rows)} rows were stored, and {lacking} of them are not in the data given now.",
                fix=f"Ingest the whole history again with {name}, or declare it optional=True.",
                origin=column.origin,
            )
