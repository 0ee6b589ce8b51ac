"""Whether probabilities mean what they say: how often the label came true among rows with similar predictions."""

from __future__ import annotations

import math

import numpy as np

from mainspring.evaluation.bootstrap import Resamples, interval_of
from mainspring.evaluation.metric import ECE_BINS, equal_mass_bins
from mainspring.evaluation.results import Interval, ReliabilityBin
from mainspring.evaluation.reweighting import Floats, totals

__all__ = ["Z95", "histogram", "reliability", "wilson"]

Z95 = 1.959963984540054
"""The two-sided 95% of a normal distribution."""


def reliability(y: Floats, p: Floats, resamples: Resamples | None = None, bins: int = ECE_BINS) -> list[ReliabilityBin]:
    """Return at most `bins` bins of equal mass by predicted probability, lowest first: the bins of the ECE.

    `low` and `high` are the least and greatest prediction inside a bin. With `resamples` the observed share has a bootstrap
    interval over days; where there are none, or where all labels of a bin agree and a bootstrap would claim certainty, it
    has Wilson's (1927). Rows with equal predictions share a bin; no rows, no bins.
    """
    if len(p) == 0:
        return []
    cell, count = equal_mass_bins(p, bins)
    rows = np.bincount(cell, minlength=count)
    hits, predicted = (np.bincount(cell, weights=x, minlength=count) for x in (y, p))
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, cell, p)
    np.maximum.at(high, cell, p)
    drawn = np.full((count, 1), np.nan)
    if resamples is not None:
        taken = totals(np.ones(len(y)), resamples.block, resamples.counts, cell, count)
        came = totals(np.asarray(y, np.float64), resamples.block, resamples.counts, cell, count)
        drawn = np.divide(came, taken, out=np.full_like(taken, np.nan), where=taken > 0)
    found: list[ReliabilityBin] = []
    for b in range(count):
        uncertain = 0 < hits[b] < rows[b]
        observed = interval_of(hits[b] / rows[b], drawn[b]) if uncertain else None
        found.append(
            ReliabilityBin(
                low=float(low[b]),
                high=float(high[b]),
                rows=int(rows[b]),
                predicted=float(predicted[b] / rows[b]),
                observed=observed or wilson(float(hits[b]), int(rows[b])),
            )
        )
    return found


def wilson(hits: float, rows: int, z: float = Z95) -> Interval:
    """Return a share with its score interval (Wilson, 1927), which stays inside [0, 1] and is never empty."""
    share, spread = hits / rows, z * z / rows
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / rows + spread / (4 * rows)) / (1 + spread)
    return Interval(share, max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share)))


def histogram(p: Floats, bins: int = 20) -> list[tuple[float, float, int]]:
    """Return (low, high, rows) of equally wide bins: over [0, 1] for probabilities, else from least to greatest prediction.

    The last bin holds its upper end. No rows, no bins.
    """
    if len(p) == 0:
        return []
    least, most = float(p.min()), float(p.max())
    span = (0.0, 1.0) if least >= 0.0 and most <= 1.0 else (least, most)
    rows, edges = np.histogram(p, bins=bins, range=span)
    return [(float(edges[b]), float(edges[b + 1]), int(rows[b])) for b in range(bins)]
