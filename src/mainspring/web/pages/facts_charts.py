"""Facts as charts: rows a day of all tables at once, and of one table rows and lag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainspring.clock import DAY, MINUTE, SECOND
from mainspring.page.charts import ACCENT, QUIET, Chart, sized_spec
from mainspring.page.charts import SECOND as SECOND_COLOUR
from mainspring.page.components import Html, absent, table
from mainspring.page.wording import moment, plural
from mainspring.web.pages.facts_known import TableDays

__all__ = ["lag_chart", "rows_chart", "rows_of_tables", "span_words"]

_MILLISECONDS = 1000
_A_DAY = DAY // _MILLISECONDS


def span_words(span: float) -> str:
    """Return how long a span (microseconds) is, short: "340 ms", "12 s", "5 min", "3.2 h", "9 days"."""
    if span < 0:
        return f"−{span_words(-span)}"
    if span < SECOND:
        return "none" if span == 0 else f"{span / 1000:.0f} ms"
    for unit, name, most in ((SECOND, "s", 120), (MINUTE, "min", 120), (60 * MINUTE, "h", 48)):
        if span < most * unit:
            return f"{span / unit:.3g} {name}"
    return f"{span / DAY:,.1f} days"


def rows_of_tables(found: Sequence[tuple[str, TableDays]]) -> Html:
    """Return the rows a day of several tables, each table on a scale of its own."""
    import altair as alt

    names = [name for name, _ in found]
    rows: list[dict[str, Any]] = []
    for place, (name, days) in enumerate(found):
        most = max(days.rows) or 1
        top = len(names) - 1 - place
        rows += [
            {
                "from": day * _A_DAY,
                "until": (day + 0.85) * _A_DAY,
                "low": top,
                "high": top + 0.62 * number / most,
                "table": name,
                "rows": number,
            }
            for day, number in zip(days.days, days.rows, strict=True)
        ]
    y = alt.Y("low:Q", axis=None, scale=alt.Scale(domain=[0, len(names)], nice=False))
    bars = (
        alt.Chart(alt.Data(values=rows))
        .mark_rect(color=ACCENT)
        .encode(
            x=_time("from"),
            x2=alt.X2("until:Q"),
            y=y,
            y2=alt.Y2("high:Q"),
            tooltip=[
                alt.Tooltip("table:N"),
                alt.Tooltip("from:T", title="day", format="%d %b %Y"),
                alt.Tooltip("rows:Q", format=","),
            ],
        )
    )
    titles = [
        {"low": len(names) - place - 0.2, "text": f"{name}, up to {max(days.rows):,} a day"}
        for place, (name, days) in enumerate(found)
    ]
    told = (
        alt.Chart(alt.Data(values=titles))
        .mark_text(align="left", baseline="middle", fontSize=12, color="var(--ink)")
        .encode(x=alt.value(2), y=y, text="text:N")
    )
    empty = [name for name, days in found if len(days.rows) > 1 and not days.rows[-2]]
    text = f"Rows that became visible on each of the last {len(found[0][1].days)} days, each table on its own scale."
    text += f" No row yesterday: {', '.join(empty)}." if empty else " Every one had rows yesterday."
    columns = ["day (UTC)", *names]
    behind = [
        [moment(day * DAY)[:10], *(f"{days.rows[at]:,}" for _, days in found)]
        for at, day in reversed(list(enumerate(found[0][1].days)))
    ]
    back = table("Rows a day", columns, behind, numeric=range(1, len(columns)))
    return Chart("rows", "Rows a day", text, sized_spec(alt.layer(bars, told), 40 + 54 * len(names))).placed(back)


def rows_chart(name: str, days: TableDays) -> Html:
    """Return the rows a day of one table, with a table of rows and lags behind it."""
    import altair as alt

    rows = [
        {"from": day * _A_DAY, "until": (day + 0.85) * _A_DAY, "rows": number}
        for day, number in zip(days.days, days.rows, strict=True)
    ]
    bars = (
        alt.Chart(alt.Data(values=rows))
        .mark_rect(color=ACCENT)
        .encode(
            x=_time("from"),
            x2=alt.X2("until:Q"),
            y=alt.Y("rows:Q", title="rows a day", axis=alt.Axis(format=",d", tickMinStep=1)),
            y2=alt.Y2(datum=0),
            tooltip=[
                alt.Tooltip("from:T", title="day", format="%d %b %Y"),
                alt.Tooltip("rows:Q", format=","),
            ],
        )
    )
    text = "No row came in these days."
    if any(days.rows):
        start = next(at for at, number in enumerate(days.rows) if number)
        whole = days.rows[start:-1] or days.rows[start:]
        none = sum(not each for each in whole)
        text = f"{plural(sorted(whole)[len(whole) // 2], 'row')} on a usual day; "
        text += f"{f'{none:,} had none' if none else 'every day had some'} since {moment(days.days[start] * DAY)[:10]}."
    return Chart("rows", f"Rows of {name} a day", text, sized_spec(alt.layer(bars), 220)).placed(_behind(days))


def lag_chart(name: str, days: TableDays, declared: int) -> Html:
    """Return how long after their known_at the rows of a table became visible, by day."""
    import altair as alt

    found = days.lag
    if found is not None and found[1] == declared == 0:
        return absent("Every row was visible as soon as it was known, as declared: there is no lag to draw.")
    unit, word = _unit(days, declared)
    rows = [
        {"day": day * _A_DAY, "lag": value / unit, "which": which, "words": span_words(value)}
        for which, values in (("median", days.median), ("worst", days.worst))
        for day, value in zip(days.days, values, strict=True)
        if value is not None
    ]
    scale = alt.Scale(domain=["median", "worst"], range=[ACCENT, SECOND_COLOUR])
    legend = alt.Legend(title=None, orient="top")
    lines = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(point={"filled": True, "size": 22})
        .encode(
            x=_time("day", days),
            y=alt.Y("lag:Q", title=f"lag ({word})", scale=alt.Scale(zero=True)),
            color=alt.Color("which:N", scale=scale, legend=legend),
            strokeDash=alt.StrokeDash(
                "which:N", scale=alt.Scale(domain=["median", "worst"], range=[[1, 0], [4, 3]]), legend=legend
            ),
            tooltip=[
                alt.Tooltip("day:T", format="%d %b %Y"),
                alt.Tooltip("which:N", title="of the day"),
                alt.Tooltip("words:N", title="lag"),
            ],
        )
    )
    promised = (
        alt.Chart(alt.Data(values=[{"lag": declared / unit}]))
        .mark_rule(color=QUIET, strokeDash=[2, 3])
        .encode(y=alt.Y("lag:Q"))
    )
    text = "No row came in these days."
    if found is not None:
        text = f"Half of the rows of a usual day were visible within {span_words(found[0])} of being known, all within "
        text += f"{span_words(found[1])}; {span_words(declared)} is declared (dotted)."
    chart = alt.layer(promised, lines)
    return Chart("lag", f"Lag of {name} by day", text, sized_spec(chart, 220)).placed(_behind(days))


def _behind(days: TableDays) -> Html:
    rows = [
        [
            moment(day * DAY)[:10],
            f"{days.rows[at]:,}",
            "" if days.median[at] is None else span_words(days.median[at] or 0),
            "" if days.worst[at] is None else span_words(days.worst[at] or 0),
        ]
        for at, day in reversed(list(enumerate(days.days)))
    ]
    return table("By day, the newest first", ["day (UTC)", "rows", "median lag", "worst lag"], rows, numeric=(1, 2, 3))


def _unit(days: TableDays, declared: int) -> tuple[int, str]:
    most = max([float(declared), *(each for each in days.worst if each is not None)])
    for unit, word in ((DAY, "days"), (60 * MINUTE, "hours"), (MINUTE, "minutes")):
        if most >= 2 * unit:
            return unit, word
    return SECOND, "seconds"


def _time(field: str, days: TableDays | None = None) -> Any:
    import altair as alt

    domain = alt.Undefined if days is None else [days.days[0] * _A_DAY, (days.days[-1] + 1) * _A_DAY]
    return alt.X(
        f"{field}:T", title=None, scale=alt.Scale(type="utc", domain=domain), axis=alt.Axis(format="%d %b", tickCount=5)
    )
