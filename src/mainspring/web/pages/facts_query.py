"""A question in SQL to the facts, and its answer. It changes nothing, and may take eight seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import polars as pl

from mainspring.errors import DataError
from mainspring.lake.sql import QueryLimits
from mainspring.page.components import Child, Html, absent, callout, disclosure, element, paragraph, section, table
from mainspring.page.wording import plural
from mainspring.web.asked import Asked
from mainspring.web.links import link_to, table_link
from mainspring.web.pages.facts_known import OWN
from mainspring.web.shell import Page
from mainspring.web.source import Source

__all__ = ["answered", "query_box"]

_MOST_ROWS, _MOST_CELLS, _MOST_CHARACTERS, _MOST_ITEMS = 1000, 30_000, 300, 20
_LIMITS = QueryLimits(rows=_MOST_ROWS + 1, seconds=8.0)


def answered(source: Source, asked: Asked, query: str) -> Page:
    """Return the page with the answer to a query. Raises WorkspaceError."""
    box = section("sql", "Ask the facts", query_box(source, query))
    begin = time.perf_counter()
    try:
        found = source.lake.sql(query, _LIMITS)
    except DataError as error:
        told = " ".join(filter(None, (error.exists, error.fix)))
        refused = callout(
            error.problem, paragraph(told) if told else None, paragraph(error.code, class_="aside"), tone="bad"
        )
        return Page(
            "Facts", "The query has no answer.", (box, section("answer", "Answer", refused, _others(source))), 400
        )
    seconds = time.perf_counter() - begin
    count = "more than 1,000 rows" if found.height > _MOST_ROWS else plural(found.height, "row")
    parts = [_answer(found), _others(source)]
    link = element("a", "A link to this query", href=_link(query))
    lead = [f"{count[:1].upper()}{count[1:]} in {seconds:.1f} seconds. ", link, "."]
    return Page("Facts", f"The answer has {count}.", (box, section("answer", "Answer", parts, lead=lead)))


def query_box(source: Source, query: str) -> list[Child]:
    """Return the form that asks, with examples."""
    area = element(
        "textarea",
        query,
        id="query", name="query", rows=max(3, min(query.count("\n") + 2, 16)), required=True, spellcheck="false", autocomplete="off",
        aria_describedby="query-about",
    )  # fmt: skip
    about = (
        "It reads facts and changes nothing. TABLE_quarantine holds rejected rows; every row has _visible_at and _seq. "
        f"At most {_MOST_ROWS:,} rows are shown, and a query may take {_LIMITS.seconds:g} seconds: mainspring sql has neither limit."
    )
    ask = element(
        "form",
        element("label", "A SELECT", for_="query"),
        area,
        paragraph(about, class_="aside"),
        element("button", "Ask", type="submit"),
        method="get",
        action="/ui/facts",
        class_="ask",
        aria_label="SQL",
    )
    links = [element("a", text, href=_link(text)) for text in _examples(source)]
    examples = element("ul", (element("li", element("code", each)) for each in links), class_="examples")
    return [ask, disclosure("Examples", examples, open_=not query)]


def _examples(source: Source) -> list[str]:
    timed = next((each.__schema__ for each in source.system.tables if each.__schema__.known_at is not None), None)
    found = []
    if timed is not None and timed.known_at is not None:
        name = f'"{timed.name}"'  # "order", say, means something else in SQL
        found.append(
            f"SELECT date_trunc('day', {timed.known_at.name}) AS day, count(*) AS rows FROM {name} GROUP BY day ORDER BY day DESC"
        )
        found.append(f"SELECT * FROM {name} ORDER BY _seq DESC LIMIT 20")
        found.append(f"DESCRIBE {name}")
    predictions = OWN[0].__schema__.name
    found.append(
        f"SELECT model, arm, count(*) AS rows, avg(prediction) AS mean FROM {predictions} GROUP BY model, arm ORDER BY model"
    )
    return found


def _others(source: Source) -> Html:
    """What else there is to see: the tables one may ask."""
    names = [each.__schema__.name for each in (*source.system.tables, *OWN)]
    links: list[Child] = []
    for name in names:
        links.append(", " if links else None)
        links.append(table_link(name))
    return paragraph(
        "Tables, with their columns: ", links, ". ", element("a", "All facts", href="/ui/facts"), ".", class_="aside"
    )


def _answer(found: pl.DataFrame) -> Html:
    if not found.height:
        return absent("No row is like that.")
    most = min(_MOST_ROWS, max(1, _MOST_CELLS // max(1, found.width)))
    shown = found.head(most)
    numeric = [at for at, dtype in enumerate(found.dtypes) if dtype.is_numeric()]
    count = f"The first {most:,} rows" if found.height > most else plural(found.height, "row")
    columns = [_text(name) for name in found.columns]
    return table(count, columns, _rows(shown), numeric=numeric)


def _rows(shown: pl.DataFrame) -> Sequence[Sequence[str]]:
    cells = [[_text(value) for value in column] for column in shown.iter_columns()]
    return list(zip(*cells, strict=True))


def _text(value: Any) -> str:
    """One value as it is read; what is long is cut, and says so."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return str(value)
    if hasattr(value, "tzinfo") and value.tzinfo is not None and hasattr(value, "year"):
        return str(value).removesuffix("+00:00")
    if isinstance(value, pl.Series):
        more = len(value) - _MOST_ITEMS
        return (
            f"[{', '.join(_text(each) for each in value.head(_MOST_ITEMS))}{f', … {more:,} more' if more > 0 else ''}]"
        )
    text = str(value[: _MOST_CHARACTERS + 1] if isinstance(value, str | bytes) else value)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"


def _link(query: str) -> str:
    return link_to("/ui/facts", {"query": query})
