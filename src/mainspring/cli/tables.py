"""Plain tables: no frames, numbers to the right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["grid"]


def grid(columns: Sequence[str], rows: Iterable[Sequence[str]], *, numeric: Sequence[bool] = ()) -> Table:
    """Return a table of text; `numeric` says which columns hold numbers, in order, the rest do not."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for position, column in enumerate(columns):
        right = position < len(numeric) and numeric[position]
        table.add_column(column, justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
