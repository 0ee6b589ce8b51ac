"""Replay: the loop driven by history. What would this system have done, step by step, under this policy?

A replay supplies the time and performs effects; all that is decided is decided by `step`. Nothing that was not known at a
step reaches it: features are as of each decision, labels come when they became known, and a model answers only after its
training and approval would have been done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mainspring.adaptation.retraining import Candidate, Past, continued, judge_candidate, trained
from mainspring.adaptation.rollout import of_rows
from mainspring.adaptation.triggers import Why
from mainspring.clock import DAY
from mainspring.labels.proxies import mature_frictions, mature_proxies
from mainspring.loop.decision_columns import keys_of, selected_of, slice_values_of, slices_of
from mainspring.loop.hints import Hints
from mainspring.loop.state import (
    MOST_ROWS,
    ROWS_OVER,
    WEEK,
    Alerted,
    Answered,
    Effect,
    Event,
    LoopState,
    Matured,
    Policy,
    Rows,
    SetArms,
    Tick,
    Train,
    Trained,
)
from mainspring.loop.step import begin, step
from mainspring.model.model import Model
from mainspring.monitoring.inputs import TableSeen
from mainspring.monitoring.inputs_seen import tables_seen
from mainspring.monitoring.sketch import Sketch
from mainspring.monitoring.spread import Spread
from mainspring.serving.router import Shares

__all__ = ["Replay", "Story"]

_AHEAD = 7 * DAY  # a model predicts a week at a time: what it says of a row does not depend on when it is asked
_NOBODY = -1


@dataclass(frozen=True, eq=False)
class Story:
    """What happened under a policy. Arrays are by decision from `first` on; the same replay tells the same story."""

    name: str
    first: int  # the row number of the first decision that was answered
    answers: NDArray[np.float64]  # (n,) or (n, classes)
    models: tuple[str, ...]
    let_in: tuple[Mapping[str, float], ...]  # of each model: its figures at its gate
    answered_by: NDArray[np.int32]  # (n,) position in `models`
    events: tuple[Event, ...]
    alerts: tuple[Event, ...]  # what became of alerts; the evidence of each is the alert as it was then
    training_seconds: float  # as measured: not part of what is repeated

    def count(self, what: str) -> int:
        """How often something was done."""
        return sum(event.what == what for event in self.events)


class Replay:
    """Histories under several policies, from one instant on; models that two of them would train alike are trained once."""

    def __init__(
        self, past: Past, start: int, every: int = DAY, facts: Mapping[str, pl.DataFrame] | None = None
    ) -> None:
        """`start` (microseconds) is when the first model is trained and begins to answer, `every` the time between two steps.

        `facts` are the rows that the past was made from, by table; without them nobody watches what comes in, nor proxies.
        """
        self.past, self.start, self.every, self.facts = past, start, every, facts or {}
        self.first = past.made_by(start)
        self.decided_at = past.data.decided_at
        self.end = int(past.data.as_of)
        self._taught: dict[tuple[Any, ...], Candidate] = {}
        self._said: dict[tuple[Any, ...], _Predictions] = {}
        self._first = self._train((start, None, "fresh"), lambda: trained(past, start))
        self.reference = Sketch.over(past.data.features[: self.first], past.kinds)
        self._spreads: dict[tuple[int, int], Spread] = {}
        rows = np.arange(self.first, len(self.decided_at))
        waiting = past.data.label_known_at[rows]
        self._as_known = rows[np.argsort(waiting, kind="stable")]
        self._known_at = past.data.label_known_at[self._as_known]
        self._as_settled = rows[np.argsort(past.settled[rows], kind="stable")]
        self._settled_at = past.settled[self._as_settled]

    @cached_property
    def instants(self) -> NDArray[np.int64]:
        """When steps are taken."""
        return np.append(np.arange(self.start + self.every, self.end, self.every), self.end)

    @cached_property
    def inputs(self) -> Sequence[Mapping[str, TableSeen] | None]:
        """What is seen of the tables at each step."""
        if not self.facts:
            return [None] * len(self.instants)
        return tables_seen(self.past.system.tables, self.facts, self.instants)

    @cached_property
    def proxies(self) -> Mapping[str, Hints]:
        """What each proxy tells."""
        return self._hints(mature_proxies, self.past.system.proxies)

    @cached_property
    def frictions(self) -> Mapping[str, Hints]:
        """Which decisions met with each kind of friction."""
        return self._hints(mature_frictions, self.past.system.friction)

    def _hints(self, mature: Callable[..., dict[str, pl.DataFrame]], declared: Mapping[str, Any]) -> dict[str, Hints]:
        if not declared or not self.facts:
            return {}
        data, decision = self.past.data, self.past.system.decision
        told = mature(declared, decision, data.decisions, self.facts, as_of=self.end)
        return {name: Hints.of(frame, self.first) for name, frame in told.items()}

    def spread(self, low: int, high: int) -> Spread:
        """Return how the features of some rows are spread; asked for again by another policy it is there."""
        if (low, high) not in self._spreads:
            sketch = Sketch.empty(self.reference.layout).add(self.past.data.features[low:high])
            self._spreads[low, high] = Spread.of(sketch)
        return self._spreads[low, high]

    @property
    def rows(self) -> NDArray[np.intp]:
        """The row numbers of the decisions that are answered."""
        return np.arange(self.first, self.past.made_by(self.end))

    def run(self, name: str, policy: Policy) -> Story:
        """Live through the history under a policy."""
        return _Life(self, policy).story(name)

    def _train(self, key: tuple[Any, ...], make: Any) -> tuple[Any, ...]:
        if key not in self._taught:
            self._taught[key] = make()
        return key

    def _model(self, key: tuple[Any, ...]) -> Model:
        return self._taught[key].model

    def _predictions(self, key: tuple[Any, ...]) -> _Predictions:
        if key not in self._said:
            self._said[key] = _Predictions(self.past, self._model(key))
        return self._said[key]


class _Predictions:
    """What one model says of rows, asked for in their order and computed some days ahead."""

    def __init__(self, past: Past, model: Model) -> None:
        self._past, self._model = past, model
        self._begin = self._end = 0
        self._held = np.empty(0)

    def of(self, low: int, high: int) -> NDArray[np.float64]:
        """Return the predictions of the rows [low, high)."""
        if not self._begin <= low <= high <= self._end:
            last = int(self._past.data.decided_at[high - 1]) + _AHEAD if high > low else 0
            self._begin, self._end = low, max(high, self._past.made_by(last))
            self._held = self._model.predict(self._past.data.features[self._begin : self._end])
        return self._held[low - self._begin : high - self._begin]


class _Life:
    """One policy's way through the history."""

    def __init__(self, replay: Replay, policy: Policy) -> None:
        self.replay, self.policy, self.past = replay, policy, replay.past
        first, task = replay.first, replay.past.task
        count = len(self.replay.decided_at) - first
        shape = (count, len(task.classes)) if task.kind == "multiclass" else (count,)
        self.answers = np.full(shape, np.nan)
        self.beside = np.full(shape, np.nan)  # what a shadow said
        self.answered_by = np.full(count, _NOBODY, np.int32)
        self.shadowed_by = np.full(count, _NOBODY, np.int32)
        self.keys: dict[str, tuple[Any, ...]] = {"m1": replay._first}
        self.as_of: dict[str, int] = {"m1": replay.start}
        self.models = ["m1"]
        self.let_in: list[Mapping[str, float]] = []
        self.arms = SetArms("m1", None, "shadow", 0.0, "promoted", Why("the first model"))
        self.events: list[Event] = []
        self.alerts: list[Event] = []
        self.seconds = replay._taught[replay._first].seconds
        self.made = self.told = first  # rows answered so far, and those whose features were told
        self.now = replay.start
        self.known = self.settled = 0  # places in the order of becoming known, and of being settled
        self.outcome: Trained | None = None

    def story(self, name: str) -> Story:
        state, replay = self.begin(), self.replay
        for now in replay.instants.tolist():
            tick = self.tick(now)
            state, effects = step(self.policy, state, tick)
            for effect in effects:
                self.perform(effect, now)
        count = self.made - replay.first
        return Story(
            name=name,
            first=replay.first,
            answers=self.answers[:count],
            models=tuple(self.models),
            let_in=tuple(self.let_in),
            answered_by=self.answered_by[:count],
            events=tuple(self.events),
            alerts=tuple(self.alerts),
            training_seconds=self.seconds,
        )

    def begin(self) -> LoopState:
        """Return the state in which the loop begins: the first model, as its own gate found it."""
        first = self.replay._taught[self.replay._first]
        gate = judge_candidate(self.past, first.model, first.model, first.judged_on, self.policy.figures)
        self.let_in.append(gate.candidate)
        decisions = self.past.data.decisions[: self.replay.first]
        return begin(
            self.policy,
            "m1",
            self.replay.start,
            gate.candidate,
            self.replay.reference,
            said=tuple(gate.said.tolist()),
            classes=self.past.task.classes,
            slice_values=slice_values_of(self.past.system, decisions),
            every=self.replay.every,
        )

    # -- what happens ----------------------------------------------------------------------------------------------------

    def tick(self, now: int) -> Tick:
        """Let the arms that are set answer until an instant, and return what has happened by then."""
        replay, before = self.replay, self.now
        low, high = self.made, self.past.made_by(now)
        decided_at, predictions = self._answer(low, high)
        spread = None
        if now // self.policy.width > before // self.policy.width or now == replay.end:
            spread, self.told = replay.spread(self.told, high), high
        answered = Answered(decided_at, predictions, spread)
        self.made = high
        known = int(np.searchsorted(replay._known_at, now, side="right"))
        settled = int(np.searchsorted(replay._settled_at, now, side="right"))
        matured = self._matured(replay._as_known[self.known : known])
        judged = self._settled(replay._as_settled[self.settled : settled])
        self.known, self.settled, self.now = known, settled, now
        outcome, self.outcome = self.outcome, None
        return Tick(
            now,
            answered,
            matured,
            judged,
            outcome,
            inputs=replay.inputs[int(np.searchsorted(replay.instants, now))],
            proxies={name: self._hinted(each.between(before, now), each) for name, each in replay.proxies.items()},
            frictions={name: self._met(each.between(before, now), each) for name, each in replay.frictions.items()},
            rows=self._rows(now) if now // WEEK > before // WEEK else None,
        )

    def _answer(self, low: int, high: int) -> tuple[NDArray[np.int64], dict[str, NDArray[np.float64]]]:
        """Let the arms that are set answer the decisions of some rows; return when those were made and who said what."""
        arms, first = self.arms, self.replay.first
        here = slice(low - first, high - first)
        decided_at = self.replay.decided_at[low:high]
        champion = self._said(arms.champion, low, high)
        predictions = {arms.champion: champion}
        self.answers[here] = champion
        self.answered_by[here] = self.models.index(arms.champion)
        if arms.candidate is not None:
            said, number = self._said(arms.candidate, low, high), self.models.index(arms.candidate)
            if arms.role == "shadow":
                self.beside[here], self.shadowed_by[here] = said, number
                predictions[arms.candidate] = said
            else:
                chosen = self._chosen(arms, low, high)
                self.answers[here][chosen] = said[chosen]
                self.answered_by[here][chosen] = number
                predictions = {
                    arms.champion: of_rows(~chosen, champion, np.nan),
                    arms.candidate: of_rows(chosen, said, np.nan),
                }
        return decided_at, predictions

    def _chosen(self, arms: SetArms, low: int, high: int) -> NDArray[np.bool_]:
        """Which of some decisions the candidate answers: those that a router gives it."""
        shares = Shares(self.past.system.name, arms.arms)
        return np.array([shares.pick(key) == 1 for key in self._keys(slice(low, high)).iter_rows()], bool)

    def _said(self, model: str, low: int, high: int) -> NDArray[np.float64]:
        return self.replay._predictions(self.keys[model]).of(low, high)

    def _matured(self, rows: NDArray[np.intp]) -> Matured:
        rows = rows[~np.isnan(self.past.y[rows])]
        return Matured(self.replay.decided_at[rows], self.past.y[rows], self._said_of(rows))

    def _said_of(self, rows: NDArray[np.intp]) -> dict[str, NDArray[np.float64]]:
        """What each model said of some decisions, NaN where it did not."""
        places = rows - self.replay.first
        predictions: dict[str, NDArray[np.float64]] = {}
        for by, said in ((self.answered_by, self.answers), (self.shadowed_by, self.beside)):
            for number in np.unique(by[places]).tolist():
                if number == _NOBODY:
                    continue
                mine = by[places] == number
                column = predictions.setdefault(self.models[number], np.full((len(rows), *said.shape[1:]), np.nan))
                column[mine] = said[places][mine]
        return predictions

    def _settled(self, rows: NDArray[np.intp]) -> Matured:
        """Decisions that are settled, with all that is asked of their rows."""
        rows = rows[~np.isnan(self.past.y[rows])]
        system, decisions = self.past.system, self.past.data.decisions[rows]
        return replace(
            self._matured(rows),
            keys=keys_of(system, decisions),
            selected=selected_of(system, decisions),
            slices=slices_of(system, decisions),
            proxies={name: each.value[rows] for name, each in self.replay.proxies.items()},
        )

    def _hinted(self, rows: NDArray[np.intp], hints: Hints) -> Matured:
        return Matured(self.replay.decided_at[rows], hints.value[rows], self._said_of(rows))

    def _met(self, rows: NDArray[np.intp], hints: Hints) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        return self.replay.decided_at[rows], hints.value[rows]

    def _rows(self, now: int) -> Rows:
        """The settled rows of the last weeks."""
        data, replay = self.past.data, self.replay
        newest = replay._as_settled[: self.settled]
        newest = np.sort(newest[replay.decided_at[newest] > now - ROWS_OVER])
        newest = newest[:: max(1, -(-len(newest) // MOST_ROWS))]
        newest = newest[~np.isnan(self.past.y[newest])]
        return Rows(replay.decided_at[newest], self.past.y[newest], self._said_of(newest), data.features[newest])

    def _keys(self, rows: NDArray[np.intp] | slice) -> pl.DataFrame:
        """The keys of some decisions."""
        names = self.past.system.decision.table.__schema__.keys
        return self.past.data.decisions[rows].select(pl.col(name).to_physical() for name in names)

    # -- what is done ----------------------------------------------------------------------------------------------------

    def perform(self, effect: Effect, now: int) -> None:
        """Do what a step asked for at an instant."""
        event = Event.of(effect, now)
        if isinstance(effect, Alerted):
            self.alerts.append(event)
            return
        self.events.append(event)
        if isinstance(effect, Train):
            self.outcome = self._taught(effect)
        else:
            self.arms = effect

    def _taught(self, asked: Train) -> Trained:
        """Train what a step asked for, judge it beside the champion, and tell the next step."""
        replay, past, parent = self.replay, self.past, self.keys[asked.parent]
        key: tuple[Any, ...]
        if asked.how == "continue":
            since = self.as_of[asked.parent]
            key = (asked.as_of, "continue", parent)
            replay._train(key, lambda: continued(past, replay._model(parent), since, asked.as_of))
        else:
            key = (asked.as_of, asked.window, "fresh")
            replay._train(key, lambda: trained(past, asked.as_of, asked.window))
        found = replay._taught[key]
        self.keys[asked.model], self.as_of[asked.model] = key, asked.as_of
        self.models.append(asked.model)
        self.seconds += found.seconds
        gate = judge_candidate(past, found.model, replay._model(parent), found.judged_on, self.policy.figures)
        self.let_in.append(gate.candidate)
        return Trained.of(asked, found, gate)
