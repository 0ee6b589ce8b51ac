"""Predictions of the past, with what came true of them, from the lake."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
import polars as pl

from mainspring.answers import Judged, Outcome, Prediction
from mainspring.clock import format_instant, parse_instant
from mainspring.lake import Lake
from mainspring.serving.sink import OUTCOMES_TABLE, PREDICTIONS_TABLE

__all__ = ["find_judged", "find_outcome", "find_predictions"]

_ANSWER = ("prediction_id", "decided_at", "model", "arm", "prediction", "classes", "low", "high", "decision")


def find_judged(lake: Lake, prediction_id: str, task: str) -> Judged | None:
    """Return a prediction that the lake has, with its outcome; None where it has none of that id.

    `task` is that of the system's label. Raises WorkspaceError.
    """
    found = lake.read(PREDICTIONS_TABLE, columns=_ANSWER, matching={"prediction_id": prediction_id})
    if not found.height:
        return None
    return Judged(
        prediction=_prediction(found.row(0, named=True), task), outcome=find_outcome(lake, prediction_id, task)
    )


def find_predictions(lake: Lake, prediction_ids: Collection[str], task: str) -> list[Prediction]:
    """Return those of many predictions that the lake has.

    Raises WorkspaceError.
    """
    found = lake.read(PREDICTIONS_TABLE, columns=_ANSWER)
    asked = pl.DataFrame({"prediction_id": list(prediction_ids)}, schema={"prediction_id": pl.String})
    return [_prediction(row, task) for row in found.join(asked, on="prediction_id").iter_rows(named=True)]


def find_outcome(lake: Lake, prediction_id: str, task: str) -> Outcome | None:
    """Return the newest outcome of a prediction that the lake has; None where it has none.

    Raises WorkspaceError.
    """
    found = lake.read(OUTCOMES_TABLE, matching={"prediction_id": prediction_id})
    if not found.height:
        return None
    row = found.row(-1, named=True)  # the one that was known last
    label = row["label_class"] if row["label_class"] is not None else row["label"]
    return Outcome(
        label=bool(label) if task == "binary" else label,
        known_at=format_instant(parse_instant(row["known_at"])),
        source=row["source"] or "facts",
    )


def _prediction(row: dict[str, Any], task: str) -> Prediction:
    told: dict[str, Any] = {}
    if row["classes"] is not None:
        told["classes"] = msgspec.json.decode(row["classes"], type=dict[str, float])
    else:
        told["probability" if task == "binary" else "value"] = row["prediction"]
    return Prediction(
        prediction_id=row["prediction_id"],
        decided_at=format_instant(parse_instant(row["decided_at"])),
        model=row["model"],
        arm=row["arm"],
        decision=_decision(row["decision"], task),
        interval=None if row["low"] is None else (row["low"], row["high"]),
        **told,
    )


def _decision(text: str | None, task: str) -> bool | str | float | None:
    if text is None or task == "multiclass":
        return text
    return text == "True" if task == "binary" else float(text)
