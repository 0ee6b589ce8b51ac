"""What stands around every page: where one is, where one can go, who one is; and the pages for those who are not in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import mainspring
from mainspring.page.components import Child, Html, element, html, paragraph
from mainspring.web.asked import CSRF_PLACE, WHO_PLACE
from mainspring.web.assets import asset_path

__all__ = ["Page", "form", "hidden", "live", "login_page", "page_document", "refused_page"]

_NAV = {
    "now": "Now",
    "quality": "Quality",
    "features": "Features",
    "models": "Models",
    "loop": "Loop",
    "replays": "Replays",
    "alerts": "Alerts",
    "facts": "Facts",
}


class Page(NamedTuple):
    """A page: its title, one sentence that says how things are, and its parts from the top to the bottom."""

    title: str
    lead: Child
    parts: Sequence[Html]
    status: int = 200


def live(name: str, *body: Child) -> Html:
    """Return a part of a page that is shown anew when it has changed, and only then. Names are unique on a page."""
    inside = html(body)
    digest = hashlib.blake2b(inside.encode(), digest_size=8).hexdigest()
    return element("div", inside, id=f"live-{name}", class_="live", data_live=digest)


def form(change: str, back: str, *body: Child, label: str | None = None) -> Html:
    """Return a form that changes something, and goes back to a path of these pages."""
    return element(
        "form",
        hidden("token", CSRF_PLACE),
        hidden("back", back),
        body,
        method="post",
        action=f"/ui/change/{change}",
        aria_label=label,
    )


def hidden(name: str, value: str) -> Html:
    """Return a field that nobody sees."""
    return element("input", type="hidden", name=name, value=value)


def page_document(page: Page, *, system: str, at: str, open_alerts: int, bad: bool) -> str:
    """Return a page as a document. `at` is the path that is shown, `bad` whether an open alert wants somebody at once."""
    here = at.partition("/")[0]
    links = [
        _link(name, title, here == name, open_alerts if name == "alerts" else 0, bad) for name, title in _NAV.items()
    ]
    out = element(
        "form",
        hidden("token", CSRF_PLACE),
        element("span", WHO_PLACE, class_="who"),
        element("button", "Sign out", type="submit", class_="plain"),
        method="post",
        action="/ui/logout",
        class_="out",
    )
    head = element(
        "header",
        element("a", system, href="/ui/now", class_="system"),
        element("nav", element("ul", (element("li", each) for each in links)), aria_label="Pages"),
        out,
        class_="bar",
    )
    main = element(
        "main",
        element(
            "div",
            element("h1", page.title),
            element("p", page.lead, class_="purpose") if page.lead else None,
            class_="top",
        ),
        page.parts,
        id="main",
        tabindex=-1,
    )
    footer = element(
        "footer",
        paragraph(
            f"Mainspring {mainspring.__version__}. ",
            element("span", "", id="refreshed"),
            element(
                "noscript", "Charts, and pages that update by themselves, need JavaScript; all else is here without."
            ),
        ),
    )
    skip = element("a", "Skip to the page", href="#main", class_="skip")
    return _document(
        f"{page.title} · {system}", (skip, head, main, footer), scripts=("vega.js", "charts.js", "dashboard.js")
    )


def login_page(system: str, after: str, refused: str = "") -> str:
    """Return the page that asks for a key. It tells of nothing but the name of the system."""
    problem = element("p", refused, class_="callout bad", role="alert", id="refused") if refused else None
    ask = element(
        "form",
        hidden("after", after),
        element("label", "API key", for_="key"),
        element(
            "input",
            id="key", name="key", type="password", required=True, autofocus=True, autocomplete="current-password",
            spellcheck="false", placeholder="msk_…", aria_describedby="refused" if refused else None,
        ),
        element("button", "Sign in", type="submit"),
        method="post",
        action="/ui/login",
        class_="login",
    )  # fmt: skip
    told = paragraph(
        "A key that may read sees all pages; one that may write looks after alerts; one that may admin promotes models. ",
        element("code", "mainspring keys add"), " makes a key, and ", element("code", "mainspring serve"),
        " prints one when it starts. ", element("a", "The interface for programs", href="/docs"), ".",
        class_="aside",
    )  # fmt: skip
    heading = element("h1", system), paragraph("Sign in to see what it does, how well, and why.")
    main = element("main", heading, problem, ask, told, id="main", class_="narrow")
    return _document(f"Sign in · {system}", main)


def refused_page(problem: str, fix: str, back: str = "/ui/now") -> str:
    """Return the page that says why something is not shown or was not done, and what to do."""
    main = element(
        "main",
        element("h1", "That did not work"),
        element("p", problem, class_="callout bad", role="alert"),
        paragraph(fix) if fix else None,
        paragraph(element("a", "Go back", href=back)),
        id="main",
        class_="narrow",
    )
    return _document("That did not work", main)


def _link(name: str, title: str, here: bool, count: int, bad: bool) -> Html:
    told = None
    if count:
        told = element("span", str(min(count, 999)), class_="count bad" if bad else "count", aria_label=f"{count} open")
    return element("a", title, told, href=f"/ui/{name}", aria_current="page" if here else None)


def _document(title: str, body: Child, scripts: Sequence[str] = ()) -> str:
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        (element("link", rel="stylesheet", href=asset_path(name)) for name in ("style.css", "dashboard.css")),
        element("link", rel="icon", href="data:,"),
        (element("script", src=asset_path(name), defer=True) for name in scripts),
    )
    root = element("html", head, element("body", body, class_="dashboard"), lang="en")
    return f"<!doctype html>\n{root}\n"
