"""mainspring compare: two runs side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mainspring.cli.options import Debug, Json, WorkspaceFolder
from mainspring.cli.output import reporting
from mainspring.cli.tables import grid

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mainspring.ledger import Comparison

__all__ = ["compare"]

_Run = Annotated[str, typer.Argument(metavar="RUN", help="The name of a run, its beginning, or latest.")]


def compare(
    first: _Run,
    second: _Run,
    workspace: WorkspaceFolder = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Set two runs side by side.

    What was changed from the first to the second, and what came of it.

    Example: mainspring compare flight-delays-1 latest
    """
    with reporting(as_json=json, debug=debug) as output:
        from mainspring.workspace import DEFAULT_FOLDER, Workspace

        found = Workspace.open(workspace or DEFAULT_FOLDER, create=False).ledger.compare(first, second)
        output.text(*_lines(found))
        output.document(found)


def _lines(found: Comparison) -> Iterator[RenderableType]:
    yield f"{found.first.name} against {found.second.name}\n"
    yield _figures(found)
    yield "\napart: the 95% intervals do not touch. Intervals that touch can hide a difference between paired runs."
    for title, changes in (
        ("settings", found.settings),
        ("parameters", found.parameters),
        ("snapshots", found.snapshots),
        ("changed features", found.features_changed),
    ):
        if changes:
            yield ""
            yield grid([title, found.first.name, found.second.name], _changed(changes))
    for sign, names in (("added", found.features_added), ("removed", found.features_removed)):
        if names:
            yield f"\nfeatures {sign}: {', '.join(names)}"
    seconds = {stage: tuple(_seconds(v) for v in (c.first, c.second)) for stage, c in found.seconds.items()}
    yield ""
    rows = [[stage, *both] for stage, both in seconds.items()]
    yield grid(["seconds", found.first.name, found.second.name], rows, numeric=[False, True, True])


def _figures(found: Comparison) -> RenderableType:
    from mainspring.page.wording import metric_title, number, signed

    rows = [
        [
            metric_title(change.name),
            number(change.first.value if change.first else None),
            number(change.second.value if change.second else None),
            signed(change.difference),
            "apart" if change.apart else "",
        ]
        for change in found.metrics
        if change.scope == "test"
    ]
    columns = ["quality", found.first.name, found.second.name, "difference", ""]
    return grid(columns, rows, numeric=[False, True, True, True])


def _changed(changes: Mapping[str, Any]) -> list[list[str]]:
    return [[name, _shown(change.first), _shown(change.second)] for name, change in changes.items()]


def _shown(value: Any) -> str:
    return "(none)" if value is None else str(value)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
