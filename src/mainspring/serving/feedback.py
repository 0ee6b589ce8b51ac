"""Explicit feedback: what somebody says came true of a prediction, row by row, or why a row is not taken."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from mainspring.answers import Rejection
from mainspring.errors import ServingError
from mainspring.serving.limits import Limits

__all__ = ["read_labels"]

_LONGEST = 200
_decode = msgspec.json.Decoder(list[dict[str, Any]] | dict[str, Any]).decode


def read_labels(body: bytes, task: str, limits: Limits) -> tuple[int, dict[str, float | str], list[Rejection]]:
    """Read {"prediction_id", "label"} rows: how many were given, the label of each prediction, and what was refused.

    A label is true or false, a finite number, or the name of a class, by the `task` of the model. Of two rows for one
    prediction the later counts.

    Raises ServingError (SERVE_BODY).
    """
    if refused := limits.refuse_body(body):
        raise refused
    try:
        decoded = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ServingError(
            "SERVE_BODY",
            f"The body cannot be read: {error}.",
            fix='Send [{"prediction_id": "…", "label": …}, …].',
        ) from error
    rows = decoded if isinstance(decoded, list) else [decoded]
    if refused := limits.refuse_rows(len(rows)):
        raise refused
    labels: dict[str, float | str] = {}
    rejections = []
    for place, row in enumerate(rows):
        name = row.get("prediction_id")
        if not isinstance(name, str) or not 0 < len(name) <= _LONGEST or not name.isprintable():
            rejections.append(Rejection(row=place, reason="prediction_id", message="It names no prediction."))
            continue
        label = _label(row.get("label"), task)
        if label is None:
            rejections.append(Rejection(row=place, reason="label", message=_WANTED[task]))
            continue
        labels.pop(name, None)
        labels[name] = label
    return len(rows), labels, rejections


_WANTED = {
    "binary": "The label of a yes/no decision is true or false.",
    "regression": "The label is a finite number.",
    "multiclass": f"The label is the name of a class, 1 to {_LONGEST} characters.",
}


def _label(value: Any, task: str) -> float | str | None:
    if task == "multiclass":
        return value if isinstance(value, str) and 0 < len(value) <= _LONGEST else None
    if task == "binary":
        return float(value) if value in (0, 1) else None  # true and false are 1 and 0
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
