"""Simulated streams of improvements, many at once: (streams, labels), with a mean that is known."""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NEEDED = math.log(1 / 0.05)


def chance(logit: Floats) -> Floats:
    return 1 / (1 + np.exp(-logit))


def brier_improvements(
    random: np.random.Generator, shape: tuple[int, int], champion: float, candidate: float
) -> Floats:
    """Two models see the true log odds with noise; equal noise makes them exchangeable, so that the mean is exactly 0."""
    truth = random.normal(-1.2, 1.2, shape)
    label = random.random(shape) < chance(truth)
    before, after = (chance(truth + random.normal(0, noise, shape)) for noise in (champion, candidate))
    return np.square(before - label) - np.square(after - label)


def overconfident_improvements(random: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Differences of log loss: the candidate knows more and says it too loudly, so that it is mostly better and at times
    far worse (skewness -2.5). Moved so that it is no better in the mean."""
    truth = random.normal(-1.2, 1.2, shape)
    sign = np.where(random.random(shape) < chance(truth), -1.0, 1.0)
    found = np.logaddexp(0, sign * (truth + random.normal(0, 0.5, shape))) - np.logaddexp(0, sign * 1.6 * truth)
    return found - found.mean()


def rare_disasters(random: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Better by 0.02 in 98 of 100 decisions, worse by 0.98 in the others: mean 0, skewness -6.9."""
    return np.where(random.random(shape) < 0.02, -0.98, 0.02)


def allowed(rate: float, streams: int) -> float:
    """The nominal rate and what chance may add to it in so many streams: three standard errors."""
    return rate + 3 * math.sqrt(rate * (1 - rate) / streams)


def ever(evidence: Floats, needed: float = NEEDED) -> float:
    """The share of streams (streams, looks) whose evidence reaches what is needed at any look."""
    return float((evidence >= needed).any(axis=1).mean())
