"""The slices on which a champion is worst now, and what the monitors of slices said."""

from __future__ import annotations

from collections.abc import Callable

from mainspring.ledger import KeptAlert
from mainspring.page.components import Child, Html, absent, badge, element, paragraph, table
from mainspring.page.wording import capital, metric_title, moment, number, signed
from mainspring.web.links import alert_link
from mainspring.web.pages.quality_days import Known, slices_now
from mainspring.web.source import Source

__all__ = ["SLICES_LEAD", "slices_part"]

_SLICES_SHOWN, _SLICES_OVER, _FEWEST_ROWS = 20, 28, 100
_WATCHED = ("slice", "worst slice")  # monitors

SLICES_LEAD = (
    f"The champion's newest settled days, {_SLICES_OVER} at most. Slices differ in how hard they are: what counts is by how much "
    "more a slice is off than its probabilities let one expect, beside all other decisions."
)


def slices_part(source: Source, known: Known, champion: str, path: Callable[[str], str]) -> list[Child]:
    """Return what is known of slices; `path` gives the path of the chart of one, by "column=value"."""
    judged = source.policy.judged
    found = slices_now(known, judged, champion, over=_SLICES_OVER, fewest=_FEWEST_ROWS)
    said = _said(source)
    if not found:
        if not source.system.objective.slices:
            why = "No slices are declared: Objective(slices=[...]) names the columns by which quality is told apart."
        else:
            why = f"No slice of {champion} has {_FEWEST_ROWS} decisions whose labels are settled yet."
        return [said, absent(why)]
    title = metric_title(judged.name)
    rows: list[list[Child]] = [
        [
            element("a", f"{each.column} = {each.value}", href=path(f"{each.column}={each.value}")),
            number(each.figure),
            number(each.elsewhere),
            signed(each.beyond),
            f"{each.rows:,}",
        ]
        for each in found[:_SLICES_SHOWN]
    ]
    caption = f"{capital(title)} of {champion} by slice, the worst first"
    if len(found) > len(rows):
        caption += f": {len(rows)} of {len(found)}"
    columns = ["slice", title, "elsewhere", "worse than expected by", "decisions"]
    return [said, table(caption, columns, rows, numeric=(1, 2, 3, 4))]


def _said(source: Source) -> Html:
    """What the monitors of slices said: what is open, or what they said last."""
    alerts = source.once("alerts of slices", source.ledger.mark(source.system.name), lambda: _alerts_of_slices(source))
    if not alerts:
        return absent("The monitors of slices have found none that is surely worse than the others.")
    newest = alerts[0]
    ended = newest.alert.ended_at
    state = badge("open", "warning") if ended is None else badge(f"ended {moment(ended)[:10]}")
    return paragraph(
        state, f" {capital(newest.alert.monitor)}, since {moment(newest.alert.opened_at)[:10]}: {newest.alert.told} ",
        alert_link(newest.alert.id, "The alert"),
    )  # fmt: skip


def _alerts_of_slices(source: Source) -> list[KeptAlert]:
    opened = [each for each in source.ledger.alerts.open(source.system.name) if each.alert.monitor in _WATCHED]
    if opened:
        return opened
    newest = source.ledger.alerts.history(source.system.name, limit=200)
    return [each for each in newest if each.alert.monitor in _WATCHED]
