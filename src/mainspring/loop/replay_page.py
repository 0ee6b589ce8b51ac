"""The page of a replay: which policy to take, what each would have done, and whether its alerts were worth hearing."""

from __future__ import annotations

from pathlib import Path

import mainspring
from mainspring.loop.compared import Alerting, Compared, PolicyResult
from mainspring.loop.policies import NEVER_RETRAIN
from mainspring.loop.policy_table import TextTable, monitor_table, policy_table
from mainspring.loop.replay_charts import alert_chart, money_chart, week_chart
from mainspring.page.components import (
    Child,
    Html,
    absent,
    disclosure,
    element,
    figure,
    figures,
    paragraph,
    section,
    table,
)
from mainspring.page.document import Section, page_of
from mainspring.page.wording import capital, instant, metric_title, number, percent, plural
from mainspring.storage import write_atomically

__all__ = ["lived_told", "policy_section", "replay_page", "replay_sections", "write_replay_page"]

_MOST_EVENTS = 400


def write_replay_page(found: Compared, run: str, generated: str, path: Path) -> None:
    """Write the page to `path`, whole or not at all.

    Raises WorkspaceError (WORKSPACE_DISK_FULL, WORKSPACE_READ_ONLY).
    """
    write_atomically(path, replay_page(found, run, generated).encode("utf-8", "replace"))


def replay_page(found: Compared, run: str, generated: str) -> str:
    """Return the page as one HTML document that works offline."""
    return page_of(
        replay_sections(found),
        kicker="Replay",
        title=found.system,
        head=f"{found.system}: replay {run}",
        purpose=f"{lived_told(found)} Each policy is one life.",
        made=f"Run {run}, {instant(generated)}",
        version=mainspring.__version__,
    )


def replay_sections(found: Compared) -> list[Section]:
    """Return what the page is made of, for a page that has a frame of its own."""
    return [
        Section("verdict", "Which policy", _verdict(found)),
        Section("time", "Over time", section("time", "Over time", _over_time(found))),
        Section("alerts", "Alerts in hindsight", _alerts(found)),
        Section("money", "Quality against money", _money(found)),
        Section("loop", "What it did", _loop(found)),
    ]


def policy_section(found: Compared) -> Section:
    """Return a replay in one section, for a page that is about more: the table, the timeline, and the best monitors."""
    lead = f"{lived_told(found)} Take {found.recommendation.policy}. {found.recommendation.reason}"
    body = section(
        "replay", "What the system would have done", _policies(found), _over_time(found), _monitors(found), lead=lead
    )
    return Section("replay", "The system, replayed", body)


def lived_told(found: Compared) -> str:
    """Return what was replayed: how many decisions, of when, under how many policies."""
    return (
        f"{plural(found.decisions, 'decision')} from {instant(found.begin)[:10]} to {instant(found.end)[:10]}, lived through under "
        f"{plural(len(found.policies), 'policy', 'policies')}."
    )


def _verdict(found: Compared) -> Html:
    chosen = _named(found, found.recommendation.policy)
    shown = [figure("Take", chosen.name, chosen.description, tone="good")]
    shown.append(
        figure(capital(metric_title(found.metric)), number(chosen.figures.get(found.metric)), "over all decisions")
    )
    if chosen.worth is not None:
        shown.append(figure("Worth", f"{chosen.worth:,.0f} {found.unit}".strip(), "all decisions together"))
    shown.append(figure("Training", f"{chosen.training_minutes:.1f} min", plural(chosen.retrainings, "retraining")))
    if chosen.alerting is not None:
        alerts = chosen.alerting
        detail = f"{alerts.true} true, {alerts.false} false; {plural(alerts.missed, 'incident')} missed"
        shown.append(figure("Alerts", f"{alerts.sent:,}", detail))
    return section("verdict", "Which policy", figures(shown), _policies(found), lead=found.recommendation.reason)


def _policies(found: Compared) -> Html:
    made = policy_table(found)
    rows: list[list[Child]] = [
        [element("strong", row[0]) if row[0] == found.recommendation.policy else row[0], *row[1:]] for row in made.rows
    ]
    return table("Policies, the best first", made.columns, rows, made.numeric)


