"""mainspring sql: a question to the facts."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mainspring.cli.options import Debug, Json, WorkspaceFolder
from mainspring.cli.output import reporting
from mainspring.cli.tables import grid

__all__ = ["sql"]


def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="One SELECT.")],
    rows: Annotated[int, typer.Option(min=1, help="Show at most so many rows; --json gives all.")] = 50,
    workspace: WorkspaceFolder = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Answer a SELECT from the facts of every system.

    It changes nothing.
        A table is called by its name, or system.table where several systems have it; TABLE_quarantine holds rejected rows.

    Example: mainspring sql "select carrier, avg(arr_delay) from arrival group by carrier"
    """
    with reporting(as_json=json, debug=debug) as output:
        from mainspring.workspace import DEFAULT_FOLDER, Workspace

        answer = Workspace.open(workspace or DEFAULT_FOLDER, create=False).lake().sql(query)
        shown = answer.head(rows)
        numeric = [dtype.is_numeric() for dtype in answer.dtypes]
        output.text(
            grid(answer.columns, ([_cell(value) for value in row] for row in shown.iter_rows()), numeric=numeric)
        )
        if shown.height < answer.height:
            output.text(f"… {answer.height - shown.height:,} more rows")
        output.document({"columns": answer.columns, "rows": answer.to_dicts()})


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
