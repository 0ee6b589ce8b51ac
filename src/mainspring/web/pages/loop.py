"""Loop: what it is doing and will do, how long a rollout needs to see an effect, and all that it did and why."""

from __future__ import annotations

from mainspring.clock import DAY
from mainspring.ledger import LoopEvent
from mainspring.loop.doing import doing_of, next_of
from mainspring.loop.live_state import LiveState
from mainspring.loop.stage_forecast import StageForecast, forecast_stage
from mainspring.loop.status_words import doing_told, next_told
from mainspring.page.components import (
    Child,
    Html,
    absent,
    choices,
    definitions,
    disclosure,
    element,
    paragraph,
    section,
    table,
)
from mainspring.page.wording import ago, capital, count, metric_title, moment, number, percent, plural
from mainspring.web.asked import Asked
from mainspring.web.links import link_to, model_link
from mainspring.web.pages.loop_chart import model_chart
from mainspring.web.pages.loop_events import KINDS, events_of, kind_of, life_of, periods_now
from mainspring.web.pages.loop_evidence import evidence_table
from mainspring.web.pages.loop_timeline import timeline
from mainspring.web.shell import Page, live
from mainspring.web.source import Source

__all__ = ["page"]


def page(source: Source, asked: Asked) -> Page:
    """Return the page. Raises WorkspaceError."""
    state, events = source.state(), events_of(source)
    begun = state is not None or bool(events)
    if not begun:
        why = "It begins with the first turn of mainspring serve, unless that says --no-loop."
        return Page("Loop", "No loop has begun yet.", [live("now", section("now", "Now", absent(why)))])
    parts = [live("now", section("now", "Now", _now(source, state, events)))]
    forecast = _forecast(source, state)
    if forecast is not None:
        parts.append(live("forecast", section("forecast", "What this rollout can see", *_expected(forecast))))
    chart = _chart(source, asked, state, events)
    if chart is not None:
        parts.append(live("chart", section("lives", "Its models", chart)))
    parts.append(live("timeline", section("timeline", "What it did, and why", *_timeline(asked, events))))
    return Page("Loop", _lead(source, state, events), parts)


def _lead(source: Source, state: LiveState | None, events: list[LoopEvent]) -> str:
    if state is None:
        return "The loop that is kept was of another declaration or version: it begins anew when this one is served."
    return f"It is {_doing(source, state, events)}."


def _doing(source: Source, state: LiveState, events: list[LoopEvent]) -> str:
    told = doing_told(doing_of(source.policy, state, events))
    return told.replace("nothing:", "waiting:", 1) if told.startswith("nothing:") else told


def _now(source: Source, state: LiveState | None, events: list[LoopEvent]) -> Child:
    if state is None:
        return absent("What it is doing is told once it has begun anew.")
    doing = doing_of(source.policy, state, events)
    pairs: list[tuple[Child, Child]] = [
        ("doing", capital(doing_told(doing))),
        ("next", capital(next_told(next_of(source.policy, state)))),
        ("newest step", f"{moment(state.now)} UTC; one every {ago(state.every)} of the system's time"),
    ]
    if doing.model:
        pairs.insert(1, ("model", model_link(doing.model)))
    if doing.why and doing.what in ("shadow", "canary", "ab"):  # of the others it is said
        pairs.insert(1, ("let in because", capital(doing.why)))
    evidence = disclosure("What that rests on", evidence_table(doing.evidence)) if doing.evidence else None
    return [definitions(pairs), evidence]


# -- what a rollout can see ----------------------------------------------------------------------------------------------


def _forecast(source: Source, state: LiveState | None) -> StageForecast | None:
    """The forecast of the stage that goes on; made again once a day of the system's time, for it takes its time."""
    if state is None or state.loop is None or state.loop.candidate is None:
        return None
    loop, candidate = state.loop, state.loop.candidate
    mark = candidate.model, candidate.stage, candidate.since, loop.now // source.policy.width
    return source.once("stage forecast", mark, lambda: forecast_stage(source.policy, loop))


def _expected(found: StageForecast) -> list[Child]:
    if found.unknown:
        return [absent(f"How many labels it needs cannot be told yet: {found.unknown}.")]
    title = metric_title(found.metric)
    ends = "promoted" if found.looks_for == "better" else "rolled back"
    said = (
        f"Counted from the beginning of this stage, with {number(found.per_day)} decisions a day as lately, each label counting "
        f"{ago(found.horizon)} after its decision, and a stage of {ago(found.span)}. "
        f"The champion's {title} was {number(found.level)} in the last four weeks."
    )
    if found.looks_for == "worse":
        said += " This stage ends early only where the model is shown to be worse; otherwise it passes at its end."
    rows: list[list[Child]] = [
        [
            f"{percent(each.size)} {found.looks_for} ({number(each.effect)} a decision)",
            percent(each.share),
            "not in this stage" if each.labels is None else count(each.labels),
            "" if each.days is None else f"{each.days:.1f}",
            "not in this stage" if each.labels_90 is None else count(each.labels_90),
            "" if each.days_90 is None else f"{each.days_90:.1f}",
        ]
        for each in found.expected
    ]
    columns = [
        "a model that is",
        f"{ends} in this stage",
        "labels, half of them",
        "days",
        "labels, nine of ten",
        "days",
    ]
    return [
        paragraph(_finding(found)),
        table("How long it takes to see", columns, rows, range(1, 6)),
        paragraph(said, class_="aside"),
    ]


def _finding(found: StageForecast) -> str:
    seen = next((each for each in found.expected if each.days is not None), None)
    if seen is None or seen.days is None or seen.labels is None:
        most = found.expected[-1].size
        return f"Even a model that is {percent(most)} {found.looks_for} would mostly not be found out in this stage."
    return (
        f"A model that is {percent(seen.size)} {found.looks_for} would be found out after {plural(seen.labels, 'label')}, "
        f"{seen.days:.1f} days, as often as not; a smaller difference mostly not in this stage."
    )


# -- what it did ---------------------------------------------------------------------------------------------------------


def _chart(source: Source, asked: Asked, state: LiveState | None, events: list[LoopEvent]) -> Html | None:
    """The chart since time was last turned back; drawn again when something was done, and each day."""
    now = asked.server.now if state is None else state.now
    periods = periods_now(source)

    def drawn() -> Html | None:
        life = life_of(events)
        first = life[-1].written_at if life else 0
        return model_chart(life, [each for each in periods if each.set_at >= first], now)

    return source.once("loop chart", (len(events), len(periods), now // DAY), drawn)


def _timeline(asked: Asked, events: list[LoopEvent]) -> list[Child]:
    what, model = asked.query.get("what", ""), asked.query.get("model", "")
    what = what if what in KINDS else ""
    of_model = [each for each in events if not model or each.model == model]
    found = [each for each in of_model if not what or kind_of(each) == what]
    query = {"what": what, "model": model}
    many = {kind: sum(kind_of(each) == kind for each in of_model) for kind in KINDS}
    links = [(f"All {count(len(of_model))}", link_to("/ui/loop", {"model": model}), not what)]
    links += [
        (f"{title} {count(many[kind])}", link_to("/ui/loop", {"what": kind, "model": model}), what == kind)
        for kind, title in KINDS.items()
    ]
    parts: list[Child] = [choices("Which events", links)]
    if model:
        all_ = element("a", "all models", href=link_to("/ui/loop", {"what": what}))
        parts.append(paragraph("Only what it did about ", element("strong", model), "; show ", all_, "."))
    return [*parts, *timeline(found, query, asked.query.get("page"))]
