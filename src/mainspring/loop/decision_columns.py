"""What the loop asks of the rows of decisions: their keys, which of them guards select, and the columns of their slices."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mainspring.adaptation.guard_tests import selections
from mainspring.declare import System
from mainspring.features.rows import row_expression
from mainspring.monitoring.slices import SliceDays
from mainspring.serving.router import key_text

__all__ = ["asks_for_rows", "keys_of", "selected_of", "slice_values_of", "slices_of"]


def asks_for_rows(system: System) -> bool:
    """Whether more is asked of a decision than its time, prediction and label."""
    return bool(
        system.decision.every
        or system.objective.slices
        or selections(system.objective)
        or system.proxies
        or system.friction
    )


def keys_of(system: System, decisions: pl.DataFrame) -> tuple[str, ...] | None:
    """Return the keys of decisions as texts where one key decides again and again, on a schedule; else None."""
    if system.decision.every is None:
        return None
    names = system.decision.table.__schema__.keys
    return tuple(key_text(key) for key in decisions.select(pl.col(name).to_physical() for name in names).iter_rows())


def selected_of(system: System, decisions: pl.DataFrame) -> Mapping[str, NDArray[np.bool_]] | None:
    """Return which decisions each condition of a guard selects, by the condition's name; None where there is none."""
    asked = selections(system.objective)
    if not asked:
        return None
    chosen = decisions.select(row_expression(where).fill_null(False).alias(name) for name, where in asked.items())
    return {name: chosen[name].to_numpy() for name in asked}


def slices_of(system: System, decisions: pl.DataFrame) -> pl.DataFrame | None:
    """Return the columns of the declared slices; None where there is none."""
    if not system.objective.slices:
        return None
    return decisions.select(row_expression(column).alias(column.name) for column in system.objective.slices)


def slice_values_of(system: System, decisions: pl.DataFrame) -> dict[str, tuple[str, ...]]:
    """Return the values of the declared slices that are told apart: the most frequent ones among some decisions."""
    slices = slices_of(system, decisions)
    return {} if slices is None else dict(SliceDays.begin(slices).values)
