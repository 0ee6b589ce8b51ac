"""The parts pages are made of: small pure functions from values to escaped HTML.

Safe by construction: `element` is the only place where markup is written, and it escapes every child that is not
already `Html`. Text of users (names of features, values of columns, docstrings) is passed as plain `str`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Literal

__all__ = [
    "Child",
    "Html",
    "Tone",
    "absent",
    "badge",
    "bullets",
    "callout",
    "chart",
    "choices",
    "data_script",
    "definitions",
    "disclosure",
    "element",
    "figure",
    "figures",
    "html",
    "pager",
    "paragraph",
    "plain_number",
    "section",
    "table",
]

Tone = Literal["plain", "good", "warning", "bad"]

_MARKS: dict[Tone, str] = {"plain": "", "good": "✓", "warning": "!", "bad": "✕"}
_VOID = frozenset({"meta", "link", "br", "col", "input"})
# Characters that HTML forbids even as references: shown as the replacement character instead.
_FORBIDDEN = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(127, 160), *range(55296, 57344)), "�")


class Html(str):
    """Text that is markup already and is not escaped again."""

    __slots__ = ()


Child = str | None | Iterable["Child"]


def html(child: Child) -> Html:
    """Return one child, or any nesting of children, as markup: plain text is escaped, None is nothing."""
    if child is None:
        return Html("")
    if isinstance(child, Html):
        return child
    if isinstance(child, str):
        return Html(escape(child.translate(_FORBIDDEN)))
    return Html("".join(html(each) for each in child))


def element(tag: str, *children: Child, **attributes: str | int | bool | None) -> Html:
    """Return an element. `class_` is class, `aria_label` is aria-label; None and False attributes are left out."""
    parts = [tag]
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        key = name.rstrip("_").replace("_", "-")
        parts.append(key if value is True else f'{key}="{html(str(value))}"')
    opening = f"<{' '.join(parts)}>"
    return Html(opening if tag in _VOID else f"{opening}{html(children)}</{tag}>")


def paragraph(*children: Child, class_: str | None = None) -> Html:
    """Return a paragraph."""
    return element("p", *children, class_=class_)


def section(name: str, title: str, *body: Child, lead: Child = None) -> Html:
    """Return a section of the page with an anchor, a heading, and a lead sentence that says what was found."""
    heading = element("h2", title, id=f"{name}-title")
    opening = paragraph(lead, class_="lead") if lead else None
    return element("section", heading, opening, body, id=name, aria_labelledby=f"{name}-title")


def badge(text: str, tone: Tone = "plain") -> Html:
    """Return a short state. It carries a mark as well as a colour."""
    mark = element("span", _MARKS[tone], aria_hidden="true") if _MARKS[tone] else None
    return element("span", mark, text, class_=f"badge {tone}")


def callout(title: str, *body: Child, tone: Tone = "plain") -> Html:
    """Return a boxed statement that a reader must not miss."""
    return element("div", element("p", element("strong", title)), body, class_=f"callout {tone}")


def absent(why: str) -> Html:
    """Return the sentence that stands where there is nothing to show."""
    return paragraph(why, class_="absent")


def figure(label: str, value: str, detail: str = "", tone: Tone = "plain") -> Html:
    """Return one headline figure; place several inside `figures`."""
    return element(
        "div",
        element("dt", label),
        element(
            "dd", element("span", value, class_="value"), element("span", detail, class_="detail") if detail else None
        ),
        class_=f"figure {tone}",
    )


def figures(items: Iterable[Html]) -> Html:
    """Return headline figures side by side."""
    return element("dl", items, class_="figures")


def definitions(pairs: Iterable[tuple[Child, Child]]) -> Html:
    """Return a list of terms and what they are."""
    return element(
        "dl", (element("div", element("dt", term), element("dd", text)) for term, text in pairs), class_="definitions"
    )


def bullets(items: Iterable[Child]) -> Html:
    """Return a list of points."""
    return element("ul", (element("li", item) for item in items))


def disclosure(summary: Child, *body: Child, open_: bool = False) -> Html:
    """Return a part that is folded until it is asked for; the keyboard reaches it, and print leaves it out while folded."""
    return element("details", element("summary", summary), element("div", body, class_="inside"), open_=open_)


def choices(label: str, links: Iterable[tuple[str, str, bool]]) -> Html:
    """Return links of which one is chosen: each its text, its address, and whether it is the one."""
    return element(
        "div",
        (element("a", text, href=href, aria_current="true" if here else None) for text, href, here in links),
        class_="choices",
        role="navigation",
        aria_label=label,
    )


def pager(told: str, before: str | None, after: str | None) -> Html:
    """Return what stands below one page of many: which rows these are, and links to the newer and the older ones."""
    return element(
        "div",
        element("a", "← Newer", href=before, rel="prev") if before else None,
        element("span", told),
        element("a", "Older →", href=after, rel="next") if after else None,
        class_="pager",
        role="navigation",
        aria_label="Pages of the list",
    )


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[Child]], numeric: Iterable[int] = ()) -> Html:
    """Return a table in a box of its own that scrolls when it is wider than the page.

    The first column names its row; the columns at the positions in `numeric` are aligned as numbers.
    """
    numbers = frozenset(numeric)

    def style(position: int) -> str | None:
        return "number" if position in numbers else None

    head = element("tr", (element("th", text, scope="col", class_=style(at)) for at, text in enumerate(columns)))
    body = (
        element(
            "tr",
            (
                element("th", cell, scope="row") if at == 0 else element("td", cell, class_=style(at))
                for at, cell in enumerate(row)
            ),
        )
        for row in rows
    )
    return element(
        "div",
        element("table", element("caption", caption), element("thead", head), element("tbody", body)),
        class_="scroll",
        role="region",
        aria_label=caption,
        tabindex=0,
    )


def plain_number(value: Any) -> Any:
    """Return a NumPy scalar as the number it is; encoders ask here about what they do not know."""
    if hasattr(value, "item"):
        return value.item()
    raise NotImplementedError(f"JSON has no word for a {type(value).__name__}")


def data_script(value: Any) -> Html:
    """Return a value as JSON in a script element that holds data and does not run; nothing in it can end the element."""
    text = json.dumps(value, default=plain_number, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Html(f'<script type="application/json">{text}</script>')


def chart(name: str, title: str, alternative: str, spec: dict[str, Any], behind: Child) -> Html:
    """Return a chart: its title, what it shows in a sentence, its place, and the table behind it.

    The page's script draws `spec` (Vega-Lite) into the place; without scripts, sentence and table remain.
    """
    return element(
        "figure",
        element("figcaption", element("h3", title, id=f"chart-{name}"), paragraph(alternative)),
        element("div", class_="chart", role="img", aria_label=f"{title}. {alternative}"),
        data_script(spec),
        disclosure("The figures behind this chart", behind),
        class_="plot",
    )
