"""One step of the loop, pure: what is known and the time go in; what is known then and what is to be done come out.

The same step runs live and in a replay; those differ only in who tells the time, who answers and who does what a step asks
for. A step reads no clock, no disk and no chance, so the same ticks give the same effects, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

from mainspring.adaptation.rollout import Judged, begin_stage, decided, observed
from mainspring.adaptation.trial import Trial
from mainspring.adaptation.triggers import Why, asked_by
from mainspring.clock import DAY, HOUR, parse_span
from mainspring.declare import Full
from mainspring.loop.monitors import alerts_of, taken_in
from mainspring.loop.newest import Newest
from mainspring.loop.signals import StateSignals
from mainspring.loop.state import (
    Candidate,
    Effect,
    LoopState,
    Matured,
    Pending,
    Policy,
    SetArms,
    Tick,
    Train,
)
from mainspring.monitoring.inputs import InputsKnown
from mainspring.monitoring.sketch import Sketch
from mainspring.monitoring.spread import Spread, added

__all__ = ["begin", "step"]


def begin(
    policy: Policy,
    model: str,
    now: int,
    quality: Mapping[str, float],
    reference: Sketch | None = None,
    *,
    said: Sequence[Any] = (),
    classes: Sequence[str] = (),
    slice_values: Mapping[str, tuple[str, ...]] | None = None,
    every: int = DAY,
    prefix: str = "",
    numbered: int = 1,
) -> LoopState:
    """Return the state of a loop whose first champion was trained at an instant, judged by these figures.

    `reference` is the sketch of the features that it learned from; without it nothing is ever said to have drifted. `said` is
    what it predicts of the rows by which it was judged, `slice_values` the values of slices that are told apart, `every` about
    how long there is between two steps (microseconds). The next model is named by the prefix, "m" and the number after
    `numbered`.
    """
    spread = None if reference is None else Spread.of(reference)
    values = dict(slice_values or {})
    return LoopState(
        prefix=prefix,
        numbered=numbered,
        now=now,
        champion=model,
        trained_as_of=now,
        models={
            model: policy.followed(quality, now, said=said, classes=classes, reference=spread, slice_values=values)
        },
        classes=tuple(classes),
        slice_values=values,
        layout=None if reference is None else reference.layout,
        seen=spread,
        inputs=InputsKnown(width=HOUR if every <= HOUR else DAY),
    )


def step(policy: Policy, state: LoopState, tick: Tick) -> tuple[LoopState, list[Effect]]:
    """Go on from a state to the instant of a tick; return what is known then, and what is to be done, in order."""
    state = _heard(policy, state, tick)
    effects: list[Effect] = []
    state, alerts = alerts_of(policy, state, tick)
    effects += alerts
    state, done = _rollout(policy, state, tick)
    effects += done
    state, done = _ready(policy, state)
    effects += done
    state, asked = _training(policy, state)
    return state, effects + asked


def _heard(policy: Policy, state: LoopState, tick: Tick) -> LoopState:
    """Take in what was predicted, which labels matured and what was trained."""
    answered = tick.answered
    pending = state.pending
    if pending is not None and tick.trained is not None and tick.trained.model == pending.model:
        pending = replace(pending, result=tick.trained)
    seen, days = state.seen, state.days
    if answered.features is not None and answered.features.rows and seen is not None:
        day = (tick.now - 1) // policy.width
        first = (tick.now - policy.longest) // policy.width
        seen = added([seen, answered.features])
        days = {number: each for number, each in days.items() if number >= first}
        days[day] = added([days[day], answered.features]) if day in days else answered.features
    return replace(
        taken_in(policy, state, tick),
        now=tick.now,
        seen=seen,
        days=days,
        day_ended=tick.now // policy.width > state.now // policy.width,
        labels_since=state.labels_since + len(tick.matured.labels),
        pending=pending,
    )


def _rollout(policy: Policy, state: LoopState, tick: Tick) -> tuple[LoopState, list[Effect]]:
    """Judge the candidate on what has matured; let it go on, promote it or roll it back."""
    candidate = state.candidate
    if candidate is None:
        return state, []
    stage = policy.rollout.stages[candidate.stage]
    trial = candidate.trial
    judged, counted = _judged(tick.settled, state.champion, candidate)
    if judged is not None:
        trial = observed(trial, judged, policy.judged, policy.figures)
    state = replace(state, candidate=replace(candidate, trial=trial, counted=counted))
    found = decided(stage, trial, candidate.since, state.now, policy.horizon)
    if found.what == "stay":
        return state, []
    if found.what == "roll back":
        return _rolled_back(state, candidate.model, found.why)
    if candidate.stage + 1 == len(policy.rollout.stages):
        return _promoted(state, candidate.model, found.why, tried=True)
    return _entered(policy, state, candidate.model, candidate.stage + 1, found.why, trial)


def _judged(settled: Matured, champion: str, candidate: Candidate) -> tuple[Judged | None, frozenset[str]]:
    """What has been settled of the decisions of the candidate's stage, and the keys that have decided in it.

    Of a key that decides again and again only the first decision tells arms apart: its arm was drawn once.
    """
    counted = candidate.counted
    mine = settled.decided_at > candidate.since
    if settled.keys is not None and candidate.trial.baseline is not None:
        seen = set(counted)
        for place in np.flatnonzero(mine).tolist():
            mine[place] = settled.keys[place] not in seen
            seen.add(settled.keys[place])
        counted = frozenset(seen)
    said = [settled.predictions.get(model) for model in (champion, candidate.model)]
    known = [each for each in said if each is not None]
    if not known or not mine.any():
        return None, counted
    nothing = np.full_like(known[0], np.nan)
    ours, theirs = ((nothing if each is None else each)[mine] for each in said)
    selected = None if settled.selected is None else {name: each[mine] for name, each in settled.selected.items()}
    return Judged(settled.decided_at[mine], settled.labels[mine], ours, theirs, selected), counted


def _ready(policy: Policy, state: LoopState) -> tuple[LoopState, list[Effect]]:
    """Let a model that was trained enter the rollout, once it may answer, or pass it over."""
    pending = state.pending
    if pending is None or pending.result is None or state.now < (pending.ready_at or 0):
        return state, []
    result = pending.result
    # How good the champion is on the newest labels: what came since is no fault of its age where a new model does no better.
    leading = replace(state.leading, quality={**state.leading.quality, **result.champion})
    state = replace(state, pending=None, models={**state.models, state.champion: leading})
    if not result.passed:
        return state, [SetArms(state.champion, None, "shadow", 0.0, "passed over", result.why, result.model)]
    followed = policy.followed(
        result.quality,
        state.now,
        said=result.said,
        classes=state.classes,
        reference=pending.references.get(result.window or "", pending.references.get("")),
        slice_values=state.slice_values,
    )
    state = replace(state, models={**state.models, result.model: followed})
    if not policy.rollout.stages or isinstance(policy.rollout.stages[0], Full):
        return _promoted(state, result.model, result.why)
    return _entered(policy, state, result.model, 0, result.why, None)


def _training(policy: Policy, state: LoopState) -> tuple[LoopState, list[Effect]]:
    """Ask for a new model where a trigger asks, no other is on its way and the last one is long enough ago."""
    retrain = policy.retrain
    if retrain is None or state.pending is not None or state.candidate is not None:
        return state, []
    if state.now - state.trained_as_of < parse_span(retrain.cooldown):
        return state, []
    why = asked_by(retrain.when, StateSignals(policy.figures, policy.horizon, policy.width, state))
    if why is None:
        return state, []
    model = f"{state.prefix}m{state.numbered + 1}"
    window = retrain.windows if len(retrain.windows) > 1 else retrain.windows[0]
    pending = Pending(
        model,
        state.now,
        None if policy.delay is None else state.now + policy.delay,
        {each or "": _learned_from(policy, state, each) for each in (*retrain.windows, None)},
    )
    state = replace(state, trained_as_of=state.now, labels_since=0, numbered=state.numbered + 1, pending=pending)
    return state, [Train(model, state.now, state.champion, retrain.how, window, why)]


def _learned_from(policy: Policy, state: LoopState, window: str | None) -> Spread | None:
    """The features of the decisions that a model trained now learns from: all so far, or those of a window's days."""
    if window is None or state.seen is None:
        return state.seen
    first = (state.now - parse_span(window)) // policy.width
    days = [each for number, each in sorted(state.days.items()) if number >= first]
    return added(days) if days else state.seen


