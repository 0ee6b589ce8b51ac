"""The charts of an evaluation as Vega-Lite, built with Altair; importing this module does not import Altair.

Colours are CSS custom properties (`var(--series-1)`), which the SVG that Vega draws resolves in the page: so charts follow
light, dark and print without being drawn again. Every chart carries its sentence for those who do not see it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mainspring.evaluation.report.verdict import higher_is_better, objective_figure, rivals, worst_first
from mainspring.evaluation.results import Evaluation, Importance, Interval, ReliabilityBin
from mainspring.page.charts import ACCENT, QUIET, RULE, SECOND, Chart, finite, sized_spec, time_axis
from mainspring.page.wording import (
    capital,
    instant,
    mean_label,
    metric_title,
    number,
    percent,
    plain,
    plural,
)

__all__ = [
    "MOST_ROWS",
    "baseline_chart",
    "histogram_chart",
    "importance_chart",
    "payoff_chart",
    "period_label_chart",
    "period_metric_chart",
    "reliability_chart",
    "slice_chart",
]

MOST_ROWS = 25  # of a chart with a name per row; the table behind it has them all


def _dots(
    rows: Sequence[tuple[str, Interval, str]], title: str, reference: float | None, roles: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """Return a chart with a dot and its interval per named row, and a dashed line at the reference.

    `rows` are name, estimate and role; `roles` are role and colour, in the order of the legend.
    """
    import altair as alt

    names = [name for name, _, _ in rows]
    data = alt.Data(
        values=[
            {"name": name, "value": finite(e.value), "low": finite(e.low), "high": finite(e.high), "role": role}
            for name, e, role in rows
        ]
    )
    used = [(role, colour) for role, colour in roles if any(role == each for _, _, each in rows)]
    y = alt.Y("name:N", sort=None, scale=alt.Scale(domain=names), title=None)
    colour = alt.Color(
        "role:N",
        scale=alt.Scale(domain=[role for role, _ in used], range=[colour for _, colour in used]),
        legend=alt.Legend(title=None, orient="top") if len(used) > 1 else None,
    )
    tooltip = [
        alt.Tooltip("name:N", title="What"),
        alt.Tooltip("value:Q", title=title, format=".4~f"),
        alt.Tooltip("low:Q", title="from", format=".4~f"),
        alt.Tooltip("high:Q", title="to", format=".4~f"),
    ]
    scale = alt.Scale(zero=False, nice=True)
    base = alt.Chart(data).encode(y=y, color=colour, tooltip=tooltip)
    layers: list[Any] = [
        base.mark_rule(strokeWidth=2, opacity=0.55).encode(x=alt.X("low:Q", title=title, scale=scale), x2="high:Q"),
        base.mark_point(filled=True, size=70, opacity=1).encode(x=alt.X("value:Q", scale=scale)),
    ]
    if finite(reference) is not None:
        line = alt.Chart(alt.Data(values=[{"at": reference}])).mark_rule(strokeDash=[4, 4], color=RULE)
        layers.insert(0, line.encode(x=alt.X("at:Q", title=title, scale=scale)))
    return sized_spec(alt.layer(*layers), 72 + 24 * len(rows))


def baseline_chart(evaluation: Evaluation) -> Chart | None:
    """Return the model among its baselines, best first; None when no baseline has the objective's metric."""
    own = objective_figure(evaluation)
    competitors = {baseline.name for baseline in rivals(evaluation)}
    rows = [
        (b.name, figure, "baseline" if b.name in competitors else "model with less")
        for b in evaluation.baselines
        if (figure := objective_figure(evaluation, b)) is not None
    ]
    if own is None or not rows:
        return None
    rows.append(("the model", own, "the model"))
    more = higher_is_better(evaluation)
    rows.sort(key=lambda row: row[1].value, reverse=more)
    metric = metric_title(evaluation.metric)
    place = [name for name, _, role in rows if role != "model with less"].index("the model") + 1
    text = (
        f"{capital(metric)} with 95% intervals, best at the top "
        f"({'more' if more else 'less'} is better): the model has {number(own.value)} and is number {place} "
        f"of the {len(competitors) + 1} that compete."
    )
    roles = [("the model", ACCENT), ("baseline", SECOND), ("model with less", QUIET)]
    return Chart("baselines", "The model among its baselines", text, _dots(rows, metric, own.value, roles))


