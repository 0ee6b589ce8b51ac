"""Which rows teach, where a system says that not all do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from mainspring.declare import Expression
from mainspring.errors import TrainingError
from mainspring.features.rows import row_expression
from mainspring.training.split import Split

__all__ = ["taught", "taught_where"]


def taught(condition: Expression, decisions: pl.DataFrame) -> np.ndarray:
    """Return the rows of the decision's table for which a condition is true: those that are to be learned from."""
    return decisions.select(row_expression(condition).fill_null(False)).to_series().to_numpy()


def taught_where(condition: Expression, split: Split, decisions: pl.DataFrame) -> Split:
    """Return the split without the rows to learn from for which a condition on the decision's row is not true.

    Raises TrainingError (TRAIN_SPLIT) where nothing is left to learn from.
    """
    holds = taught(condition, decisions)
    parts = {name: rows[holds[rows]] for name in ("train", "calibrate", "refit") for rows in [getattr(split, name)]}
    left_out = {"judged, not learned from": int((~holds[np.union1d(split.refit, split.train)]).sum())}
    if not all(len(rows) for rows in parts.values()):
        raise TrainingError(
            "TRAIN_SPLIT",
            f"Training(where={condition!r}) leaves nothing to learn from.",
            fix="Widen the condition.",
            origin=condition.origin,
        )
    return replace(split, **parts, left_out={**split.left_out, **left_out})
