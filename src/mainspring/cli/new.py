"""mainspring new: a starter system for a file of data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mainspring.cli.options import Debug, Json, WorkspaceFolder
from mainspring.cli.output import reporting

__all__ = ["new"]


def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The system file to write.")],
    data: Annotated[Path, typer.Option("--from", metavar="DATA", help="The CSV or Parquet file to start from.")],
    target: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column to predict.")] = None,
    time: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column that says when a row happened.")
    ] = None,
    key: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column that identifies a row.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE.")] = False,
    workspace: WorkspaceFolder = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a starter system for a file of data.

    What a CSV or Parquet file cannot tell is guessed, and a comment says so: read it, correct it, run it.

    Example: mainspring new bikes.py --from bikes.csv --target count
    """
    with reporting(as_json=json, debug=debug) as output:
        from mainspring.loop.starter import write_starter

        starter = write_starter(file, data, target=target, time=time, key=key, overwrite=force)
        predicted = f"{starter.target} ({starter.task})" if starter.target else "how many rows come next"
        output.text(f"{starter.file}: {len(starter.columns)} columns, {starter.rows:,} rows; predicts {predicted}")
        output.text(*(f"  {guess}" for guess in starter.guesses))
        there = f" --workspace {workspace}" if workspace else ""
        output.text(f"Read it and correct what was guessed, then: mainspring run {starter.file}{there}")
        output.document(starter)
