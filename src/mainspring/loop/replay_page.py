"""The page of a replay: which policy to take, what each would have done, and when."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mainspring
from mainspring.evaluation.report.charts import Chart, sized_spec
from mainspring.evaluation.report.components import (
    Child,
    Html,
    disclosure,
    element,
    figure,
    figures,
    paragraph,
    section,
    table,
)
from mainspring.evaluation.report.page import html_document
from mainspring.evaluation.report.wording import capital, count, instant, metric_title, number, plural
from mainspring.loop.comparing import Compared, PolicyResult
from mainspring.loop.policies import NEVER_RETRAIN
from mainspring.storage import write_atomically

__all__ = ["replay_page", "write_replay_page"]

_MOST_EVENTS = 400
_ACCENT, _SECOND, _QUIET = "var(--series-1)", "var(--series-2)", "var(--quiet)"


def write_replay_page(found: Compared, run: str, generated: str, path: Path) -> None:
    """Write the page to `path`, whole or not at all.

    Raises WorkspaceError (WORKSPACE_DISK_FULL, WORKSPACE_READ_ONLY).
    """
    write_atomically(path, replay_page(found, run, generated).encode("utf-8", "replace"))


def replay_page(found: Compared, run: str, generated: str) -> str:
    """Return the page as one HTML document that works offline."""
    header = element(
        "header",
        paragraph("Replay", class_="kicker"),
        element("h1", found.system),
        paragraph(
            f"{plural(found.decisions, 'decision')} from {instant(found.begin)[:10]} to {instant(found.end)[:10]}, lived through "
            f"{plural(len(found.policies), 'time')}: once under each policy.",
            class_="purpose",
        ),
        paragraph(f"Run {run}, {instant(generated)}", class_="aside"),
        element("noscript", paragraph("Charts need JavaScript. Each has a sentence and a table that say the same.")),
    )
    titles = [
        ("verdict", "Which policy"),
        ("time", "Over time"),
        ("money", "Quality against money"),
        ("loop", "What it did"),
    ]
    contents = element(
        "nav",
        element("ol", (element("li", element("a", title, href=f"#{name}")) for name, title in titles)),
        aria_label="Contents",
    )
    sections = (_verdict(found), _over_time(found), _money(found), _loop(found))
    footer = element(
        "footer", paragraph(f"Written by Mainspring {mainspring.__version__}. This page makes no request to anyone.")
    )
    skip = element("a", "Skip to the verdict", href="#verdict", class_="skip")
    body = (skip, header, element("div", contents, element("main", sections), class_="columns"), footer)
    return html_document(f"{found.system}: replay {run}", body)


def columns_of(found: Compared) -> list[str]:
    """Return the figures that the table of policies shows, the objective's metric first."""
    names = list(dict.fromkeys([found.metric, *(name for each in found.policies for name in each.figures)]))
    return [
        name
        for name in names
        if name in ("log_loss", "auc", "brier", "accuracy", "rmse", "mae", "payoff", found.metric)
    ]


def _verdict(found: Compared) -> Html:
    chosen = _named(found, found.recommendation.policy)
    shown = [figure("Take", chosen.name, chosen.description, tone="good")]
    shown.append(
        figure(capital(metric_title(found.metric)), number(chosen.figures.get(found.metric)), "over all decisions")
    )
    if chosen.worth is not None:
        shown.append(figure("Worth", f"{chosen.worth:,.0f} {found.unit}".strip(), "all decisions together"))
    shown.append(figure("Training", f"{chosen.training_minutes:.1f} min", plural(chosen.retrainings, "retraining")))
    return section(
        "verdict",
        "Which policy",
        figures(shown),
        _table(found),
        lead=found.recommendation.reason,
    )


def _table(found: Compared) -> Html:
    names = columns_of(found)
    rows: list[list[Child]] = []
    for each in found.policies:
        mark = element("strong", each.name) if each.name == found.recommendation.policy else each.name
        rows.append(
            [
                mark,
                *(number(each.figures.get(name)) for name in names),
                *([f"{each.worth:,.0f}"] if each.worth is not None else []),
                count(each.retrainings),
                f"{each.training_minutes:.1f}",
                f"{each.training_cost:.2f}",
                count(each.promotions),
                count(each.rollbacks),
                count(each.passed_over),
            ]
        )
    worth = [f"worth {found.unit}".strip()] if found.policies[0].worth is not None else []
    head = [
        "policy",
        *map(metric_title, names),
        *worth,
        "retrainings",
        "minutes",
        "cost",
        "promoted",
        "rolled back",
        "passed over",
    ]
    return table("Policies, the best first", head, rows, numeric=range(1, len(head)))


