"""A candidate on trial: the evidence for and against it over all stages of its rollout, and the verdict.

The error rate alpha holds over all stages, looks and guards of one candidate:

- A candidate that is no better than the champion by more than -margin is called better with probability alpha at most, or
  with that of its `level` where it is one of many (lifetime.py).
- One that is at least that good and breaks no guard is called worse with probability alpha at most; the test of the
  improvement and each guard have an equal part of it.

Evidence of stages multiplies, because each stage bets on with what the last one left. So a canary need not begin anew where
a shadow has shown much, and does not get a second throw of the dice where it has not.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from mainspring.adaptation.cohort_tests import CohortTests
from mainspring.adaptation.comparison import Bounds, SplitBaseline, improvement_bounds, paired_improvement
from mainspring.adaptation.guard_tests import GuardTest, LimitTest
from mainspring.adaptation.sequential import MeanTest
from mainspring.clock import DAY

__all__ = ["Trial", "Verdict"]

Floats = NDArray[np.float64]


class Verdict(Struct, frozen=True, kw_only=True):
    """What is known of a candidate. The improvement is that of this stage, in the unit of the figure's rows; evidence is of all."""

    what: Literal["better", "worse", "undecided"]
    labels: int
    estimate: float | None  # of the improvement: greater than 0 is better; None before the first label
    # Confidence sequences, so that "better" of a first stage is low > -margin: of 1 - level and 1 - alpha. None: no bound yet.
    low: float | None
    high: float | None
    better: float  # log evidence that the improvement is more than -margin
    worse: float  # log evidence that it is less
    broken: tuple[str, ...] = ()  # the guards that are shown to be broken


class Trial(Struct, frozen=True, kw_only=True):
    """All that is known of a candidate: plain data, the same bits however the stream of labels is cut.

    Make one with `Trial.begin`; feed it in the order in which labels mature; ask `verdict` at any time.
    Where the verdict is acted on, it is the first that is not "undecided" which has the guarantee.
    """

    alpha: float
    margin: float
    bounds: Bounds
    greater_is_better: bool
    improvement: CohortTests
    baseline: SplitBaseline | None = None  # None: paired
    guards: dict[str, GuardTest] = {}
    level: float | None = None  # the error rate of "better"; None: alpha
    earlier: tuple[float, float] = (0.0, 0.0)  # log evidence of earlier stages for better and for worse

    @classmethod
    def begin(
        cls,
        *,
        alpha: float,
        bounds: Bounds,
        share: float | None = None,
        margin: float = 0.0,
        greater_is_better: bool = False,
        guards: dict[str, GuardTest] | None = None,
        complete: float = 0.0,
        width: int = DAY,
        level: float | None = None,
    ) -> Trial:
        """Return the trial of a candidate nothing is known of.

        `bounds` are those of what a row adds to the figure (`bounds_of`). `share` is the candidate's part of the traffic of both arms,
        None where both predict each decision. `margin` (0 or more, in the unit of the figure's rows; squared for RMSE): by how
        much worse a candidate may be and still pass. `complete` and `width`: see CohortTests. `level`: the error rate at
        which this candidate is called better, alpha where None.

        Raises ValueError for an alpha or a level outside (0, 1), a negative margin, and one as wide as the figure's bounds.
        """
        rates = (alpha, alpha if level is None else level)
        if not all(0.0 < rate < 1.0 for rate in rates) or margin < 0.0 or not 0.0 <= complete <= 1.0:
            raise ValueError(f"alpha={alpha}, {level=}, margin={margin} or complete={complete} cannot be kept")
        return cls(
            alpha=alpha,
            margin=margin,
            bounds=bounds,
            greater_is_better=greater_is_better,
            baseline=None if share is None else SplitBaseline(share=share, greater_is_better=greater_is_better),
            improvement=_tests(bounds, share, margin, complete, width),
            guards=guards or {},
            level=level,
        )

    def next_stage(self, now: int, share: float | None) -> Trial:
        """Return the trial at the begin of another stage: its evidence goes on, its estimate begins anew."""
        before = self.improvement
        held = self.verdict(now)
        return replace(
            self,
            baseline=None if share is None else SplitBaseline(share=share, greater_is_better=self.greater_is_better),
            improvement=_tests(self.bounds, share, self.margin, before.complete, before.width),
            earlier=(held.better, held.worse),
        )

    def predicted(self, decided_at: NDArray[np.int64]) -> Trial:
        """Count decisions that will be compared, each once; needed only with `complete`."""
        return replace(self, improvement=self.improvement.predicted(decided_at))

    def pairs(self, decided_at: NDArray[np.int64], champion: Floats, candidate: Floats) -> Trial:
        """Take in decisions (n,) that both predicted: what each adds to the figure of both."""
        if self.baseline is not None:
            raise ValueError("this stage compares two arms; give it `arms`")
        better = paired_improvement(champion, candidate, greater_is_better=self.greater_is_better)
        return replace(self, improvement=self.improvement.matured(decided_at, better))

    def arms(self, decided_at: NDArray[np.int64], figures: Floats, by_candidate: NDArray[np.bool_]) -> Trial:
        """Take in decisions (n,) that one arm each answered: what they add to its figure, and whose they were."""
        if self.baseline is None:
            raise ValueError("this stage compares pairs; give it `pairs`")
        baseline, better = self.baseline.after(figures, by_candidate)
        return replace(self, baseline=baseline, improvement=self.improvement.matured(decided_at, better))

    def guarded(self, name: str, figures: Floats) -> Trial:
        """Take in what the candidate's decisions add to the figure that a guard limits."""
        guard = self.guards[name]
        if not isinstance(guard, LimitTest):
            raise ValueError(f"the guard {name!r} tests no mean; give it labels and probabilities")
        return replace(self, guards={**self.guards, name: guard.after(figures)})

    def labelled(self, name: str, labels: Floats, probabilities: Floats) -> Trial:
        """Take in labels 0/1 and the candidate's probabilities for a guard on calibration, AUC or average precision."""
        guard = self.guards[name]
        if isinstance(guard, LimitTest):
            raise ValueError(f"the guard {name!r} tests a mean; give it figures")
        return replace(self, guards={**self.guards, name: guard.after(labels, probabilities)})

    def verdict(self, now: int) -> Verdict:
        """Return what is known at an instant (microseconds). A broken guard weighs more than an improvement."""
        test = self.improvement.counted(now)
        better, worse = self.earlier[0] + test.log_above(), self.earlier[1] + test.log_below()
        part = self.alpha / (1 + len(self.guards))
        level = self.alpha if self.level is None else self.level
        broken = tuple(name for name, guard in self.guards.items() if guard.log_broken >= -math.log(part))
        what: Literal["better", "worse", "undecided"] = "undecided"
        if broken or worse >= -math.log(part):
            what = "worse"
        elif better >= -math.log(level):
            what = "better"
        return Verdict(
            what=what,
            labels=test.count,
            estimate=test.mean,
            low=test.lower(level),
            high=test.upper(self.alpha),
            better=better,
            worse=worse,
            broken=broken,
        )


def _tests(bounds: Bounds, share: float | None, margin: float, complete: float, width: int) -> CohortTests:
    low, high = improvement_bounds(bounds, share)
    return CohortTests(blank=MeanTest(at=-margin, low=low, high=high), complete=complete, width=width)
