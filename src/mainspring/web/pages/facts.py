"""Facts: the tables of the system, how much comes in and how late, what was rejected; and a box for a question in SQL.

`facts/TABLE` shows one table, `facts?query=...` the answer to a question.
"""

from __future__ import annotations

from mainspring.clock import DAY, MINUTE
from mainspring.loop.live_state import LiveState
from mainspring.monitoring.input_monitors import input_readings
from mainspring.page.components import Child, Html, absent, badge, element, paragraph, section, table
from mainspring.page.wording import moment, plural
from mainspring.web.asked import Asked
from mainspring.web.links import table_path
from mainspring.web.pages.facts_charts import rows_of_tables, span_words
from mainspring.web.pages.facts_known import FactTable, TableDays, days_known, fact_tables, tables_beyond
from mainspring.web.pages.facts_query import answered, query_box
from mainspring.web.pages.facts_table import one_table
from mainspring.web.shell import Page, live
from mainspring.web.source import Source

__all__ = ["page"]

_DAYS = 30


def page(source: Source, asked: Asked) -> Page:
    """Return the page. Raises WorkspaceError."""
    _, one, name = asked.path.partition("/")
    if one and name:
        return one_table(source, asked, name)
    query = asked.query.get("query", "").strip()
    if query:
        return answered(source, asked, query)
    now, state = asked.server.now, source.state()
    tables = list(fact_tables(source))
    days = {
        each.schema.name: found.last(_DAYS) for each in tables if (found := days_known(source, each, now)) is not None
    }
    firing = _firing(state)
    shown = asked.wall // MINUTE, now // DAY, tuple(days)  # drawing takes longer than reading what came in a minute
    chart = source.once("rows a day", shown, lambda: _chart(days))
    parts = [
        live("tables", section("tables", "Tables", _tables(tables, days, state, firing, now))),
        live("days", section("days", "Rows a day", chart)),
        section("sql", "Ask the facts", query_box(source, ""), lead="One SELECT, answered from the newest facts."),
    ]
    beyond = tables_beyond(source, tables)
    if beyond:
        told = f"The lake also holds tables that are not declared any more; SQL reads them: {', '.join(beyond)}."
        parts.insert(1, paragraph(told, class_="aside"))
    return Page("Facts", _lead(tables, firing, watched=state is not None and state.loop is not None), parts)


def _lead(tables: list[FactTable], firing: dict[str, list[str]], *, watched: bool) -> str:
    held = sum(each.stored.rows for each in tables if each.stored is not None)
    if not held:
        return "No fact is in the lake yet; it fills with the first mainspring run, or with what is sent to the server."
    rejected = sum(each.rejected.rows for each in tables if each.rejected is not None)
    told = f"{plural(len(tables), 'table')} hold {plural(held, 'fact')}; "
    told += f"{plural(rejected, 'row')} {'was' if rejected == 1 else 'were'} rejected."
    if firing:
        about = "; ".join(f"{name} ({', '.join(monitors)})" for name, monitors in firing.items())
        return f"Something is amiss with {about}. {told}"
    return f"{told} {'No monitor of inputs fires.' if watched else 'No loop watches them yet.'}"


def _firing(state: LiveState | None) -> dict[str, list[str]]:
    """Which monitors of inputs fired at the newest step, by table."""
    found: dict[str, list[str]] = {}
    if state is not None and state.loop is not None:
        for each in input_readings(state.loop.inputs, state.loop.now):
            if each.state == "firing":
                found.setdefault(each.about, []).append(each.monitor)
    return found


def _tables(
    tables: list[FactTable], days: dict[str, TableDays], state: LiveState | None, firing: dict[str, list[str]], now: int
) -> list[Child]:
    rows = [_row(each, days.get(each.schema.name), state, firing.get(each.schema.name, []), now) for each in tables]
    columns = [
        "table", "state", "newest known at (UTC)", "ago", "usual up to", "rows a day", "lag: median", "lag: worst", "rows", "rejected",
    ]  # fmt: skip
    about = (
        f"Lag is how long after its known_at a row was visible. Rows a day and lags are of the last {_DAYS} days; all times are the "
        f"system's own, and it is {moment(now)} there."
    )
    ahead = sum(each.ahead for each in days.values())
    if ahead:
        about += f" {plural(ahead, 'row')} of the history {'is' if ahead == 1 else 'are'} known later than that."
    return [
        table("Tables of the system, and the server's own", columns, rows, numeric=range(3, 10)),
        paragraph(about, class_="aside"),
    ]


def _row(found: FactTable, days: TableDays | None, state: LiveState | None, firing: list[str], now: int) -> list[Child]:
    name, schema = found.schema.name, found.schema
    link: Child = element("a", name, href=table_path(name))
    rejected = 0 if found.rejected is None else found.rejected.rows
    refused: Child = "0"
    if rejected:
        refused = element("a", f"{rejected:,}", href=f"{table_path(name)}#quarantine")
    held = "0" if found.stored is None else f"{found.stored.rows:,}"
    if found.stored is None:
        return [link, badge("empty"), *["" for _ in range(6)], held, refused]
    watched = state is not None and state.loop is not None
    state_of = badge("the server's") if found.own else badge("fine", "good") if watched else badge("not watched")
    if firing:
        state_of = badge(", ".join(firing), "bad")
    if schema.static or days is None:
        return [link, badge("static"), "known always", *["" for _ in range(5)], held, refused]
    lag = days.lag
    whole = sorted(days.rows[:-1])
    return [
        link,
        state_of,
        "none lately" if days.newest is None else moment(days.newest),
        "" if days.newest is None else span_words(now - days.newest) if now > days.newest else "0 s",
        _usual(state, name),
        f"{whole[len(whole) // 2]:,}" if whole else "",
        "" if lag is None else span_words(lag[0]),
        "" if lag is None else span_words(lag[1]),
        held,
        refused,
    ]


def _usual(state: LiveState | None, name: str) -> str:
    """The longest time without a row that is usual, as the loop's monitor has learned it."""
    known = None if state is None or state.loop is None else state.loop.inputs.tables.get(name)
    return "" if known is None or known.usual.gap is None else span_words(known.usual.gap)


def _chart(days: dict[str, TableDays]) -> Html:
    if not days:
        return absent("No table has facts with a time yet.")
    return rows_of_tables(list(days.items()))
