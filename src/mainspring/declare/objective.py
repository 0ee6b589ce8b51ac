"""The objective: what a good prediction is worth, what is measured, and which limits must be kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mainspring.declare.column import Column
from mainspring.declare.expression import Expression
from mainspring.declare.value import Declared, check_parts, check_range
from mainspring.errors import DeclarationError

__all__ = ["METRIC_NAMES", "ErrorCost", "Guard", "Objective", "Payoff"]

METRIC_NAMES = {
    "binary": ("log_loss", "brier", "auc", "pr_auc", "ece"),
    "multiclass": ("log_loss", "brier", "accuracy"),
    "regression": ("rmse", "mae", "pinball"),
}
"""What a model can be judged by, for each task; "payoff" too where one is declared. evaluation/metric.py computes them."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Payoff(Declared):
    """What one yes/no decision is worth: acting and right, not acting and wrong, acting in vain, rightly not acting.

    The decision is to act when the probability reaches the threshold at which both choices are worth the same (Elkan 2001,
    The Foundations of Cost-Sensitive Learning).
    """

    hit: float
    miss: float
    false_alarm: float
    correct_rejection: float = 0.0
    unit: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hit <= self.miss or self.false_alarm >= self.correct_rejection:
            raise DeclarationError(
                "DECLARE_OPTION",
                f"With {self!r} one choice is best whatever the model says.",
                fix="A hit must be worth more than a miss, and a correct rejection more than a false alarm.",
                origin=self.origin,
            )

    @property
    def threshold(self) -> float:
        """The probability from which acting pays."""
        gain, loss = self.hit - self.miss, self.correct_rejection - self.false_alarm
        return loss / (loss + gain)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ErrorCost(Declared):
    """What a numeric prediction costs for each unit that it is too high (`over`) or too low (`under`); both are positive."""

    over: float
    under: float
    unit: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "over", low=0)
        check_range(self, "under", low=0)


@dataclass(frozen=True, eq=False, repr=False)
class Guard(Declared):
    """A limit on a metric that a model must keep to be used: `Guard("ece", at_most=0.03)`; on one slice with `where`."""

    metric: str
    at_most: float | None = field(default=None, kw_only=True)
    at_least: float | None = field(default=None, kw_only=True)
    where: Expression | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.at_most is None and self.at_least is None:
            raise DeclarationError(
                "DECLARE_OPTION",
                f"Guard({self.metric!r}) has no limit.",
                fix="Give at_most or at_least.",
                origin=self.origin,
            )


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Objective(Declared):
    """What the system is judged by. `metric` None means log loss, or RMSE for a number; `quantile` belongs to pinball loss."""

    metric: str | None = None
    payoff: Payoff | ErrorCost | None = None
    slices: Sequence[Column] = ()
    guards: Sequence[Guard] = ()
    quantile: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("slices", tuple(self.slices))
        self._set("guards", tuple(self.guards))
        check_parts(self, "slices", Expression, "columns of the decision's table, such as Flight.carrier")
        check_parts(self, "guards", Guard, 'ms.Guard("ece", at_most=0.03)')
        check_range(self, "quantile", low=0.001, high=0.999)
