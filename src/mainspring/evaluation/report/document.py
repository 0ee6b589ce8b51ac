"""An evaluation as one JSON document, for other programs."""

from __future__ import annotations

import msgspec

from mainspring.evaluation.results import Evaluation

__all__ = ["evaluation_json"]


def evaluation_json(evaluation: Evaluation) -> bytes:
    """Return the evaluation as indented UTF-8 JSON with sorted keys, the same bytes for an equal evaluation.

    JSON knows finite numbers only: a figure that is NaN or infinite becomes null.
    """
    return msgspec.json.format(msgspec.json.encode(evaluation, order="sorted"), indent=2) + b"\n"
