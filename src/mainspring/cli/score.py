"""mainspring score: predictions for the rows of a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mainspring.cli.options import Debug, Json, SystemFile, WorkspaceFolder
from mainspring.cli.output import reporting

__all__ = ["score"]


def score(
    file: SystemFile,
    decisions: Annotated[Path, typer.Option(metavar="FILE", help="Rows of the decision's table, CSV or Parquet.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a .csv or .parquet file; else CSV on stdout.")
    ] = None,
    workspace: WorkspaceFolder = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Predict for the rows of a file.

    Each row is decided at its own decision time, with what was known then: as in training. Nothing is stored.

    Example: mainspring score flights --decisions december.csv --out predictions.parquet
    """
    with reporting(as_json=json, debug=debug) as output:
        from mainspring.declare import csv, parquet
        from mainspring.lake import read_source
        from mainspring.loop import load_system
        from mainspring.loop.example import find_system_file
        from mainspring.serving.deployed import load_model, newest_model
        from mainspring.serving.scoring import score_rows
        from mainspring.storage import storage_errors
        from mainspring.workspace import DEFAULT_FOLDER, Workspace

        system = load_system(find_system_file(file)).system
        opened = Workspace.open(workspace or DEFAULT_FOLDER, create=False)
        bundle = load_model(system, opened, newest_model(system, opened))
        path = str(decisions.absolute())
        source = parquet(path) if decisions.suffix == ".parquet" else csv(path)
        rows = read_source(source, Path(), system.decision.table)
        lake = opened.lake(system.name)
        scored = score_rows(system, bundle.model, lake, rows)
        for reason, count in {**scored.rejected, **scored.left_out}.items():
            output.warn(f"{count:,} rows have no prediction: {reason}")
        output.stderr.print(f"{scored.frame.height:,} predictions of {bundle.folder.name}", soft_wrap=True)
        if out is not None:
            with storage_errors(out):
                (scored.frame.write_parquet if out.suffix == ".parquet" else scored.frame.write_csv)(out)
        elif not json:
            sys.stdout.write(scored.frame.write_csv())
        output.document(
            {
                "system": system.name,
                "model": bundle.folder.name,
                "predictions": scored.frame.height,
                "rejected": scored.rejected,
                "left_out": scored.left_out,
                "out": None if out is None else str(out),
                "rows": scored.frame.to_dicts() if out is None else None,
            }
        )
