"""What alerts say, in words: their figures with units, what became of them, and where their signals are drawn."""

from __future__ import annotations

from collections.abc import Callable

from mainspring.clock import DAY, HOUR, MINUTE, SECOND
from mainspring.ledger import Alert, KeptAlert
from mainspring.page.components import Child, element
from mainspring.page.wording import metric_title, moment, number, percent, plural
from mainspring.web.badges import severity_badge
from mainspring.web.links import link_to, table_path

__all__ = [
    "abouts",
    "delivery",
    "fate_word",
    "fate_words",
    "figure_words",
    "lasted",
    "severity_words",
    "signal_path",
]

_WANTS = {
    "page": "wakes somebody",
    "ticket": "to be looked at within a day or two",
    "note": "only kept, nobody is told",
}
_FATES = {
    "sent": "somebody is told",
    "silenced": "nobody is told: it is silenced",
    "over budget": "waits: the week's budget is spent",
    "kept": "kept, nobody is told",
}
_IN_A_WORD = {"sent": "told", "silenced": "silenced", "over budget": "no budget left", "kept": "only kept"}
_ABOUTS_SHOWN = 40


def severity_words(severity: str) -> Child:
    """Return a severity with its mark, and what it asks for."""
    return [severity_badge(severity), f" {_WANTS.get(severity, '')}"]


def fate_word(alert: Alert) -> str:
    """Return what was decided last, for a table."""
    return _IN_A_WORD[alert.fate]


def fate_words(alert: Alert) -> str:
    """Return what was decided last: whether somebody is told."""
    told = _FATES[alert.fate]
    return f"told {plural(len(alert.sent), 'time')}; now {told}" if alert.sent and alert.fate != "sent" else told


def delivery(kept: KeptAlert) -> str:
    """Return whether every address has taken an alert, and when, in real time."""
    if kept.delivered_at is not None:
        return f"taken by every address, the last at {moment(kept.delivered_at)} UTC (real time)"
    if kept.alert.fate == "sent":
        return "not taken by every address yet; it is sent again until it is"
    return "nothing was to be sent" if not kept.alert.sent else "not since it grew worse"


def lasted(begin: int, end: int) -> str:
    """Return how long something lasted (microseconds), in one unit."""
    span = max(end - begin, 0)
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if span >= unit:
            return plural(round(span / unit), name)
    return plural(span // SECOND, "second")


def figure_words(alert: Alert) -> tuple[str, str]:
    """Return the worst figure of an alert, and what it was held against, in the unit of its monitor."""
    say = _units(alert)
    limit = "usual" if alert.monitor == "volume" else "limit"
    return (
        "no one figure" if alert.value is None else say(alert.value),
        "" if alert.limit is None else f"{limit}: {say(alert.limit)}",
    )


def _units(alert: Alert) -> Callable[[float], str]:
    monitor = alert.monitor.removesuffix(" of predictions")
    first = monitor.partition(" ")[0]
    if alert.kind == "operations":
        return lambda value: f"{value:.3g} times as fast as its budget allows"
    if monitor in _UNITS:
        return _UNITS[monitor]
    if first in ("friction", "proxy"):
        return percent if first == "friction" else number
    if first in ("realised", "estimated", "guard"):
        name = metric_title(monitor.partition(" ")[2])
        return lambda value: f"{number(value)} {name}".rstrip()
    return number


_UNITS: dict[str, Callable[[float], str]] = {
    "volume": lambda rows: f"{rows:,.0f} rows",
    "staleness": lambda seconds: f"no row for {lasted(0, round(seconds * SECOND))}",
    "contract violations": lambda share: f"{percent(share)} of rows rejected",
    "late facts": lambda share: f"{percent(share)} of rows late",
    "drift": lambda psi: f"PSI {number(psi)}",
    "sudden drift": lambda psi: f"PSI {number(psi)}",
    "missing values": lambda share: f"{percent(share)} missing",
    "new categories": lambda share: f"{percent(share)} in new categories",
    "out of range": lambda share: f"{percent(share)} out of range",
    "constant": lambda share: f"{percent(share)} one value",
    "calibration": lambda p: f"p = {number(p)}",
    "kind of shift": lambda p: number(p),
    "domain": lambda auc: f"AUC {number(auc)}",
    "worst slice": lambda excess: f"worse by {number(excess)} than is to be expected",
    "slice": lambda excess: f"worse by {number(excess)} than is to be expected",
}


def signal_path(kind: str, about: str = "") -> tuple[str, str]:
    """Return the page where a kind of signal is drawn, of one thing or of all, and what to call it."""
    if kind == "features":
        return link_to("/ui/features", {"feature": about}), "Features"
    if kind == "inputs":
        return table_path(about) if about else "/ui/facts", "Facts"
    return ("/ui/now", "Now") if kind == "operations" else ("/ui/quality", "Quality")


def abouts(alert: Alert) -> Child:
    """Return all that an alert was about, each with a link to where its signal is drawn where it has a page of its own."""
    if not alert.abouts:
        return "the system as a whole"
    own = alert.kind in ("features", "inputs")
    found: list[Child] = []
    for about in alert.abouts[:_ABOUTS_SHOWN]:
        found.append(", " if found else None)
        found.append(element("a", about, href=signal_path(alert.kind, about)[0]) if own else about)
    more = len(alert.abouts) - _ABOUTS_SHOWN
    return [found, f" and {more:,} more" if more > 0 else None]
