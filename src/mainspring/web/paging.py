"""Long tables are shown page by page: which rows, and the links to the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from mainspring.page.components import Html
from mainspring.page.components import pager as links_of
from mainspring.page.wording import count

__all__ = ["ROWS", "Rows", "link_to", "page_of", "pager", "rows_of"]

ROWS = 50
"""How many rows a page shows."""


class Rows(NamedTuple):
    """Which of `total` rows a page shows: [begin, end), counted from 0; pages are counted from 1."""

    page: int
    pages: int
    begin: int
    end: int
    total: int


def rows_of(asked: str | None, total: int, size: int = ROWS) -> Rows:
    """Return the rows of the page that is asked for: the first for what is no number, the last for what is beyond it."""
    pages = max(1, -(-total // size))
    number = int(asked) if asked is not None and asked.isascii() and asked.isdigit() and len(asked) < 10 else 1
    page = min(max(number, 1), pages)
    return Rows(page, pages, (page - 1) * size, min(page * size, total), total)


def page_of(rows: Rows) -> str:
    """Return the number of a page as a link keeps it: the first has none."""
    return _written(rows.page)


def link_to(path: str, query: Mapping[str, str]) -> str:
    """Return a path of these pages with a query; what is empty is left out."""
    kept = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(kept)}" if kept else path


def pager(path: str, query: Mapping[str, str], rows: Rows, *, name: str = "page") -> Html | None:
    """Return which rows these are, the newest first, with links to the others; None where one page shows all.

    `name` is that of the parameter; the others of `query` stay.
    """
    if rows.pages == 1:
        return None

    def to(page: int) -> str | None:
        return link_to(path, {**query, name: _written(page)}) if 1 <= page <= rows.pages else None

    told = f"{count(rows.begin + 1)} to {count(rows.end)} of {count(rows.total)}"
    return links_of(told, to(rows.page - 1), to(rows.page + 1))


def _written(page: int) -> str:
    return "" if page == 1 else str(page)
