"""A page that works offline as one HTML document: styles and scripts inside, no network.

The document carries a content security policy that names its two scripts by their hash and forbids every request, so
neither a slip of ours nor text from the data can load or run anything.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

from mainspring.page.components import Child, Html, element, paragraph
from mainspring.page.vega import vega_script

__all__ = ["Section", "html_document", "page_of"]


@lru_cache
def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@lru_cache
def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def html_document(title: str, body: Child) -> Html:
    scripts = (vega_script(), _resource("charts.js"))
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {allowed}; base-uri 'none'; form-action 'none'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Html(_resource("style.css"))),
    )
    running = [element("script", Html(script)) for script in scripts]
    root = element("html", head, element("body", body, running), lang="en")
    return Html(f"<!doctype html>\n{root}\n")


class Section(NamedTuple):
    """A section of a page: its anchor, its title in the contents, and what is in it."""

    name: str
    title: str
    body: Html


def page_of(
    sections: Sequence[Section], *, kicker: str, title: str, head: str, purpose: str, made: str, version: str
) -> Html:
    """Return a page that works offline: what it is, contents, sections, and who wrote it. `head` is the title of its window."""
    contents = element(
        "nav",
        element("ol", (element("li", element("a", each.title, href=f"#{each.name}")) for each in sections)),
        aria_label="Contents",
    )
    header = element(
        "header",
        paragraph(kicker, class_="kicker"),
        element("h1", title),
        paragraph(purpose, class_="purpose") if purpose else None,
        paragraph(made, class_="aside"),
        element("noscript", paragraph("Charts need JavaScript. Each has a sentence and a table that say the same.")),
    )
    footer = element("footer", paragraph(f"Written by Mainspring {version}. This page makes no request to anyone."))
    skip = element("a", "Skip to the verdict", href="#verdict", class_="skip")
    main = element("main", (each.body for each in sections))
    return html_document(head, (skip, header, element("div", contents, main, class_="columns"), footer))
