"""When alerts were open, by monitor, as a chart."""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.clock import DAY
from mainspring.ledger.alerts import AlertSpan
from mainspring.page.charts import BAD, QUIET, SECOND, Chart, sized_spec
from mainspring.page.components import Child, absent, table
from mainspring.page.wording import moment, number, plural

__all__ = ["open_when"]

_MOST_MONITORS = 20
_COLOURS = {"page": BAD, "ticket": SECOND, "note": QUIET}
_MILLISECOND = 1000


def open_when(spans: Sequence[AlertSpan], now: int, over: int, *, full: bool) -> Child:
    """Return the chart of when alerts were open within a span before an instant, with its table.

    `full`: there were more than these.
    """
    begin = now - over
    spans = [each for each in spans if each.opened_at <= now and _end(each, now) >= begin]
    if not spans:
        return absent(f"No alert was open in the last {over // DAY} days of the system's time.")
    by_monitor: dict[str, list[AlertSpan]] = {}
    for each in spans:
        by_monitor.setdefault(each.monitor, []).append(each)
    shown = list(by_monitor)[:_MOST_MONITORS]  # those that spoke last
    open_days = {name: sum(_days(each, begin, now) for each in found) for name, found in by_monitor.items()}
    longest = max(open_days, key=lambda name: open_days[name])
    told = f"{plural(len(spans), 'alert')} of {plural(len(by_monitor), 'monitor')} in the last {over // DAY} days"
    told = f"The newest {told}" if full else told
    told += f"; {longest} was open longest, {number(open_days[longest])} days in all."
    if len(by_monitor) > len(shown):
        told += f" Drawn are the {len(shown)} monitors that spoke last."
    rows: list[list[Child]] = [
        [
            name,
            f"{len(found):,}",
            f"{sum(each.ended_at is None for each in found):,}",
            f"{open_days[name]:.1f}",
            moment(found[0].opened_at),
            found[0].told,
        ]
        for name, found in by_monitor.items()
    ]
    columns = ["monitor", "alerts", "open now", "days open", "newest (UTC)", "what it said"]
    behind = table("Alerts by monitor, those that spoke last at the top", columns, rows, numeric=(1, 2, 3))
    drawn = [each for name in shown for each in by_monitor[name]]
    return Chart("alerts", "Open alerts by monitor", told, _spec(drawn, shown, begin, now)).placed(behind)


def _spec(spans: Sequence[AlertSpan], monitors: list[str], begin: int, now: int) -> dict:
    import altair as alt

    rows = [
        {
            "monitor": each.monitor,
            "from": max(each.opened_at, begin) // _MILLISECOND,
            "until": _end(each, now) // _MILLISECOND,
            "severity": each.severity,
            "opened": moment(each.opened_at),
            "ended": "open still" if each.ended_at is None else moment(each.ended_at),
            "said": each.told[:300],
        }
        for each in spans
    ]
    used = [each for each in _COLOURS if any(row["severity"] == each for row in rows)]
    legend = alt.Legend(title=None, orient="top")
    x = alt.X("from:T", title=None, scale=alt.Scale(type="utc"), axis=alt.Axis(format="%d %b"))
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=x,
        y=alt.Y("monitor:N", sort=None, scale=alt.Scale(domain=monitors), title=None),
        color=alt.Color(
            "severity:N",
            scale=alt.Scale(domain=used, range=[_COLOURS[each] for each in used]),
            legend=legend,
        ),
        tooltip=[alt.Tooltip(f"{name}:N") for name in ("monitor", "severity", "opened", "ended", "said")],
    )
    layers = [
        # what nobody sees holds the whole time open: of a declared domain Vega would warn beside that of the rows
        alt.Chart(alt.Data(values=[{"from": at // _MILLISECOND} for at in (begin, now)]))
        .mark_tick(opacity=0)
        .encode(x=x),
        base.mark_rule(strokeWidth=7, opacity=0.5).encode(x2="until:T"),
        base.mark_point(filled=True, size=60, opacity=1).encode(
            shape=alt.Shape(
                "severity:N", scale=alt.Scale(domain=used, range=[_SHAPES[each] for each in used]), legend=legend
            ),
        ),
    ]
    return sized_spec(alt.layer(*layers), 84 + 26 * len(monitors))


_SHAPES = {"page": "diamond", "ticket": "circle", "note": "square"}


def _end(span: AlertSpan, now: int) -> int:
    return now if span.ended_at is None else min(span.ended_at, now)


def _days(span: AlertSpan, begin: int, now: int) -> float:
    return max(_end(span, now) - max(span.opened_at, begin), 0) / DAY
