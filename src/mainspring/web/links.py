"""Where things are shown: every path of these pages that holds a name is made here, whatever stands in the name."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from mainspring.page.components import Html, element

__all__ = ["alert_link", "alert_path", "link_to", "model_link", "model_path", "replay_link", "table_link", "table_path"]


def link_to(path: str, query: Mapping[str, str], fragment: str = "") -> str:
    """Return a path of these pages with a query, and the part of the page to go to; what is empty is left out."""
    text = urlencode({name: value for name, value in query.items() if value})
    return f"{path}{f'?{text}' if text else ''}{f'#{fragment}' if fragment else ''}"


def alert_path(id: str) -> str:
    """Return where one alert is shown."""
    return f"/ui/alerts/{quote(id, safe='')}"


def alert_link(id: str, text: str) -> Html:
    """Return a link to one alert."""
    return element("a", text, href=alert_path(id))


def model_path(name: str) -> str:
    """Return where one model is shown."""
    return f"/ui/models/{quote(name, safe='')}"


def model_link(name: str) -> Html:
    """Return a link to the page of a model."""
    return element("a", name, href=model_path(name))


def table_path(name: str) -> str:
    """Return where one table is shown."""
    return f"/ui/facts/{quote(name, safe='')}"


def table_link(name: str) -> Html:
    """Return a link to the page of a table."""
    return element("a", name, href=table_path(name))


def replay_link(run: str) -> Html:
    """Return a link to the page of a replay."""
    return element("a", run, href=f"/ui/replays/{quote(run, safe='')}")
