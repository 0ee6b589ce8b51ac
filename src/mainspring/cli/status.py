"""mainspring status: how a served system is, in ten seconds, without asking its server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from mainspring.cli.labelled import labelled
from mainspring.cli.opened import open_system
from mainspring.cli.options import Debug, Json, SystemFile, WorkspaceFolder
from mainspring.cli.output import reporting
from mainspring.cli.tables import grid
from mainspring.page.wording import ago, moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from mainspring.loop.champion_quality import Quality, Quantity
    from mainspring.loop.status import LoopStatus, Status

__all__ = ["status"]

_EVERY_SECONDS = 2.0


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
    from mainspring.loop.status_words import arm_why

    loop = found.loop
    if loop is None:
        yield labelled([("loop", f"{found.no_loop} Begin with: mainspring serve {file}")])
    else:
        yield labelled(_loop(loop, now))
    yield ""
    rows = [
        [arm.name, "" if arm.role == "shadow" else f"{arm.share:.0%}", arm.model, moment(arm.since), arm_why(arm)]
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
    from mainspring.loop.status_words import doing_told, next_told

    yield (
        "system's time",
        f"{moment(loop.at)} UTC; step {loop.step:,} was taken {ago(now - loop.taken_at)} ago ({moment(loop.taken_at)} UTC real time)",
    )
    yield "doing", doing_told(loop.doing)
    yield "next", next_told(loop.next)


def _quality(quality: Quality) -> Iterator[RenderableType]:
    from mainspring.page.wording import metric_title, number

    rows = [
        ["realised", *_quantity(quality.realised)],
        ["estimated", *_quantity(quality.estimated)],
        ["when let in", number(quality.promoted), "", "or last judged beside a candidate that did no better"],
    ]
    better = "greater" if quality.greater_is_better else "less"
    yield f"{metric_title(quality.metric)} of {quality.model} ({better} is better)"
    yield grid(["quality", "value", "95% interval", "of"], rows, numeric=[False, True])


def _quantity(found: Quantity) -> list[str]:
    from mainspring.loop.status_words import quantity_of
    from mainspring.page.wording import number

    if found.value is None:
        return ["", "", quantity_of(found)]
    return [number(found.value), f"{number(found.low)} to {number(found.high)}", quantity_of(found)]
