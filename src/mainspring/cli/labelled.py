"""Paragraphs with a label before each, folded beside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["labelled"]


def labelled(rows: Iterable[tuple[str, str]]) -> Table:
    """Return paragraphs, each beside its label; those without text are left out."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows:
        if text:
            table.add_row(label, text)
    return table
