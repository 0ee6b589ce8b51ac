"""Policies of the loop: when to retrain, how to roll out, how loud to be. Declared here; the loop carries them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mainspring.clock import format_span, parse_span
from mainspring.declare.value import Declared, check_choice, check_range, freeze
from mainspring.errors import DeclarationError

__all__ = [
    "AB", "Alerts", "AllOf", "AnyOf", "Canary", "Degraded", "Drifted", "EstimatedDegraded", "Every", "Full", "Retrain",
    "Rollout", "Shadow", "Volume",
]  # fmt: skip


def _normal_span(value: Declared, name: str) -> None:
    span = getattr(value, name)
    if span is not None:
        value._set(name, format_span(parse_span(span, origin=value.origin)))


@dataclass(frozen=True, eq=False, repr=False)
class Trigger(Declared):
    """Something that asks for a new model."""


@dataclass(frozen=True, eq=False, repr=False)
class Every(Trigger):
    """A span has passed since the last training."""

    span: str

    def __post_init__(self) -> None:
        super().__post_init__()
        _normal_span(self, "span")


@dataclass(frozen=True, eq=False, repr=False)
class Volume(Trigger):
    """So many labels have matured since the last training."""

    labels: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "labels", low=1)


@dataclass(frozen=True, eq=False, repr=False)
class Drifted(Trigger):
    """Features or predictions have moved away from the training reference: at least `share` of them, by `effect` (PSI)."""

    share: float = 0.3
    effect: float = field(default=0.2, kw_only=True)
    over: str = field(default="7d", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "share", 0, 1)
        check_range(self, "effect", low=0)
        _normal_span(self, "over")


@dataclass(frozen=True, eq=False, repr=False)
class Degraded(Trigger):
    """A metric on matured labels is worse by this much, with confidence, than when the model was last judged.

    That was at its promotion, or later, beside a candidate that did no better.
    """

    metric: str
    by: float = field(kw_only=True)
    over: str = field(default="7d", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "by", low=0)
        _normal_span(self, "over")


@dataclass(frozen=True, eq=False, repr=False)
class EstimatedDegraded(Degraded):
    """The same, on the metric estimated before labels mature."""


@dataclass(frozen=True, eq=False, repr=False)
class AnyOf(Trigger):
    """At least one of several triggers."""

    triggers: tuple[Trigger, ...]

    def __init__(self, *triggers: Trigger) -> None:
        object.__setattr__(self, "triggers", tuple(triggers))
        object.__setattr__(self, "origin", None)
        self.__post_init__()


@dataclass(frozen=True, eq=False, repr=False)
class AllOf(Trigger):
    """All of several triggers at once."""

    triggers: tuple[Trigger, ...]

    def __init__(self, *triggers: Trigger) -> None:
        object.__setattr__(self, "triggers", tuple(triggers))
        object.__setattr__(self, "origin", None)
        self.__post_init__()


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Retrain(Declared):
    """When a candidate is trained, on what, and how long training and approval take before it can answer.

    `when`: one trigger, or several of which any suffices. `window` None means all history; `how` is "fresh" or "continue".
    """

    when: Any
    window: str | None = None
    how: str = "fresh"
    delay: str = "1h"
    cooldown: str = "1d"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("when", tuple(self.when) if isinstance(self.when, list | tuple) else (self.when,))
        for trigger in self.when:
            if not isinstance(trigger, Trigger):
                raise DeclarationError(
                    "DECLARE_OPTION", f"Retrain(when={trigger!r}) is no trigger.",
                    exists="There is Every, Volume, Drifted, Degraded, EstimatedDegraded, AnyOf and AllOf.",
                    fix='Write for example when=[ms.Every("7d")].', origin=self.origin,
                )  # fmt: skip
        check_choice(self, "how", ("fresh", "continue"))
        for name in ("window", "delay", "cooldown"):
            _normal_span(self, name)


@dataclass(frozen=True, eq=False, repr=False)
class Stage(Declared):
    """One stage of a rollout."""


@dataclass(frozen=True, eq=False, repr=False)
class Shadow(Stage):
    """The candidate predicts beside the champion and never answers."""

    span: str = "1d"

    def __post_init__(self) -> None:
        super().__post_init__()
        _normal_span(self, "span")


@dataclass(frozen=True, eq=False, repr=False)
class Canary(Stage):
    """The candidate answers a small share of keys; it is rolled back when a guard breaks."""

    share: float
    span: str = "2d"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "share", 0.0001, 0.5)
        _normal_span(self, "span")


@dataclass(frozen=True, eq=False, repr=False)
class AB(Stage):
    """Candidate and champion answer shares of the keys until one is shown to be better, or the span ends."""

    share: float = 0.5
    span: str = "14d"
    effect: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "share", 0.0001, 0.9999)
        _normal_span(self, "span")


@dataclass(frozen=True, eq=False, repr=False)
class Full(Stage):
    """The candidate answers everything. Every rollout ends here; it need not be written."""


@dataclass(frozen=True, eq=False, repr=False)
class Rollout(Declared):
    """The stages a candidate passes, in order: `Rollout(Shadow("1d"), Canary(0.1, "2d"))`. `alpha` is the error rate of each test."""

    stages: tuple[Stage, ...]
    alpha: float = field(default=0.05, kw_only=True)

    def __init__(self, *stages: Stage, alpha: float = 0.05) -> None:
        object.__setattr__(self, "stages", tuple(stages))
        object.__setattr__(self, "alpha", alpha)
        object.__setattr__(self, "origin", None)
        self.__post_init__()
        check_range(self, "alpha", 0.0001, 0.5)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Alerts(Declared):
    """How loud the system may be: a weekly budget, who owns which kind of signal, where alerts go (log, or webhook addresses)."""

    per_week: float = 5
    owners: Mapping[str, str] = field(default_factory=dict)
    to: Sequence[str] = ("log",)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "per_week", low=0)
        self._set("owners", freeze(self.owners))
        self._set("to", tuple(self.to))
