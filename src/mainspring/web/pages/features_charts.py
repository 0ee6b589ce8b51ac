"""The charts of features: a heat map of one signal, two distributions of one feature, and its signals over time.

How a chart is drawn is kept apart from what it shows, and made once: Altair takes a hundred times as long as the rows do.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from mainspring.clock import DAY
from mainspring.loop.kept_signals import FeaturesDay
from mainspring.page.charts import ACCENT, QUIET, SECOND, Chart, finite, sized_spec, time_axis
from mainspring.page.wording import capital, number, percent, plain, plural
from mainspring.web.pages.features_days import SIGNALS, FeatureDays, Looked
from mainspring.web.pages.features_spread import TwoSpreads

__all__ = ["heat_chart", "history_chart", "limit_told", "moved_told", "spread_chart", "value_told"]

_MILLISECONDS = DAY // 1000
_LIMIT = "var(--bad)"
_WHOSE = ("learned from", "last 7 days")


def value_told(signal: str, value: float) -> str:
    """Return a value of a signal as people read it: a PSI, or a share."""
    return number(value) if signal in ("drift", "psi") else percent(value)


def heat_chart(looked: Looked, shown: Sequence[int]) -> Chart:
    """Return the heat map of some features, by their places, the first at the top."""
    words = SIGNALS[looked.signal]
    # a row a feature: one a cell would be ten times as long
    rows = [
        {
            "feature": looked.names[k],
            "limit": round(float(looked.limits[k]), 4),
            "day": list(looked.begins),
            "value": [None if each != each else round(each, 4) for each in looked.values[:, k].tolist()],
        }
        for k in shown
    ]
    spec = _heat_spec(words, looked.length, 64 + 17 * len(shown)) | {"datasets": {"features": rows}}
    return Chart("heat", capital(words), moved_told(looked), spec)


@lru_cache(maxsize=64)
def _heat_spec(words: str, length: int, height: int) -> dict[str, Any]:
    import altair as alt

    base = (
        alt.Chart(alt.NamedData("features"))
        .transform_flatten(["day", "value"])
        .transform_filter("datum.value !== null")
        .transform_calculate(
            begin=f"datum.day * {_MILLISECONDS}",
            end=f"(datum.day + {length}) * {_MILLISECONDS}",
            far="datum.value >= datum.limit ? 'beyond its limit' : 'within'",
            # pale up to the limit, then stronger with each doubling, up to ten times as much
            strength="datum.value < datum.limit ? 0.05 + 0.45 * datum.value / datum.limit"
            " : min(1, 0.3 + 0.7 * log(datum.value / datum.limit) / log(10))",
        )
    )
    heat = base.mark_rect().encode(
        x=time_axis("begin"),
        x2=alt.X2("end:T"),
        y=alt.Y("feature:N", sort=None, title=None),
        color=alt.Color(
            "far:N",
            scale=alt.Scale(domain=["within", "beyond its limit"], range=[ACCENT, SECOND]),
            legend=alt.Legend(title=None, orient="top"),
        ),
        opacity=alt.Opacity("strength:Q", scale=None),
        tooltip=[
            alt.Tooltip("feature:N"),
            alt.Tooltip("begin:T", title="week of" if length == 7 else "day", format="%d %b %Y"),
            alt.Tooltip("value:Q", title=words, format=".3~f"),
            alt.Tooltip("limit:Q", title="limit", format=".3~f"),
        ],
    )
    return sized_spec(alt.layer(heat), height)


def moved_told(looked: Looked) -> str:
    """Return what the heat map shows in a sentence."""
    if not len(looked.values) or not looked.order:
        return "Nothing is known yet."
    span, words = "day" if looked.length == 1 else "week", SIGNALS[looked.signal]
    far = [k for k in looked.order if looked.above[k]]
    top = looked.order[0]
    newest = float(looked.newest[top])
    if not far:
        if newest != newest:
            return f"Of no feature is the {words} known on the newest {span}."
        told = f"{looked.names[top]} lies nearest to its limit: {value_told(looked.signal, newest)}, and "
        return f"No feature was beyond its limit. {told}{limit_told(looked, top)} is the limit."
    now = "unknown now" if newest != newest else value_told(looked.signal, newest)
    return (
        f"{looked.names[top]} lies farthest from what the champion learned from: {words} {now}, "
        f"{plural(int(looked.above[top]), span)} above {limit_told(looked, top)}. "
        f"{plural(len(far), 'feature')} of {len(looked.names)} {'was' if len(far) == 1 else 'were'} beyond the limit at some time."
    )


def limit_told(looked: Looked, place: int) -> str:
    """Return the limit of a feature, by its place."""
    limit = float(looked.limits[place])
    return plain(limit) if looked.signal in ("drift", "psi") else percent(limit)


def spread_chart(feature: str, found: TwoSpreads) -> Chart:
    """Return the two distributions of a feature."""
    told = (
        f"Grey: the {found.rows_before:,} decisions that the champion learned from; blue: the {found.rows_lately:,} of "
        f"the last seven days. {_difference(found)}"
    )
    if found.bins:
        rows = [
            {
                "low": each.low,
                "high": each.high,
                "whose": whose,
                "share": share,
                "span": f"{number(each.low)} to {number(each.high)}",
            }
            for each in found.bins
            for whose, share in zip(_WHOSE, (each.before, each.lately), strict=True)
        ]
        last = found.bins[-1]
        rows.append({"low": last.high, "high": last.high, "whose": _WHOSE[1], "share": last.lately, "span": "the end"})
        spec = _bins_spec(feature) | {"datasets": {"bins": rows}}
        return Chart("spread", f"How {feature} is spread", told, spec)
    values = [
        {"value": each.value, "whose": whose, "share": share}
        for each in found.bars
        for whose, share in zip(_WHOSE, (each.before, each.lately), strict=True)
    ]
    spec = _values_spec(64 + 26 * len(found.bars)) | {"datasets": {"values": values}}
    return Chart("spread", f"How {feature} is spread", told, spec)


@lru_cache(maxsize=64)
def _bins_spec(feature: str) -> dict[str, Any]:
    import altair as alt

    colour = _whose()
    y = alt.Y("share:Q", title="share", axis=alt.Axis(format="%"))
    tooltip = [alt.Tooltip("span:N", title=feature), alt.Tooltip("whose:N"), alt.Tooltip("share:Q", format=".1%")]
    base = alt.Chart(alt.NamedData("bins"))
    x = alt.X("low:Q", title=feature, scale=alt.Scale(zero=False, nice=False))
    bars = (
        base.transform_filter(f"datum.whose === '{_WHOSE[0]}'")
        .mark_rect(opacity=0.45)
        .encode(x=x, x2=alt.X2("high:Q"), y=y, y2=alt.Y2(datum=0), color=colour, tooltip=tooltip)
    )
    line = (
        base.transform_filter(f"datum.whose === '{_WHOSE[1]}'")
        .mark_line(interpolate="step-after", strokeWidth=2)
        .encode(x=x, y=y, color=colour, tooltip=tooltip)
    )
    return sized_spec(alt.layer(bars, line), 240)


@lru_cache(maxsize=64)
def _values_spec(height: int) -> dict[str, Any]:
    import altair as alt

    colour = _whose()
    bars = (
        alt.Chart(alt.NamedData("values"))
        .mark_bar()
        .encode(
            x=alt.X("share:Q", title="share of decisions", axis=alt.Axis(format="%")),
            y=alt.Y("value:N", sort=None, title=None),
            yOffset=alt.YOffset("whose:N", scale=alt.Scale(domain=list(_WHOSE))),
            color=colour,
            tooltip=[alt.Tooltip("value:N"), alt.Tooltip("whose:N"), alt.Tooltip("share:Q", format=".1%")],
        )
    )
    return sized_spec(alt.layer(bars), height)


def _whose() -> Any:
    import altair as alt

    return alt.Color(
        "whose:N",
        scale=alt.Scale(domain=list(_WHOSE), range=[QUIET, ACCENT]),
        legend=alt.Legend(title=None, orient="top"),
    )


def _difference(found: TwoSpreads) -> str:
    """What differs most, in words."""
    pairs = [(f"from {number(each.low)} to {number(each.high)}", each.before, each.lately) for each in found.bins]
    pairs += [(each.value, each.before, each.lately) for each in found.bars]
    if not pairs:
        return "Neither has a known value."
    name, before, lately = max(pairs, key=lambda each: abs(each[2] - each[1]))
    return f"The largest difference: {name}, {percent(before)} before and {percent(lately)} lately."


def history_chart(feature: str, days: FeatureDays, signals: Sequence[str], name: str) -> Chart | None:
    """Return some signals of one feature over time, all in one unit; None where nothing is known of any."""
    place = days.names.index(feature)
    order = FeaturesDay.SIGNALS
    rows: list[dict[str, Any]] = [
        {"day": day * _MILLISECONDS, "signal": SIGNALS[signal], "value": value}
        for signal in signals
        for day, value in zip(days.days, days.values[order.index(signal), :, place].tolist(), strict=True)
        if finite(value) is not None
    ]
    if not rows:
        return None
    shares = signals[0] not in ("drift", "psi")
    limit = float(days.limits[order.index(signals[0]), place])
    used = [SIGNALS[each] for each in signals if any(row["signal"] == SIGNALS[each] for row in rows)]
    most = max(rows, key=lambda row: row["value"])
    told = f"{value_told(signals[0], most['value'])} at most ({most['signal']})."
    if not shares:
        above = sum(row["value"] >= limit for row in rows if row["signal"] == used[0])
        told = f"{capital(used[0])} was above {plain(limit)}, the dashed line, on {plural(above, 'day')}; {told}"
    spec = _history_spec(tuple(used), shares) | {"datasets": {"days": rows, "limit": [{"value": limit}]}}
    title = f"Shares of {feature} over time" if shares else f"Drift of {feature} over time"
    return Chart(name, title, told, spec)


@lru_cache(maxsize=64)
def _history_spec(used: tuple[str, ...], shares: bool) -> dict[str, Any]:
    import altair as alt

    x = time_axis("day")
    lines = (
        alt.Chart(alt.NamedData("days"))
        .mark_line(point={"filled": True, "size": 16}, strokeWidth=1.75)
        .encode(
            x=x,
            y=alt.Y("value:Q", title="share" if shares else "PSI", axis=alt.Axis(format=".1~%" if shares else ".2~f")),
            color=alt.Color(
                "signal:N",
                scale=alt.Scale(domain=list(used), range=[ACCENT, SECOND, "var(--series-3)"][: len(used)]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            strokeDash=alt.StrokeDash("signal:N", legend=None, sort=list(used)),
            tooltip=[
                alt.Tooltip("day:T", format="%d %b %Y"),
                alt.Tooltip("signal:N"),
                alt.Tooltip("value:Q", format=".2%" if shares else ".3~f"),
            ],
        )
    )
    layers = [lines]
    if not shares:
        rule = alt.Chart(alt.NamedData("limit")).mark_rule(color=_LIMIT, strokeDash=[4, 4])
        layers.append(rule.encode(y=alt.Y("value:Q")))
    return sized_spec(alt.layer(*layers), 200)
