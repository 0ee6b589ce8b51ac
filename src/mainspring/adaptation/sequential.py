"""Anytime-valid tests of a mean: look as often as you like, stop when you like, and the error rate holds.

Several bettors play against the claim "the mean is at most m". Each stakes a fixed fraction of what it has on every number
being above m; if the claim is true none can expect to gain, so their mean wealth exceeds 1 / alpha with probability alpha at
most, ever (Ville 1939). That wealth is the evidence, an e-value: 20 refutes the claim at 5%, whenever it is seen. The values
of m that are not refuted form a confidence sequence.

*Bounded* numbers: a bettor with stake s multiplies its wealth by 1 + s (x - m) at each number x. That is exact at any size
of sample (Waudby-Smith and Ramdas 2023, "Estimating means of bounded random variables by betting"). Only the side on which
money is lost needs a bound: a loss that is never negative can be shown to be too high although it has no upper bound.

*Unbounded* numbers (log loss): the wealth of a bettor on normal numbers of the variance seen. That is asymptotic: right
when the numbers counted before the first look suffice for the central limit theorem (Robbins 1970; Waudby-Smith, Arbour,
Sinha, Kennedy and Ramdas 2024, "Time-uniform central limit theory and asymptotic confidence sequences").

Fixed stakes were chosen over tuned ones: then all that must be kept are sums. Streams can be cut and joined anywhere, and no
expected number of labels need be declared. On differences of Brier scores they need half the labels of the empirical Bernstein
bound (Howard, Ramdas, McAuliffe and Sekhon 2021), which keeps less still, at effects that 1,000 labels decide.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

__all__ = ["FEWEST", "STAKES", "MeanTest", "bettors", "evidence_along", "log_mixture"]

STAKES = tuple(0.8 / 2**k for k in range(8))
"""Of the stake that could lose everything at once. The boldest decides in tens of numbers, the most timid in a million."""

_BEGIN_WITH = np.log(np.sqrt(STAKES) / np.sqrt(STAKES).sum())
"""The log of what each bettor begins with. The bold have more: where labels are few a fifth fewer decide than with equal parts;
where 300,000 are needed, and so there are many, a quarter more."""

FEWEST = 400
"""Numbers before an asymptotic test says anything. With 200 a lognormal tail errs in 3.7 of 100 streams in place of 3.2."""

_PER_SKEWNESS = 100
"""An asymptotic test is silent, too, below 100 times the squared skewness towards the other side: four times what a single
look needs (Cochran 1977, "Sampling techniques", section 2.15).

