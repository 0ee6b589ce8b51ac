"""A clock that facts drive: for replaying a history into a server, and for learning with data of another year."""

from __future__ import annotations

__all__ = ["FactsClock"]


class FactsClock:
    """It is as late as the newest fact that was seen says; it stands still until the next one. It never goes back."""

    def __init__(self, begin: int) -> None:
        self._now = begin

    def now(self) -> int:
        """Return the present instant in microseconds since the epoch."""
        return self._now

    def saw(self, known_at: int) -> None:
        """Learn that a fact was known at an instant."""
        self._now = max(self._now, known_at)
