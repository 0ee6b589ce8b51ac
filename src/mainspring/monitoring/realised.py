"""Quality after labels: realised per cohort of decision time, and revised as more labels mature.

Of a cohort only counts and sums are kept, no row: how many decisions were predicted, of how many the label is known, and for
each figure the sum and the sum of squares of what it averages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from mainspring.declare import ErrorCost, Objective, Payoff
from mainspring.evaluation.metric import metrics_for, objective_metric
from mainspring.evaluation.payoff import error_payoff, payoff
from mainspring.evaluation.reliability import Z95

__all__ = ["Cohort", "Cohorts", "Figure", "Realised", "figures_of", "judged_by"]


class Figure(NamedTuple):
    """A figure of quality that is a mean over rows: what each row adds, from labels (n,) and predictions."""

    name: str
    row: Callable[[NDArray, NDArray], NDArray]
    root: bool = False  # of the mean
    greater_is_better: bool = False

    def mean(self, y: NDArray, p: NDArray) -> float:
        """Return the figure over rows; at least one."""
        mean = float(self.row(y, p).mean())
        return math.sqrt(mean) if self.root else mean


class Realised(NamedTuple):
    """A figure over some cohorts, with its 95% interval (normal), and how complete it is: `known` of `predicted` labels."""

    value: float
    low: float
    high: float
    known: int
    predicted: int

    @property
    def complete(self) -> float:
        """The share of the predictions whose label is known."""
        return self.known / self.predicted if self.predicted else 1.0


class Cohort(Struct, frozen=True, array_like=True):
    """The decisions of one span of time."""

    predicted: int
    known: int
    sums: tuple[float, ...]
    squares: tuple[float, ...]


class Cohorts(Struct, frozen=True):
    """The cohorts of one model, `width` microseconds each, by their number: decision time // width.

    Every method returns a new value. Labels may come in any order; counts are exact, sums up to the order in which floats
    are added.
    """

    width: int
    figures: tuple[str, ...]
    held: dict[int, Cohort] = {}

    def predicted(self, decided_at: NDArray[np.int64]) -> Cohorts:
        """Count decisions that were predicted."""
        held = dict(self.held)
        for number, rows in zip(*np.unique(decided_at // self.width, return_counts=True), strict=True):
            before = held.get(int(number)) or self._empty()
            held[int(number)] = replace(before, predicted=before.predicted + int(rows))
        return replace(self, held=held)

    def matured(self, decided_at: NDArray[np.int64], rows: Mapping[str, NDArray]) -> Cohorts:
        """Count labels that have become known; `rows` holds what each decision adds to each figure."""
        numbers, place = np.unique(decided_at // self.width, return_inverse=True)
        known = np.bincount(place, minlength=len(numbers))
        sums = [np.bincount(place, rows[name], len(numbers)).tolist() for name in self.figures]
        squares = [np.bincount(place, np.square(rows[name]), len(numbers)).tolist() for name in self.figures]
        held = dict(self.held)
        for k, number in enumerate(numbers.tolist()):
            before = held.get(number) or self._empty()
            held[number] = Cohort(
                before.predicted,
                before.known + int(known[k]),
                tuple(a + each[k] for a, each in zip(before.sums, sums, strict=True)),
                tuple(a + each[k] for a, each in zip(before.squares, squares, strict=True)),
            )
        return replace(self, held=held)

    def quality(self, figure: Figure, begin: int, end: int) -> Realised | None:
        """Return a figure over the cohorts that lie in [begin, end) (microseconds); None where no label is known there.

        A cohort counts when it begins inside: give multiples of the width.
        """
        found = [cohort for number, cohort in self.held.items() if begin <= number * self.width < end]
        known = sum(cohort.known for cohort in found)
        if not known:
            return None
        place = self.figures.index(figure.name)
        mean = math.fsum(cohort.sums[place] for cohort in found) / known
        square = math.fsum(cohort.squares[place] for cohort in found) / known
        error = Z95 * math.sqrt(max(square - mean * mean, 0.0) / known)
        low, high = mean - error, mean + error
        if figure.root:
            mean, low, high = (math.sqrt(max(each, 0.0)) for each in (mean, low, high))
        return Realised(mean, low, high, known, sum(cohort.predicted for cohort in found))

    def _empty(self) -> Cohort:
        nothing = (0.0,) * len(self.figures)
        return Cohort(0, 0, nothing, nothing)


def judged_by(figures: Mapping[str, Figure], task: str, objective: Objective) -> Figure:
    """Return the figure that models are compared by: the objective's metric where it is a mean over rows, else the task's loss."""
    return (
        figures.get(objective_metric(objective, task).name) or figures["rmse" if task == "regression" else "log_loss"]
    )


def figures_of(task: str, objective: Objective) -> dict[str, Figure]:
    """Return the figures of a label's task that can be kept per cohort, by name, and `payoff` where one is declared."""
    found = {
        metric.name: Figure(metric.name, metric.row_loss, metric.root, metric.greater_is_better)
        for metric in [*metrics_for(task), objective_metric(objective, task)]
        if metric.row_loss is not None
    }
    worth = objective.payoff
    if isinstance(worth, Payoff) and task == "binary":
        found["payoff"] = Figure("payoff", lambda y, p: payoff(y, p >= worth.threshold, worth), greater_is_better=True)
    elif isinstance(worth, ErrorCost):
        found["payoff"] = Figure("payoff", lambda y, p: error_payoff(y, p, worth), greater_is_better=True)
    return found