def slice_chart(evaluation: Evaluation) -> Chart | None:
    """Return the weakest slices with intervals, worst first; None when there are none."""
    overall = objective_figure(evaluation)
    rows = [
        (f"{result.column} = {result.value}", figure, "few rows" if result.small else "enough rows")
        for result in worst_first(evaluation)
        if (figure := objective_figure(evaluation, result)) is not None
    ]
    if overall is None or not rows:
        return None
    shown = rows[:MOST_ROWS]
    metric = metric_title(evaluation.metric)
    firm = [name for name, _, role in shown if role == "enough rows"]
    text = (
        f"{capital(metric)} of "
        f"{'all slices' if len(shown) == len(rows) else f'the {len(shown)} weakest of {len(rows)} slices'}, worst first; "
        f"the dashed line is the whole test part at {number(overall.value)}."
        + (f" The weakest with enough rows is {firm[0]}." if firm else "")
    )
    roles = [("enough rows", ACCENT), ("few rows", QUIET)]
    return Chart("slices", "Quality on each slice", text, _dots(shown, metric, overall.value, roles))


def importance_chart(evaluation: Evaluation) -> Chart | None:
    """Return what shuffling each feature costs, or its share of split gain where nothing was shuffled."""
    shuffled = [(each, each.permutation) for each in evaluation.importance if each.permutation is not None]
    gained = [
        (each, Interval(each.gain, each.gain, each.gain)) for each in evaluation.importance if each.gain is not None
    ]
    ranked: list[tuple[Importance, Interval]] = sorted(shuffled or gained, key=lambda pair: -pair[1].value)
    if not ranked:
        return None
    what = f"{metric_title(evaluation.metric)} lost when shuffled" if shuffled else "share of split gain"
    shown = ranked[:MOST_ROWS]
    text = (
        f"{capital(what)}, the {plural(len(shown), 'most important feature')}"
        f"{f' of {len(ranked)}' if len(shown) < len(ranked) else ''}: {shown[0][0].feature} matters most "
        f"({number(shown[0][1].value)})."
    )
    rows = [(each.feature, figure, "feature") for each, figure in shown]
    return Chart("importance", "What the model uses", text, _dots(rows, what, 0.0, [("feature", ACCENT)]))


