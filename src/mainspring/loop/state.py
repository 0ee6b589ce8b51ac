"""What goes into a step of the loop, what comes out, and what is kept between two: plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
from msgspec import Struct, to_builtins
from numpy.typing import NDArray

from mainspring.adaptation.lifetime import Lifetime
from mainspring.adaptation.trial import Trial
from mainspring.adaptation.triggers import Why, leaves
from mainspring.answers import Arm
from mainspring.clock import DAY, parse_span
from mainspring.declare import Alerts, Degraded, Retrain, Rollout, System
from mainspring.declare.policy import MEASURED
from mainspring.errors import DeclarationError
from mainspring.ledger import Silence
from mainspring.loop.newest import Newest
from mainspring.monitoring.alerts import AlertBook, Change
from mainspring.monitoring.counted import Counted
from mainspring.monitoring.friction import FrictionCohorts
from mainspring.monitoring.inputs import InputsKnown, TableSeen
from mainspring.monitoring.layout import Layout
from mainspring.monitoring.prediction_monitors import PredictedDays
from mainspring.monitoring.proxies import ProxyCohorts
from mainspring.monitoring.realised import Cohorts, Figure, figures_of, judged_by
from mainspring.monitoring.slices import SliceDays
from mainspring.monitoring.spread import Spread
from mainspring.monitoring.weekdays import WEEKS

if TYPE_CHECKING:
    from mainspring.adaptation.retraining import Candidate as Fitted
    from mainspring.adaptation.retraining import Gate
    from mainspring.serving.measured import MeasuredCounts

__all__ = [
    "CANDIDATE",
    "CHAMPION",
    "MOST_ROWS",
    "ROWS_OVER",
    "WEEK",
    "Alerted",
    "Answered",
    "Candidate",
    "Effect",
    "Event",
    "Followed",
    "LoopState",
    "Matured",
    "Pending",
    "Policy",
    "Rows",
    "SetArms",
    "Tick",
    "Train",
    "Trained",
]

CHAMPION, CANDIDATE = "champion", "candidate"
"""The names of the two arms that the loop sets."""

_LEAST_KEPT = 7 * (WEEKS + 1) * DAY  # a weekday is held against those of the weeks before


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
    selected: Mapping[str, NDArray[np.bool_]] | None = None  # by the conditions of guards, where those are asked about
    slices: pl.DataFrame | None = None  # the columns of declared slices
    proxies: Mapping[str, NDArray[np.float64]] = field(
        default_factory=dict
    )  # by name: what each had told, NaN for nothing


@dataclass(frozen=True, eq=False)
class Rows:
    """Settled decisions of some weeks with their features, every so many of them: for searches that need rows."""

    decided_at: NDArray[np.int64]  # (n,) microseconds
    labels: NDArray[np.float64]
    predictions: Mapping[str, NDArray[np.float64]]
    features: pl.DataFrame


class Trained(Struct, frozen=True):
    """What became of a training: whether the candidate passed its gate, and by which figures on rows it had not seen."""

    model: str
    passed: bool
    why: Why
    quality: dict[str, float]
    champion: dict[str, float]  # the champion's on the same rows
    window: str | None = None  # that it learned from
    said: tuple[Any, ...] = ()  # what it predicts of the rows by which it was judged

    @classmethod
    def of(cls, asked: Train, found: Fitted, gate: Gate) -> Trained:
        """Return what the loop is told of a model that was fitted and went through its gate."""
        why = Why(gate.why.told, {**gate.why.evidence, **found.evidence})
        window = found.window if isinstance(asked.window, tuple) else asked.window
        said = tuple(gate.said.tolist())
        return cls(asked.model, gate.passed, why, gate.candidate, gate.champion, window, said)


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
    inputs: Mapping[str, TableSeen] | None = None  # by table: what was seen of it
    operations: Sequence[MeasuredCounts] = ()  # of a server, by its own time
    proxies: Mapping[str, Matured] = field(
        default_factory=dict
    )  # by name: decisions of which it is settled what it tells
    frictions: Mapping[str, tuple[NDArray[np.int64], NDArray[np.float64]]] = field(default_factory=dict)
    rows: Rows | None = None  # once a week
    silences: Sequence[Silence] = ()


ROWS_OVER, MOST_ROWS = 28 * DAY, 6_000
"""Of which time the rows are that a tick brings once a week, and how many at the most."""

WEEK = 7 * DAY


# -- out -----------------------------------------------------------------------------------------------------------------


class Train(Struct, frozen=True, tag=True):
    """Train a model on what is known now, fresh or from its parent, and judge it beside the champion."""

    model: str
    as_of: int
    parent: str
    how: str
    window: str | tuple[str | None, ...] | None  # several: the best is chosen
    why: Why


class Alerted(Struct, frozen=True, tag=True):
    """An alert that has changed: it is to be kept, and whoever it is for is to be told where it says so."""

    change: Change
    champion: str


class SetArms(Struct, frozen=True, tag=True):
    """Let these models answer from now on: the champion, and a candidate with its role and share."""

    champion: str
    candidate: str | None
    role: str  # of the candidate: "challenger" or "shadow"
    share: float
    what: str  # "shadow", "canary", "ab", "promoted", "rolled back", "passed over"
    why: Why
    dropped: str | None = None  # the model that was a candidate and is none any more

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The arms as a router takes them."""
        champion = Arm(name=CHAMPION, role="champion", model=self.champion, share=1.0 - self.share)
        if self.candidate is None:
            return (champion,)
        role: Literal["challenger", "shadow"] = "shadow" if self.role == "shadow" else "challenger"
        return champion, Arm(name=CANDIDATE, role=role, model=self.candidate, share=self.share)


