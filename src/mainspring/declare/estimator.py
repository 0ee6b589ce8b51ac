"""What learns: LightGBM by its declared parameters, or any scikit-learn estimator; and how it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mainspring.clock import format_instant, format_span, parse_instant, parse_span
from mainspring.declare.expression import Expression
from mainspring.declare.value import Declared, StoredObject, check_choice, check_range, freeze
from mainspring.errors import DeclarationError

__all__ = ["LightGBM", "Sklearn", "Training"]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class LightGBM(Declared):
    """Gradient-boosted trees (Ke et al. 2017). Categories and missing values are handled natively.

    `parameters` holds any further LightGBM parameter by its own name; seeds and threads are Mainspring's.
    """

    rounds: int = 400
    learning_rate: float = 0.05
    num_leaves: int = 31
    min_data_in_leaf: int = 100
    feature_fraction: float = 0.7
    bagging_fraction: float = 0.8
    lambda_l2: float = 1.0
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("parameters", freeze(self.parameters))
        for name, low, high in (
            ("rounds", 1, None), ("learning_rate", 1e-6, None), ("num_leaves", 2, None), ("min_data_in_leaf", 0, None),
            ("feature_fraction", 1e-3, 1), ("bagging_fraction", 1e-3, 1), ("lambda_l2", 0, None),
        ):  # fmt: skip
            check_range(self, name, low, high)


@dataclass(frozen=True, eq=False, repr=False)
class Sklearn(Declared):
    """A scikit-learn estimator or pipeline.

    With inputs="encoded" it gets a matrix of floats: numbers standardised with a column that marks missing ones, frequent
    categories one-hot. With inputs="frame" it gets a Polars frame with the features as they are, and does all the rest.
    """

    estimator: Any
    inputs: str = field(default="encoded", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self, "inputs", ("encoded", "frame"))
        fits = hasattr(self.estimator, "fit") and hasattr(self.estimator, "get_params")
        if isinstance(self.estimator, type) or not (fits or isinstance(self.estimator, StoredObject)):
            raise DeclarationError(
                "DECLARE_OPTION",
                f"model={self.estimator!r} cannot be fitted.",
                fix="Give ms.LightGBM(...) or a scikit-learn estimator or pipeline (an object, not its class).",
                origin=self.origin,
            )


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Training(Declared):
    """How history is split and weighted.

    `test` is an instant ("2013-10-01": decisions from then on are judged once, and never trained on) or the newest share of
    the decisions. Before it, the newest `calibrate` share chooses the calibration; labels must be known before the part that
    follows begins (the embargo). With `refit` the model is then fitted again on everything before the test part.
    `window` trains on the newest span only; `half_life` halves a row's weight for each span it is older. Where the condition
    `where` on the decision's row is not true nothing is learned, but such decisions are judged like all others.
    """

    test: str | float = 0.25
    calibrate: float = 0.15
    calibration: str = "auto"
    refit: bool = True
    class_weight: str | Mapping[Any, float] | None = None
    half_life: str | None = None
    window: str | None = None
    where: Expression | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.test, str):
            self._set("test", format_instant(parse_instant(self.test, origin=self.origin)))
        else:
            check_range(self, "test", 0.01, 0.9)
        check_range(self, "calibrate", 0.01, 0.5)
        check_choice(self, "calibration", ("auto", "isotonic", "platt", "none"))
        if isinstance(self.class_weight, str):
            check_choice(self, "class_weight", ("balanced",))
        elif self.class_weight is not None:
            self._set("class_weight", freeze(self.class_weight))
        for name in ("half_life", "window"):
            span = getattr(self, name)
            if span is not None:
                self._set(name, format_span(parse_span(span, origin=self.origin)))
