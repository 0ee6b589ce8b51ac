"""Drift of all columns together: can a classifier tell the rows of now from those of the reference?

It sees what no column shows alone, such as two columns that no longer go together. Unlike sketches it needs rows. Its answer
is an area under the ROC curve (AUC) on rows it was not fitted on: 0.5 means that it cannot (Lopez-Paz and Oquab, Revisiting
Classifier Two-Sample Tests, ICLR 2017). That is a difference, not yet a harm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from mainspring.cores import available_cores
from mainspring.evaluation.reliability import Z95
from mainspring.model.openmp import load_lightgbm
from mainspring.model.schema import Feature, FeatureSchema

__all__ = ["Domains", "Giveaway", "tell_apart"]

_FOLDS, _FEWEST, _SHUFFLED = 5, 50, 10
_ROUNDS = 40
_VALUES_A_THREAD = 2_000_000  # with fewer, threads mostly wait for each other: on a busy machine ten times as long
_PARAMETERS = {
    "objective": "binary",
    "num_leaves": 15,
    "learning_rate": 0.15,
    "min_data_in_leaf": 10,
    "max_bin": 63,
    "lambda_l2": 1.0,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


class Giveaway(Struct, frozen=True):
    """A feature by which the rows were told apart: the AUC that is lost when its values are shuffled."""

    name: str
    auc_lost: float


class Domains(Struct, frozen=True):
    """How well rows can be told apart: the mean AUC of five folds with its 95% interval, and by which features.

    `giveaways` is empty unless the interval lies above 0.5. Features that say the same share what they give away.
    """

    auc: float
    low: float
    high: float
    rows_before: int
    rows: int
    giveaways: tuple[Giveaway, ...]

    @property
    def apart(self) -> bool:
        """Whether the rows can be told apart: for rows without any drift it says so in 2.5% of all cases, or fewer."""
        return self.low > 0.5


def tell_apart(
    reference: pl.DataFrame,
    current: pl.DataFrame,
    kinds: Mapping[str, str],
    *,
    rows: int = 10_000,
    seed: int = 0,
    explained: bool = True,
) -> Domains | None:
    """Try to tell two samples apart by the features of `kinds`; None where one has fewer than 50 rows.

    At most `rows` of each are drawn. The same rows and seed give the same answer on any number of cores. Rows must be
    independent: many rows of one customer on the same side are recognised by that customer. A column that grows with
    time gives itself away, rightly. Not `explained`, it does not ask by which features, which takes as long again.

    Raises BundleError (BUNDLE_INPUT) where a feature is missing or has a type that cannot be read.
    """
    if min(reference.height, current.height) < _FEWEST:
        return None
    draw = np.random.default_rng(seed)
    given = FeatureSchema(tuple(Feature(name, kind) for name, kind in kinds.items()))
    for frame in (reference, current):
        given.check(frame)
    samples = [_drawn(frame.select(given.names), rows, draw) for frame in (reference, current)]
    both = pl.concat(samples, how="vertical_relaxed")
    schema = FeatureSchema.learn(both, kinds)
    matrix = schema.encode_for_trees(both)
    is_now = np.repeat([False, True], [sample.height for sample in samples])
    folds = np.concatenate([draw.permutation(np.arange(sample.height) % _FOLDS) for sample in samples])
    binned = _binned(matrix, is_now, schema, seed)
    areas, variances = np.empty(_FOLDS), np.empty(_FOLDS)
    lost = np.zeros(len(schema.features))
    for fold in range(_FOLDS):
        held_out = folds == fold
        booster = _fitted(binned, ~held_out)
        rest, answers = matrix[held_out], is_now[held_out]
        areas[fold], variances[fold] = _area(booster.predict(rest), answers)
        gain = booster.feature_importance("gain")
        for feature in np.argsort(-gain, kind="stable")[: _SHUFFLED if explained else 0]:
            if gain[feature] > 0:
                shuffled = rest.copy()
                shuffled[:, feature] = draw.permutation(shuffled[:, feature])
                lost[feature] += (areas[fold] - _area(booster.predict(shuffled), answers)[0]) / _FOLDS
    # Folds are not independent, since each is among the rows that the others learn from: Nadeau and Bengio, Machine
    # Learning 52, 2003. With the variance of independent ones 5 to 8% of samples without drift were told apart.
    error = Z95 * math.sqrt(variances.mean() * (1 / _FOLDS + 1 / (_FOLDS - 1)))
    auc = float(areas.mean())
    order = [int(k) for k in np.argsort(-lost, kind="stable") if lost[k] > 0] if auc - error > 0.5 else []
    giveaways = tuple(Giveaway(schema.names[k], float(lost[k])) for k in order)
    return Domains(auc, auc - error, min(1.0, auc + error), samples[0].height, samples[1].height, giveaways)


def _drawn(frame: pl.DataFrame, rows: int, draw: np.random.Generator) -> pl.DataFrame:
    if frame.height <= rows:
        return frame
    return frame[np.sort(draw.choice(frame.height, rows, replace=False))]


def _binned(matrix: NDArray[np.float64], is_now: NDArray[np.bool_], schema: FeatureSchema, seed: int) -> Any:
    """The rows of all folds in LightGBM's bins: laid once, for bins tell nothing of which sample a row is from."""
    lightgbm = load_lightgbm()
    threads = min(available_cores(), 1 + matrix.size // _VALUES_A_THREAD)
    return lightgbm.Dataset(
        matrix,
        is_now.astype(float),
        feature_name=[f"f{k}" for k in range(len(schema.features))],  # LightGBM allows few characters
        categorical_feature=schema.categorical,
        params={**_PARAMETERS, "seed": seed, "num_threads": threads},
        free_raw_data=False,
    ).construct()


def _fitted(binned: Any, rows: NDArray[np.bool_]) -> Any:
    """A model of some of the rows."""
    return load_lightgbm().train(dict(binned.params), binned.subset(np.flatnonzero(rows)), num_boost_round=_ROUNDS)


def _area(scores: NDArray[np.float64], is_now: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the AUC of held-out rows and its variance (DeLong and others, Biometrics 44, 1988)."""
    before, now = np.sort(scores[~is_now]), np.sort(scores[is_now])
    above = _share_below(before, now)
    below = 1 - _share_below(now, before)
    return float(above.mean()), float(above.var(ddof=1) / len(now) + below.var(ddof=1) / len(before))


def _share_below(ordered: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each value the share of the others below it, those equal to it counted half."""
    sides = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return np.sum(list(sides), axis=0) / (2 * len(ordered))
