"""Where in the user's file something was declared."""

from __future__ import annotations

import os
import sys

from mainspring.errors import Origin

__all__ = ["caller_origin"]

_PACKAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
_EXAMPLES = os.path.join(_PACKAGE, "examples", "")


def caller_origin() -> Origin | None:
    """Return the nearest line on the call stack that is not Mainspring's own (its examples count as a user's)."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith("<") and (not file.startswith(_PACKAGE) or file.startswith(_EXAMPLES)):
            return Origin(file, frame.f_lineno)
        frame = frame.f_back  # type: ignore[assignment]
    return None
