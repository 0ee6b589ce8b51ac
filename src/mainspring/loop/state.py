"""What goes into a step of the loop, what comes out, and what is kept between two: plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mainspring.adaptation.trial import Trial
from mainspring.adaptation.triggers import Why, leaves
from mainspring.clock import DAY, parse_span
from mainspring.declare import Degraded, Retrain, Rollout, System
from mainspring.errors import DeclarationError
from mainspring.monitoring.layout import Layout
from mainspring.monitoring.realised import Cohorts, Figure, figures_of, judged_by
from mainspring.monitoring.spread import Spread

__all__ = [
    "CANDIDATE",
    "CHAMPION",
    "Answered",
    "Candidate",
    "Effect",
    "LoopState",
    "Matured",
    "Newest",
    "Pending",
    "Policy",
    "SetArms",
    "Tick",
    "Train",
    "Trained",
]

CHAMPION, CANDIDATE = "champion", "candidate"
"""The names of the two arms that the loop sets."""

_LEAST_KEPT = 7 * DAY


# -- in ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Answered:
    """Decisions that were made since the last tick: what each model said, NaN where it did not.

    `features` tells how those of all decisions spread that were made since it was last told, once a day has ended.
    """

    decided_at: NDArray[np.int64]  # (n,) microseconds
    predictions: Mapping[str, NDArray[np.float64]]  # by model: (n,) or (n, classes)
    features: Spread | None = None


@dataclass(frozen=True, eq=False)
class Matured:
    """Decisions with their labels, in the order in which those came; for each model what it said, NaN where it did not."""

    decided_at: NDArray[np.int64]  # (n,) microseconds
    labels: NDArray[np.float64]  # (n,) as numbers
    predictions: Mapping[str, NDArray[np.float64]]  # (n,) or (n, classes)
    keys: tuple[str, ...] | None = None  # of decisions on a schedule, where a key decides again and again


class Trained(Struct, frozen=True):
    """What became of a training: whether the candidate passed its gate, and by which figures on rows it had not seen."""

    model: str
    passed: bool
    why: Why
    quality: dict[str, float]
    champion: dict[str, float]  # the champion's on the same rows
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Tick:
    """What has happened up to an instant (microseconds) since the last one.

    A label is `matured` when it becomes known, and `settled` at the end of its horizon: models are compared on settled ones
    alone, because outcomes that come soon are not like those that come late.
    """

    now: int
    answered: Answered
    matured: Matured
    settled: Matured
    trained: Trained | None = None


# -- out -----------------------------------------------------------------------------------------------------------------


class Train(Struct, frozen=True, tag=True):
    """Train a model on what is known now, fresh or from its parent, and judge it beside the champion."""

    model: str
    as_of: int
    parent: str
    how: str
    window: str | None
    why: Why


class SetArms(Struct, frozen=True, tag=True):
    """Let these models answer from now on: the champion, and a candidate with its role and share."""

    champion: str
    candidate: str | None
    role: str  # of the candidate: "challenger" or "shadow"
    share: float
    what: str  # "shadow", "canary", "ab", "promoted", "rolled back", "passed over"
    why: Why
    dropped: str | None = None  # the model that was a candidate and is none any more


Effect = Train | SetArms


# -- between -------------------------------------------------------------------------------------------------------------


class Pending(Struct, frozen=True):
    """A training that was asked for; its model may answer from `ready_at` on."""

    model: str
    as_of: int
    ready_at: int
    reference: Spread | None  # the features of the decisions that it learns from
    result: Trained | None = None


class Newest(Struct, frozen=True):
    """The newest decisions of the champion whose labels are settled, the oldest first: whether its probabilities hold."""

    days: tuple[int, ...] = ()
    predictions: tuple[Any, ...] = ()  # a probability each, or those of the classes
    labels: tuple[float, ...] = ()


class Candidate(Struct, frozen=True):
    """A model on its way through the stages of a rollout."""

    model: str
    stage: int
    since: int
    trial: Trial
    counted: frozenset[str] = frozenset()  # keys that have decided in this stage, of decisions on a schedule


class LoopState(Struct, frozen=True, kw_only=True):
    """All that the loop knows between two ticks: plain data."""

    now: int
    champion: str
    trained_as_of: int  # of the newest training that was asked for
    quality: dict[str, dict[str, float]]  # by model: the figures by which it was let in
    cohorts: dict[str, Cohorts]  # by model: quality by the labels that came
    expected: dict[str, Cohorts]  # by model: what its probabilities let one expect of labels
    newest: Newest = Newest()
    layout: Layout | None = None  # in which features are counted
    reference: dict[str, Spread] = {}  # by model: the features that it learned from
    seen: Spread | None = None  # the features of all decisions so far, and of those that the first model learned from
    days: dict[int, Spread] = {}  # the features of decisions by day
    day_ended: bool = False  # since the tick before the last one: then figures of days are looked at
    labels_since: int = 0
    numbered: int = 1
    pending: Pending | None = None
    candidate: Candidate | None = None


@dataclass(frozen=True)
class Policy:
    """What a system declared for its loop. `retrain` None: never."""

    system: System
    retrain: Retrain | None
    rollout: Rollout
    figures: Mapping[str, Figure]
    judged: Figure  # that models are compared by
    width: int = DAY  # of a cohort, microseconds

    @classmethod
    def of(cls, system: System, retrain: Retrain | None, rollout: Rollout | None) -> Policy:
        """Return the policy of a system with these rules; without a rollout a candidate that passes its gate answers at once.

        Raises DeclarationError (DECLARE_OPTION) for a trigger on a metric that cannot be kept per day.
        """
        task = system.label.task
        figures = figures_of(task, system.objective)
        for trigger in leaves(retrain.when) if retrain is not None else ():
            if isinstance(trigger, Degraded) and trigger.metric not in figures:
                raise DeclarationError(
                    "DECLARE_OPTION",
                    f"{trigger!r} cannot be watched: {trigger.metric} is no mean over decisions.",
                    exists=f"There are {', '.join(figures)}.",
                    fix="Name one of these.",
                    origin=trigger.origin,
                )
        return cls(system, retrain, rollout or Rollout(), figures, judged_by(figures, task, system.objective))

    @property
    def nothing_known(self) -> Cohorts:
        """The cohorts of a model that has answered nothing yet."""
        return Cohorts(self.width, tuple(self.figures))

    @property
    def longest(self) -> int:
        """How long features by day are kept, microseconds: as long as any window to train on, or to compare over, is."""
        spans = [_LEAST_KEPT]
        if self.retrain is not None:
            spans += [parse_span(self.retrain.window)] if self.retrain.window is not None else []
            spans += [parse_span(each.over) for each in leaves(self.retrain.when) if hasattr(each, "over")]
        return max(spans)

    @property
    def horizon(self) -> int:
        """Microseconds after which every label is known."""
        return parse_span(self.system.label.within)
