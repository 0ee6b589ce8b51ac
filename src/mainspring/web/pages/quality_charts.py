"""The chart of quality over time: realised, estimated and by proxies, of each arm, beside baselines and what the loop did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from mainspring.clock import DAY
from mainspring.ledger import LoopEvent
from mainspring.page.charts import ACCENT, QUIET, SECOND, Chart, sized_spec, time_axis
from mainspring.page.wording import capital, metric_title, number, percent
from mainspring.web.pages.quality_days import Point

__all__ = ["WHOLE", "quality_chart"]

WHOLE = 0.98  # of the labels: from there on a day is drawn as one of which all is known
_HEIGHT = 340
_THIRD = "var(--series-3)"
_WHO = ("champion", "champion after a change", "tried beside it")
_HOW = ("by labels", "expected", "by a proxy")
_SHAPES = {
    "train": "circle",
    "begun": "triangle-up",
    "promoted": "triangle-up",
    "rolled back": "triangle-down",
    "passed over": "cross",
}
_MILLISECONDS = DAY // 1000

_MARKS = (
    " At the bottom, with the reason in each: circles are trainings, diamonds trials, upright triangles models that were let "
    "in, the others models that were not."
)


def quality_chart(
    points: Sequence[Point],
    metric: str,
    by: str,
    *,
    what: str = "",
    baselines: Mapping[str, float] | None = None,
    events: Sequence[LoopEvent] = (),
) -> Chart:
    """Return the chart; `what` says of which decisions, as " on carrier = UA". Bands are 95% intervals."""
    title = metric_title(metric)
    rows = _rows(points, title)
    shown = [row["value"] for row in rows]
    low, high = min(shown, default=0.0), max(shown, default=1.0)
    room = max(high - low, 0.05 * abs(high), 1e-9)
    near = {name: each for name, each in (baselines or {}).items() if low - room <= each <= high + room}
    data = {"points": rows}
    waiting = _waiting(points)
    if waiting:
        data["waiting"] = waiting
    if near:
        ordered = sorted(near.items(), key=lambda pair: pair[1])
        data["baselines"] = [
            {"baseline": name, "value": value, "side": place % 2} for place, (name, value) in enumerate(ordered)
        ]
    if events and points:
        data["done"] = _done(events, points)
    text = _told(points, title, by, what, bool(waiting), bool(near), bool(events))
    spec = _spec(
        title,
        by,
        tuple(who for who in _WHO if any(row["who"] == who for row in rows)),
        tuple(how for how in _HOW if any(row["how"] == how for row in rows)),
        tuple(dict.fromkeys(row["what"] for row in data.get("done", ()))),
        frozenset(data),
    )
    spec = spec | {"datasets": data}
    return Chart("quality", f"{capital(title)} by {by}{what}", text, spec)


@lru_cache(maxsize=64)
def _spec(
    title: str, by: str, used: tuple[str, ...], how: tuple[str, ...], done: tuple[str, ...], data: frozenset[str]
) -> dict[str, Any]:
    """How the chart is drawn, made once: Altair takes longer for that than all else of the page."""
    import altair as alt

    y = alt.Y("value:Q", title=title, axis=alt.Axis(format=".3~f"), scale=alt.Scale(zero=False))
    colours = dict(zip(_WHO, (ACCENT, _THIRD, SECOND), strict=True))
    colour = alt.Color(
        "who:N",
        scale=alt.Scale(domain=list(used), range=[colours[who] for who in used]),
        legend=alt.Legend(title=None, orient="top"),
    )
    dashes = dict(zip(_HOW, ([1, 0], [6, 3], [2, 3]), strict=True))
    dash = alt.StrokeDash(
        "how:N",
        scale=alt.Scale(domain=list(how), range=[dashes[each] for each in how]),
        legend=alt.Legend(title=None, orient="top", symbolStrokeColor="var(--ink)"),
    )
    tooltip = [
        alt.Tooltip("day:T", title="week of" if by == "week" else "day", format="%d %b %Y"),
        alt.Tooltip("model:N"),
        alt.Tooltip("how:N", title="known"),
        alt.Tooltip("value:Q", title=title, format=".4~f"),
        alt.Tooltip("interval:N", title="95% interval"),
        alt.Tooltip("labels:N"),
    ]
    base = alt.Chart(alt.NamedData("points")).encode(x=time_axis("day"), detail=alt.Detail("line:N"))
    realised = base.transform_filter(f"datum.how === '{_HOW[0]}'")
    layers = [
        realised.mark_area(opacity=0.14).encode(
            y=alt.Y("low:Q", title=title, scale=alt.Scale(zero=False)), y2=alt.Y2("high:Q"), color=colour
        ),
        base.mark_line(strokeWidth=1.75).encode(y=y, color=colour, strokeDash=dash, tooltip=tooltip),
        realised.mark_point(filled=True, size=34).encode(
            y=y, color=colour, opacity=alt.Opacity("complete:Q", scale=None), tooltip=tooltip
        ),
    ]
    if "waiting" in data:
        layers.insert(0, _shade())
    if "baselines" in data:
        layers += _baselines()
    if "done" in data:
        layers += _marks(done)
    return sized_spec(alt.layer(*layers), _HEIGHT)


def _rows(points: Sequence[Point], title: str) -> list[dict[str, Any]]:
    """A row for each thing that is known of each point. A line is of one model and one way of knowing."""
    champions = list(dict.fromkeys(point.model for point in points if point.role == "champion"))
    rows = []
    for point in points:
        who = _WHO[2] if point.role == "candidate" else _WHO[champions.index(point.model) % 2]
        told: list[tuple[str, str, Any]] = [(_HOW[0], "", point.realised), (_HOW[1], "", point.estimated)]
        told += [(_HOW[2], name, proxy) for name, proxy in point.proxies.items() if proxy.value is not None]
        for how, name, found in told:
            if found is None:
                continue
            known = f"{percent(point.complete)} of {point.predicted:,} known"
            rows.append(
                {
                    "day": point.day * _MILLISECONDS,
                    "model": point.model,
                    "who": who,
                    "how": how,
                    "line": f"{point.model} {point.role} {how} {name}",
                    "value": found.value,
                    "low": found.low,
                    "high": found.high,
                    "interval": "" if found.low == found.high else f"{number(found.low)} to {number(found.high)}",
                    "labels": known if how == _HOW[0] else f"{point.predicted:,} decisions",
                    "complete": 1.0 if point.complete >= WHOLE else 0.2 + 0.6 * point.complete,
                }
            )
    return rows


def _waiting(points: Sequence[Point]) -> list[dict[str, Any]]:
    """The days of which labels are still to come, darker the more of them."""
    return [
        {
            "day": point.day * _MILLISECONDS,
            "until": (point.day + point.days) * _MILLISECONDS,
            "shade": 0.05 + 0.2 * (1.0 - point.complete),
            "told": f"{percent(point.complete)} of the labels of {point.predicted:,} decisions are known",
        }
        for point in points
        if point.role == "champion" and point.complete < WHOLE
    ]


def _shade() -> Any:
    import altair as alt

    return (
        alt.Chart(alt.NamedData("waiting"))
        .mark_rect(color=QUIET)
        .encode(
            x=time_axis("day"),
            x2=alt.X2("until:T"),
            opacity=alt.Opacity("shade:Q", scale=None),
            tooltip=[alt.Tooltip("day:T", format="%d %b %Y"), alt.Tooltip("told:N", title="labels")],
        )
    )


def _baselines() -> list[Any]:
    """A thin line for each baseline with its name, on the left and on the right in turn: neighbours do not write over each other."""
    import altair as alt

    base = alt.Chart(alt.NamedData("baselines"))
    lines = base.mark_rule(color=QUIET, strokeWidth=1, strokeDash=[1, 3]).encode(
        y=alt.Y("value:Q"), tooltip=[alt.Tooltip("baseline:N"), alt.Tooltip("value:Q", format=".4~f")]
    )
    names = [
        base.mark_text(align=align, dy=-6, dx=away, fontSize=11, color="var(--quiet-ink)")
        .encode(x=alt.value(place), y=alt.Y("value:Q"), text=alt.Text("baseline:N"))
        .transform_filter(f"datum.side === {side}")
        for side, align, away, place in ((0, "right", -4, "width"), (1, "left", 4, 0))
    ]
    return [lines, *names]


def _done(events: Sequence[LoopEvent], points: Sequence[Point]) -> list[dict[str, Any]]:
    """What the loop did in the time that is shown."""
    first, last = points[0].day * DAY, (points[-1].day + points[-1].days) * DAY
    return [
        {"day": event.at // 1000, "what": event.what, "model": event.model, "why": event.told}
        for event in events
        if first <= event.at < last
    ]


def _marks(done: Sequence[str]) -> list[Any]:
    """What the loop did, at the bottom, by the words for it; and a line where another model began to answer."""
    import altair as alt

    base = alt.Chart(alt.NamedData("done")).encode(x=time_axis("day"))
    rules = base.mark_rule(color=QUIET, opacity=0.6).transform_filter(
        "datum.what === 'promoted' || datum.what === 'begun'"
    )
    marks = base.mark_point(size=50, filled=True, color="var(--ink)", opacity=1, yOffset=-9).encode(
        y=alt.value("height"),
        shape=alt.Shape(
            "what:N",
            scale=alt.Scale(domain=list(done), range=[_SHAPES.get(each, "diamond") for each in done]),
            legend=None,
        ),
        tooltip=[
            alt.Tooltip("day:T", format="%d %b %Y"),
            alt.Tooltip("what:N"),
            alt.Tooltip("model:N"),
            alt.Tooltip("why:N"),
        ],
    )
    return [rules, marks]


def _told(points: Sequence[Point], title: str, by: str, what: str, waiting: bool, baselines: bool, events: bool) -> str:
    """The finding in a sentence or two."""
    whole = [point for point in points if point.realised is not None and point.complete >= WHOLE]
    text = f"Of no {by} every label is known yet."
    if whole:
        last, values = whole[-1], [(point.realised.value, point.day) for point in whole if point.realised is not None]
        assert last.realised is not None
        text = (
            f"The {title} of {last.model}{what} was {number(last.realised.value)} on the newest {by} of which (nearly) every "
            f"label is known; over the time shown it lay between {number(min(values)[0])} and {number(max(values)[0])}."
        )
    text += " Bands are 95% intervals." if any(point.estimated for point in points) else ""
    text += " Grey: labels are still to come." if waiting else ""
    text += " Dotted lines: baselines, as the model's run measured them." if baselines else ""
    text += _MARKS if events else ""
    return text
