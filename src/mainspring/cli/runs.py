"""mainspring runs: every run of a workspace, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mainspring.cli.options import Debug, Json, WorkspaceFolder
from mainspring.cli.output import reporting
from mainspring.cli.tables import grid

if TYPE_CHECKING:
    from mainspring.ledger import Metric, Run

__all__ = ["runs"]


def runs(
    system: Annotated[str | None, typer.Option(help="Runs of this system only.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    workspace: WorkspaceFolder = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List the runs, newest first.

    Example: mainspring runs --system flight-delays
    """
    with reporting(as_json=json, debug=debug) as output:
        from mainspring.workspace import DEFAULT_FOLDER, Workspace

        ledger = Workspace.open(workspace or DEFAULT_FOLDER, create=False).ledger
        found = ledger.runs(limit, system=system)
        headlines = {run.name: next(iter(ledger.metrics(run.name, scope="test")), None) for run in found}
        columns = ["run", "kind", "status", "started (UTC)", "seconds", "quality"]
        rows = [_row(run, headlines[run.name]) for run in found]
        output.text(grid(columns, rows, numeric=[name == "seconds" for name in columns]) if rows else "No runs yet.")
        output.document(found)


def _row(run: Run, headline: Metric | None) -> list[str]:
    from mainspring.clock import format_instant
    from mainspring.page.wording import instant, metric_title, number

    status = run.status if run.error_code is None else f"{run.status} [{run.error_code}]"
    quality = "" if headline is None else f"{metric_title(headline.name)} {number(headline.value)}"
    started = instant(format_instant(run.started_at)).removesuffix(" UTC")
    return [run.name, run.kind, status, started, f"{sum(run.seconds.values()):.1f}", quality]
