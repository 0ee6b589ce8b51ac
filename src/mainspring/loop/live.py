"""The loop live: the same step that a replay takes, with the server's time, what its lake has heard, and effects for real.

A step is one transaction of the ledger: what the loop knows after it, what it did and the arms that it sets are written
together, so a kill at any time leaves a step done or not begun. What takes long, a training, is only asked for by a step;
what became of it is heard by a later one.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec
from msgspec.structs import replace

from mainspring.adaptation.triggers import Why
from mainspring.clock import DAY, HOUR, format_instant
from mainspring.declare import System
from mainspring.errors import LedgerError
from mainspring.lake import RecentRows
from mainspring.ledger import KeptLoop, LoopEvent, Signal
from mainspring.loop.decision_columns import slice_values_of
from mainspring.loop.heard import Hearing, newest_prediction
from mainspring.loop.kept_signals import signals_of
from mainspring.loop.live_state import Asked, Heard, LiveState, read_live
from mainspring.loop.state import WEEK, Alerted, Effect, Event, LoopState, Policy, SetArms, Tick, Train
from mainspring.loop.step import begin, step
from mainspring.loop.teaching import Taught, as_of_of
from mainspring.loop.training_process import Trainer
from mainspring.monitoring.inputs_seen import seen_in_lake
from mainspring.monitoring.sketch import Sketch
from mainspring.serving.deployed import load_model, model_names, newest_model
from mainspring.serving.measured import MeasuredCounts
from mainspring.training import task_of
from mainspring.workspace import Workspace

__all__ = ["Live"]

_CAUGHT_UP = 14 * DAY  # what is further behind is taken in one step: nobody watched
_AT_ONCE = 2 * DAY  # so long the flow into the lake can wait
_BY = "loop"


class Live:
    """The loop of a served system. For one thread of one process; of two processes the slower one is refused.

    It begins with the model that answers. Where that one was made with facts of a later time than the system's, for a
    history is being played again, it first trains one that was not. It begins again when time goes back, and with the model
    of whoever sets arms or runs the system anew.
    """

    def __init__(self, system: System, workspace: Workspace, trainer: Trainer, every: int = HOUR) -> None:
        """`every` is the time between two steps, microseconds. Raises DeclarationError, WorkspaceError."""
        self._system, self._workspace, self._trainer, self._every = system, workspace, trainer, every
        self._policy = Policy.of(system, system.retrain, system.rollout)
        self._lake, self._ledger = workspace.lake(system.name), workspace.ledger
        self._recent = RecentRows(self._lake)
        self._before = newest_prediction(self._lake)
        self._step, self.state = self._read()
        self._operations: list[MeasuredCounts] = []  # told of, and not yet taken in by a step

    def advance(self, now: int, wall: int, operations: Sequence[MeasuredCounts] = ()) -> list[Event]:
        """Take the steps that are due at an instant of the system's time, two days' worth at most; return what was done.

        All that was answered and known by then must be in the lake. `wall` is real time, `operations` what the server has
        counted since the last call.

        Raises MainspringError; what was done by then stays, and the next call goes on from there.
        """
        state = self.state
        self._done: list[Event] = []
        self._operations += operations
        try:
            anew = self._anew(state, now)
            if state is None or anew is not None:
                state = self._begun(now, wall, anew or "the loop begins")
            if state.loop is None:
                state = self._first_trained(state, now, wall)
            if state.loop is not None:
                self._go_on(state, state.loop, now, wall)
        except LedgerError as error:
            if error.code == "LEDGER_LOOP":
                self._step, self.state = self._read()
            raise
        return self._done

    # -- beginning -------------------------------------------------------------------------------------------------------

    def _anew(self, state: LiveState | None, now: int) -> str | None:
        """Why the loop must begin again, if it must."""
        if state is None:
            return None
        if now < state.now:
            return f"time went back to {format_instant(now)}"
        if newest_model(self._system, self._workspace) != state.run_model:
            return "the system was run anew"
        current = self._ledger.deployments.current(self._system.name)
        if current is not None and current.number > state.deployment and current.by != _BY:
            return f"{current.by or 'somebody'} set the arms: {current.reason or 'no reason given'}"
        if state.every != self._every:
            return "steps are of another length"
        return None

    def _begun(self, now: int, wall: int, why: str) -> LiveState:
        """Begin with the model that answers, or by training one that knows nothing of what is yet to come."""
        system, at = self._system, now // self._every * self._every
        self._operations = []
        newest = newest_model(system, self._workspace)
        current = self._ledger.deployments.current(system.name)
        after = self._before if self.state is None else self.state.heard.predictions
        state = LiveState(
            began_at=at,
            every=self._every,
            run_model=newest,
            deployment=0 if current is None else current.number,
            heard=Heard(after, after, features=after, features_until=at),
        )
        made_anew = self.state is not None and newest != self.state.run_model
        champion = newest if current is None or made_anew else current.arms[0].model
        bundle = load_model(system, self._workspace, champion)
        as_of = as_of_of(bundle)
        if as_of is not None and as_of > now and system.retrain is not None:
            told = f"{why}; {champion} was made with facts of {format_instant(as_of)}, which are yet to come"
            train = Train(f"{self._prefix}m{self._numbered() + 1}", at, "", "fresh", None, Why(told))
            state = replace(state, asked=Asked(train, at))
            return self._commit(state, [train], at, wall, anew=True)
        loop = begin(
            self._policy,
            champion,
            at,
            _figures(bundle.manifest.metadata.get("metrics")),
            Sketch.of_bundle(bundle.reference.features),
            classes=bundle.model.classes,
            slice_values=slice_values_of(system, self._lake.read(system.decision.table, known_before=at + 1)),
            every=self._every,
            prefix=self._prefix,
            numbered=self._numbered(),
        )
        loop = replace(loop, trained_as_of=at if as_of is None else min(at, as_of))
        state = replace(state, loop=loop)
        arms = SetArms(champion, None, "shadow", 0.0, "begun", Why(why))
        return self._commit(state, [arms], at, wall, deploy=made_anew, anew=True)

    def _first_trained(self, state: LiveState, now: int, wall: int) -> LiveState:
        """Begin with the first model, once it is trained; where too little was known to train on, ask again a step later."""
        assert state.asked is not None
        taught = self._trainer.poll(state.asked, wall)
        if taught is None:
            return state
        model, at = taught.trained.model, state.began_at
        if not taught.trained.passed:
            return state if now < at + self._every else self._begun(now, wall, taught.trained.why.told)
        loop = begin(
            self._policy,
            model,
            at,
            taught.trained.quality,
            taught.reference,
            said=taught.trained.said,
            classes=taught.classes,
            slice_values=taught.slice_values,
            every=self._every,
            prefix=self._prefix,
            numbered=self._numbered(),
        )
        state = replace(state, asked=None, loop=loop)
        why = Why(f"the first model: {taught.trained.why.told}", taught.trained.why.evidence)
        return self._commit(state, [SetArms(model, None, "shadow", 0.0, "promoted", why)], at, wall)

    # -- going on --------------------------------------------------------------------------------------------------------

    def _go_on(self, state: LiveState, loop: LoopState, now: int, wall: int) -> None:
        due = list(islice(self._due(loop.now, now), max(1, _AT_ONCE // self._every)))
        if not due:
            return
        task = task_of(self._system.label.task, self._system.objective, loop.classes)
        self._recent.look_again()
        silences = self._ledger.alerts.silences(self._system.name, wall)
        hearing = Hearing(self._system, task, self._recent, state.heard, loop.now, due[-1])
        for at in due:
            before, heard = loop.now, state.heard
            answered = hearing.answered(heard, before, at)
            width = self._policy.width
            features_until = None
            if loop.layout is not None and at // width > heard.features_until // width:
                answered = dataclasses.replace(answered, features=hearing.spread(loop.layout, heard, at))
                features_until = at
            taught = None if state.asked is None else self._trainer.poll(state.asked, wall)
            inputs, looked_at = seen_in_lake(self._recent, self._system.tables, at, state.looked_at)
            tick = Tick(
                at,
                answered,
                hearing.matured(heard, before, at),
                hearing.settled(heard, before, at),
                None if taught is None else taught.trained,
                inputs=inputs,
                operations=self._operations_until(at),
                proxies=hearing.proxies(before, at),
                frictions=hearing.frictions(before, at),
                rows=hearing.rows(heard, at) if at // WEEK > before // WEEK else None,
                silences=silences,
            )
            known = loop
            loop, effects = step(self._policy, loop, tick)
            state = replace(
                state,
                loop=loop,
                looked_at=looked_at,
                heard=hearing.after(heard, features_until=features_until),
                asked=_asked(state, taught, effects),
            )
            state = self._commit(state, effects, at, wall, signals=signals_of(self._policy, known, loop))

    def _operations_until(self, at: int) -> list[MeasuredCounts]:
        """What the server counted by an instant; what it counts later is for a later step."""
        told = [each for each in self._operations if each.end <= at]
        self._operations = [each for each in self._operations if each.end > at]
        return told

    def _due(self, before: int, now: int) -> Iterator[int]:
        """The instants of the steps that are due."""
        last = before + (now - before) // self._every * self._every
        first = before + self._every if last - before <= _CAUGHT_UP else last
        yield from range(first, last + 1, self._every)

    # -- writing it down -------------------------------------------------------------------------------------------------

    def _read(self) -> tuple[int, LiveState | None]:
        """The number of the newest step, and what is known after it: nothing where that was another declaration."""
        kept = self._ledger.loops.kept(self._system.name)
        if kept is None:
            return 0, None
        return kept.step, read_live(kept, self._system.fingerprint)

    def _commit(
        self,
        state: LiveState,
        effects: Sequence[Effect],
        at: int,
        wall: int,
        *,
        deploy: bool = True,
        signals: Sequence[Signal] = (),
        anew: bool = False,
    ) -> LiveState:
        arms = next((effect for effect in effects if isinstance(effect, SetArms) and deploy), None)
        changes = [effect.change for effect in effects if isinstance(effect, Alerted)]
        done = [
            Event.of(effect, at)
            for effect in effects
            if not isinstance(effect, Alerted) or effect.change.what != "went on"
        ]
        kept = KeptLoop(
            system=self._system.name,
            declaration=self._system.fingerprint,
            step=self._step + 1,
            at=at,
            written_at=wall,
            state=msgspec.msgpack.encode(state),
        )
        self._ledger.loops.commit(
            kept,
            done=[self._event(event, wall) for event in done],
            alerts=[change.alert for change in changes],
            signals=signals,
            anew=anew,
            arms=None if arms is None else arms.arms,
            reason="" if arms is None else f"{arms.what}: {arms.why.told}",
        )
        self._step, self.state = kept.step, state
        self._done += done
        return state

    def _event(self, event: Event, wall: int) -> LoopEvent:
        return LoopEvent(
            system=self._system.name,
            number=0,
            step=self._step + 1,
            at=event.at,
            written_at=wall,
            what=event.what,
            model=event.model,
            told=event.told,
            evidence=event.evidence,
        )

    # -- names -----------------------------------------------------------------------------------------------------------

    @property
    def _prefix(self) -> str:
        return f"{self._system.name}-"

    def _numbered(self) -> int:
        """The number of the newest model that a loop of this system made; 0 where there is none."""
        made = re.compile(rf"{re.escape(self._prefix)}m(\d+)")
        found = [made.fullmatch(name) for name in model_names(self._system, self._workspace)]
        return max((int(each[1]) for each in found if each), default=0)


def _asked(state: LiveState, taught: Taught | None, effects: Sequence[Effect]) -> Asked | None:
    """The training that goes on after a step."""
    new = next((effect for effect in effects if isinstance(effect, Train)), None)
    if new is not None:
        return Asked(new, state.began_at)
    return state.asked if taught is None else None


def _figures(found: Any) -> dict[str, float]:
    """The figures of a bundle that are known."""
    return {name: value for name, value in (found or {}).items() if isinstance(value, int | float)}
