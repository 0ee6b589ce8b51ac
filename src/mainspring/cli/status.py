"""mainspring status: how a served system is, in ten seconds, without asking its server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from mainspring.cli.labelled import labelled
from mainspring.cli.moments import ago, moment
from mainspring.cli.opened import open_system
from mainspring.cli.options import Debug, Json, SystemFile, WorkspaceFolder
from mainspring.cli.output import reporting
from mainspring.cli.tables import grid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from mainspring.loop.champion_quality import Quality, Quantity
    from mainspring.loop.doing import Doing, Next
    from mainspring.loop.status import ArmStatus, LoopStatus, Status

__all__ = ["status"]

_EVERY_SECONDS = 2.0
_STAGES = {"shadow": "as a shadow", "canary": "as a canary", "ab": "in an A/B"}


def status(
    file: SystemFile,
    watch: Annotated[bool, typer.Option("--watch", help="Draw it again every two seconds, until Ctrl-C.")] = False,
    workspace: WorkspaceFolder = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show how a served system is, and what its loop does.

    Which models answer, since when and why; what the loop does and will do; quality, alerts, the last events.
    Read from the ledger; no server is asked. Instants are UTC, and the system's own time unless it says otherwise.

    Example: mainspring status flights
    """
    if watch and json:
        raise typer.BadParameter("--json prints one document; it cannot be watched.")
    with reporting(as_json=json, debug=debug) as output:
        from rich.console import Group

        from mainspring.cli.clock import WallClock
        from mainspring.loop.status import status_of

        system, opened = open_system(file, workspace)
        wall = WallClock()
        if not watch:
            found = status_of(system, opened)
            output.text(*_page(found, file, wall.now()))
            output.document(found)
            return
        from rich.live import Live

        try:
            with Live(console=output.stdout, auto_refresh=False) as live:
                while True:
                    live.update(Group(*_page(status_of(system, opened), file, wall.now())), refresh=True)
                    time.sleep(_EVERY_SECONDS)
        except KeyboardInterrupt:
            return


def _page(found: Status, file: str, now: int) -> Iterator[RenderableType]:
    """Yield the status for people."""
    loop = found.loop
    if loop is None:
        yield labelled([("loop", f"{found.no_loop} Begin with: mainspring serve {file}")])
    else:
        yield labelled(_loop(loop, now))
    yield ""
    rows = [
        [arm.name, "" if arm.role == "shadow" else f"{arm.share:.0%}", arm.model, _moment(arm.since), _why(arm)]
        for arm in found.arms
    ]
    yield grid(["arm", "share", "model", "since (UTC)", "why"], rows, numeric=[False, True])
    if loop is not None and loop.quality is not None:
        yield ""
        yield from _quality(loop.quality)
    if found.objectives:
        yield ""
        yield grid(["objective", "state", "told"], [[each.name, each.state, each.told] for each in found.objectives])
    yield ""
    if found.alerts:
        alerts = [each.alert for each in found.alerts]
        rows = [
            [each.severity, each.owner or "nobody", moment(each.opened_at), each.monitor, each.told] for each in alerts
        ]
        yield grid(["alert", "owner", "since (UTC)", "monitor", "what"], rows)
    else:
        yield "No alert is open."
    yield ""
    if found.events:
        rows = [[moment(each.at), each.what, each.model, each.told] for each in found.events]
        yield grid(["event (UTC)", "what", "model", "why"], rows)
    else:
        yield "The loop has done nothing yet."


def _loop(loop: LoopStatus, now: int) -> Iterator[tuple[str, str]]:
    yield (
        "system's time",
        f"{moment(loop.at)} UTC; step {loop.step:,} was taken {ago(now - loop.taken_at)} ago ({moment(loop.taken_at)} UTC real time)",
    )
    yield "doing", _doing(loop.doing)
    yield "next", _next(loop.next)


def _doing(doing: Doing) -> str:
    from mainspring.evaluation.report.wording import metric_title, signed

    if doing.what == "nothing":
        return "nothing: no model is trained or tried"
    since = f"since {_moment(doing.since)}"
    if doing.what == "training":
        return f"training {doing.model} {since}: {doing.why}"
    if doing.what == "waiting":
        until = "" if doing.ends_at is None else f" before {moment(doing.ends_at)}"
        return f"{doing.model} was asked for {since} and is not let in{until or ' yet'}: {doing.why}"
    told = f"trying {doing.model} {_STAGES[doing.what]} {since}, until {_moment(doing.ends_at)} at the latest; "
    if doing.estimate is None:
        return told + "no label is settled yet"
    ends = "interval not known yet"
    if doing.low is not None or doing.high is not None:
        ends = " to ".join("?" if end is None else signed(end) for end in (doing.low, doing.high))
    return told + (
        f"{doing.labels:,} labels settled: improvement {signed(doing.estimate)} {metric_title(doing.metric)} a decision ({ends})"
    )


def _next(following: Next) -> str:
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


def _quality(quality: Quality) -> Iterator[RenderableType]:
    from mainspring.evaluation.report.wording import metric_title, number

    rows = [
        ["realised", *_quantity(quality.realised)],
        ["estimated", *_quantity(quality.estimated)],
        ["when let in", number(quality.promoted), "", "or last judged beside a candidate that did no better"],
    ]
    better = "greater" if quality.greater_is_better else "less"
    yield f"{metric_title(quality.metric)} of {quality.model} ({better} is better)"
    yield grid(["quality", "value", "95% interval", "of"], rows, numeric=[False, True])


def _quantity(found: Quantity) -> list[str]:
    from mainspring.clock import DAY
    from mainspring.evaluation.report.wording import number

    if found.value is None or found.begin is None or found.end is None:
        return ["", "", f"unknown: {found.unknown}"]
    days = f"{moment(found.begin)[:10]} to {moment(found.end - DAY)[:10]}"
    share = f", {found.known / found.predicted:.1%} of labels known" if found.predicted else ""
    return [
        number(found.value),
        f"{number(found.low)} to {number(found.high)}",
        f"{days}, {found.known:,} decisions{share}",
    ]


def _moment(at: int | None) -> str:
    return "" if at is None else moment(at)


def _why(arm: ArmStatus) -> str:
    by_somebody = arm.by and arm.by != "loop"
    return f"by {arm.by}: {arm.why or 'no reason given'}" if by_somebody else arm.why
