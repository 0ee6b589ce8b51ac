"""mainspring check: what is wrong with a system, before it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mainspring.cli.options import Debug, Json, SystemFile, WorkspaceFolder
from mainspring.cli.output import Output, reporting

if TYPE_CHECKING:
    from pathlib import Path

    from mainspring.declare.lint import Finding
    from mainspring.lake import Lake
    from mainspring.loop import LoadedSystem

__all__ = ["check"]

_STYLES = {"error": "red", "warning": "yellow", "note": ""}


def check(
    file: SystemFile,
    history: Annotated[
        bool, typer.Option("--history/--no-history", help="Also try the declaration on its history.")
    ] = True,
    workspace: WorkspaceFolder = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what is wrong with a system file.

    Every finding names the line and says what to do. Nothing is written.
    The exit code is 1 when there is an error; warnings and notes do not stop a run.

    Example: mainspring check bikes.py
    """
    with reporting(as_json=json, debug=debug) as output:
        from mainspring.loop import load_system
        from mainspring.loop.checking import check_system
        from mainspring.loop.example import find_system_file

        loaded = load_system(find_system_file(file))
        findings = check_system(loaded, history=history, stored=_stored(loaded, workspace))
        for finding in findings:
            _show(finding, output)
        output.text(_counted(findings))
        output.document([_document(finding) for finding in findings])
        if any(finding.severity == "error" for finding in findings):
            raise typer.Exit(1)


def _stored(loaded: LoadedSystem, folder: Path | None) -> Lake | None:
    """The facts that the workspace has of a system, if there is a workspace."""
    from mainspring.errors import WorkspaceError
    from mainspring.workspace import DEFAULT_FOLDER, Workspace

    if loaded.history is not None:
        return None
    try:
        workspace = Workspace.open(folder or DEFAULT_FOLDER, create=False)
    except WorkspaceError as error:
        if error.code == "WORKSPACE_MISSING":
            return None
        raise
    return workspace.lake(loaded.system.name)


def _show(finding: Finding, output: Output) -> None:
    if not output.as_json:
        output.stdout.print(str(finding), style=_STYLES[finding.severity], soft_wrap=True)


def _counted(findings: list[Finding]) -> str:
    counts = {severity: sum(f.severity == severity for f in findings) for severity in _STYLES}
    told = [f"{count} {severity}{'' if count == 1 else 's'}" for severity, count in counts.items() if count]
    return ", ".join(told) or "No findings."


def _document(finding: Finding) -> dict[str, Any]:
    origin = finding.origin
    return {
        "code": finding.code,
        "severity": finding.severity,
        "file": origin.file if origin else None,
        "line": origin.line if origin else None,
        "message": finding.message,
        "exists": finding.exists,
        "fix": finding.fix,
    }
