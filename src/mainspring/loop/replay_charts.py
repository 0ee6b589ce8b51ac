"""The charts of a replay as Vega-Lite: quality by week with what went wrong, alerts by monitor, and quality against money.

Colours are custom properties of the page. Altair is imported on first use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainspring.loop.compared import Alerting, Compared
from mainspring.loop.policies import NEVER_RETRAIN
from mainspring.page.charts import ACCENT, BAD, QUIET, SECOND, Chart, sized_spec, time_axis
from mainspring.page.wording import capital, metric_title, number, plural

__all__ = ["alert_chart", "money_chart", "week_chart"]

_ALERTS = ("about an incident", "about none")


def week_chart(found: Compared, metric: str, watched: Alerting | None) -> Chart:
    """Return quality by week under each policy; shaded are the incidents of the one that is watched, marked its alerts."""
    import altair as alt

    title, best = metric_title(metric), found.policies[0]
    rows = [
        {"start": week.begin, "policy": each.name, "value": week.figures.get(metric), "rows": week.labels}
        for each in found.policies
        for week in each.weeks
    ]
    colours = _colours(found)
    strong = [name for name, colour in colours if colour != QUIET]
    lines = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(point={"filled": True, "size": 25})
        .encode(
            x=time_axis("start"),
            y=alt.Y("value:Q", title=title, axis=alt.Axis(format=".3~f"), scale=alt.Scale(zero=False)),
            color=alt.Color("policy:N", scale=_scale(colours), legend=alt.Legend(title=None, orient="top")),
            strokeWidth=alt.condition(
                alt.FieldOneOfPredicate(field="policy", oneOf=strong), alt.value(2.5), alt.value(1.25)
            ),
            strokeDash=alt.StrokeDash("policy:N", legend=None, sort=[name for name, _ in colours]),
            tooltip=[
                alt.Tooltip("policy:N"),
                alt.Tooltip("start:T", title="week of", format="%d %b %Y"),
                alt.Tooltip("value:Q", title=title, format=".4~f"),
                alt.Tooltip("rows:Q", title="labels", format=","),
            ],
        )
    )
    text = f"The {title} of each week of decisions. Over all of them {best.name} is best with {number(best.figures.get(metric))}."
    layers = [lines]
    if watched is not None and watched.incidents:
        layers.insert(0, _shaded(watched))
        text += f" Shaded: incidents under {NEVER_RETRAIN}."
    if watched is not None and watched.alerts:
        layers.append(_marks(watched))
        text += " Triangles: its alerts, filled where they were about one."
    return Chart("weeks", f"{capital(title)} by week", text, sized_spec(alt.layer(*layers), 300))


def alert_chart(watched: Alerting) -> Chart:
    """Return when alerts were open, by monitor, the best at the top, over the incidents (shaded)."""
    import altair as alt

    order = [
        each.monitor for each in watched.monitors if any(alert.monitor == each.monitor for alert in watched.alerts)
    ]
    rows = [
        {"monitor": each.monitor, "from": begin, "until": end, "said": each.told, "what": _ALERTS[not each.true]}
        for each in watched.alerts
        for begin, end in each.spans
    ]
    y = alt.Y("monitor:N", sort=None, scale=alt.Scale(domain=order), title=None)
    legend = alt.Legend(title=None, orient="top")
    colour = alt.Color(
        "what:N",
        scale=alt.Scale(domain=list(_ALERTS), range=[ACCENT, SECOND]),
        legend=legend,
    )
    tooltip = [
        alt.Tooltip("monitor:N"),
        alt.Tooltip("from:T", format="%d %b %Y"),
        alt.Tooltip("until:T", format="%d %b %Y"),
        alt.Tooltip("said:N"),
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(y=y, color=colour, tooltip=tooltip)
    layers = [
        base.mark_rule(strokeWidth=6, opacity=0.45).encode(x=time_axis("from"), x2="until:T"),
        base.mark_point(filled=True, size=70, opacity=1).encode(
            x=time_axis("from"),
            shape=alt.Shape(
                "what:N", scale=alt.Scale(domain=list(_ALERTS), range=["circle", "diamond"]), legend=legend
            ),
        ),
    ]
    if watched.incidents:
        layers.insert(0, _shaded(watched))
    text = f"When the {plural(watched.sent, 'alert')} that {'was' if watched.sent == 1 else 'were'} sent under {NEVER_RETRAIN} "
    text += f"{'was' if watched.sent == 1 else 'were'} open, by monitor, those that told most at the top. Shaded: "
    text += f"{plural(len(watched.incidents), 'incident')}."
    return Chart("alerts", "Alerts and incidents", text, sized_spec(alt.layer(*layers), 84 + 26 * len(order)))


def money_chart(found: Compared, title: str, values: Sequence[float | None]) -> Chart:
    """Return what each policy costs in training against what it is worth."""
    import altair as alt

    cost = f"training ({found.unit or 'cost'})"
    rows = [
        {"policy": each.name, "cost": each.training_cost, "value": value}
        for each, value in zip(found.policies, values, strict=True)
    ]
    place = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("cost:Q", title=cost, scale=alt.Scale(padding=30)),
        y=alt.Y("value:Q", title=title, axis=alt.Axis(format=",.4~f"), scale=alt.Scale(zero=False, padding=20)),
        tooltip=[alt.Tooltip("policy:N"), alt.Tooltip("cost:Q", format=".2f"), alt.Tooltip("value:Q", format=",.4~f")],
    )
    colour = alt.Color("policy:N", scale=_scale(_colours(found)), legend=None)
    points = place.mark_point(filled=True, size=110, opacity=1).encode(color=colour)
    names = place.mark_text(dy=-12, fontSize=12, color="var(--ink)").encode(text="policy:N")
    text = f"What each policy costs in training against {title}: {found.recommendation.reason}"
    return Chart("frontier", "Quality against money", text, sized_spec(alt.layer(points, names), 260))


def _colours(found: Compared) -> list[tuple[str, str]]:
    """Two policies stand out: the one to take, and never to retrain (or, where that is the one, the best of the others)."""
    chosen = found.recommendation.policy
    other = NEVER_RETRAIN if chosen != NEVER_RETRAIN else next((e.name for e in found.policies if e.name != chosen), "")
    marked = {chosen: ACCENT, other: SECOND}
    return [(each.name, marked.get(each.name, QUIET)) for each in found.policies]


def _scale(colours: Sequence[tuple[str, str]]) -> Any:
    import altair as alt

    return alt.Scale(domain=[name for name, _ in colours], range=[colour for _, colour in colours])


def _shaded(watched: Alerting) -> Any:
    """Incidents from the top to the bottom of a chart."""
    import altair as alt

    rows = [
        {
            "from": each.begin,
            "until": each.end,
            "incident": each.told,
            "missed": "nobody" if each.missed else "somebody",
        }
        for each in watched.incidents
    ]
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_rect(color=BAD, opacity=0.13)
        .encode(
            x=time_axis("from"),
            x2="until:T",
            tooltip=[alt.Tooltip("incident:N"), alt.Tooltip("missed:N", title="was told")],
        )
    )


def _marks(watched: Alerting) -> Any:
    """Alerts at the top of a chart, when they opened."""
    import altair as alt

    rows = [
        {
            "at": each.at,
            "alert": each.monitor,
            "said": each.told,
            "what": _ALERTS[not each.true],
            "filled": int(each.true),
        }
        for each in watched.alerts
    ]
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_point(shape="triangle-down", size=70, stroke="var(--ink)", fill="var(--ink)", opacity=1)
        .encode(
            x=time_axis("at"),
            y=alt.value(6),
            fillOpacity=alt.FillOpacity("filled:Q", scale=None),
            tooltip=[
                alt.Tooltip("alert:N"),
                alt.Tooltip("at:T", title="opened", format="%d %b %Y"),
                alt.Tooltip("what:N", title="it was"),
                alt.Tooltip("said:N"),
            ],
        )
    )