Without this rule a candidate that is mostly a little better, at times far worse, and no better in the mean passes too often:
in 11 of 100 streams where its improvement has a lognormal tail (sigma 1.5), in 1 with it. No rule helps where the tail has
not been seen at all: give a bound.
"""

_PER_DEVIATION = tuple(stake / 8 for stake in STAKES)  # asymptotic stakes, in units of one over the standard deviation
_NOTHING = (0.0,) * len(STAKES)
_STEPS, _EXACT = 50, 1e-12  # of Newton's method; it takes five
_LEAST_SQUARE = 1e-180  # less is no spread, and its powers no numbers
_SLACK = 1e-9  # of the range: a difference of rounded numbers may lie this far outside

Floats = NDArray[np.float64]


def log_mixture(log_wealth: Floats) -> Floats:
    """Return the log of what all bettors have together, from how their wealth has grown (..., bettors); together they begin
    with 1.
    """
    held = log_wealth + _BEGIN_WITH
    most = held.max(axis=-1)
    return most + np.log(np.exp(held - most[..., None]).sum(axis=-1))


class MeanTest(Struct, frozen=True, kw_only=True):
    """What a stream of numbers says of its mean, tested against the value `at`: sums, no number is kept.

    The mean is the running mean of conditional means: of what each number could be expected to be, given those before it. It may
    drift. No independence is assumed, but order: the numbers come in the order of `after`, and what is known of one before
    it comes is known from those before.

    `low` and `high` bound every number, None: no bound. A test on the side of a missing bound is asymptotic.

    Guarantees: `after` gives the same bits however the stream is cut; `joined` gives the sums of both, equal up to the order in
    which floats are added. Under the claim that the mean is at most `value`, the probability that `log_above(value)` ever
    reaches log(1 / alpha) is at most alpha, and likewise below; `lower` and `upper` each miss the running mean, ever, with
    probability at most alpha.
    """

    at: float
    low: float | None = None
    high: float | None = None
    count: int = 0
    total: float = 0.0  # of x - at
    square: float = 0.0  # of (x - at)^2
    cube: float = 0.0  # of (x - at)^3
    above: tuple[float, ...] = _NOTHING  # the log growth of each who bets on "above `at`"; 0 without `low`
    below: tuple[float, ...] = _NOTHING

    def __post_init__(self) -> None:
        if (self.low is not None and not self.low < self.at) or (self.high is not None and not self.at < self.high):
            raise ValueError(f"{self.at} does not lie between {self.low} and {self.high}: there is nothing to test")

    def after(self, numbers: NDArray) -> MeanTest:
        """Return what is known when these numbers (n,) have come. Raises ValueError outside the bounds, and for NaN."""
        x = np.asarray(numbers, np.float64)
        self._check(x)
        # One after the other, as nothing else is the same bits for every cut: NumPy's sum adds in pairs.
        sums = np.cumsum(np.vstack([self.sums, self.rows(x)]), axis=0)[-1].tolist()
        above, below = sums[3 : 3 + len(STAKES)], sums[3 + len(STAKES) :]
        return replace(
            self,
            count=self.count + len(x),
            total=sums[0],
            square=sums[1],
            cube=sums[2],
            above=tuple(above),
            below=tuple(below),
        )

    def joined(self, other: MeanTest) -> MeanTest:
        """Return what two streams say together that were tested alike. Raises ValueError if they were not."""
        if (self.at, self.low, self.high) != (other.at, other.low, other.high):
            raise ValueError("tests of different values or bounds cannot be joined")
        return replace(
            self,
            count=self.count + other.count,
            total=self.total + other.total,
            square=self.square + other.square,
            cube=self.cube + other.cube,
            above=tuple(a + b for a, b in zip(self.above, other.above, strict=True)),
            below=tuple(a + b for a, b in zip(self.below, other.below, strict=True)),
        )

    @property
    def mean(self) -> float | None:
        """The mean of the numbers, None before the first."""
        return self.at + self.total / self.count if self.count else None

    def log_above(self, value: float | None = None) -> float:
        """Return the log of the evidence against "the mean is at most `value`" (`at` where None). 0: none either way."""
        return self._log_evidence(value, +1)

    def log_below(self, value: float | None = None) -> float:
        """Return the log of the evidence against "the mean is at least `value`" (`at` where None)."""
        return self._log_evidence(value, -1)

    def log_apart(self, value: float | None = None) -> float:
        """Return the log of the evidence against "the mean is `value`": both sides share the stakes."""
        return float(np.logaddexp(self.log_above(value), self.log_below(value))) - math.log(2.0)

    def lower(self, alpha: float) -> float | None:
        """Return the lower end of a one-sided confidence sequence, None where nothing can be said yet."""
        return self._end(alpha, +1)

    def upper(self, alpha: float) -> float | None:
        """Return the upper end of a one-sided confidence sequence; both ends at alpha / 2 make a two-sided one."""
        return self._end(alpha, -1)

    @property
    def sums(self) -> Floats:
        """What is kept of the numbers, as one row."""
        return np.array([self.total, self.square, self.cube, *self.above, *self.below])

    def rows(self, x: Floats) -> Floats:
        """Return what each number (...) adds to the sums (..., sums)."""
        y = x - self.at
        parts = [y, y * y, y * y * y]
        for stakes in self.stakes:
            parts += [np.log1p(stake * y) for stake in stakes] or [np.zeros_like(y)] * len(STAKES)
        return np.stack(parts, axis=-1)

    @property
    def stakes(self) -> tuple[list[float], list[float]]:
        """What the bettors on above and on below win for one unit more; empty where no bound limits what they lose."""
        above = [] if self.low is None else [stake / (self.at - self.low) for stake in STAKES]
        return above, [] if self.high is None else [-stake / (self.high - self.at) for stake in STAKES]

    def _check(self, x: Floats) -> None:
        if x.ndim != 1 or not np.isfinite(x).all():
            raise ValueError("the numbers of a test are one row of finite numbers")
        low, high = -math.inf if self.low is None else self.low, math.inf if self.high is None else self.high
        slack = _SLACK * max([1.0, *(abs(end) for end in (low, high) if math.isfinite(end))])
        if len(x) and (x.min() < low - slack or x.max() > high + slack):
            raise ValueError(
                f"numbers from {x.min()} to {x.max()} lie outside the bounds {low} and {high} of their test"
            )

    def _log_evidence(self, value: float | None, side: int) -> float:
        moved = 0.0 if value is None else side * self.count * (value - self.at)
        wealth, per_unit = bettors(self, np.array(self.count), self.sums, side)
        return float(log_mixture(wealth - per_unit * moved))

    def _end(self, alpha: float, side: int) -> float | None:
        if not 0.0 < alpha < 1.0:
            raise ValueError(f"the error rate of a test lies between 0 and 1, and {alpha} does not")
        bound = self.low if side > 0 else self.high
        wealth, per_unit = bettors(self, np.array(self.count), self.sums, side)
        if not self.count or not per_unit.any():
            return bound
        needed = -math.log(alpha)
        # The log of a sum of exponentials is convex and falls with `moved`. At the first point one bettor alone suffices, so
        # that Newton's steps approach the root from this side and never pass it.
        moved = float(((wealth + _BEGIN_WITH - needed) / per_unit).max())
        for _ in range(_STEPS):
            grown = wealth - per_unit * moved
            together = float(log_mixture(grown))
            step = (together - needed) / float(np.exp(grown + _BEGIN_WITH - together) @ per_unit)
            moved += step
            if step <= _EXACT * max(1.0, abs(moved)):
                break
        end = self.at + side * moved / self.count
        if bound is None:
            return end
        return max(end, bound) if side > 0 else min(end, bound)


def bettors(test: MeanTest, count: NDArray, sums: Floats, side: int) -> tuple[Floats, Floats]:
    """Return the log growth of each bettor's wealth at `test.at` (..., bettors), on above (side +1) or below (-1), and what it
    loses for each unit by which `side * count * value` is moved, from counts (...) and sums (..., sums) of streams tested alike.

    With a bound, the wealth on "above value" is at least that at `at` times exp(-stake (value - at)) for each number, because
    (1 + s d) exp(-s d) <= 1. This also keeps the guarantee where the conditional means drift. Both are 0 where an asymptotic
    test is silent.
    """
    stakes = test.stakes[0 if side > 0 else 1]
    if stakes:
        first = 3 if side > 0 else 3 + len(STAKES)
        wealth = sums[..., first : first + len(STAKES)]
        return wealth, np.broadcast_to(np.abs(stakes), wealth.shape)
    total, square, cube = (sums[..., k] for k in range(3))
    # The second moment about `at` is the variance where the claim holds, and never too small where it does not.
    spread_seen = square > _LEAST_SQUARE
    moment = np.where(spread_seen, square, 1.0) / np.maximum(count, 1)
    skewness = np.maximum(-side * cube / np.maximum(count, 1) / moment**1.5, 0.0)
    speaks = spread_seen & (count >= FEWEST) & (count >= _PER_SKEWNESS * skewness**2)
    per_unit = np.array(_PER_DEVIATION) / np.sqrt(moment)[..., None] * speaks[..., None]
    spread = np.multiply.outer(np.where(speaks, count, 0.0), np.square(_PER_DEVIATION) / 2)
    return per_unit * side * total[..., None] - spread, per_unit


def evidence_along(
    test: MeanTest, streams: Floats, looks: NDArray[np.intp], values: Floats | None = None
) -> tuple[Floats, Floats]:
    """Return `log_above` and `log_below` (streams, looks) of streams (streams, numbers), after the first `looks` numbers of each.

    For simulations. `values` (looks) or (streams, looks) are what the mean is tested against at each look, `at` where None.
    """
    added = [test.rows(streams[:, a:b]).sum(axis=1) for a, b in pairwise([0, *looks])]
    sums = test.sums + np.cumsum(np.stack(added, axis=1), axis=1)
    counts = np.broadcast_to(test.count + looks, sums.shape[:-1])
    moved = np.zeros(counts.shape) if values is None else counts * (values - test.at)
    found = []
    for side in (+1, -1):
        wealth, per_unit = bettors(test, counts, sums, side)
        found.append(log_mixture(wealth - per_unit * (side * moved)[..., None]))
    return found[0], found[1]
