"""One table: its schema, how much comes in and how late, its snapshots, and the rows that were rejected."""

from __future__ import annotations

import json
from typing import Any

from mainspring.clock import parse_span
from mainspring.declare.column import Column, KnownAt, Time
from mainspring.monitoring.input_monitors import input_readings
from mainspring.page.components import (
    Child,
    Html,
    absent,
    choices,
    definitions,
    disclosure,
    element,
    figure,
    figures,
    pager,
    paragraph,
    section,
    table,
)
from mainspring.page.wording import moment, plain, plural
from mainspring.web.asked import Asked
from mainspring.web.badges import state_badge
from mainspring.web.links import link_to, table_path
from mainspring.web.pages.facts_charts import lag_chart, rows_chart, span_words
from mainspring.web.pages.facts_known import FactTable, TableDays, days_known, fact_tables, rejected_known
from mainspring.web.paging import ROWS, page_asked, page_written
from mainspring.web.shell import Page, live
from mainspring.web.source import Source

__all__ = ["one_table"]

_SNAPSHOTS = 20
_REASONS = 30
_LONGEST = 500
_KINDS = {
    "key": "key (text)", "category": "category (text)", "text": "text", "float": "number", "int": "whole number",
    "bool": "true or false", "time": "instant (UTC)",
}  # fmt: skip


def one_table(source: Source, asked: Asked, name: str) -> Page:
    """Return the page of one table. Raises WorkspaceError."""
    tables = {each.schema.name: each for each in fact_tables(source, only=name)}
    found = tables.get(name)
    if found is None:
        back = paragraph(element("a", "All tables", href="/ui/facts"))
        return Page("There is no such table", f"{source.system.name} has no table {name[:200]}.", (back,), 404)
    now = asked.server.now
    days = days_known(source, found, now)
    mark = (days, None if found.stored is None else found.stored.mark)
    parts = [
        live("figures", section("figures", "At a glance", _figures(found, days, now))),
        *_monitors(source, name),
        live(
            "days",
            section("days", "Rows and lag", source.once(f"charts of {name}", mark, lambda: _charts(found, days))),
        ),
        live("columns", section("columns", "Columns", _columns(found))),
        live("quarantine", section("quarantine", "Rejected rows", _quarantine(source, asked, found))),
        live("snapshots", section("snapshots", "Snapshots", _snapshots(source, found))),
    ]
    return Page(name, _lead(found), parts)


def _lead(found: FactTable) -> str:
    told = found.schema.description or "The declaration says nothing about it."
    return told if told.endswith((".", "!", "?")) else f"{told}."


def _figures(found: FactTable, days: TableDays | None, now: int) -> Child:
    stored = found.stored
    if stored is None:
        return absent("It holds no fact yet. Facts come with mainspring run, or from who sends them to the server.")
    shown = [figure("Rows", f"{stored.rows:,}", f"{plural(stored.files, 'file')}, {stored.bytes / 1e6:,.1f} MB")]
    if days is None:
        shown.append(figure("Known", "always", "a static table: its rows have no time"))
    else:
        if days.ahead:
            shown.append(
                figure("Known later", f"{days.ahead:,}", "rows of a history that goes on past the system's time")
            )
        age = ""
        if days.newest is not None:
            ago = f"{span_words(now - days.newest)} ago; " if now > days.newest else ""
            age = f"{ago}it is {moment(now)} in the system's time"
        newest = "none" if days.newest is None else moment(days.newest)
        shown.append(figure("Newest known at", newest, age or f"no row in the last {len(days.days)} days"))
        lag = days.lag
        if lag is not None:
            told = f"median; the worst was {span_words(lag[1])}" if lag[1] else "every row was visible at once"
            shown.append(figure("Lag", span_words(lag[0]), told))
    rejected = 0 if found.rejected is None else found.rejected.rows
    share = (
        f"1 in {round((rejected + stored.rows) / rejected):,} of all that came"
        if rejected
        else "each kept its contract"
    )
    shown.append(figure("Rejected", f"{rejected:,}", share, "warning" if rejected else "plain"))
    return figures(shown)


def _monitors(source: Source, name: str) -> list[Html]:
    state = source.state()
    if state is None or state.loop is None:
        return []
    readings = [each for each in input_readings(state.loop.inputs, state.loop.now) if each.about == name]
    if not readings:
        return []
    rows: list[list[Child]] = [[each.monitor, state_badge(each.state), each.told] for each in readings]
    told = table(f"At the loop's newest step, {moment(state.loop.now)} UTC", ["monitor", "state", "in words"], rows)
    return [live("monitors", section("monitors", "What its monitors say", told))]


