"""Loop."""

from __future__ import annotations

from mainspring.web.asked import Asked
from mainspring.web.shell import Page
from mainspring.web.source import Source

__all__ = ["page"]


def page(source: Source, asked: Asked) -> Page:
    """Return the page."""
    return Page("Loop", "", ())
