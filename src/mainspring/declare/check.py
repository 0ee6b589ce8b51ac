"""Behavioural checks a user declares: what a change of one feature may and may not do to the prediction."""

from __future__ import annotations

from dataclasses import dataclass, field

from mainspring.declare.value import Declared, check_choice, check_range

__all__ = ["Check"]


@dataclass(frozen=True, eq=False, repr=False)
class Check(Declared):
    """A behavioural check in the manner of CheckList (Ribeiro et al. 2020); make one with a class method."""

    kind: str
    feature: str
    to: tuple[str | float | bool, ...] | None = field(default=None, kw_only=True)
    by: float = field(default=0.0, kw_only=True)
    expect: str = field(default="up", kw_only=True)
    scale: float = field(default=0.0, kw_only=True)
    at_most: float = field(default=0.0, kw_only=True)
    at_least: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self, "expect", ("up", "down"))
        for name in ("at_most", "at_least", "scale"):
            check_range(self, name, low=0)

    @property
    def name(self) -> str:
        """The check in words."""
        if self.kind == "invariance":
            return f"{self.feature} does not matter"
        if self.kind == "direction":
            return f"{self.feature} {self.by:+g} moves the prediction {self.expect}"
        return f"noise of {self.scale:g} standard deviations in {self.feature}"

    @classmethod
    def invariance(
        cls, feature: str, *, to: tuple[str | float | bool, ...] | None = None, at_most: float = 0.01
    ) -> Check:
        """Setting the feature to each of these values (or shuffling it) changes the prediction by at most this, on average."""
        return cls("invariance", feature, to=None if to is None else tuple(to), at_most=at_most)

    @classmethod
    def direction(cls, feature: str, *, by: float, expect: str, at_least: float = 0.9) -> Check:
        """Adding `by` to the feature moves the prediction "up" or "down", or leaves it, for at least this share of rows."""
        return cls("direction", feature, by=by, expect=expect, at_least=at_least)

    @classmethod
    def noise(cls, feature: str, *, scale: float = 0.1, at_most: float = 0.02) -> Check:
        """Gaussian noise of `scale` standard deviations changes the prediction by at most this, on average."""
        return cls("noise", feature, scale=scale, at_most=at_most)