def _charts(found: FactTable, days: TableDays | None) -> Child:
    known_at = found.schema.known_at
    if days is None or known_at is None:
        return absent(
            "Rows of a static table have no time." if found.schema.static else "There is nothing to draw yet."
        )
    return [rows_chart(found.schema.name, days), lag_chart(found.schema.name, days, parse_span(known_at.lag))]


def _columns(found: FactTable) -> Html:
    rows: list[list[Child]] = [
        [element("code", each.name), _kind(each), each.unit or "", _bounds(each), _meaning(each)]
        for each in found.schema.columns
    ]
    columns = ["column", "kind", "unit", "allowed", "meaning"]
    caption = (
        f"Columns of {found.schema.name}, as declared; a value that is missing is rejected unless it says otherwise"
    )
    return table(caption, columns, rows)


def _kind(column: Column) -> str:
    kind = _KINDS.get(str(column.of), str(column.of))
    zone = f", given in {column.zone}" if isinstance(column, Time) and column.zone else ""
    return f"{kind}{zone}"


def _bounds(column: Column) -> str:
    of = "length " if str(column.of) in ("text", "key", "category") else ""
    low = [] if column.ge is None else [f"{of}at least {plain(column.ge)}"]
    high = [] if column.le is None else [f"{of}at most {plain(column.le)}"]
    return "; ".join([*low, *high, *(["may be missing"] if column.optional else [])])


def _meaning(column: Column) -> str:
    told = [column.description] if column.description else []
    if str(column.of) == "key":
        told.append("key: identifies what the row is about")
    if isinstance(column, KnownAt):
        lag = f" plus {column.lag}" if parse_span(column.lag) else ""
        told.append(f"known at: the row is visible from then{lag} on")
    if column.source:
        told.append(f"called {column.source} in the data")
    return "; ".join(told)


def _snapshots(source: Source, found: FactTable) -> Child:
    stored = None if found.stored is None else source.lake.stored(found.table, newest=_SNAPSHOTS)
    if stored is None or not stored.snapshots:
        return absent("There is no snapshot yet: each commit makes one.")
    rows: list[list[Child]] = [
        [str(each.snapshot_id), moment(each.written_at), each.operation, f"{each.added:,}", f"{each.rows:,}"]
        for each in stored.snapshots
    ]
    columns = ["snapshot", "written (UTC, real time)", "what", "rows added", "rows in all"]
    return [
        table(
            f"The newest {len(rows)} of {plural(stored.kept, 'snapshot')} that are kept", columns, rows, numeric=(3, 4)
        ),
        paragraph(
            "A run pins the snapshots that it read, so that it can be made again from the same rows.", class_="aside"
        ),
    ]


def _quarantine(source: Source, asked: Asked, found: FactTable) -> Child:
    if found.rejected is None or not found.rejected.rows:
        return absent("No row was rejected: each kept the contract of its columns.")
    name, sentence = found.schema.name, asked.query.get("reason") or None
    at = page_asked(asked.query.get("page"))
    shown = rejected_known(source, found, sentence, (at - 1) * ROWS, ROWS)
    total = sum(shown.counts.values())
    rows: list[list[Child]] = [
        [element("a", told, href=_link(name, told)), element("code", reason), f"{number:,}", f"{number / total:.1%}"]
        for (reason, told), number in list(shown.counts.items())[:_REASONS]
    ]
    parts: list[Child] = [
        table("Why, the most frequent first", ["reason", "code", "rows", "share"], rows, numeric=(2, 3))
    ]
    if sentence is not None:
        links = [("Every reason", _link(name, None), False), (sentence, _link(name, sentence), True)]
        parts.append(choices("Reason", links))
    if not shown.page.height:
        return [*parts, absent("No rejected row is here.")]
    first = (at - 1) * ROWS + 1
    told = f"{first:,} to {first + shown.page.height - 1:,} of {plural(shown.matching, 'rejected row')}"
    listed: list[list[Child]] = [
        [f"{number + 1:,}", why, disclosure("As it came", _given(row))]
        for why, row, number in shown.page.select("sentence", "row", "_seq").iter_rows()
    ]
    parts.append(table("Rejected rows, the newest first", ["number", "reason", "row"], listed))
    before = _link(name, sentence, at - 1) if at > 1 else None
    after = _link(name, sentence, at + 1) if at * ROWS < shown.matching else None
    return [*parts, pager(told, before, after)]


def _given(row: str) -> Html:
    """A rejected row: each value as it was given."""
    try:
        given = json.loads(row)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        return element("code", row[:_LONGEST])
    return definitions([(name, _value(value)) for name, value in given.items()])


def _value(value: Any) -> Child:
    if value is None:
        return element("em", "missing")
    text = value if isinstance(value, str) else json.dumps(value)
    return element("code", text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


def _link(name: str, sentence: str | None, at: int = 1) -> str:
    return link_to(table_path(name), {"reason": sentence or "", "page": page_written(at)}, "quarantine")
