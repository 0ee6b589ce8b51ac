"""Prediction intervals for numbers that hold whatever the model is: split conformal prediction."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from msgspec import Struct

__all__ = ["Conformal"]

Numbers = TypeVar("Numbers", float, np.ndarray)


class Conformal(Struct, frozen=True):
    """How far a number lies from its prediction: within `half_width` for a share `coverage` of the rows, or more.

    `half_width`, in the label's unit, is the k-th smallest of the absolute residuals of `rows` rows that the model was not
    fitted on, k = ceil((rows + 1) * coverage). Where those rows and the next one are exchangeable, the interval
    prediction ± half_width holds the next number with a probability of at least `coverage`, whatever the model and the
    distribution: Vovk, Gammerman and Shafer 2005, Algorithmic Learning in a Random World; Lei et al. 2018,
    Distribution-Free Predictive Inference for Regression. That is an average over draws of the rows: given these, the
    share scatters by about sqrt(coverage * (1 - coverage) / rows). A world that drifts is not exchangeable with its past.
    """

    half_width: float
    coverage: float
    rows: int

    def around(self, prediction: Numbers) -> tuple[Numbers, Numbers]:
        """Return the lower and the upper end of the interval; both belong to it."""
        return prediction - self.half_width, prediction + self.half_width
