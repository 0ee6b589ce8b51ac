"""Which labels count when: a test per cohort of decision time, of which only those count that are complete enough.

Labels come late, and the quick ones may be of another kind than the slow ones: a flight that lands on time is known to be so
before one that is late, and one that never comes is known last of all. A test that counts each label when it matures is about
the decisions whose label is known, not about all. It is right for all when how long a label takes has nothing to do with
which model is better. A cohort that counts only when the labels of a share of its decisions are known needs that of the rest
alone; with a share of 1 of none. (docs/decisions/005 says the same of training.)
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from mainspring.adaptation.sequential import MeanTest
from mainspring.clock import DAY

__all__ = ["CohortTests"]


class _Cohort(Struct, frozen=True, array_like=True):
    predicted: int
    test: MeanTest


class CohortTests(Struct, frozen=True, kw_only=True):
    """One test over decisions, kept per cohort: `width` microseconds of decision time, numbered decision time // width.

    `complete` is the share of a cohort's decisions whose label must be known before any of them counts. 0: each label counts
    when it matures.

    Guarantees: labels may come in any order and any batches; `counted` depends only on which have come, up to the order in
    which the floats of a cohort are added, and is the same bits for every cut of the same order. When a cohort counts is
    decided by counts alone, never by what its labels are.
    """

    blank: MeanTest  # what is tested, before the first number
    complete: float = 0.0
    width: int = DAY
    cohorts: dict[int, _Cohort] = {}

    def predicted(self, decided_at: NDArray[np.int64]) -> CohortTests:
        """Count decisions (n,) that will have a label, each once. Not needed where `complete` is 0."""
        cohorts = dict(self.cohorts)
        for number, decisions in zip(*np.unique(decided_at // self.width, return_counts=True), strict=True):
            before = cohorts.get(int(number)) or _Cohort(0, self.blank)
            cohorts[int(number)] = _Cohort(before.predicted + int(decisions), before.test)
        return replace(self, cohorts=cohorts)

    def matured(self, decided_at: NDArray[np.int64], numbers: NDArray) -> CohortTests:
        """Take in what is tested (n,) of decisions whose labels have become known, in the order in which they did."""
        cohorts = dict(self.cohorts)
        place = decided_at // self.width
        for number in np.unique(place).tolist():
            before = cohorts.get(number) or _Cohort(0, self.blank)
            cohorts[number] = _Cohort(before.predicted, before.test.after(numbers[place == number]))
        return replace(self, cohorts=cohorts)

    def counted(self, now: int) -> MeanTest:
        """Return the test over what counts at an instant (microseconds): cohorts that are over and complete enough."""
        found = self.blank
        for number, cohort in sorted(self.cohorts.items()):
            over = (number + 1) * self.width <= now
            if not self.complete or (over and 0 < cohort.predicted * self.complete <= cohort.test.count):
                found = found.joined(cohort.test)
        return found