def payoff_chart(evaluation: Evaluation) -> Chart | None:
    """Return the payoff per decision for every threshold, and the threshold in use."""
    import altair as alt

    points = [{"at": p.threshold, "payoff": finite(p.payoff), "share": p.share} for p in evaluation.payoff_curve]
    if not points:
        return None
    unit = evaluation.payoff_unit or "payoff"
    best = max(evaluation.payoff_curve, key=lambda point: point.payoff)
    x = alt.X("at:Q", title="threshold", scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("payoff:Q", title=f"{unit} per decision", scale=alt.Scale(zero=False))
    tooltip = [
        alt.Tooltip("at:Q", title="threshold", format=".3f"),
        alt.Tooltip("payoff:Q", title=unit, format=".4~f"),
        alt.Tooltip("share:Q", title="acted on", format=".1%"),
    ]
    line = alt.Chart(alt.Data(values=points)).mark_line(color=ACCENT, strokeWidth=2.5).encode(x=x, y=y, tooltip=tooltip)
    layers: list[Any] = [line]
    text = f"Payoff per decision by threshold: at most {number(best.payoff)} at {plain(best.threshold)}"
    if evaluation.threshold is not None:
        used = alt.Chart(alt.Data(values=[{"at": evaluation.threshold}]))
        layers.append(used.mark_rule(strokeDash=[4, 4], color=RULE).encode(x=x))
        text += f"; the model uses {plain(evaluation.threshold)} (dashed), where its payoffs make both choices worth the same"
    return Chart("payoff", "Payoff by threshold", f"{text}.", sized_spec(alt.layer(*layers), 260))


def _bins(bins: Sequence[ReliabilityBin], stage: str) -> list[dict[str, Any]]:
    return [
        {
            "predicted": finite(each.predicted),
            "observed": finite(each.observed.value),
            "low": finite(each.observed.low),
            "high": finite(each.observed.high),
            "rows": each.rows,
            "stage": stage,
        }
        for each in bins
    ]


def reliability_chart(evaluation: Evaluation) -> Chart | None:
    """Return how often the label came true against the predicted probability, before and after calibration."""
    import altair as alt

    if not evaluation.reliability:
        return None
    values = _bins(evaluation.reliability_before, "before calibration") + _bins(evaluation.reliability, "as served")
    bins = evaluation.reliability
    rows = sum(each.rows for each in bins) or 1
    gap = sum(each.rows * abs(each.predicted - each.observed.value) for each in bins) / rows
    stages = ["as served", "before calibration"] if evaluation.reliability_before else ["as served"]
    share = alt.Axis(format="%")
    x = alt.X("predicted:Q", title="predicted", axis=share, scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("observed:Q", title="came true", axis=share, scale=alt.Scale(domain=[0, 1]))
    colour = alt.Color(
        "stage:N",
        scale=alt.Scale(domain=stages, range=[ACCENT, SECOND][: len(stages)]),
        legend=alt.Legend(title=None, orient="top"),
    )
    tooltip = [
        alt.Tooltip("stage:N", title="model"),
        alt.Tooltip("predicted:Q", format=".1%"),
        alt.Tooltip("observed:Q", title="came true", format=".1%"),
        alt.Tooltip("rows:Q", format=","),
    ]
    base = alt.Chart(alt.Data(values=values)).encode(x=x, color=colour, tooltip=tooltip)
    perfect = alt.Chart(alt.Data(values=[{"predicted": 0, "observed": 0}, {"predicted": 1, "observed": 1}]))
    layers = [
        perfect.mark_line(strokeDash=[4, 4], color=RULE, strokeWidth=1).encode(x=x, y=y),
        base.mark_rule(opacity=0.55, strokeWidth=2).encode(
            y=alt.Y("low:Q", title="came true", axis=share), y2="high:Q"
        ),
        base.mark_line(strokeWidth=1.5).encode(y=y),
        base.mark_point(filled=True, size=55, opacity=1).encode(y=y, shape=alt.Shape("stage:N", legend=None)),
    ]
    text = f"A perfectly honest model lies on the dashed line; this one is {percent(gap)} away on average, over {len(bins)} bins."
    return Chart("reliability", "Predicted and observed", text, sized_spec(alt.layer(*layers), 340))


def _middle(bars: Sequence[tuple[float, float, int]], rows: int) -> tuple[float, float]:
    """Return the ends of the bins that hold at least the middle nine tenths of the rows."""
    below, low, high = 0, bars[0][0], bars[-1][1]
    for start, end, here in bars:
        if below <= 0.05 * rows:
            low = start
        below += here
        if below >= 0.95 * rows:
            high = end
            break
    return low, high


def histogram_chart(evaluation: Evaluation) -> Chart | None:
    """Return how the predictions are spread."""
    import altair as alt

    if not evaluation.histogram:
        return None
    values = [{"low": low, "high": high, "rows": rows} for low, high, rows in evaluation.histogram]
    rows = sum(each[2] for each in evaluation.histogram)
    low, high = _middle(evaluation.histogram, rows)
    bars = (
        alt.Chart(alt.Data(values=values))
        .mark_bar(color=ACCENT, binSpacing=1)
        .encode(
            x=alt.X("low:Q", bin="binned", title="prediction"),
            x2="high:Q",
            y=alt.Y("rows:Q", title="rows"),
            tooltip=[
                alt.Tooltip("low:Q", title="from", format=".3~f"),
                alt.Tooltip("high:Q", title="to", format=".3~f"),
                alt.Tooltip("rows:Q", format=","),
            ],
        )
    )
    text = f"Nine in ten of {plural(rows, 'prediction')} lie between {plain(low)} and {plain(high)}."
    return Chart("histogram", "How the predictions are spread", text, sized_spec(alt.layer(bars), 160))


def _over_time(
    rows: Sequence[dict[str, Any]], title: str, colours: Sequence[tuple[str, str]], form: str
) -> dict[str, Any]:
    import altair as alt

    scale = alt.Scale(domain=[name for name, _ in colours], range=[colour for _, colour in colours])
    lines = (
        alt.Chart(alt.Data(values=list(rows)))
        .mark_line(strokeWidth=2.25, point={"filled": True, "size": 40})
        .encode(
            x=time_axis("start"),
            y=alt.Y("value:Q", title=title, axis=alt.Axis(format=form), scale=alt.Scale(zero=False)),
            color=alt.Color(
                "what:N", scale=scale, legend=alt.Legend(title=None, orient="top") if len(colours) > 1 else None
            ),
            strokeDash=alt.StrokeDash("what:N", legend=None) if len(colours) > 1 else alt.value([1, 0]),
            tooltip=[
                alt.Tooltip("start:T", title="from", format="%d %b %Y"),
                alt.Tooltip("what:N", title="figure"),
                alt.Tooltip("value:Q", format=form),
                alt.Tooltip("rows:Q", format=","),
            ],
        )
    )
    return sized_spec(alt.layer(lines), 220)


def period_metric_chart(evaluation: Evaluation) -> Chart | None:
    """Return the objective's metric over the periods of the test part."""
    known = [period for period in evaluation.periods if math.isfinite(period.metric)]
    if not known:
        return None
    metric = metric_title(evaluation.metric)
    rows = [{"start": p.start, "what": metric, "value": finite(p.metric), "rows": p.rows} for p in evaluation.periods]
    pick = min if higher_is_better(evaluation) else max
    worst = pick(known, key=lambda period: period.metric)
    text = (
        f"The {metric} in each of {plural(len(rows), 'period')}: the worst began on {instant(worst.start)[:10]} "
        f"({number(worst.metric)})."
    )
    return Chart("periods", f"{capital(metric)} over time", text, _over_time(rows, metric, [(metric, ACCENT)], ".3~f"))


def period_label_chart(evaluation: Evaluation) -> Chart | None:
    """Return what was predicted and what came true over the periods of the test part."""
    if not evaluation.periods:
        return None
    rows: list[dict[str, Any]] = []
    for period in evaluation.periods:
        rows.append(
            {"start": period.start, "what": "came true", "value": finite(period.label_mean), "rows": period.rows}
        )
        rows.append(
            {"start": period.start, "what": "predicted", "value": finite(period.predicted_mean), "rows": period.rows}
        )
    form = ".2~f" if evaluation.task == "regression" else ".0%"
    furthest = max(evaluation.periods, key=lambda period: abs(period.label_mean - period.predicted_mean))
    predicted = mean_label(evaluation.task, furthest.predicted_mean)
    observed = mean_label(evaluation.task, furthest.label_mean)
    text = (
        f"Mean prediction against mean label: furthest apart from {instant(furthest.start)[:10]}, "
        f"{predicted} predicted and {observed} observed."
    )
    title = "mean" if evaluation.task == "regression" else "rate"
    drawn = _over_time(rows, title, [("came true", SECOND), ("predicted", ACCENT)], form)
    return Chart("labels", "Predicted and observed over time", text, drawn)