def _over_time(found: Compared) -> Html:
    best = found.policies[0]
    metric = next(iter(best.weeks[0].figures)) if best.weeks else found.metric
    behind = table(
        f"{capital(metric_title(metric))} by week",
        ["week of", *(each.name for each in found.policies)],
        [
            [instant(week.begin)[:10], *(number(_of_week(each, week.begin, metric)) for each in found.policies)]
            for week in best.weeks
        ],
        numeric=range(1, 1 + len(found.policies)),
    )
    return week_chart(found, metric, _named(found, NEVER_RETRAIN).alerting).placed(behind)


def _alerts(found: Compared) -> Html:
    """The alerts of never to retrain, by which monitors are ranked, for nothing is repaired there; then those of the others."""
    watched = _named(found, NEVER_RETRAIN).alerting
    if watched is None:
        return section("alerts", "Alerts in hindsight", absent("Nobody watched."))
    parts: list[Child] = [_monitors(found)]
    if watched.alerts:
        parts.append(alert_chart(watched).placed(_alert_table(watched)))
    parts.append(_incidents(watched) if watched.incidents else absent("Nothing went wrong that hindsight could tell."))
    for each in found.policies:
        if each.alerting is None or each.name == NEVER_RETRAIN:
            continue
        inside: list[Child] = [_incidents(each.alerting)] if each.alerting.incidents else []
        if each.alerting.monitors:
            inside += [_plain("Its monitors", monitor_table(each.alerting)), _alert_table(each.alerting)]
        parts.append(
            disclosure(f"{each.name}: {_told(each.alerting)}", *(inside or [absent("There is nothing to show.")]))
        )
    return section("alerts", "Alerts in hindsight", parts, lead=f"Under {NEVER_RETRAIN}: {_told(watched)}.")


def _told(alerts: Alerting) -> str:
    return (
        f"{plural(alerts.sent, 'alert')} sent, {alerts.true} true and {alerts.false} false; {alerts.missed} of "
        f"{plural(len(alerts.incidents), 'incident')} missed"
    )


def _monitors(found: Compared) -> Child:
    watched = _named(found, NEVER_RETRAIN).alerting
    if watched is None or not watched.monitors:
        return absent("No monitor raised an alert.")
    best = watched.monitors[0]
    about = paragraph(
        f"Monitors are judged under {NEVER_RETRAIN}, for there nothing is repaired, and by all that they raised, sent or not. "
        f"{capital(best.monitor)} is worth most: {best.reason[:1].lower()}{best.reason[1:]} An alert raised on any day at random "
        f"would be true with {percent(watched.by_chance)}: what counts is to be open in incidents and not else."
    )
    return [about, _plain("Monitors, the one that told most for least first", monitor_table(watched))]


def _alert_table(alerts: Alerting) -> Html:
    rows = [
        [instant(each.at)[:16], each.monitor, "true" if each.true else "false", each.told]
        for each in alerts.alerts[:_MOST_EVENTS]
    ]
    return table("Alerts that were sent", ["opened", "monitor", "in hindsight", "what it said"], rows)


def _incidents(alerts: Alerting) -> Html:
    rows = [
        [each.begin[:10], each.about, "nobody" if each.missed else "somebody", each.told] for each in alerts.incidents
    ]
    return table("Incidents, as all labels tell", ["from", "of", "was told", "what happened"], rows)


def _plain(caption: str, made: TextTable) -> Html:
    return table(caption, made.columns, made.rows, made.numeric)


def _money(found: Compared) -> Html:
    worth = found.policies[0].worth is not None
    title = f"worth ({found.unit})" if worth else metric_title(found.metric)
    values = [each.worth if worth else each.figures.get(found.metric) for each in found.policies]
    behind = table(
        "Quality against money",
        ["policy", "cost of training", title],
        [
            [each.name, f"{each.training_cost:.2f}", number(value)]
            for each, value in zip(found.policies, values, strict=True)
        ],
        numeric=(1, 2),
    )
    return section("money", "Quality against money", money_chart(found, title, values).placed(behind))


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