def _over_time(found: Compared) -> Html:
    metric = next(iter(found.policies[0].weeks[0].figures)) if found.policies[0].weeks else found.metric
    rows = [
        {"start": week.begin, "policy": each.name, "value": week.figures.get(metric), "rows": week.labels}
        for each in found.policies
        for week in each.weeks
    ]
    title = metric_title(metric)
    best = found.policies[0]
    text = f"The {title} of each week of decisions. Over all of them {best.name} is best with {number(best.figures.get(metric))}."
    drawn = Chart("weeks", f"{capital(title)} by week", text, _lines(rows, title, _colours(found)))
    behind = table(
        f"{capital(title)} by week",
        ["week of", *(each.name for each in found.policies)],
        [
            [instant(week.begin)[:10], *(number(_of_week(each, week.begin, metric)) for each in found.policies)]
            for week in best.weeks
        ],
        numeric=range(1, 1 + len(found.policies)),
    )
    return section("time", "Over time", drawn.placed(behind))


def _money(found: Compared) -> Html:
    worth = found.policies[0].worth is not None
    title = f"worth ({found.unit})" if worth else metric_title(found.metric)
    rows = [
        {
            "policy": each.name,
            "cost": each.training_cost,
            "value": each.worth if worth else each.figures.get(found.metric),
        }
        for each in found.policies
    ]
    text = f"What each policy costs in training against {title}: {found.recommendation.reason}"
    drawn = Chart(
        "frontier",
        "Quality against money",
        text,
        _points(rows, title, f"training ({found.unit or 'cost'})", _colours(found)),
    )
    behind = table(
        "Quality against money",
        ["policy", "cost of training", title],
        [
            [each.name, f"{each.training_cost:.2f}", number(each.worth if worth else each.figures.get(found.metric))]
            for each in found.policies
        ],
        numeric=(1, 2),
    )
    return section("money", "Quality against money", drawn.placed(behind))


def _loop(found: Compared) -> Html:
    parts: list[Child] = []
    for each in found.policies:
        if not each.events:
            continue
        rows = [[instant(event.at)[:16], event.what, event.model, event.told] for event in each.events[:_MOST_EVENTS]]
        left = len(each.events) - len(rows)
        more = paragraph(f"{left:,} later ones are in the JSON document.") if left > 0 else None
        told = table(f"What the loop did under {each.name}", ["when", "what", "model", "why"], rows)
        parts.append(
            disclosure(
                f"{each.name}: {plural(len(each.events), 'event')}",
                told,
                more,
                open_=each.name == found.recommendation.policy,
            )
        )
    return section("loop", "What it did", parts or paragraph("No policy did anything."))


def _named(found: Compared, name: str) -> PolicyResult:
    return next(each for each in found.policies if each.name == name)


def _of_week(each: PolicyResult, begin: str, metric: str) -> float | None:
    return next((week.figures.get(metric) for week in each.weeks if week.begin == begin), None)


def _colours(found: Compared) -> list[tuple[str, str]]:
    """Two policies stand out: the one to take, and never to retrain (or, where that is the one, the best of the others)."""
    chosen = found.recommendation.policy
    other = NEVER_RETRAIN if chosen != NEVER_RETRAIN else next((e.name for e in found.policies if e.name != chosen), "")
    marked = {chosen: _ACCENT, other: _SECOND}
    return [(each.name, marked.get(each.name, _QUIET)) for each in found.policies]


def _lines(rows: Sequence[dict[str, Any]], title: str, colours: Sequence[tuple[str, str]]) -> dict[str, Any]:
    import altair as alt

    scale = alt.Scale(domain=[name for name, _ in colours], range=[colour for _, colour in colours])
    strong = [name for name, colour in colours if colour != _QUIET]
    lines = (
        alt.Chart(alt.Data(values=list(rows)))
        .mark_line(point={"filled": True, "size": 25})
        .encode(
            x=alt.X("start:T", title=None, scale=alt.Scale(type="utc")),
            y=alt.Y("value:Q", title=title, axis=alt.Axis(format=".3~f"), scale=alt.Scale(zero=False)),
            color=alt.Color("policy:N", scale=scale, legend=alt.Legend(title=None, orient="top")),
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
    return sized_spec(alt.layer(lines), 280)


def _points(
    rows: Sequence[dict[str, Any]], title: str, cost: str, colours: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    import altair as alt

    scale = alt.Scale(domain=[name for name, _ in colours], range=[colour for _, colour in colours])
    place = alt.Chart(alt.Data(values=list(rows))).encode(
        x=alt.X("cost:Q", title=cost, scale=alt.Scale(padding=30)),
        y=alt.Y("value:Q", title=title, axis=alt.Axis(format=",.4~f"), scale=alt.Scale(zero=False, padding=20)),
        tooltip=[alt.Tooltip("policy:N"), alt.Tooltip("cost:Q", format=".2f"), alt.Tooltip("value:Q", format=",.4~f")],
    )
    points = place.mark_point(filled=True, size=110).encode(color=alt.Color("policy:N", scale=scale, legend=None))
    names = place.mark_text(dy=-12, fontSize=12, color="var(--ink)").encode(text="policy:N")
    return sized_spec(alt.layer(points, names), 260)