def _entered(
    policy: Policy, state: LoopState, model: str, stage: int, why: Why, before: Trial | None
) -> tuple[LoopState, list[Effect]]:
    declared = policy.rollout.stages[stage]
    if isinstance(declared, Full):
        return _promoted(state, model, why, tried=True)
    system, level = policy.system, None
    if before is None:
        lifetime, level = state.lifetime.with_candidate(policy.rollout.alpha)
        state = replace(state, lifetime=lifetime)
    begun = begin_stage(
        policy.rollout, declared, before, state.now, system.objective, system.label.task, policy.judged, level=level
    )
    state = replace(state, candidate=Candidate(model, stage, state.now, begun.trial))
    return state, [SetArms(state.champion, model, begun.role, begun.share, begun.what, why)]


def _promoted(state: LoopState, model: str, why: Why, *, tried: bool = False) -> tuple[LoopState, list[Effect]]:
    state = replace(
        state,
        champion=model,
        candidate=None,
        newest=Newest(),
        first=None,
        models={model: state.models[model]},
        lifetime=state.lifetime.with_promotion() if tried else state.lifetime,
    )
    return state, [SetArms(model, None, "shadow", 0.0, "promoted", why)]


def _rolled_back(state: LoopState, model: str, why: Why) -> tuple[LoopState, list[Effect]]:
    champion = state.champion
    state = replace(state, candidate=None, models={champion: state.leading})
    return state, [SetArms(champion, None, "shadow", 0.0, "rolled back", why, model)]
