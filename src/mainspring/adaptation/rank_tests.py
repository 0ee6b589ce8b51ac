"""Guards on a ranking while labels come in: AUC and average precision, which no single decision adds a part to.

Decisions are gathered, in the order in which their labels matured, until labels alone say that a block is full; what is tested
is the mean of the figure over blocks. A block of AUC holds a few decisions of each class. It is a U-statistic of rows that are
used once (Hoeffding 1948, "A class of statistics with asymptotically normal distribution"): whatever its size, it can be
expected to be the AUC, so that betting on blocks is exact from the first one (see MeanTest).

A block of average precision holds a number of positives that is fixed beforehand, and the negatives that came before the last
of them. It can be expected to be *at least* the average precision, never less: above a positive's score lie 1 + a of m
positives and b negatives, and the mean of (1 + a) / (1 + a + b) is at least m s / (m s + E b), where s is the share of
positives that score so high. (It is convex in b; in a, 1 + a is a binomial number weighted by its size, and x^2 / (x + E b) is
convex.) So a floor under it is tested on the safe side. A ceiling is not: it would be found broken where it is kept.

Assumed: the rows of a block could have come in any order. Where scores drift from week to week, what is tested is the ranking
among neighbours in time, which can differ from that of all weeks together.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from mainspring.adaptation.sequential import MeanTest
from mainspring.evaluation.metric import METRICS

__all__ = ["RankTest"]

_OF_EACH = 4
"""Decisions of each class in a block of AUC. Single pairs need 1.7 times the labels where half are positive; blocks of 16 need
1.7 times as well, because no bet on a block can win more than on a pair."""

_POSITIVES = 8
"""In a block of average precision. Where a quarter is positive, a block is expected to be 0.08 above the figure; with fewer it is
further above, with more there are too few blocks: 4 and 16 find a third and a thirtieth of what 8 find on 900 labels."""

_MOST_KEPT = 64
"""Decisions of the frequent class in a block of AUC, the newest ones: more would make a block hardly more precise."""

Floats = NDArray[np.float64]


class RankTest(Struct, frozen=True, kw_only=True, tag="rank"):
    """Whether the AUC or the average precision ("pr_auc") of probabilities breaks its limit `test.at`, from labels 0/1.

    Guarantees: if it does not, the probability that `log_broken` ever reaches log(1 / alpha) is at most alpha; the same bits
    however the stream is cut; between two blocks at most 64 scores of a class are kept, of average precision all negatives.
    """

    test: MeanTest
    side: Literal["at_most", "at_least"]
    metric: str  # "auc" or "pr_auc"
    where: str | None = None
    positives: tuple[float, ...] = ()  # the scores of the block that is not full yet
    negatives: tuple[float, ...] = ()

    def after(self, labels: Floats, probabilities: Floats) -> RankTest:
        """Take in labels (n,) in the order in which they matured."""
        held: dict[bool, list[float]] = {True: list(self.positives), False: list(self.negatives)}
        found = []
        for positive, score in zip((np.asarray(labels) > 0.5).tolist(), probabilities.tolist(), strict=True):
            held[positive].append(score)
            if self.metric == "auc":
                del held[positive][:-_MOST_KEPT]
            if self._full(held):
                y = np.repeat([1.0, 0.0], [len(held[True]), len(held[False])])
                found.append(METRICS[self.metric].value_or_nan(y, np.array(held[True] + held[False])))
                held = {True: [], False: []}
        return replace(
            self, test=self.test.after(np.array(found)), positives=tuple(held[True]), negatives=tuple(held[False])
        )

    @property
    def log_broken(self) -> float:
        """The log of the evidence that the limit is broken."""
        return self.test.log_above() if self.side == "at_most" else self.test.log_below()

    def _full(self, held: dict[bool, list[float]]) -> bool:
        if self.metric == "pr_auc":
            return len(held[True]) >= _POSITIVES
        return min(len(held[True]), len(held[False])) >= _OF_EACH
