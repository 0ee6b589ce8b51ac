"""Guards while labels come in: anytime-valid tests that a limit is broken, never that it is kept.

A limit on a mean (log loss, Brier score, accuracy, payoff; RMSE by its square) is tested as it stands.

The expected calibration error is no mean: the sum of absolute gaps of bins grows with any noise, so that a perfect model has
an error of 0.02 or 0.05 on few labels. What is tested: for signs that are chosen before a label comes, the mean of
sign * (label - probability) is the calibration error at most, whatever the signs, because E|g| >= E[sign g]. It comes near
the error where the signs are right, and here the sign of a bin is that of its gap so far. So the test bounds the calibration
error *from below*, with any number of labels; it sees gaps that are wider than its bins and of one sign there. With a limit
of 0 it tests that probabilities mean what they say (compare Henzi and Ziegel 2022, "Valid sequential inference on probability
forecast performance").

AUC and average precision are statements about pairs of decisions; they are tested block by block (rank_tests.py).

A guard with `where` is about the decisions that its condition selects, and is fed with those alone; its tests name the
condition. Which decisions those are is known when they are made, so that a part of the stream is a stream like any other.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from mainspring.adaptation.comparison import bounds_of
from mainspring.adaptation.rank_tests import RankTest
from mainspring.adaptation.sequential import MeanTest
from mainspring.declare import Expression, Guard, Objective
from mainspring.monitoring.realised import figures_of

__all__ = [
    "CALIBRATION_EDGES",
    "CalibrationTest",
    "GuardTest",
    "LimitTest",
    "Side",
    "selection_name",
    "selections",
    "tests_of",
]

CALIBRATION_EDGES = tuple(k / 20 for k in (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 18))
"""Between the bins of predicted probability, finer where most decisions lie; any that are fixed beforehand will do."""

Floats = NDArray[np.float64]
Side = Literal["at_most", "at_least"]


class LimitTest(Struct, frozen=True, kw_only=True, tag="limit"):
    """Whether the mean of a figure breaks its limit, over the decisions that `where` names. Guarantee: see MeanTest."""

    test: MeanTest
    side: Side
    figure: str = ""
    where: str | None = None  # None: over all

    def after(self, figures: Floats) -> LimitTest:
        """Take in what decisions (n,) add to the figure, in the order in which their labels matured."""
        return replace(self, test=self.test.after(figures))

    @property
    def log_broken(self) -> float:
        """The log of the evidence that the limit is broken."""
        return self.test.log_above() if self.side == "at_most" else self.test.log_below()


class CalibrationTest(Struct, frozen=True, kw_only=True, tag="calibration"):
    """Whether the expected calibration error of probabilities is more than `test.at`, from labels 0/1.

    Guarantees: if it is not, the probability that `log_broken` ever reaches log(1 / alpha) is at most alpha;
    `test.lower(alpha)` is a lower bound of it at all times; the same bits however the stream is cut.
    """

    test: MeanTest
    edges: tuple[float, ...] = CALIBRATION_EDGES
    gaps: tuple[float, ...] = ()  # by bin: the sum of label - probability
    where: str | None = None

    @classmethod
    def of(
        cls, limit: float, edges: tuple[float, ...] = CALIBRATION_EDGES, *, where: str | None = None
    ) -> CalibrationTest:
        """Return the test of a limit in [0, 1) on the error, with bins between these `edges`."""
        return cls(
            test=MeanTest(at=limit, low=-1.0, high=1.0), edges=edges, gaps=(0.0,) * (len(edges) + 1), where=where
        )

    def after(self, labels: Floats, probabilities: Floats) -> CalibrationTest:
        """Take in labels (n,) in the order in which they matured."""
        gap = np.asarray(labels, np.float64) - probabilities
        place = np.searchsorted(self.edges, probabilities, side="right")
        gaps, signed = list(self.gaps), np.zeros(len(gap))
        for number in np.unique(place).tolist():
            rows = place == number
            before = np.cumsum(np.concatenate([[gaps[number]], gap[rows]]))
            signed[rows] = np.sign(before[:-1]) * gap[rows]
            gaps[number] = float(before[-1])
        return replace(self, test=self.test.after(signed), gaps=tuple(gaps))

    @property
    def log_broken(self) -> float:
        """The log of the evidence that the limit is broken."""
        return self.test.log_above()


GuardTest = LimitTest | CalibrationTest | RankTest


def selection_name(where: Expression) -> str:
    """Return the name under which the decisions that a condition selects are handed to its guards."""
    return repr(where)


def selections(objective: Objective) -> dict[str, Expression]:
    """Return the conditions of guards on the decision's row, each once, by `selection_name`."""
    return {selection_name(guard.where): guard.where for guard in objective.guards if guard.where is not None}


def tests_of(guard: Guard, task: str, objective: Objective) -> tuple[GuardTest, ...]:
    """Return the tests of a declared guard's limits.

    There is none for a limit that no decisions can break, for a floor under the calibration error and for a ceiling on the
    average precision.
    """
    limits: tuple[tuple[Side, float | None], ...] = (("at_most", guard.at_most), ("at_least", guard.at_least))
    given = [(side, limit) for side, limit in limits if limit is not None]
    where = None if guard.where is None else selection_name(guard.where)
    if guard.metric == "ece":
        return tuple(
            CalibrationTest.of(limit, where=where) for side, limit in given if side == "at_most" and limit < 1.0
        )
    if guard.metric in {"auc", "pr_auc"}:
        return tuple(
            RankTest(test=MeanTest(at=limit, low=0.0, high=1.0), side=side, metric=guard.metric, where=where)
            for side, limit in given
            if 0.0 < limit < 1.0 and (side == "at_least" or guard.metric == "auc")
        )
    figure = figures_of(task, objective).get(guard.metric)
    if figure is None:
        return ()
    low, high = bounds_of(guard.metric, task, objective)
    found = []
    for side, limit in given:
        at = limit * limit if figure.root else limit
        if (low is None or low < at) and (high is None or at < high):
            found.append(
                LimitTest(test=MeanTest(at=at, low=low, high=high), side=side, figure=guard.metric, where=where)
            )
    return tuple(found)
