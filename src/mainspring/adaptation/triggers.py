"""Triggers: what asks for a new model, and why. Signals in, a reason out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from msgspec import Struct

from mainspring.clock import DAY, parse_span
from mainspring.declare import AllOf, AnyOf, Degraded, Drifted, EstimatedDegraded, Every, Volume
from mainspring.declare.policy import Trigger
from mainspring.monitoring.degradation import degraded
from mainspring.monitoring.realised import Realised

__all__ = ["Signals", "Why", "asked_by", "leaves"]


class Why(Struct, frozen=True):
    """A reason for people, and the figures that it rests on."""

    told: str
    evidence: dict[str, Any] = {}


class Signals(Protocol):
    """What triggers look at, as of one instant (microseconds)."""

    now: int
    trained_as_of: int
    labels_since: int
    """Labels that have become known since the last training was asked for."""

    def realised(self, metric: str, over: int) -> Realised | None:
        """Return a metric of the champion over the newest decisions of a span whose horizon is over; None where unknown."""
        ...

    def estimated(self, metric: str, over: int) -> Realised | None:
        """Return what the champion's probabilities let one expect of a metric over the newest decisions of a span.

        None where that is unknown: its probabilities do not hold on the newest labels, or too few have come to tell.
        """
        ...

    def at_promotion(self, metric: str) -> float | None:
        """Return the metric by which the champion was promoted; None where it is not known."""
        ...

    def worse_by(self, metric: str, found: float, before: float) -> float:
        """Return by how much a value of a metric is worse than an earlier one."""
        ...

    def drifted(self, effect: float, over: int) -> Sequence[str] | None:
        """Return the features and predictions that moved from the training reference by that effect (PSI); None: unknown."""
        ...

    @property
    def columns(self) -> int:
        """How many columns `drifted` looks at."""
        ...


def asked_by(triggers: Sequence[Trigger], signals: Signals) -> Why | None:
    """Return why a new model is asked for by the first of several triggers that asks; None where none does."""
    return next((why for trigger in triggers if (why := _asks(trigger, signals)) is not None), None)


def _asks(trigger: Trigger, signals: Signals) -> Why | None:
    match trigger:
        case Every():
            return _after(trigger, signals)
        case Volume():
            return _enough(trigger, signals)
        case Drifted():
            return _moved(trigger, signals)
        case EstimatedDegraded():  # before Degraded, of which it is one
            return _worse(trigger, signals.estimated(trigger.metric, parse_span(trigger.over)), signals, "estimated ")
        case Degraded():
            return _worse(trigger, signals.realised(trigger.metric, parse_span(trigger.over)), signals, "")
        case AnyOf():
            return asked_by(trigger.triggers, signals)
        case AllOf():
            found = [_asks(each, signals) for each in trigger.triggers]
            reasons = [why for why in found if why is not None]
            return None if len(reasons) < len(found) or not found else _together(reasons)
    raise TypeError(f"{type(trigger).__name__} is no trigger")


def _after(trigger: Every, signals: Signals) -> Why | None:
    passed = signals.now - signals.trained_as_of
    if passed < parse_span(trigger.span):
        return None
    return Why(f"{passed / DAY:.1f} days since the last training", {"days": passed / DAY})


def _enough(trigger: Volume, signals: Signals) -> Why | None:
    if signals.labels_since < trigger.labels:
        return None
    return Why(f"{signals.labels_since:,} labels since the last training", {"labels": signals.labels_since})


def _moved(trigger: Drifted, signals: Signals) -> Why | None:
    moved = signals.drifted(trigger.effect, parse_span(trigger.over))
    if moved is None or len(moved) < trigger.share * signals.columns or not moved:
        return None
    share = len(moved) / signals.columns
    return Why(f"{share:.0%} of features and predictions have moved: {', '.join(moved[:5])}", {"moved": list(moved)})


def _worse(trigger: Degraded, found: Realised | None, signals: Signals, what: str) -> Why | None:
    before = signals.at_promotion(trigger.metric)
    if found is None or before is None:
        return None
    by = degraded(found, before, trigger.by, partial(signals.worse_by, trigger.metric))
    if by is None:
        return None
    evidence: Mapping[str, Any] = {
        "metric": trigger.metric,
        "at_promotion": before,
        "now": found.value,
        "labels": found.known,
    }
    return Why(
        f"{what}{trigger.metric} is {found.value:.4f}, worse by {by:.4f} than when it was last judged", dict(evidence)
    )


def leaves(triggers: Sequence[Trigger]) -> list[Trigger]:
    """Return triggers without those that only combine others."""
    return [
        leaf for each in triggers for leaf in (leaves(each.triggers) if isinstance(each, AnyOf | AllOf) else [each])
    ]


def _together(reasons: Sequence[Why]) -> Why:
    evidence = {name: value for why in reasons for name, value in why.evidence.items()}
    return Why("; ".join(why.told for why in reasons), evidence)
