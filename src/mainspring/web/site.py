"""The pages by their paths, and what is shown where one cannot be made."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from mainspring.errors import MainspringError, ServingError
from mainspring.loop import load_system
from mainspring.page.components import paragraph
from mainspring.web.asked import Asked, Shown
from mainspring.web.pages import alerts, facts, features, loop, models, now, quality, replays
from mainspring.web.shell import Page, page_document, refused_page
from mainspring.web.source import Source
from mainspring.workspace import Workspace

__all__ = ["PAGES", "Pages"]

_log = logging.getLogger("mainspring.web")

PAGES: dict[str, Callable[[Source, Asked], Page]] = {
    "now": now.page,
    "quality": quality.page,
    "features": features.page,
    "models": models.page,
    "loop": loop.page,
    "replays": replays.page,
    "alerts": alerts.page,
    "facts": facts.page,
}
"""By the first part of a path; a page reads the rest of it itself."""


class Pages:
    """Makes the pages of the system in a file, out of a workspace."""

    def __init__(self, file: str, folder: str, fingerprint: str) -> None:
        self._file, self._folder, self._fingerprint = Path(file), folder, fingerprint
        self._source: Source | None = None

    def show(self, asked: Asked) -> Shown:
        """Return a page; one that says what is wrong where it cannot be made."""
        try:
            source = self._source = self._source or self._opened()
        except MainspringError as error:
            return Shown(503, refused_page(error.problem, error.fix))
        page = _made(source, asked)
        opened = _open_alerts(source)
        document = page_document(
            page, system=source.system.name, at=asked.path, open_alerts=len(opened), bad="page" in opened
        )
        return Shown(page.status, document)

    def _opened(self) -> Source:
        """Raises DeclarationError, WorkspaceError; ServingError (SERVE_MODEL) where the file holds another declaration now."""
        system = load_system(self._file).system
        if system.fingerprint != self._fingerprint:
            raise ServingError(
                "SERVE_MODEL",
                f"{self._file} holds another declaration now than is served.",
                fix="Start the server again, or undo the change.",
            )
        return Source(system, Workspace.open(self._folder, create=False), self._file)


def _made(source: Source, asked: Asked) -> Page:
    make = PAGES.get(asked.path.partition("/")[0])
    if make is None:
        return Page("There is no such page", f"Nothing is at /ui/{asked.path[:100]}.", (), 404)
    try:
        return make(source, asked)
    except MainspringError as error:
        told = " ".join(filter(None, (error.exists, error.fix)))
        status = 404 if error.code in ("SERVE_UNKNOWN", "LEDGER_UNKNOWN_RUN") else 503
        return Page("This page cannot be shown", error.problem, (paragraph(told),), status)
    except Exception:
        _log.exception("the page %s cannot be made", asked.path)
        return Page(
            "This page cannot be shown", "It failed for a reason of ours, which the server's log tells.", (), 500
        )


def _open_alerts(source: Source) -> list[str]:
    """The severities of what is open."""
    try:
        return [kept.alert.severity for kept in source.ledger.alerts.open(source.system.name)]
    except MainspringError:  # the page itself has said so
        return []
