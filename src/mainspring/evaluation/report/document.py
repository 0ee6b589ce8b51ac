"""An evaluation as one JSON document, for other programs."""

from __future__ import annotations

import msgspec

from mainspring.evaluation.results import Evaluation
from mainspring.page.components import plain_number

__all__ = ["evaluation_json"]


def evaluation_json(evaluation: Evaluation) -> bytes:
    """Return the evaluation as indented UTF-8 JSON with sorted keys, the same bytes for an equal evaluation.

    JSON knows finite numbers only: a figure that is NaN or infinite becomes null.
    """
    return msgspec.json.format(msgspec.json.encode(evaluation, enc_hook=plain_number, order="sorted"), indent=2) + b"\n"