Effect = Train | SetArms | Alerted


class Event(Struct, frozen=True):
    """Something that the loop did, when, and why."""

    at: int  # microseconds
    what: str  # "train", what arms were set for, or what became of an alert
    model: str  # that it was about
    told: str
    evidence: dict[str, Any] = {}

    @classmethod
    def of(cls, effect: Effect, at: int) -> Event:
        """Return the event that an effect of a step at an instant is."""
        if isinstance(effect, Alerted):
            alert, change = effect.change.alert, effect.change.what
            return cls(at, f"alert {change}", effect.champion, f"{alert.monitor}: {alert.told}", to_builtins(alert))
        if isinstance(effect, Train):
            what, model = "train", effect.model
        else:
            what, model = effect.what, effect.dropped or effect.candidate or effect.champion
        return cls(at, what, model, effect.why.told, dict(effect.why.evidence))


# -- between -------------------------------------------------------------------------------------------------------------


class Pending(Struct, frozen=True):
    """A training that was asked for; its model may answer from `ready_at` on, None: as soon as it is trained."""

    model: str
    as_of: int
    ready_at: int | None
    references: dict[
        str, Spread | None
    ]  # by window ("": all history): the features of the decisions that it learns from
    result: Trained | None = None


class Followed(Struct, frozen=True, kw_only=True):
    """What is known of a model that answers, or may come to."""

    quality: dict[str, float]  # the figures by which it was let in, or last judged
    cohorts: Cohorts  # quality by the labels that came
    expected: Cohorts  # what its probabilities let one expect of labels
    reference: Spread | None = None  # the features that it learned from
    predicted: PredictedDays | None = None
    slices: SliceDays | None = None
    proxies: dict[str, ProxyCohorts] = {}  # by proxy: what it told of the labels of its decisions


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
    models: dict[str, Followed]
    classes: tuple[str, ...] = ()  # of a label of several, in the order of predictions
    newest: Newest = Newest()  # of the champion's decisions that have settled
    first: Newest | None = None  # the first two weeks of them, once they are over
    layout: Layout | None = None  # in which features are counted
    seen: Spread | None = None  # the features of all decisions so far, and of those that the first model learned from
    days: dict[int, Spread] = {}  # the features of decisions by day
    day_ended: bool = False  # since the tick before the last one: then figures of days are looked at
    slice_values: dict[str, tuple[str, ...]] = {}  # by column of slices: the values that are told apart
    inputs: InputsKnown = InputsKnown()
    operations: dict[str, Counted] = {}  # by SLO
    frictions: dict[str, FrictionCohorts] = {}
    alerts: AlertBook = AlertBook()
    lifetime: Lifetime = Lifetime()
    labels_since: int = 0
    prefix: str = ""  # of the names of models
    numbered: int = 1
    pending: Pending | None = None
    candidate: Candidate | None = None

    @property
    def leading(self) -> Followed:
        """What is known of the champion."""
        return self.models[self.champion]


@dataclass(frozen=True)
class Policy:
    """What a system declared for its loop. `retrain` None: never."""

    system: System
    retrain: Retrain | None
    rollout: Rollout
    figures: Mapping[str, Figure]
    judged: Figure  # that models are compared by
    alerts: Alerts
    measured_delay: int | None = None  # microseconds, where the delay of a retraining is as measured; None: as it is
    width: int = DAY  # of a cohort, microseconds

    @classmethod
    def of(
        cls, system: System, retrain: Retrain | None, rollout: Rollout | None, *, measured_delay: int | None = None
    ) -> Policy:
        """Return the policy of a system with these rules; without a rollout a candidate that passes its gate answers at once.

        `measured_delay` (microseconds) is what `Retrain(delay="measured")` stands for where nothing really takes time, as in
        a replay.

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
        judged = judged_by(figures, task, system.objective)
        alerts = system.alerts or Alerts()
        return cls(system, retrain, rollout or Rollout(), figures, judged, alerts, measured_delay)

    def followed(
        self,
        quality: Mapping[str, float],
        now: int,
        *,
        said: Sequence[Any],
        classes: Sequence[str],
        reference: Spread | None,
        slice_values: Mapping[str, tuple[str, ...]],
    ) -> Followed:
        """What is known of a model before it has answered anything, judged by these figures on rows of which it said this."""
        nothing = Cohorts(self.width, tuple(self.figures))
        task = self.system.label.task
        judged_on = np.array(said, np.float64) if len(said) else None
        return Followed(
            quality=dict(quality),
            cohorts=nothing,
            expected=nothing,
            reference=reference,
            predicted=PredictedDays.begin(task, now, classes=classes, judged_on=judged_on),
            slices=SliceDays(values=dict(slice_values)) if slice_values else None,
            proxies={name: ProxyCohorts(self.width, (self.judged.name,)) for name in self.system.proxies},
        )

    @property
    def longest(self) -> int:
        """How long features by day are kept, microseconds: as long as any window to train on, or to compare over, is."""
        spans = [_LEAST_KEPT]
        if self.retrain is not None:
            spans += [parse_span(each) for each in self.retrain.windows if each is not None]
            spans += [parse_span(each.over) for each in leaves(self.retrain.when) if hasattr(each, "over")]
        return max(spans)

    @property
    def delay(self) -> int | None:
        """How long training and approval take, microseconds; None: as long as they really do."""
        if self.retrain is None or self.retrain.delay != MEASURED:
            return None if self.retrain is None else parse_span(self.retrain.delay)
        return self.measured_delay

    @property
    def horizon(self) -> int:
        """Microseconds after which every label is known."""
        return parse_span(self.system.label.within)
