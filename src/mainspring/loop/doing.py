"""What a loop is doing, and what it will do next, read from what is kept of it between two steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from mainspring.clock import parse_span
from mainspring.declare import AnyOf, Every
from mainspring.declare.policy import Trigger
from mainspring.ledger import LoopEvent
from mainspring.loop.live_state import LiveState
from mainspring.loop.state import Candidate, Policy

__all__ = ["Doing", "Next", "doing_of", "next_of"]


class Doing(Struct, frozen=True, kw_only=True):
    """What a loop is at. Instants are the system's own time, microseconds.

    "training": a model is made. "waiting": it is made, and may not answer before `ends_at`. "shadow", "canary", "ab": the stage of
    the rollout in which a model is; it ends at `ends_at` at the latest. `estimate` is by how much it is better a decision in
    `metric` by the settled labels of its stage, `low` and `high` bound that at all looks; None: not known yet.
    """

    what: Literal["nothing", "training", "waiting", "shadow", "canary", "ab"]
    model: str = ""
    since: int | None = None
    ends_at: int | None = None
    why: str = ""
    evidence: dict[str, Any] = {}
    metric: str = ""
    labels: int = 0
    estimate: float | None = None
    low: float | None = None
    high: float | None = None


class Next(Struct, frozen=True, kw_only=True):
    """What a loop will do next. Instants are the system's own time, microseconds.

    `trigger_at` is when the passing of time asks for a new model, at the earliest; None: it never does. `watched` are the
    triggers that ask when signals do. `told` says what holds them back, if anything does.
    """

    step_at: int
    trigger: str = ""
    trigger_at: int | None = None
    cooldown_until: int | None = None  # where that is yet to come
    watched: tuple[str, ...] = ()
    told: str = ""


def doing_of(policy: Policy, state: LiveState, events: Sequence[LoopEvent]) -> Doing:
    """Return what a loop is doing; `events` are what it did about any model, the newest first."""
    loop, asked = state.loop, state.asked
    if asked is not None:
        train = asked.train
        return Doing(
            what="training", model=train.model, since=train.as_of, why=train.why.told, evidence=train.why.evidence
        )
    if loop is not None and loop.pending is not None:
        pending = loop.pending
        event = _newest(events, pending.model, "train")
        return Doing(
            what="waiting",
            model=pending.model,
            since=pending.as_of,
            ends_at=pending.ready_at,
            why="" if event is None else event.told,
            evidence={} if event is None else event.evidence,
        )
    if loop is not None and loop.candidate is not None:
        return _trying(policy, state, loop.candidate, loop.now, events)
    return Doing(what="nothing")


def next_of(policy: Policy, state: LiveState) -> Next:
    """Return what a loop will do next."""
    step_at, retrain, loop = state.now + state.every, policy.retrain, state.loop
    if loop is None:
        return Next(step_at=step_at, told="the loop goes on once its first model is trained")
    if retrain is None:
        return Next(step_at=step_at, told="no retraining is declared")
    cooled = loop.trained_as_of + parse_span(retrain.cooldown)
    by_time = _by_time(retrain.when)
    first = min(by_time, key=lambda every: parse_span(every.span), default=None)
    told = ""
    on_its_way = loop.pending or loop.candidate
    if on_its_way is not None:
        told = f"nothing asks for another model while {on_its_way.model} is on its way"
    due = None if first is None else max(loop.trained_as_of + parse_span(first.span), cooled, step_at)
    return Next(
        step_at=step_at,
        trigger="" if first is None else repr(first),
        trigger_at=None if due is None else _step_from(state, due),
        cooldown_until=cooled if cooled > state.now else None,
        watched=tuple(repr(each) for each in retrain.when if each is not first),
        told=told,
    )


def _trying(policy: Policy, state: LiveState, candidate: Candidate, now: int, events: Sequence[LoopEvent]) -> Doing:
    """The stage of a candidate, and what is known of it there."""
    event = _newest(events, candidate.model, "shadow", "canary", "ab")
    stage = policy.rollout.stages[candidate.stage]
    verdict = candidate.trial.verdict(now)
    span = parse_span(stage.span)  # type: ignore[attr-defined]
    return Doing(
        what=type(stage).__name__.lower(),  # type: ignore[arg-type]
        model=candidate.model,
        since=candidate.since,
        ends_at=_step_from(state, candidate.since + span + policy.horizon),
        why="" if event is None else event.told,
        evidence={} if event is None else event.evidence,
        metric=policy.judged.name,
        labels=verdict.labels,
        estimate=verdict.estimate,
        low=verdict.low,
        high=verdict.high,
    )


def _by_time(triggers: Sequence[Trigger]) -> list[Every]:
    """The triggers that ask for no other reason than that time passes; one of several that must all ask is none."""
    found = []
    for each in triggers:
        if isinstance(each, Every):
            found.append(each)
        elif isinstance(each, AnyOf):
            found += _by_time(each.triggers)
    return found


def _step_from(state: LiveState, at: int) -> int:
    """The first step at an instant or after it."""
    return state.now + -(-(at - state.now) // state.every) * state.every


def _newest(events: Sequence[LoopEvent], model: str, *whats: str) -> LoopEvent | None:
    return next((each for each in events if each.model == model and each.what in whats), None)
