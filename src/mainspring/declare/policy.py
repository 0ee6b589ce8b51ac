"""Policies of the loop: when to retrain, how to roll out, how loud to be. Declared here; the loop carries them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mainspring.clock import format_span, parse_span
from mainspring.declare.value import Declared, check_choice, check_range, freeze
from mainspring.errors import DeclarationError

__all__ = [
    "AB", "MEASURED", "SIGNALS", "Alerts", "AllOf", "AnyOf", "Canary", "Degraded", "Drifted", "EstimatedDegraded", "Every",
    "Full", "Retrain", "Rollout", "Shadow", "Volume",
]  # fmt: skip

MEASURED = "measured"
"""The delay of a retraining that takes as long as it takes."""


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

    `when`: one trigger, or several of which any suffices. `how` is "fresh" or "continue": go on from the champion with what it
    has not seen, for LightGBM and for estimators of scikit-learn with `partial_fit`.

    `window` trains on the newest span only; None means all history, unless `Training` declares a window. Of several,
    `window=["30d", "90d", None]`, each retraining takes the one that does best on the newest settled labels before those that
    judge the candidate: it fits one model more than there are windows. A model that goes on learns from what is new, whatever
    the window. Several are kept the shortest first, each once, None last.

    `delay` is a span or "measured". Measured, a model may answer live as soon as its training and its gate are done; a replay
    takes the median duration of the system's earlier retrainings from the ledger, 1h where there is none.
    """

    when: Any
    window: Any = None
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
        self._set("window", self._normal_window())
        if self.delay != MEASURED:
            _normal_span(self, "delay")
        _normal_span(self, "cooldown")

    @property
    def windows(self) -> tuple[str | None, ...]:
        """The windows that a retraining may take; one where there is nothing to choose."""
        return self.window if isinstance(self.window, tuple) else (self.window,)

    def _normal_window(self) -> str | tuple[str | None, ...] | None:
        given = self.window if isinstance(self.window, list | tuple) else (self.window,)
        if not given:
            raise DeclarationError(
                "DECLARE_OPTION",
                f"Retrain(window={self.window!r}) leaves no window to train on.",
                fix='Write for example window="90d", or window=["30d", "90d", None] to have one chosen.',
                origin=self.origin,
            )
        spans = sorted({parse_span(span, origin=self.origin) for span in given if span is not None})
        found = (*map(format_span, spans), *([None] if None in given else []))
        return found if len(found) > 1 else found[0]


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


SIGNALS: Mapping[str, str] = {
    "inputs": "data",
    "features": "data",
    "predictions": "quality",
    "outcomes": "quality",
    "operations": "operations",
}
"""The kinds of what monitors say, each with the wider word under which it may be owned too."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Alerts(Declared):
    """How loud the system may be, who owns which kind of signal, and where alerts go ("log", or addresses of webhooks).

    An alert opens after `after` looks at which its monitor fired, in a row, and ends after `clear` at which it did not;
    one that opens again within `cooldown` is the old one going on. In any seven days at most `per_week` alerts are sent
    that ask for no more than a look within a day or two; those that wake somebody are always sent, and count.

    `owners` names who is responsible, by kind of signal ("inputs", "features", "predictions", "outcomes", "operations") or
    for "data" (inputs and features) and "quality" (predictions and outcomes); the narrower word counts.
    """

    per_week: float = 5
    owners: Mapping[str, str] = field(default_factory=dict)
    to: Sequence[str] = ("log",)
    after: int = 2
    clear: int = 2
    cooldown: str = "1d"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "per_week", low=0)
        check_range(self, "after", low=1)
        check_range(self, "clear", low=1)
        _normal_span(self, "cooldown")
        self._set("owners", freeze(self.owners))
        self._set("to", tuple(self.to))
        ownable = dict.fromkeys((*SIGNALS, *SIGNALS.values()))
        for signal in self.owners:
            if signal not in ownable:
                raise DeclarationError(
                    "DECLARE_OPTION", f"Alerts(owners=...) names {signal!r}, which is no kind of signal.",
                    exists=f"There is {', '.join(ownable)}.", fix="Name one of these.", origin=self.origin,
                )  # fmt: skip

    def owner_of(self, kind: str) -> str:
        """Return who is responsible for a kind of signal, "" where nobody is named."""
        return next((self.owners[name] for name in (kind, SIGNALS[kind]) if self.owners.get(name, "").strip()), "")
