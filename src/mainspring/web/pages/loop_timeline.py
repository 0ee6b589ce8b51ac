"""What the loop did, the newest first, by day: each entry opens what it rested on."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

from mainspring.ledger import LoopEvent
from mainspring.page.components import Child, Html, Tone, absent, badge, definitions, disclosure, element
from mainspring.page.wording import count, moment
from mainspring.web.links import model_link
from mainspring.web.pages.loop_evidence import evidence_table
from mainspring.web.paging import pager, rows_of

__all__ = ["timeline"]

_TONES: dict[str, Tone] = {
    "promoted": "good",
    "alert ended": "good",
    "rolled back": "bad",
    "alert opened": "warning",
    "alert worse": "warning",
    "passed over": "warning",
}
_TITLES = {"train": "training", "ab": "A/B", "begun": "begins anew"}


def timeline(events: list[LoopEvent], query: Mapping[str, str], page: str | None) -> list[Child]:
    """Return a page of events, which come the newest first; `query` is what else the links to other pages keep."""
    if not events:
        return [absent("Nothing of this kind was done.")]
    rows = rows_of(page, len(events))
    shown = events[rows.begin : rows.end]
    days = [
        element("div", element("h3", day), element("ol", (element("li", _entry(each)) for each in some)), class_="day")
        for day, some in groupby(shown, key=lambda each: moment(each.at)[:10])
    ]
    return [element("div", days, class_="timeline"), pager("/ui/loop", query, rows)]


def _entry(event: LoopEvent) -> Html:
    told: list[Child] = [
        element("span", moment(event.at)[11:], class_="when"),
        badge(_TITLES.get(event.what, event.what), _TONES.get(event.what, "plain")),
        element("span", event.model, class_="who"),
        element("span", event.told, class_="told"),
    ]
    facts = definitions(
        [
            ("about", model_link(event.model)),
            (
                "when",
                f"{moment(event.at)} UTC, the system's own time; written {moment(event.written_at)} UTC, real time",
            ),
            ("event", f"number {count(event.number)}, of step {count(event.step)}"),
        ]
    )
    rests = evidence_table(event.evidence) if event.evidence else absent("It rests on no figure.")
    return disclosure(told, rests, facts)
