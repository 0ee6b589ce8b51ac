"""How a system is, in sentences: for a terminal as well as for a page. Instants are UTC, and the system's own time."""

from __future__ import annotations

from mainspring.clock import DAY
from mainspring.loop.champion_quality import Quantity
from mainspring.loop.doing import Doing, Next
from mainspring.loop.status import ArmStatus
from mainspring.page.wording import metric_title, moment, percent, signed

__all__ = ["arm_why", "doing_told", "next_told", "quantity_of"]

_STAGES = {"shadow": "as a shadow", "canary": "as a canary", "ab": "in an A/B"}


def doing_told(doing: Doing) -> str:
    """Return what a loop is doing."""
    if doing.what == "nothing":
        return "nothing: no model is trained or tried"
    since = f"since {moment(doing.since)}"
    if doing.what == "training":
        return f"training {doing.model} {since}: {doing.why}"
    if doing.what == "waiting":
        until = "" if doing.ends_at is None else f" before {moment(doing.ends_at)}"
        return f"{doing.model} was asked for {since} and is not let in{until or ' yet'}: {doing.why}"
    told = f"trying {doing.model} {_STAGES[doing.what]} {since}, until {moment(doing.ends_at)} at the latest; "
    if doing.estimate is None:
        return told + "no label is settled yet"
    ends = "interval not known yet"
    if doing.low is not None or doing.high is not None:
        ends = " to ".join("?" if end is None else signed(end) for end in (doing.low, doing.high))
    return told + (
        f"{doing.labels:,} labels settled: improvement {signed(doing.estimate)} {metric_title(doing.metric)} a decision ({ends})"
    )


def next_told(following: Next) -> str:
    """Return what a loop will do next, and what holds it back."""
    told = [f"a step at {moment(following.step_at)}"]
    if following.trigger_at is not None:
        told.append(f"a new model is due at {moment(following.trigger_at)} at the earliest, by {following.trigger}")
    if following.watched:
        told.append(f"sooner or later by {', '.join(following.watched)}")
    if following.cooldown_until is not None:
        told.append(f"none before {moment(following.cooldown_until)} (cool-down)")
    if following.told:
        told.append(following.told)
    return "; ".join(told)


def quantity_of(found: Quantity) -> str:
    """Return of which decisions a figure is, or why it is unknown."""
    if found.value is None or found.begin is None or found.end is None:
        return f"unknown: {found.unknown}"
    days = f"{moment(found.begin)[:10]} to {moment(found.end - DAY)[:10]}"
    share = f", {percent(found.known / found.predicted)} of labels known" if found.predicted else ""
    return f"{days}, {found.known:,} decisions{share}"


def arm_why(arm: ArmStatus) -> str:
    """Return why an arm answers, and who said so."""
    by_somebody = arm.by and arm.by != "loop"
    return f"by {arm.by}: {arm.why or 'no reason given'}" if by_somebody else arm.why
