"""mainspring show: a run as the ledger has it, or a system file as it declares itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mainspring.cli.options import Debug, Json, WorkspaceFolder
from mainspring.cli.output import Output, reporting

if TYPE_CHECKING:
    from mainspring.serving.checkpoint import StateTold
    from mainspring.workspace import Workspace

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

    Of a run: its data, model, quality and files, as the ledger has them. Of a system that was served: also how much memory
    its online state takes.

    Example: mainspring show latest
    """
    with reporting(as_json=json, debug=debug) as output:
        from mainspring.loop.example import find_system_file

        path = find_system_file(what)
        if path.suffix == ".py" or path.is_file():
            _show_system(path, workspace, output)
        else:
            _show_run(what, workspace, output)


def _show_system(path: Path, folder: Path | None, output: Output) -> None:
    from mainspring.cli.declaration import declaration, document
    from mainspring.loop import load_system
    from mainspring.workspace import DEFAULT_FOLDER, Workspace

    system = load_system(path).system
    output.text(*declaration(system))
    root = Path(folder or DEFAULT_FOLDER)
    state = _state(Workspace.open(root, create=False), system.name, output) if root.is_dir() else None
    output.document({**document(system), "state": state})


def _show_run(name: str, folder: Path | None, output: Output) -> None:
    from mainspring.cli.record import document, record
    from mainspring.workspace import DEFAULT_FOLDER, Workspace

    workspace = Workspace.open(folder or DEFAULT_FOLDER, create=False)
    run = workspace.ledger.run(name)
    output.text(*record(run, workspace))
    output.document({**document(run, workspace), "state": _state(workspace, run.system, output)})


def _state(workspace: Workspace, system: str, output: Output) -> StateTold | None:
    """Tell how much memory the online state of a served system takes; None where none was kept."""
    kept = workspace.kept_state(system)
    if not kept.is_file():
        return None
    from mainspring.clock import format_instant
    from mainspring.serving.checkpoint import read_state_told

    told = read_state_told(kept)
    if told is not None:
        output.text(
            f"\nserved       the online state took {told.bytes / 1e6:,.1f} MB of memory at {format_instant(told.kept_at)}: "
            f"{told.keys:,} keys, {told.facts:,} facts"
        )
    return told
