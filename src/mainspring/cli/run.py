"""mainspring run: build a system, from facts to a bundle and a report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.cli.options import Debug, Json, SystemFile, WorkspaceFolder
from mainspring.cli.output import Output, reporting

if TYPE_CHECKING:
    from mainspring.loop.build import Built, Lives
    from mainspring.workspace import Workspace

__all__ = ["execute", "run"]


def run(file: SystemFile, workspace: WorkspaceFolder = None, json: Json = False, debug: Debug = False) -> None:
    """Build a system, from its facts to a report.

    It makes features, a model, its judgement, a bundle that can be served, and a report.
    Stages whose inputs did not change since an earlier run are used again.

    Example: mainspring run bikes.py
    """
    with reporting(as_json=json, debug=debug) as output:
        execute(file, workspace, output, kind="run")


def execute(file: str, folder: Path | None, output: Output, *, kind: str, replay: Lives | None = None) -> None:
    """Build the system of a file, with a replay where one is given, and print what came of it."""
    from mainspring.cli.clock import WallClock
    from mainspring.cli.progress import StageLines
    from mainspring.cli.result import document, summary
    from mainspring.loop import load_system
    from mainspring.loop.build import build
    from mainspring.loop.example import find_system_file
    from mainspring.workspace import DEFAULT_FOLDER, Workspace

    loaded = load_system(find_system_file(file))
    workspace = Workspace.open(folder or DEFAULT_FOLDER)
    built = build(loaded, workspace, clock=WallClock(), progress=StageLines(output), kind=kind, replay=replay)
    _mirror(built, workspace, output)
    output.text(*summary(built))
    output.document(document(built))


def _mirror(built: Built, workspace: Workspace, output: Output) -> None:
    """Show the run in MLflow as well, where the environment names a server; the run stands whatever comes of it."""
    address = os.environ.get("MLFLOW_TRACKING_URI")
    if not address:
        return
    from mainspring.errors import MainspringError
    from mainspring.ledger import mirror_run

    experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME") or built.run.system
    try:
        mirror_run(workspace.ledger, built.run.name, address, experiment, root=workspace.root)
    except MainspringError as error:
        output.warn(str(error))
