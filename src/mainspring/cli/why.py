"""mainspring why: the story of a model version, or which versions answered on a day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mainspring.cli.labelled import labelled
from mainspring.cli.opened import open_system
from mainspring.cli.options import Debug, Json, WorkspaceFolder
from mainspring.cli.output import reporting
from mainspring.cli.tables import grid
from mainspring.page.wording import moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from mainspring.loop.answering import AnsweredOn, Answers
    from mainspring.loop.story import Made, Story

__all__ = ["why"]


def why(
    what: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE",
            help="A model, or enough of its name's beginning; with --on a system file, or an example.",
        ),
    ],
    on: Annotated[
        str | None, typer.Option(metavar="WHEN", help="A day in UTC, or an instant, which stands for its hour.")
    ] = None,
    workspace: WorkspaceFolder = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Tell the story of a model, or which models answered on a day.

    Made when, why and on what, judged how, what was done with it since, what it answered. With --on: which models
    of a system answered then, and what was deployed. Instants are UTC, the system's own time.

    Example: mainspring why flight-delays-m2

    Example: mainspring why flights --on 2013-03-05
    """
    with reporting(as_json=json, debug=debug) as output:
        if on is not None:
            from mainspring.loop.answering import answered_on

            found = answered_on(*open_system(what, workspace), on)
            output.text(*_answered(found))
            output.document(found)
            return
        from mainspring.loop.story import story_of
        from mainspring.workspace import DEFAULT_FOLDER, Workspace

        story = story_of(Workspace.open(workspace or DEFAULT_FOLDER, create=False), what)
        output.text(*_page(story))
        output.document(story)


def _page(story: Story) -> Iterator[RenderableType]:
    """Yield a story for people."""
    from mainspring.page.wording import metric_title, number, plural

    yield f"{story.model}, a model of {story.system}"
    yield labelled(_made(story.made) if story.made is not None else [("made", "not yet, or it could not be")])
    if story.judged:
        yield ""
        beside = any(each.champion is not None for each in story.judged)
        columns = ["judged", "value", "95% interval", *(["champion"] if beside else [])]
        rows = [
            [
                metric_title(each.name),
                number(each.value),
                "" if each.low is None else f"{number(each.low)} to {number(each.high)}",
                *([number(each.champion)] if beside else []),
            ]
            for each in story.judged
        ]
        yield grid(columns, rows, numeric=[False, True, True, True])
    if story.gate is not None:
        verdict = "let in" if story.gate.passed else "not let in"
        yield labelled([("gate", f"{verdict} at {moment(story.gate.at)}: {story.gate.told}")])
    yield ""
    if story.done:
        rows = [[moment(each.at), each.what, each.by, each.told or "no reason given"] for each in story.done]
        yield grid(["done (UTC)", "what", "by", "why"], rows)
    else:
        yield "Nothing was done with it: no loop has tried it, and nobody has deployed it."
    if story.alerts:
        yield f"{plural(story.alerts, 'alert')} opened while it was the champion."
    yield ""
    yield _answers(story.answers, "It has answered nothing that is in the lake.", with_model=False)


def _made(made: Made) -> Iterator[tuple[str, str]]:
    from mainspring.loop.story_words import window_told

    as_of = "" if made.as_of is None else f", on what was known at {moment(made.as_of)}"
    yield (
        "made",
        f"by {made.by} in {made.run}{as_of}; {made.seconds:.1f} s, begun {moment(made.started_at)} UTC real time",
    )
    yield "because", made.why
    going_on = f"going on from {made.parent}" if made.how == "continue" else "fresh"
    beside = f", beside {made.parent}, the champion then" if made.parent and made.how != "continue" else ""
    yield "how", f"{going_on}{beside}; trained {window_told(made.window)}; calibration {made.calibration or 'none'}"
    yield "on", f"{made.decisions:,} decisions, {made.labelled:,} with a known label" if made.decisions else ""
    yield "snapshots", ", ".join(f"{table} {snapshot}" for table, snapshot in made.snapshots.items())
    yield "declaration", f"{made.declaration}, Mainspring {made.version}"
    yield "bundle", f"{made.bundle}{f': {made.bundle_problem}' if made.bundle_problem else ''}"


def _answered(found: AnsweredOn) -> Iterator[RenderableType]:
    yield f"{found.system}, decisions from {moment(found.begin)} until {moment(found.end)} UTC"
    yield ""
    yield _answers(found.answers, "No decision of then is in the lake.", with_model=True)
    yield ""
    if not found.deployed:
        yield "Nothing was deployed then: without arms the newest model answers."
        return
    rows = [
        [
            moment(each.begin),
            moment(each.end),
            ", ".join(
                f"{arm.name} {arm.model} {'shadow' if arm.role == 'shadow' else f'{arm.share:.0%}'}"
                for arm in each.arms
            ),
            each.by,
            each.reason,
        ]
        for each in found.deployed
    ]
    yield grid(["deployed (UTC)", "until", "arms", "by", "why"], rows)


def _answers(answers: list[Answers], nothing: str, *, with_model: bool) -> RenderableType:
    if not answers:
        return nothing
    rows = [
        [
            *([each.model] if with_model else []),
            f"{each.arm}, as a shadow" if each.shadow else each.arm,
            f"{each.decisions:,}",
            *([] if with_model else [f"{len(each.days):,}"]),
            moment(each.first),
            moment(each.last),
        ]
        for each in answers
    ]
    times = ["first (UTC)", "last (UTC)"]
    if with_model:
        return grid(["model", "answered as", "decisions", *times], rows, numeric=[False, False, True])
    return grid(["answered as", "decisions", "days", *times], rows, numeric=[False, True, True])
