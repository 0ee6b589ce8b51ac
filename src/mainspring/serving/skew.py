"""Skew: are the features that predictions were made from the ones that batch computes afterwards?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import polars as pl

from mainspring.declare import System
from mainspring.features import compute, plan
from mainspring.features.online.verify import TOLERANCE, relative_errors
from mainspring.lake import Lake
from mainspring.serving.sink import PREDICTIONS_TABLE, predicted_decisions

__all__ = ["Skew", "measure_skew"]


@dataclass(frozen=True)
class Skew:
    """How many stored predictions were looked at, and by feature how many of its values batch does not confirm."""

    predictions: int
    different: Mapping[str, int]


def measure_skew(system: System, lake: Lake, *, newest: int | None = None) -> Skew:
    """Recompute in batch, from the lake, the features of stored predictions: of all, or of so many that came in last.

    Values may differ by what `verify` allows; more means that a fact was known to one side and not to the other.
    """
    stored = lake.read(PREDICTIONS_TABLE)
    if newest is not None:
        stored = stored.sort("_seq").tail(newest)
    decisions = predicted_decisions(system, stored)
    facts = {table.__schema__.name: lake.read(table) for table in system.tables}
    expected = compute(plan(system.features), decisions, facts)
    logged = [msgspec.json.decode(features) for features in stored["features"]]
    different = {}
    for name, column in expected.to_dict().items():
        found = pl.Series([row.get(name) for row in logged], dtype=column.dtype, strict=False)
        beyond = int((relative_errors(found, column) > TOLERANCE).sum())
        if beyond:
            different[name] = beyond
    return Skew(stored.height, different)
