"""Which kind of shift it is: inputs moved, labels moved, or what inputs mean for labels moved.

* covariate: features are others, P(label | features) is what it was. Probabilities hold; a model may only be unused to where
  it is asked.
* label: labels are more or less frequent, P(features | label) is what it was. Probabilities are off by one change of the odds
  alone, and predictions tell without labels how far (see `label_shift`).
* concept: P(label | features) changed otherwise. Only labels can tell.

A model that is right only on average, not for each input, may lose its calibration to moved features alone: that is told as
concept too, for what was learned no longer holds where it is asked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.special import ndtr

from mainspring.monitoring.calibration_check import CalibrationTest, Unknown, calibration_test, improper
from mainspring.monitoring.label_shift import LabelShares, label_shares, with_share

__all__ = ["Shift", "kinds_of_shift"]

Floats = NDArray[np.float64]


class Shift(Struct, frozen=True):
    """A kind of shift that was found, with the p-value and the words of the evidence."""

    kind: Literal["covariate", "label", "concept"]
    p_value: float
    evidence: str


def kinds_of_shift(
    features: Mapping[str, float],
    *,
    reference: tuple[Floats, NDArray],
    current: Floats,
    matured: tuple[Floats, NDArray],
    days: NDArray | None = None,
    tolerance: float = 0.01,
    level: float = 0.05,
) -> list[Shift] | Unknown:
    """Name the kinds of shift of a yes/no label, none where nothing moved; or say why they cannot be told.

    `features` are p-values that each feature is distributed as it was, uncorrected. `reference` are predictions with labels
    that the model was not fitted on; `current` predictions, and `matured` those of the same span whose labels are known, with
    labels and, in `days`, the day of each (see `check_calibration`).

    Guarantee: where nothing moved, something is named with probability `level` at most. Half of it is for features and
    predictions (Bonferroni), half for labels; every kind needs one of the two.
    """
    half = level / 2.0
    shares = label_shares(*reference, current)
    p, y = matured[0], np.asarray(matured[1], np.float64)
    held = improper(p) or calibration_test(p, y, days=days, tolerance=tolerance)
    inputs = dict(features) if isinstance(shares, Unknown) else {**features, "predictions": shares.p_value}
    moved = {name: min(1.0, len(inputs) * p_value) for name, p_value in inputs.items() if len(inputs) * p_value <= half}
    told = f"Moved: {', '.join(sorted(moved, key=lambda name: moved[name]))}." if moved else "No feature moved."
    if isinstance(held, Unknown):
        return Unknown(f"{told} {held.reason}")
    surprised = held.p_value <= half
    covariate = [Shift("covariate", min(moved.values()), told)] if moved else []
    concept = [Shift("concept", held.p_value, f"Of the labels that matured {held.worst}.")] if surprised else []
    if not covariate and not concept:
        return []
    label = _label_shift(p, y, shares, held, days, tolerance, half)
    match surprised, label:
        case True, Shift():
            return [label]
        case False, Shift():
            return Unknown(f"{told} The labels are too few to tell whether their shares moved too.")
        case True, Unknown():
            return Unknown(f"{told} {concept[0].evidence} {label.reason}")
        case _:
            return concept + covariate


def _label_shift(
    p: Floats,
    y: Floats,
    shares: LabelShares | Unknown,
    held: CalibrationTest,
    days: NDArray | None,
    tolerance: float,
    level: float,
) -> Shift | Unknown | None:
    """Return label shift if matured labels and predictions both tell it, None if they exclude it, or why that is open."""
    n = len(y)
    came = min(max(float(y.mean()), 0.5 / n), 1.0 - 0.5 / n)
    other = calibration_test(with_share(p, came), y, days=days, tolerance=tolerance)
    if isinstance(other, CalibrationTest) and other.p_value <= level:
        return None  # other shares of the same labels would look otherwise
    if isinstance(shares, Unknown):
        return shares
    share, error = shares.shares[1], shares.errors[1]
    chance = math.sqrt(error**2 + came * (1.0 - came) / n * held.dispersion)
    if 2.0 * float(ndtr(-abs(came - share) / chance)) <= level:
        return None  # predictions do not see what labels show
    told = f"predictions put the share of yes at {share:.3g} ± {2.0 * error:.2g}, labels at {came:.3g}, and it was "
    if shares.p_value > level:
        return Unknown(f"Whether label shares moved is not clear: {told}{shares.before[1]:.3g}.")
    return Shift("label", shares.p_value, f"{told}{shares.before[1]:.3g}.".capitalize())
