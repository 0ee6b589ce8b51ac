"""Replays: what the system would have done under other policies, and which to take. For whoever decides on them."""

from __future__ import annotations

from mainspring.clock import format_instant
from mainspring.ledger import Run
from mainspring.loop.compared import Compared
from mainspring.loop.replay_page import lived_told, replay_sections
from mainspring.loop.stored_replays import read_replay, replay_runs
from mainspring.page.components import (
    Child,
    Html,
    Tone,
    absent,
    badge,
    definitions,
    element,
    paragraph,
    section,
    table,
)
from mainspring.page.wording import ago, instant, metric_title, moment, number, plural
from mainspring.web.asked import Asked
from mainspring.web.links import replay_link
from mainspring.web.paging import pager, rows_of
from mainspring.web.shell import Page, live
from mainspring.web.source import Source

__all__ = ["page"]

_ROWS = 20  # each has a document to be read
_TONES: dict[str, Tone] = {"finished": "good", "failed": "bad", "interrupted": "warning", "running": "plain"}


def page(source: Source, asked: Asked) -> Page:
    """Return the page. Raises WorkspaceError."""
    runs = replay_runs(source.workspace, source.system.name)
    name = asked.path.partition("/")[2]
    return _one(source, runs, name) if name else _all(source, runs, asked)


def _all(source: Source, runs: list[Run], asked: Asked) -> Page:
    if not runs:
        return Page("Replays", "No replay was made yet.", [live("how", _how(source, first=True))])
    rows = rows_of(asked.query.get("page"), len(runs), _ROWS)
    found = [(run, _brief(source, run)) for run in runs[rows.begin : rows.end]]
    body = section("replays", "Replays of this system", _table(found), pager("/ui/replays", {}, rows))
    newest = next(((run, told) for run, told in found if told is not None), None)
    lead = f"{plural(len(runs), 'replay')} on record."
    if newest is not None:
        lead = f"{plural(len(runs), 'replay')} on record; the newest says: take {newest[1].policy}."
    return Page("Replays", lead, [live("replays", body), live("how", _how(source, first=False))])


class _Brief:
    """What the list tells of a replay."""

    def __init__(self, found: Compared) -> None:
        chosen = next(each for each in found.policies if each.name == found.recommendation.policy)
        self.policy, self.reason = found.recommendation.policy, found.recommendation.reason
        self.lived, self.policies = lived_told(found), [each.name for each in found.policies]
        self.figure = f"{metric_title(found.metric)} {number(chosen.figures.get(found.metric))}"
        self.worth = "" if chosen.worth is None else f"{chosen.worth:,.0f} {found.unit}".strip()


def _brief(source: Source, run: Run) -> _Brief | None:
    """What a replay recommends, read once; None where that cannot be read."""
    if run.status != "finished":
        return None
    held: dict[str, _Brief | None] = source.once("replays told", None, dict)
    if run.name not in held:
        found = read_replay(source.workspace, run.name)
        held[run.name] = None if found is None or not found.policies else _Brief(found)
    return held[run.name]


def _table(found: list[tuple[Run, _Brief | None]]) -> Html:
    rows: list[list[Child]] = []
    for run, told in found:
        link = replay_link(run.name)
        state = badge(run.status, _TONES.get(run.status, "plain"))
        if told is None:
            why = "its document cannot be read any more" if run.status == "finished" else run.error_message or ""
            rows.append([link, moment(run.started_at), state, "", "", "", why])
            continue
        take = element("strong", told.policy)
        rows.append([link, moment(run.started_at), state, take, told.figure, told.worth, f"{told.reason} {told.lived}"])
    columns = ["replay", "made (UTC)", "state", "take", "with it", "worth", "why"]
    return table("The newest first; times are real time", columns, rows)


def _how(source: Source, *, first: bool) -> Html:
    """How a replay is made. A page makes none itself: it takes minutes of all cores."""
    command = f"mainspring replay {source.file.name} --compare never,weekly,declared"
    told = (
        "A replay lives through the history once for each policy, with the same code that runs live: labels come as late as they "
        "did, models are trained, tried and promoted, monitors raise alerts. It then says which policy to take, and which "
        "monitors were worth hearing."
    )
    return section(
        "how",
        "How to make one" if first else "How to make another",
        absent("There is none yet: it stands here once this has run.") if first else None,
        element("p", element("code", command)),
        paragraph(told, class_="aside"),
    )


# -- one of them ---------------------------------------------------------------------------------------------------------


def _one(source: Source, runs: list[Run], name: str) -> Page:
    run = next((each for each in runs if each.name == name), None)
    back = element("p", element("a", "All replays", href="/ui/replays"))
    if run is None:
        return Page(
            "There is no such replay", f"No replay of {source.system.name} is called {name[:100]}.", [back], 404
        )
    if run.status != "finished":
        told = definitions(
            [
                ("state", badge(run.status, _TONES.get(run.status, "plain"))),
                ("begun", f"{moment(run.started_at)} UTC, real time"),
                ("what went wrong", run.error_message or ""),
            ]
        )
        lead = "It goes on." if run.status == "running" else "It found nothing."
        return Page(f"Replay {run.name}", lead, [live("state", told), back])
    made = source.once("replay", run.name, lambda: _sections(source, run))
    if made is None:
        lead = "Its document is gone, or was written by a version of Mainspring that kept other things."
        return Page(f"Replay {run.name}", lead, [live("how", _how(source, first=False)), back])
    lead, parts = made
    return Page(f"Replay {run.name}", lead, [*parts, live("made", _made(run)), back])


def _sections(source: Source, run: Run) -> tuple[str, list[Html]] | None:
    found = read_replay(source.workspace, run.name)
    if found is None or not found.policies:
        return None
    return f"Take {found.recommendation.policy}. {lived_told(found)}", [
        live(each.name, each.body) for each in replay_sections(found)
    ]


def _made(run: Run) -> Html:
    return section(
        "made",
        "How it was made",
        definitions(
            [
                ("made", f"{instant(format_instant(run.started_at))}, real time, in {ago(round(1e6 * sum(run.seconds.values())))}"),
                ("declaration", run.declaration),
                ("Mainspring", run.version),
                ("the same page, offline", element("code", f"reports/{run.name}.html")),
            ]
        ),
    )  # fmt: skip
