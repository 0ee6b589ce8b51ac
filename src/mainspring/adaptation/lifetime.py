"""Candidate after candidate: how strict to be with each, so that few of a system's promotions are false.

A system that tries a candidate a day for a year, each at 5%, may promote eighteen that are no better. e-LOND (Xu and Ramdas
2024, "Online multiple testing with e-values") gives each candidate a part of alpha, and those after a promotion more. The
expected share of false promotions among all is then alpha at most, however candidates depend on each other and whenever they
are judged: the evidence of a `Trial` is an e-value at any time.
"""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Lifetime", "level_of_candidate"]

_ZETA = 2.6123753486854883  # the sum of n^-1.5 over all n from 1


class Lifetime(Struct, frozen=True):
    """How many candidates a system has tried, and how many of them it promoted: plain data, kept for the life of the system.

    Call `with_candidate` when one enters its rollout, before anything is known of it, and give its trial the level;
    `with_promotion` when one is promoted. Every candidate that enters has its number, also one that is rolled back in its
    shadow: were only those numbered that come as far as an A/B, those that looked good by chance would be.

    Promised of rollouts with an A/B, where a candidate is promoted because it was called better. One that passes as it was not
    shown to be worse is no claim, and nothing is promised of how often it is better.

    >>> lifetime, level = Lifetime().with_candidate(0.05)
    >>> round(level, 4)
    0.0191
    >>> lifetime.with_promotion()
    Lifetime(tried=1, promoted=1)
    """

    tried: int = 0
    promoted: int = 0

    def with_candidate(self, alpha: float) -> tuple[Lifetime, float]:
        """Return the lifetime with another candidate, and the level for it; `alpha` is that of all together."""
        return Lifetime(self.tried + 1, self.promoted), level_of_candidate(alpha, self.tried + 1, self.promoted)

    def with_promotion(self) -> Lifetime:
        """Return the lifetime in which the last candidate was promoted."""
        return Lifetime(self.tried, self.promoted + 1)


def level_of_candidate(alpha: float, number: int, promoted: int) -> float:
    """Return the level of the candidate with this number (from 1), when of those before it so many were promoted.

    Weights are proportional to number^-1.5.

    >>> [round(level_of_candidate(0.05, number, number - 1), 4) for number in (1, 2, 10, 50)]
    [0.0191, 0.0135, 0.0061, 0.0027]
    """
    if number < 1 or not 0 <= promoted < number:
        raise ValueError(f"candidate {number} cannot follow {promoted} promotions")
    return alpha * (promoted + 1) / (_ZETA * number**1.5)
