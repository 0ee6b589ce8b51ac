"""What every learning algorithm offers: prepare the rows once, then fit on any part of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import numpy as np

from mainspring.model.model import Predictor
from mainspring.model.schema import FeatureSchema

__all__ = ["Fitter"]


class Fitter(Protocol):
    """Rows, labels and weights made ready for one algorithm.

    Guarantees: the same inputs give the same predictor; fits do not influence each other; not to be shared by threads.
    """

    schema: FeatureSchema

    def fit(
        self,
        rows: np.ndarray | None = None,
        *,
        weights: np.ndarray | None = None,
        without: Collection[str] = (),
        effort: float = 1.0,
    ) -> Predictor:
        """Fit on some rows (ascending row numbers; None: all), each with its weight.

        `without` names features the model must not use. `effort` below 1 asks for a cheaper model of the same form, good
        for comparing feature groups with each other; algorithms without such a dial ignore it.

        Raises DataError (DATA_ONE_CLASS, DATA_TOO_FEW) and TrainingError (TRAIN_FAILED).
        """
        ...
