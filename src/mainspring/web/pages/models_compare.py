"""Two models side by side: which figures moved, and in what they differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainspring.ledger import Comparison, Metric, MetricChange
from mainspring.page.components import Child, Html, absent, badge, disclosure, element, section, table
from mainspring.page.wording import capital, count, metric_title, moment, number, plural, signed
from mainspring.web.pages.models_known import Known, judged_metric
from mainspring.web.shell import Page, live
from mainspring.web.source import Source

__all__ = ["choose_form", "comparison_page", "figure_cell"]

_MOST_CHOICES = 500
_LONGEST = 300


def choose_form(names: list[str], first: str = "", second: str = "") -> Html | None:
    """Return the form that asks which two models to compare; None where there are not two."""
    if len(names) < 2:
        return None

    def select(name: str, label: str, chosen: str) -> Html:
        options = (
            element("option", each, value=each, selected=each == chosen)
            for each in dict.fromkeys([*names[:_MOST_CHOICES], *([chosen] if chosen in names else [])])
        )
        return element(
            "div", element("label", label, for_=f"compare-{name}"), element("select", options, id=f"compare-{name}", name=name)
        )  # fmt: skip

    return element(
        "form",
        select("a", "First model", first or names[1]),
        select("b", "Second model", second or names[0]),
        element("button", "Compare", type="submit", class_="plain"),
        method="get",
        action="/ui/models",
        class_="fields",
        aria_label="Compare two models",
    )


def comparison_page(source: Source, models: dict[str, Known], first: str, second: str) -> Page:
    """Return the page that compares two models. Raises WorkspaceError."""
    absent_ = [name for name in (first, second) if name not in models]
    choose = choose_form([*models], first, second)
    back = element("p", element("a", "All models", href="/ui/models"))
    if absent_ or first == second:
        told = f"There is no model {absent_[0][:100]!r}." if absent_ else "A model is compared with another one."
        return Page("Two models", told, [*([choose] if choose else []), back], 404 if absent_ else 200)
    found = source.ledger.compare(models[first].run.name, models[second].run.name)
    of_test = [each for each in found.metrics if each.scope == "test"]
    parts = [
        live("figures", section("figures", "Figures", _figures(of_test, first, second), lead=_rows_differ(models, first, second))),
        live("others", section("others", "Baselines and slices", _others(found, first, second))),
        live("changes", section("changes", "In what they differ", *_changes(found, first, second))),
    ]  # fmt: skip
    if choose is not None:
        parts.append(live("choose", section("choose", "Compare others", choose)))
    return Page(f"{first} and {second}", _lead(source, of_test, first, second), [*parts, back])


def _lead(source: Source, changes: list[MetricChange], first: str, second: str) -> str:
    name = judged_metric(source)
    change = next((each for each in changes if each.name == name), None)
    if change is None or change.difference is None or change.first is None or change.second is None:
        return f"{metric_title(name)} is not known of both."
    values = f"{metric_title(name)} was {number(change.first.value)} of {first} and {number(change.second.value)} of {second}"
    return f"{capital(values)}, a difference of {signed(change.difference)}: {_moved(change)}."


def _moved(change: MetricChange) -> str:
    if change.apart is None:
        return "no interval says whether that is chance"
    return "their 95% intervals do not touch" if change.apart else "their 95% intervals overlap"


def _rows_differ(models: dict[str, Known], first: str, second: str) -> Child:
    told = [
        f"{name} on what was known at {moment(as_of)}"
        for name in (first, second)
        if (as_of := models[name].run.as_of) is not None
    ]
    said = "Each was judged on rows of its own time, so that a difference may be that of the rows and not of the models"
    return f"{said}: {' and '.join(told)}." if told else f"{said}, unless both are of the same facts."


def _figures(changes: list[MetricChange], first: str, second: str) -> Html:
    if not changes:
        return absent("Neither has a figure on record.")
    columns = ["figure", first, second, "difference", "moved"]
    rows: list[list[Child]] = [
        [
            metric_title(each.name),
            figure_cell(each.first),
            figure_cell(each.second),
            signed(each.difference),
            _badge(each),
        ]
        for each in changes
    ]
    return table(
        f"On rows that they had not seen, with 95% intervals where they are known; differences are {second} less {first}",
        columns,
        rows,
        range(1, 4),
    )


def _badge(change: MetricChange) -> Html:
    if change.apart is None:
        return badge("no interval")
    return badge("beyond chance", "warning") if change.apart else badge("within chance")


def _others(found: Comparison, first: str, second: str) -> Child:
    groups: dict[str, list[MetricChange]] = {}
    for each in found.metrics:
        if each.scope != "test":
            groups.setdefault(each.scope, []).append(each)
    if not groups:
        return absent("Neither was judged by slices or beside baselines.")
    rows: list[list[Child]] = []
    for scope, changes in groups.items():
        each = changes[0]  # the objective's metric stands first
        kind, _, name = scope.partition(":")
        values = [_value(each.first), _value(each.second), signed(each.difference)]
        rows.append([f"{name} ({kind})", metric_title(each.name), *values, _badge(each)])
    columns = ["baseline or slice", "figure", first, second, "difference", "moved"]
    return disclosure(
        f"{plural(len(rows), 'figure')} of baselines and slices", table("The first figure of each", columns, rows, (2, 3, 4))
    )  # fmt: skip


def _changes(found: Comparison, first: str, second: str) -> list[Child]:
    parts: list[Child] = []
    for title, changes in (
        ("Settings", found.settings),
        ("Parameters of the model", found.parameters),
        ("Snapshots of tables", found.snapshots),
        ("Features that are defined otherwise", found.features_changed),
    ):
        if changes:
            parts.append(table(title, ["what", first, second], _rows(changes)))
    for verb, names in (("Added", found.features_added), ("Removed", found.features_removed)):
        if names:
            parts.append(disclosure(f"{verb}: {plural(len(names), 'feature')}", element("p", ", ".join(names))))
    return parts or [
        absent("In nothing that is on record: same declaration, code, features, parameters and snapshots.")
    ]


def _rows(changes: Mapping[str, Any]) -> list[list[Child]]:
    return [
        [name.replace("_", " "), _shown(name, each.first), _shown(name, each.second)] for name, each in changes.items()
    ]


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "none"
    text = str(value)
    if isinstance(value, int) and name in ("as_of", "decisions", "labelled"):
        text = f"{moment(value)} UTC" if name == "as_of" else count(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def figure_cell(metric: Metric | None) -> Child:
    """Return a figure with its interval, where there is one."""
    if metric is None or metric.low is None or metric.high is None:
        return "" if metric is None else number(metric.value)
    return [
        number(metric.value),
        " ",
        element("span", f"{number(metric.low)} to {number(metric.high)}", class_="range"),
    ]


def _value(metric: Metric | None) -> str:
    return number(None if metric is None else metric.value)
