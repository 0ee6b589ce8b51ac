"""Models: every version, which answers now, how good each was when it was judged, and when and why it was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mainspring.answers import Arm
from mainspring.ledger import LoopEvent
from mainspring.loop.deployed_when import Period
from mainspring.loop.doing import Doing, doing_of
from mainspring.page.components import Child, Html, absent, badge, section, table
from mainspring.page.wording import metric_title, moment, number, plural
from mainspring.web.asked import Asked
from mainspring.web.links import model_link
from mainspring.web.pages.loop_chart import spells_of
from mainspring.web.pages.loop_events import events_of, periods_now
from mainspring.web.pages.models_arms import deployments_section
from mainspring.web.pages.models_compare import choose_form, comparison_page
from mainspring.web.pages.models_known import (
    Known,
    arms_now,
    judged_metric,
    known_models,
    manifest_of,
    metrics_of,
    role_badge,
)
from mainspring.web.pages.models_story import story_page
from mainspring.web.paging import page_of, pager, rows_of
from mainspring.web.shell import Page, live
from mainspring.web.source import Source

__all__ = ["page"]


def page(source: Source, asked: Asked) -> Page:
    """Return the page. Raises WorkspaceError, ContractError."""
    name = asked.path.partition("/")[2]
    if name:
        return story_page(source, asked, name)
    models = known_models(source)
    first, second = (asked.query.get(each, "") for each in ("a", "b"))
    if first or second:
        return comparison_page(source, models, first, second)
    return _all(source, asked, models)


class _Version(NamedTuple):
    """A model that is made, or was asked for and is not made. `at` is when its making began, real time, microseconds."""

    name: str
    at: int
    known: Known | None


def _all(source: Source, asked: Asked, models: dict[str, Known]) -> Page:
    events = events_of(source)
    versions = _versions(models, events)
    arms, periods = arms_now(source, models), periods_now(source)
    state = source.state()
    doing = None if state is None else doing_of(source.policy, state, events)
    if not versions:
        told = "mainspring run makes the first model, and mainspring serve begins the loop that makes others."
        return Page("Models", "There is no model yet.", [live("models", section("models", "Models", absent(told)))])
    rows = rows_of(asked.query.get("page"), len(versions))
    sets = rows_of(asked.query.get("set"), len(periods))
    listed = section(
        "models",
        "Every version, the newest first",
        _table(source, versions[rows.begin : rows.end], arms, periods, doing, events),
        pager("/ui/models", {"set": page_of(sets)}, rows),
    )
    parts = [live("models", listed)]
    if (choose := choose_form([*models])) is not None:
        parts.append(live("compare", section("compare", "Compare two", choose)))
    parts.append(live("deployments", deployments_section(periods, sets, {"page": page_of(rows)})))
    return Page("Models", _lead(source, models, versions, arms, doing), parts)


def _versions(models: dict[str, Known], events: list[LoopEvent]) -> list[_Version]:
    made = [_Version(name, known.run.started_at, known) for name, known in models.items()]
    asked = {each.model: each for each in events if each.what == "train" and each.model not in models}
    unmade = [_Version(name, event.written_at, None) for name, event in asked.items()]
    return sorted(made + unmade, key=lambda each: each.at, reverse=True)


def _lead(
    source: Source, models: dict[str, Known], versions: list[_Version], arms: tuple[Arm, ...], doing: Doing | None
) -> str:
    told = []
    if arms:
        champion, *others = (each.model for each in arms)
        value = _judged(source, models[champion])[0] if champion in models else ""
        figure = f" ({metric_title(judged_metric(source))} {value} when it was judged)" if value else ""
        told.append(f"{champion} answers{figure}")
        told += [f"{each} is tried" for each in others]
    if doing is not None and doing.what in ("training", "waiting"):
        told.append(f"{doing.model} is {'being trained' if doing.what == 'training' else 'made, and waits'}")
    told.append(f"{plural(len(versions), 'version')} on record")
    return "; ".join(told) + "."


def _table(
    source: Source,
    shown: list[_Version],
    arms: tuple[Arm, ...],
    periods: list[Period],
    doing: Doing | None,
    events: list[LoopEvent],
) -> Html:
    answered: dict[str, str] = {}
    for spell in spells_of(periods):
        if spell.role == "champion":
            answered[spell.model] = f"{moment(spell.begin)} to {spell.until}"
        else:
            answered.setdefault(spell.model, "as a candidate only")
    asked_for = {each.model: each for each in reversed(events) if each.what == "train"}
    rows: list[list[Child]] = []
    for version in shown:
        event, known = asked_for.get(version.name), version.known
        value, ends = ("", "") if known is None else _judged(source, known)
        manifest = {} if known is None else manifest_of(source, known)
        parent = str(manifest.get("parent") or "")
        rows.append(
            [
                model_link(version.name),
                role_badge(version.name, arms) or _unmade(version, doing) or "",
                value,
                ends,
                _as_of(manifest, event),
                answered.get(version.name, "never" if known is not None else ""),
                model_link(parent) if parent else "",
                event.told if event is not None else f"mainspring {known.run.kind}" if known is not None else "",
            ]
        )
    columns = [
        "model",
        "now",
        metric_title(judged_metric(source)),
        "95% interval",
        "knows until (UTC)",
        "champion (UTC)",
        "parent",
        "why",
    ]
    return table(
        "Figures are those of rows that the model had not seen; each model was judged on others", columns, rows, (2, 3)
    )


def _judged(source: Source, known: Known) -> tuple[str, str]:
    """The metric by which a model was judged, and its interval where there is one."""
    name = judged_metric(source)
    found = next((each for each in metrics_of(source, known) if each.scope == "test" and each.name == name), None)
    if found is None:
        return "unknown", ""
    ends = "" if found.low is None or found.high is None else f"{number(found.low)} to {number(found.high)}"
    return number(found.value), ends


def _unmade(version: _Version, doing: Doing | None) -> Html | None:
    if doing is not None and doing.model == version.name and doing.what in ("training", "waiting"):
        return badge("in training" if doing.what == "training" else "waits", "warning")
    return badge("not made") if version.known is None else None


def _as_of(manifest: Mapping[str, Any], event: LoopEvent | None) -> str:
    """What a model knows of: all facts until an instant of the system's own time."""
    as_of = manifest.get("as_of")
    if not isinstance(as_of, int):
        return "" if event is None else moment(event.at)
    return moment(as_of)
