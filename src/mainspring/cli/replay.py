"""mainspring replay: live through a history under several policies, and see which one to take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mainspring.cli.options import Debug, Json, SystemFile, WorkspaceFolder
from mainspring.cli.output import reporting
from mainspring.cli.replayed import policy_summary, replay_figures

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mainspring.loop.replaying import Replayed

__all__ = ["replay"]


def replay(
    file: SystemFile,
    compare: Annotated[
        str,
        typer.Option(
            help="Policies, divided by commas: declared, daily, weekly, monthly, drift, degraded, estimated, daily-continue."
        ),
    ] = "",
    start: Annotated[
        str, typer.Option(help="When the first model is trained: 2013-03-01. Else after a sixth of the history.")
    ] = "",
    every: Annotated[str, typer.Option(help="The time between two steps of the loop.")] = "1d",
    hour_costs: Annotated[float, typer.Option(help="What an hour of training costs, in the unit of the payoff.")] = 1.0,
    workspace: WorkspaceFolder = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Live through a history under several policies.

    Predictions, labels that come late, retraining and rollout, step by step, as they would have been. Each policy is one life;
    to train once and to repeat the last label are always among them. Without --compare the policy that the system declares
    is the third, or to retrain weekly where it declares none.

    Example: mainspring replay flights --compare monthly,degraded
    """
    with reporting(as_json=json, debug=debug) as output:
        from mainspring.cli.clock import WallClock
        from mainspring.cli.progress import StageLines
        from mainspring.clock import parse_instant, parse_span
        from mainspring.loop import load_system
        from mainspring.loop.example import find_system_file
        from mainspring.loop.replaying import replay_policies
        from mainspring.workspace import DEFAULT_FOLDER, Workspace

        loaded = load_system(find_system_file(file))
        usual = "weekly" if loaded.system.retrain is None else "declared"
        found = replay_policies(
            loaded,
            Workspace.open(workspace or DEFAULT_FOLDER),
            [name.strip() for name in (compare or usual).split(",") if name.strip()],
            clock=WallClock(),
            progress=StageLines(output),
            start=parse_instant(start) if start else None,
            every=parse_span(every),
            cost_of_an_hour=hour_costs,
        )
        output.text(*_summary(found))
        output.document(_document(found))


def _document(found: Replayed) -> dict[str, Any]:
    return {
        "system": found.compared.system,
        "run": found.run.name,
        **replay_figures(found.compared),
        "seconds": found.run.seconds,
        "report": str(found.page),
        "report_json": str(found.document),
    }


def _summary(found: Replayed) -> Iterator[RenderableType]:
    compared = found.compared
    yield f"\n{found.run.name}: {compared.decisions:,} decisions from {compared.begin[:10]} to {compared.end[:10]}\n"
    yield from policy_summary(compared)
    yield f"report  {found.page}"
