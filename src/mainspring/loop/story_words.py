"""The story of a model in sentences. Instants are UTC, the system's own time where nothing else is said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mainspring.loop.answering import Answers
from mainspring.loop.story import Deed, Judged, Made, Story
from mainspring.page.wording import metric_title, moment, number, plural

__all__ = ["answers_told", "deed_told", "judged_told", "made_told", "sentences", "window_told"]


def sentences(story: Story) -> Iterator[str]:
    """Yield what became of a model from its making on, but for what was done with it (`deed_told`)."""
    if story.made is None:
        yield "It was asked for, and is not made yet or could not be."
    else:
        yield from made_told(story.made)
    if story.judged:
        yield judged_told(story.judged)
    if story.gate is not None:
        verdict = "let it in" if story.gate.passed else "did not let it in"
        yield f"The gate {verdict} at {moment(story.gate.at)}: {story.gate.told}."
    if not story.done:
        yield "Nothing was done with it: no loop has tried it, and nobody has deployed it."
    if story.alerts:
        yield f"{plural(story.alerts, 'alert')} opened while it was the champion."
    for each in story.answers:
        yield answers_told(each)
    if not story.answers:
        yield "It has answered nothing that is in the lake."


def made_told(made: Made) -> Iterator[str]:
    """Yield by whom, when and on what a model was made, and why."""
    by = "The loop" if made.by == "the loop" else f"Somebody, with {made.by},"
    when = "" if made.as_of is None else f" on what was known at {moment(made.as_of)}"
    yield f"{by} trained it{when}: {made.seconds:.1f} s, begun {moment(made.started_at)} real time."
    if made.why:
        yield f"It was asked for because of this: {made.why}."
    how = f"It goes on from {made.parent}" if made.how == "continue" else "It was trained fresh"
    beside = f", beside {made.parent}, the champion then" if made.parent and made.how != "continue" else ""
    on = f"; {made.decisions:,} decisions, {made.labelled:,} with a known label" if made.decisions else ""
    yield f"{how}{beside}, {window_told(made.window)}{on}."


def window_told(window: Any) -> str:
    """Return of which time the rows are that a model learned from."""
    if isinstance(window, list | tuple):
        return "on the best window of " + ", ".join(each or "all history" for each in window)
    return "on all that its declaration lets" if window is None else f"on the last {window}"


def judged_told(judged: list[Judged]) -> str:
    """Return the first figure by which a model was judged, with its interval and the champion's where there are any."""
    first = judged[0]
    ends = "" if first.low is None or first.high is None else f" ({number(first.low)} to {number(first.high)})"
    beside = "" if first.champion is None else f"; the champion's on the same rows was {number(first.champion)}"
    return f"On rows that it had not seen its {metric_title(first.name)} was {number(first.value)}{ends}{beside}."


def deed_told(deed: Deed) -> str:
    """Return what was done with a model, by whom and why."""
    what = "asked for" if deed.what == "train" else deed.what
    return f"{what}, by {deed.by}: {deed.told or 'no reason given'}"


def answers_told(found: Answers) -> str:
    """Return what a model answered as an arm."""
    verb = "As a shadow it was asked about" if found.shadow else f"As {found.arm} it answered"
    days = plural(len(found.days), "day")
    return (
        f"{verb} {plural(found.decisions, 'decision')} on {days}, from {moment(found.first)} to {moment(found.last)}."
    )
