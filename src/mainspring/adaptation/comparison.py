"""By how much a candidate is better than the champion, decision by decision: the numbers that a test of the mean is about.

*Paired*: both predicted the same decision, and what the label was did not depend on which of them answered. What the two
share, a hard day, cancels: far fewer labels are needed. Shadows are compared so, and canaries too where the champion is asked
as well.

*Split*: each decision had one arm, by a hash of its key. Every decision then says by itself, without bias, how much better
the candidate is: its figure less a baseline, weighted by one over the chance of its arm (Horvitz and Thompson 1952), minus for
the candidate's arm. The baseline is the mean of what came before, over both arms, so that a level that all decisions share
drops out; as it is known beforehand, a wrong one costs labels and never truth. A baseline that drifts does no harm, and so
does an unequal share, because the arm is chance (Waudby-Smith and others 2024, section 3).
Assumed: the arm of each decision counted is drawn anew. A key that decides many times stays in its arm, so its decisions are
one draw and not many: count one figure for each key, such as that of its first decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mainspring.declare import ErrorCost, Objective, Payoff

__all__ = ["Bounds", "SplitBaseline", "bounds_of", "improvement_bounds", "paired_improvement"]

Floats = NDArray[np.float64]
Bounds = tuple[float | None, float | None]
"""Between what a row's figure lies; None: no bound."""

_ROW_BOUNDS: Mapping[tuple[str, str], Bounds] = {
    ("binary", "brier"): (0.0, 1.0),
    ("multiclass", "brier"): (0.0, 2.0),
    ("multiclass", "accuracy"): (0.0, 1.0),
}
_A_LOSS: Bounds = (0.0, None)


def bounds_of(figure: str, task: str, objective: Objective) -> Bounds:
    """Return the bounds of what one row adds to a figure: to a loss, an accuracy, or "payoff" as the objective declares it."""
    worth = objective.payoff
    if figure == "payoff" and isinstance(worth, Payoff):
        values = (worth.hit, worth.miss, worth.false_alarm, worth.correct_rejection)
        return float(min(values)), float(max(values))
    if figure == "payoff" and isinstance(worth, ErrorCost):
        return None, 0.0
    return _ROW_BOUNDS.get((task, figure), _A_LOSS)


def improvement_bounds(bounds: Bounds, share: float | None = None) -> Bounds:
    """Return the bounds of an improvement whose figures keep `bounds`: paired, or split with the candidate's `share`.

    Where the figure has no bound on one side the improvement has none on either.
    """
    low, high = bounds
    if low is None or high is None:
        return None, None
    most = (high - low) / (1.0 if share is None else min(share, 1.0 - share))
    return -most, most


def paired_improvement(champion: Floats, candidate: Floats, *, greater_is_better: bool = False) -> Floats:
    """Return by how much the candidate is better on each decision (n,), from what each adds to the figure of both."""
    better = np.asarray(champion, np.float64) - np.asarray(candidate, np.float64)
    return -better if greater_is_better else better


class SplitBaseline(Struct, frozen=True, kw_only=True):
    """The improvement as each decision of two arms shows it, and the running mean that they are compared with.

    `share` is the candidate's part of both arms' traffic, in (0, 1). Guarantee: the same bits however the stream is cut.
    """

    share: float
    greater_is_better: bool = False
    count: int = 0
    total: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 < self.share < 1.0:
            raise ValueError(f"a share of {self.share} leaves one arm without decisions")

    def after(self, figures: Floats, by_candidate: NDArray[np.bool_]) -> tuple[SplitBaseline, Floats]:
        """Return the baseline after these decisions (n,), in the order in which their labels matured, and their improvement.

        The mean of the improvement is the difference of the arms. The first decision of all says nothing: it is the first
        baseline.
        """
        x = np.asarray(figures, np.float64)
        sums = np.cumsum(np.concatenate([[self.total], x]))
        counts = self.count + np.arange(len(x))
        baseline = np.divide(sums[:-1], counts, out=x.copy(), where=counts > 0)
        weight = np.where(by_candidate, -1.0 / self.share, 1.0 / (1.0 - self.share))
        improvement = weight * (x - baseline) * (-1.0 if self.greater_is_better else 1.0)
        changed: dict[str, Any] = {"count": self.count + len(x), "total": float(sums[-1])}
        return SplitBaseline(share=self.share, greater_is_better=self.greater_is_better, **changed), improvement
