"""An evaluation as one JSON document, for other programs."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.evaluation.results import Evaluation

__all__ = ["evaluation_json", "plain_number"]


def plain_number(value: Any) -> Any:
    """Return a NumPy scalar as the number it is; encoders ask here about what they do not know."""
    if hasattr(value, "item"):
        return value.item()
    raise NotImplementedError(f"JSON has no word for a {type(value).__name__}")


def evaluation_json(evaluation: Evaluation) -> bytes:
    """Return the evaluation as indented UTF-8 JSON with sorted keys, the same bytes for an equal evaluation.

    JSON knows finite numbers only: a figure that is NaN or infinite becomes null.
    """
    return msgspec.json.format(msgspec.json.encode(evaluation, enc_hook=plain_number, order="sorted"), indent=2) + b"\n"
