"""Whether a figure of quality is worse than an earlier one: said once, for the trigger that retrains and the monitor that tells."""

from __future__ import annotations

from collections.abc import Callable

from mainspring.monitoring.realised import Cohorts, Figure, Realised

__all__ = ["degraded", "over_whole", "worse_by"]


def worse_by(figure: Figure, found: float, before: float) -> float:
    """Return by how much a value of a figure is worse than an earlier one; below 0 where it is better."""
    return before - found if figure.greater_is_better else found - before


def degraded(found: Realised, before: float, by: float, worse: Callable[[float, float], float]) -> float | None:
    """Return by how much a figure is worse than before, if that is at least `by` and its interval says that it is worse at all.

    `worse` tells by how much one value is worse than another. None: not worse by so much, or not surely.
    """
    most = worse(found.value, before)
    surely = min(worse(end, before) for end in (found.low, found.high))
    return most if most >= by and surely > 0 else None


def over_whole(cohorts: Cohorts, figure: Figure, end: int, over: int) -> Realised | None:
    """Return a figure over the cohorts of a span that ends at an instant (microseconds); None unless all of it was answered."""
    if min(cohorts.held, default=end) * cohorts.width > end - over:
        return None
    return cohorts.quality(figure, end - over, end)
