"""The options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Debug", "Json", "SystemFile", "WorkspaceFolder"]

WorkspaceFolder = Annotated[
    Path | None,  # None is workspace.DEFAULT_FOLDER, which --help must not load a database driver to know
    typer.Option(
        "--workspace",
        envvar="MAINSPRING_HOME",
        metavar="DIR",
        help="The folder that holds facts, runs and bundles; .mainspring if none is named.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout instead of text.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
SystemFile = Annotated[str, typer.Argument(metavar="FILE", help="A system file, or the name of an example: flights.")]
