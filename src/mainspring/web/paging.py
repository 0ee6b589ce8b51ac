"""Long tables are shown page by page: which rows, and the links to the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from mainspring.page.components import Html
from mainspring.page.components import pager as links_of
from mainspring.page.wording import count
from mainspring.web.links import link_to

__all__ = ["ROWS", "Rows", "page_asked", "page_of", "page_written", "pager", "rows_of"]

ROWS = 50
"""How many rows a page shows."""


class Rows(NamedTuple):
    """Which of `total` rows a page shows: [begin, end), counted from 0; pages are counted from 1."""

    page: int
    pages: int
    begin: int
    end: int
    total: int


def page_asked(text: str | None) -> int:
    """Return the number of the page that is asked for, from 1 on: the first for what is no number."""
    return max(int(text), 1) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else 1


def page_written(page: int) -> str:
    """Return the number of a page as a link keeps it: the first has none."""
    return "" if page == 1 else str(page)


def page_of(rows: Rows) -> str:
    """Return the page of these rows as a link keeps it."""
    return page_written(rows.page)


def rows_of(asked: str | None, total: int, size: int = ROWS) -> Rows:
    """Return the rows of the page that is asked for: the first for what is no number, the last for what is beyond it."""
    pages = max(1, -(-total // size))
    page = min(page_asked(asked), pages)
    return Rows(page, pages, (page - 1) * size, min(page * size, total), total)


def pager(path: str, query: Mapping[str, str], rows: Rows, *, name: str = "page") -> Html | None:
    """Return which rows these are, the newest first, with links to the others; None where one page shows all.

    `name` is that of the parameter; the others of `query` stay.
    """
    if rows.pages == 1:
        return None

    def to(page: int) -> str | None:
        return link_to(path, {**query, name: page_written(page)}) if 1 <= page <= rows.pages else None

    told = f"{count(rows.begin + 1)} to {count(rows.end)} of {count(rows.total)}"
    return links_of(told, to(rows.page - 1), to(rows.page + 1))
