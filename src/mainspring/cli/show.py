"""mainspring show: a run as the ledger has it, or a system file as it declares itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mainspring.cli.options import Debug, Json, WorkspaceFolder
from mainspring.cli.output import Output, reporting

__all__ = ["show"]


def show(
    what: Annotated[
        str, typer.Argument(metavar="RUN|FILE", help="The name of a run, its beginning, latest, or a file.")
    ],
    workspace: WorkspaceFolder = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show a run, or what a system file declares.

    Of a run: its data, model, quality and files, as the ledger has them.

    Example: mainspring show latest
    """
    with reporting(as_json=json, debug=debug) as output:
        from mainspring.loop.example import find_system_file

        path = find_system_file(what)
        if path.suffix == ".py" or path.is_file():
            _show_system(path, output)
        else:
            _show_run(what, workspace, output)


def _show_system(path: Path, output: Output) -> None:
    from mainspring.cli.declaration import declaration, document
    from mainspring.loop import load_system

    system = load_system(path).system
    output.text(*declaration(system))
    output.document(document(system))


def _show_run(name: str, folder: Path | None, output: Output) -> None:
    from mainspring.cli.record import document, record
    from mainspring.workspace import DEFAULT_FOLDER, Workspace

    workspace = Workspace.open(folder or DEFAULT_FOLDER, create=False)
    run = workspace.ledger.run(name)
    output.text(*record(run, workspace))
    output.document(document(run, workspace))
