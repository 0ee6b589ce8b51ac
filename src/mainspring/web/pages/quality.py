"""Quality: how good the arms are, by labels and before them, over time and by slice. For whoever owns the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mainspring.clock import DAY
from mainspring.ledger import RETRAIN, LoopEvent
from mainspring.loop.champion_quality import Quality, Quantity, quality_of
from mainspring.loop.deployed_when import ARMS_SET
from mainspring.loop.live_state import LiveState
from mainspring.loop.state import Policy
from mainspring.loop.status_words import quantity_of
from mainspring.monitoring.realised import Figure, Realised
from mainspring.page.components import (
    Child,
    Html,
    absent,
    choices,
    element,
    figure,
    figures,
    paragraph,
    section,
    table,
)
from mainspring.page.wording import capital, interval, metric_title, moment, number, percent, plural
from mainspring.web.asked import Asked
from mainspring.web.links import link_to, model_link
from mainspring.web.pages.quality_charts import quality_chart
from mainspring.web.pages.quality_days import Known, Point, known_of, points_of, slice_points
from mainspring.web.pages.quality_slices import SLICES_LEAD, slices_part
from mainspring.web.shell import Page, live
from mainspring.web.source import Source

__all__ = ["page"]

_SPANS = {"30": "30 days", "90": "90 days", "all": "all"}
_BY_DAY = 120  # days: of more than these a week is a point, unless somebody asks for days
_MODELS_SHOWN, _ROWS_SHOWN = 8, 100


class _Chosen(NamedTuple):
    """What is looked at, as far as it exists: each "" where nothing is chosen."""

    model: str
    column: str
    value: str
    figure: Figure
    by: str
    span: str

    def path(self, **other: str) -> str:
        """The path of this page with other choices."""
        slice_ = f"{self.column}={self.value}" if self.column else ""
        now = {"model": self.model, "slice": slice_, "figure": self.figure.name, "by": self.by, "span": self.span}
        return link_to("/ui/quality", now | other)


def page(source: Source, asked: Asked) -> Page:
    """Return the page. Raises WorkspaceError."""
    state, known = source.state(), known_of(source)
    if not known.quality:
        why = "The loop has begun, and none of its models has answered a decision yet."
        if state is None:
            why = "No loop has begun yet, or it was of another declaration."
        told = absent(
            f"Nothing is known of any day. {why} After each step the loop writes down what is known of each day of "
            "decisions: what was predicted, which labels came, and what its probabilities let one expect of the others."
        )
        return Page("Quality", "No model has been judged on what it answered yet.", [live("quality", told)])
    chosen = _chosen(source, known, asked)
    points = _points(source, known, chosen)
    quality = source.once("quality now", source.step(), lambda: _quality(source.policy, state))
    champion = known.models[0] if quality is None else quality.model
    slices = slices_part(source, known, champion, lambda each: chosen.path(slice=each, figure=""))
    parts = [
        _choices(source, known, chosen),
        live("now", section("now", "The champion now", _now(quality))),
        live("time", section("time", "Over time", *_over_time(source, points, chosen))),
        live("slices", section("slices", "Slices", *slices, lead=SLICES_LEAD)),
    ]
    return Page("Quality", _lead(quality, champion), parts)


def _quality(policy: Policy, state: LiveState | None) -> Quality | None:
    return None if state is None or state.loop is None else quality_of(policy, state.loop)


def _chosen(source: Source, known: Known, asked: Asked) -> _Chosen:
    """Take what exists of what is asked for."""
    query, policy = asked.query, source.policy
    model = query.get("model", "")
    column, _, value = query.get("slice", "").partition("=")
    there = any(value in each.slices.get(column, {}) for each in known.quality.values())
    named = query.get("figure", "")
    figure = policy.figures[named] if named in policy.figures and not there else policy.judged
    days = [day for _, day in known.quality]
    by = query.get("by", "")
    if by not in ("day", "week"):
        by = "day" if max(days) - min(days) <= _BY_DAY else "week"
    span = query.get("span", "all")
    return _Chosen(
        model=model if model in known.models else "",
        column=column if there else "",
        value=value if there else "",
        figure=figure,
        by=by,
        span=span if span in _SPANS else "all",
    )


def _points(source: Source, known: Known, chosen: _Chosen) -> list[Point]:
    def made() -> list[Point]:
        model = chosen.model or None
        if chosen.column:
            return slice_points(known, chosen.figure, chosen.column, chosen.value, by=chosen.by, model=model)
        judged = chosen.figure.name == source.policy.judged.name
        return points_of(known, chosen.figure, by=chosen.by, model=model, proxies=judged)

    points = source.once(f"quality points {chosen.by}", (id(known), chosen[:5]), made)
    if chosen.span == "all" or not points:
        return points
    newest = max(day for _, day in known.quality)
    return [point for point in points if point.day > newest - int(chosen.span)]


# -- the top -------------------------------------------------------------------------------------------------------------


def _lead(found: Quality | None, champion: str) -> str:
    if found is None or found.realised.value is None:
        return f"{champion} answers; of no whole day of its decisions every label is known yet."
    told = f"{found.model} answers: {metric_title(found.metric)} {number(found.realised.value)} by the newest labels"
    before = found.promoted
    if before is None:
        return f"{told}."
    more = found.realised.value > before
    word = "better" if more == found.greater_is_better else "worse"
    low, high = found.realised.low, found.realised.high
    if low is not None and high is not None and low <= before <= high:
        return f"{told}, as when it was let in ({number(before)})."
    return f"{told}, {word} than when it was let in ({number(before)})."


def _now(found: Quality | None) -> Child:
    if found is None:
        return absent("The first model is being trained, or no loop has begun.")
    name = metric_title(found.metric)
    shown = [
        figure(f"{capital(name)} by labels", number(found.realised.value), _detail(found.realised)),
        figure(f"{capital(name)} expected", number(found.estimated.value), _detail(found.estimated)),
    ]
    if found.promoted is not None:
        shown.append(figure("When it was let in", number(found.promoted), f"{found.model}, on labels it had not seen"))
    better = "More is better." if found.greater_is_better else "Less is better."
    return [figures(shown), paragraph(better, class_="aside")]


def _detail(found: Quantity) -> str:
    told = quantity_of(found)
    return told if found.low is None or found.high is None else f"{number(found.low)} to {number(found.high)}; {told}"


# -- over time -----------------------------------------------------------------------------------------------------------


def _choices(source: Source, known: Known, chosen: _Chosen) -> Html:
    models = known.models
    shown = [*models[:_MODELS_SHOWN]]
    if chosen.model and chosen.model not in shown:
        shown.append(chosen.model)
    rows = [
        choices(
            "Model",
            [
                ("all models", chosen.path(model=""), not chosen.model),
                *((each, chosen.path(model=each), each == chosen.model) for each in shown),
            ],
        )
    ]
    if chosen.column:
        links = [
            (f"{chosen.column} = {chosen.value}", chosen.path(), True),
            ("all decisions", chosen.path(slice=""), False),
        ]
        rows.append(choices("Slice", links))
    else:
        names = source.policy.figures
        rows.append(
            choices("Figure", [(metric_title(n), chosen.path(figure=n), n == chosen.figure.name) for n in names])
        )
    by = [(f"by {each}", chosen.path(by=each), each == chosen.by) for each in ("day", "week")]
    spans = [(text, chosen.path(span=name), name == chosen.span) for name, text in _SPANS.items()]
    rows.append(choices("Time", [*by, *spans]))
    return element("div", rows, class_="choose")


def _over_time(source: Source, points: Sequence[Point], chosen: _Chosen) -> list[Child]:
    if not points:
        return [absent("Nothing is known of these days: choose another model, slice or span of time.")]
    baselines = {} if chosen.column else _baselines(source, chosen.figure.name)
    what = f" on {chosen.column} = {chosen.value}" if chosen.column else ""
    chart = quality_chart(points, chosen.figure.name, chosen.by, what=what, baselines=baselines, events=_events(source))
    refused = [point for point in points if point.estimated is None and point.refused and point.role == "champion"]
    told = None
    if refused and not chosen.column:
        last = refused[-1]
        told = paragraph(
            f"On {plural(len(refused), chosen.by)} nothing could be expected of the champion's probabilities; on "
            f"{_day(last)}: {last.refused}",
            class_="aside",
        )
    return [chart.placed(_table(points, chosen, baselines)), told]


def _table(points: Sequence[Point], chosen: _Chosen, baselines: dict[str, float]) -> Html:
    shown = [*reversed(points)][:_ROWS_SHOWN]
    title = metric_title(chosen.figure.name)
    rows: list[list[Child]] = [
        [
            _day(point),
            model_link(point.model),
            "tried" if point.role == "candidate" else "champion",
            _with_interval(point.realised) if point.realised else "no label yet",
            f"{percent(point.complete)} of {point.predicted:,}",
            _with_interval(point.estimated) if point.estimated else "unknown",
            "; ".join(
                f"{name}: {number(told.value)}" if told.value is not None else f"{name}: unknown"
                for name, told in point.proxies.items()
            ),
        ]
        for point in shown
    ]
    columns = [chosen.by, "model", "role", title, "labels known", "expected", "by proxies"]
    caption = f"{capital(title)} by {chosen.by}, the newest first"
    if len(points) > len(shown):
        caption += f": {len(shown)} of {len(points):,}; choose a shorter time or weeks for the others"
    parts = [table(caption, columns, rows, numeric=(3, 4, 5))]
    if baselines:
        told = [[name, number(value)] for name, value in sorted(baselines.items(), key=lambda pair: pair[1])]
        parts.append(
            table(f"{capital(title)} of the baselines, in the evaluation of the run", ["baseline", title], told, (1,))
        )
    return element("div", parts)


def _with_interval(found: Realised) -> Child:
    if found.low == found.high:
        return number(found.value)
    return [number(found.value), " ", element("span", interval(found), class_="range")]


def _day(point: Point) -> str:
    return moment(point.day * DAY)[:10]


def _baselines(source: Source, metric: str) -> dict[str, float]:
    """What the newest run measured of what a model must beat; models with less than all features are none of these."""

    def read() -> dict[str, dict[str, float]]:
        for run in source.ledger.runs(system=source.system.name):
            if run.kind == RETRAIN or run.status != "finished":
                continue
            found: dict[str, dict[str, float]] = {}
            for each in source.ledger.metrics(run.name):
                scope, _, name = each.scope.partition(":")
                if scope == "baseline" and each.value is not None and not _has_less(name):
                    found.setdefault(each.name, {})[name] = each.value
            if found:
                return found
        return {}

    found = source.once("baselines", source.ledger.mark(source.system.name), read)
    return found.get(metric, {})


def _has_less(name: str) -> bool:
    return name.startswith("without ") or name in ("smaller model", "champion")


def _events(source: Source) -> list[LoopEvent]:
    """What the loop did with models, the oldest first; what it did before time was turned back, later than that, is left out."""

    def read() -> list[LoopEvent]:
        kept: list[LoopEvent] = []
        for event in source.ledger.loops.events(source.system.name, what=(*ARMS_SET, "train")):
            if not kept or event.at <= kept[-1].at:
                kept.append(event)
        return kept[::-1]

    return source.once("what was done with models", source.step(), read)
