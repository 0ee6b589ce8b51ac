"""Which rows are new facts, which are known already, and which contradict a fact that was there first."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from mainspring.declare import TableSchema
from mainspring.lake.contract import ROW

__all__ = ["Sifted", "batch_digest", "identity", "sift"]


@dataclass(frozen=True)
class Sifted:
    """Every row is in one of three: `fresh` facts in the order given, a count of those known already, `conflicts`."""

    fresh: pl.DataFrame
    already_there: int
    conflicts: pl.DataFrame


def identity(schema: TableSchema) -> tuple[str, ...]:
    """Return the columns that identify a fact: keys and known_at; all columns when the table has no key."""
    if not schema.keys:
        return tuple(column.name for column in schema.columns)
    known_at = () if schema.known_at is None else (schema.known_at.name,)
    return (*schema.keys, *known_at)


def sift(facts: pl.DataFrame, stored: pl.DataFrame, columns: Sequence[str], identity: Sequence[str]) -> Sifted:
    """Compare facts with those stored, exactly, a missing value being equal to a missing value.

    Of facts with one identity the stored one, else the first given, is the fact; rows equal to it are the same fact, rows
    that differ from it are conflicts. `stored` holds no identity twice. Order of `facts` matters for nothing else.
    """
    fresh = facts.unique(identity, keep="first", maintain_order=True)
    if len(stored):
        fresh = fresh.join(stored, on=identity, how="anti", nulls_equal=True, maintain_order="left")
    if len(fresh) == len(facts):
        return Sifted(fresh, 0, facts.clear())
    rest = facts.join(fresh, on=ROW, how="anti") if len(fresh) else facts
    conflicts = rest.clear()
    if set(columns) != set(identity):
        held = pl.concat([stored.select(columns), fresh.select(columns)])
        conflicts = rest.join(held, on=list(columns), how="anti", nulls_equal=True)
    return Sifted(fresh, len(rest) - len(conflicts), conflicts)


def batch_digest(facts: pl.DataFrame) -> str:
    """Return the SHA-256 of the rows in their order: equal only for equal batches, and seldom different for them.

    (Equal values may lie in memory in different ways: then the batch is compared row by row, as any other.)
    """
    stream = io.BytesIO()
    facts.drop(ROW).rechunk().write_ipc_stream(stream, compat_level=pl.CompatLevel.oldest())
    return hashlib.sha256(stream.getbuffer()).hexdigest()
