"""What is silenced for now, and the forms that silence a monitor and let it be heard again."""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.ledger import Silence
from mainspring.page.components import Child, Html, absent, element, paragraph, section, table
from mainspring.page.wording import moment
from mainspring.web.asked import Asked
from mainspring.web.shell import form, hidden, live
from mainspring.web.source import Source

__all__ = ["may_change", "silence_form", "silences_section"]

_SPANS = {"1h": "1 hour", "8h": "8 hours", "1d": "1 day", "7d": "7 days"}
_REASON = {"minlength": 3, "maxlength": 500}


def silences_section(source: Source, asked: Asked, monitors: Sequence[str]) -> Html:
    """Return what is silenced now, with the forms for those who may use them."""
    held = source.ledger.alerts.silences(source.system.name, asked.wall)
    parts = [live("silences", _held(held, "/ui/alerts", may_change(asked)))]
    if may_change(asked):
        parts.append(silence_form("/ui/alerts", monitors))
    else:
        parts.append(paragraph("A key that may write silences a monitor, and lets it be heard again.", class_="aside"))
    lead = "Nobody is told of what is silenced. Its alerts are kept, and told when the silence ends if they are open still."
    return section("silences", "Silences", parts, lead=lead)


def may_change(asked: Asked) -> bool:
    """Whether who asks may look after alerts."""
    return asked.role in ("write", "admin")


def silence_form(back: str, monitors: Sequence[str], chosen: str | None = None) -> Html:
    """Return the form that silences a monitor: one of several or all, or just the one that is chosen."""
    name = chosen or "*"
    options = [element("option", "All monitors", value="*")] if chosen is None else []
    options += [
        element("option", each, value=each, selected=each == chosen) for each in ([chosen] if chosen else monitors)
    ]
    return form(
        "silence",
        back,
        element(
            "div",
            hidden("monitor", name)
            if chosen
            else _field("Monitor", "silence-monitor", element("select", options, id="silence-monitor", name="monitor")),
            _field(
                "For how long",
                "silence-span",
                element(
                    "select",
                    (element("option", text, value=span, selected=span == "1d") for span, text in _SPANS.items()),
                    id="silence-span",
                    name="span",
                ),
            ),
            _field(
                "Why (3 to 500 characters, kept for whoever reads it later)",
                "silence-reason",
                element("input", id="silence-reason", name="reason", required=True, autocomplete="off", **_REASON),
                wide=True,
            ),
            element("button", f"Silence {chosen}" if chosen else "Silence", type="submit"),
            class_="fields",
        ),
        label=f"Silence {chosen or 'a monitor'}",
    )


def _held(held: Sequence[Silence], back: str, may: bool) -> Child:
    if not held:
        return absent("Nothing is silenced.")
    rows: list[list[Child]] = [
        [
            "all monitors" if each.monitor == "*" else each.monitor,
            moment(each.at),
            moment(each.until),
            each.by or "nobody named",
            each.reason or "no reason given",
            *([_end(each, back)] if may else []),
        ]
        for each in held
    ]
    columns = ["monitor", "since (UTC, real time)", "until (UTC, real time)", "by", "why", *(["end it"] if may else [])]
    return table("Silences that hold now", columns, rows)


def _end(silence: Silence, back: str) -> Html:
    name = "all monitors" if silence.monitor == "*" else silence.monitor
    button = element("button", "End", type="submit", class_="plain", aria_label=f"End the silence of {name}")
    return form("unsilence", back, hidden("monitor", silence.monitor), button)


def _field(label: str, id: str, control: Html, *, wide: bool = False) -> Html:
    return element("div", element("label", label, for_=id), control, class_="wide" if wide else None)
