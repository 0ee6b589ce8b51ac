"""How much each feature matters: what the metric loses when the feature's values are shuffled among the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mainspring.evaluation.bootstrap import interval_of, resample
from mainspring.evaluation.metric import Metric
from mainspring.evaluation.results import Importance
from mainspring.evaluation.reweighting import Floats

__all__ = ["permutation_importance"]


def permutation_importance(
    features: pl.DataFrame,
    y: NDArray,
    predict: Callable[[pl.DataFrame], Floats],
    metric: Metric,
    days: NDArray,
    *,
    gain: Mapping[str, float] | None = None,
    groups: Mapping[str, str] | None = None,
    repeats: int = 2,
    at_most_rows: int = 10_000,
    replicates: int = 300,
    seed: int = 0,
) -> list[Importance]:
    """Return every feature's loss of the metric under shuffling, greatest first (Breiman, 2001; Fisher et al., 2019).

    The loss is the mean over `repeats` shuffles, positive when the feature helps, with an interval over the days (n,) of
    the sampled rows. All rows are judged, or a random sample of `at_most_rows`; shuffles are the same for every feature, so
    that features are compared on equal terms, and `predict` is called once for a feature with its repeats stacked. A
    feature whose twin stays unshuffled looks useless: read correlated features as a group.

    `gain` is the model's own split gain per feature, given back as its share; a feature it lacks has None. `groups` names a
    feature's group; without it the feature is its own. `permutation` is None where the metric is undefined (no rows, AUC of
    one class).
    """
    random = np.random.default_rng(seed)
    if features.height > at_most_rows:
        rows = np.sort(random.choice(features.height, at_most_rows, replace=False))
        features, y, days = features[rows], y[rows], days[rows]
    n = features.height
    drawn = resample(days, replicates, seed)
    shuffles = np.concatenate([random.permutation(n) for _ in range(repeats)])
    base = predict(features) if n else np.zeros(0)
    value, replicated = metric.value_or_nan(y, base), metric.reweighted(y, base, None, drawn.block, drawn.counts)
    stacked = pl.concat([features] * repeats) if n else features
    whole = sum(gain.values()) if gain else 0.0
    found: list[Importance] = []
    for name in features.columns:
        permutation = None
        if np.isfinite(value):
            shuffled = predict(stacked.with_columns(stacked[name].gather(shuffles)))
            parts = [shuffled[r * n : (r + 1) * n] for r in range(repeats)]
            lost = np.mean([metric.loss(metric.value_or_nan(y, part)) for part in parts]) - metric.loss(value)
            under = np.mean([metric.reweighted(y, part, None, drawn.block, drawn.counts) for part in parts], axis=0)
            sign = -1.0 if metric.greater_is_better else 1.0
            permutation = interval_of(float(lost), sign * (under - replicated))
        share = None
        if gain is not None and name in gain:
            share = float(gain[name] / whole) if whole > 0 else 0.0
        found.append(
            Importance(feature=name, group=(groups or {}).get(name, name), gain=share, permutation=permutation)
        )
    return sorted(
        found, key=lambda item: (-(item.permutation.value if item.permutation else -np.inf), -(item.gain or 0.0))
    )
