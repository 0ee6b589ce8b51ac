"""The wall clock: the one place that asks what time it is, at the edge."""

from __future__ import annotations

import time

__all__ = ["WallClock"]


class WallClock:
    """The time of the machine, held back where the machine's own is set back."""

    def __init__(self) -> None:
        self._latest = 0

    def now(self) -> int:
        """Return the present instant in microseconds since the epoch."""
        self._latest = max(self._latest, time.time_ns() // 1000)
        return self._latest
