"""How often the label is yes, given a proxy and the prediction: learned, with its error, and refused where it broke.

P(label | proxy, prediction) is taken to be what it was. The other way round, P(proxy | label, prediction) with a share of yes
that moved, was tried on a year of flights: log loss of a day was 28% farther from what the labels then said, and 3% nearer on
the worst days.
"""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.special import stdtr

from mainspring.evaluation.bootstrap import FEWEST_DAYS
from mainspring.monitoring.calibration_check import Unknown

__all__ = ["CELLS", "ProxyMap", "cells", "learned"]

Floats = NDArray[np.float64]

_EDGES = 1.0 / (1.0 + np.exp(-np.arange(-4.0, 5.0)))
"""Bins of the prediction, one unit of log odds each: they fit a rare label as well, and are the same for every stream."""

_BINS = len(_EDGES) + 1
CELLS = 2 * _BINS
"""A proxy that said no with each bin of the prediction, then one that said yes."""

_PRIOR = 10.0  # rows by which a cell leans towards the share of all cells with its proxy value
_FEWEST = 50  # labels with each value of the proxy
_CHECKED = 7  # the newest cohorts, held to what those before them told
_TOLERANCE, _LEVEL = 0.05, 0.01


class ProxyMap(Struct, frozen=True, kw_only=True):
    """P(label | proxy, bin of the prediction), by cell, with its standard error.

    `agreement` is the share of `labels` that were what the proxy said; `dispersion` how many times the variance of a
    cohort's labels is that of independent ones, at least 1.
    """

    chance: tuple[float, ...]
    error: tuple[float, ...]
    agreement: float
    dispersion: float
    labels: int
    cohorts: int


def cells(predictions: Floats, proxy: Floats) -> NDArray[np.intp]:
    """Return the cell (n,) of each prediction, a probability, and proxy value, 0 or 1."""
    found: NDArray[np.intp] = np.digitize(predictions, _EDGES) + _BINS * proxy.astype(np.intp)
    return found


def learned(known: Floats, came: Floats) -> ProxyMap | Unknown:
    """Learn the map from labels that came, the oldest cohort first: how many are `known` (cohorts, cells), and how many yes.

    Refused is a map of too few labels or cohorts, and one that broke: where among decisions with one value of the proxy the
    share of yes in the newest cohorts is more than 0.05 from what the cohorts before them told. Where it is not, a check
    refuses with probability 0.01 at most, up to the normal approximation; cohorts are taken as independent, rows are not.
    """
    cohorts, needed = len(known), FEWEST_DAYS + _CHECKED
    if cohorts < needed:
        return Unknown(
            f"Labels have come of {cohorts} cohort(s) only; {needed} are needed to learn what the proxy tells."
        )
    by_value = known.reshape(cohorts, 2, _BINS).sum(axis=(0, 2))
    if by_value.min() < _FEWEST:
        said = "no" if by_value[0] < by_value[1] else "yes"
        return Unknown(
            f"The proxy said {said} for {by_value.min():.0f} decisions with a label only; {_FEWEST} are needed."
        )
    return _broken(known, came) or _fitted(known, came)


def _fitted(known: Floats, came: Floats) -> ProxyMap:
    rows, yes = known.sum(axis=0), came.sum(axis=0)
    by_value = np.array([rows, yes]).reshape(2, 2, _BINS).sum(axis=2)
    share = np.repeat((by_value[1] + 0.5) / (by_value[0] + 1.0), _BINS)
    chance = (yes + _PRIOR * share) / (rows + _PRIOR)
    variance = chance * (1.0 - chance)
    dispersion = 1.0
    off, spread = came - chance * known, known * variance
    for mine in (slice(None), slice(0, _BINS), slice(_BINS, CELLS)):
        within = float(spread[:, mine].sum()) * (1.0 - 1.0 / len(known))
        if within > 0.0:
            dispersion = max(dispersion, float(np.square(off[:, mine].sum(axis=1)).sum()) / within)
    agreed = rows[:_BINS].sum() - yes[:_BINS].sum() + yes[_BINS:].sum()
    return ProxyMap(
        chance=tuple(chance.tolist()),
        error=tuple(np.sqrt(dispersion * variance / (rows + _PRIOR)).tolist()),
        agreement=float(agreed / rows.sum()),
        dispersion=dispersion,
        labels=int(rows.sum()),
        cohorts=len(known),
    )


def _broken(known: Floats, came: Floats) -> Unknown | None:
    """Return where the newest cohorts contradict those before them."""
    before = _fitted(known[:-_CHECKED], came[:-_CHECKED])
    chance, error = np.array(before.chance), np.array(before.error)
    newest = known[-_CHECKED:]
    for said, mine in (("no", slice(0, _BINS)), ("yes", slice(_BINS, CELLS))):
        rows = newest[:, mine].sum()
        off = (came[-_CHECKED:, mine] - chance[mine] * newest[:, mine]).sum(axis=1)
        map_error = np.square(newest[:, mine].sum(axis=0) * error[mine]).sum()
        spread = math.sqrt(np.square(off - off.mean()).sum() * _CHECKED / (_CHECKED - 1) + map_error)
        beyond = abs(float(off.sum())) - _TOLERANCE * rows
        if beyond > 0.0 and 2.0 * 2.0 * stdtr(_CHECKED - 1, -beyond / spread) <= _LEVEL:
            expected = float(chance[mine] @ newest[:, mine].sum(axis=0) / rows)
            return Unknown(
                f"Where the proxy said {said}, {expected:.3f} of the labels of the newest {_CHECKED} cohorts should have been "
                f"yes, and {expected + off.sum() / rows:.3f} were: it does not tell them as it did."
            )
    return None
