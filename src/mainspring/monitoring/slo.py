"""Service objectives that are counted: how much of the error budget is left, and how fast it burns.

The burn rate is the share of bad ones divided by the share that the objective allows: at 1 the budget lasts exactly as long as
the window of the objective. Each alert looks at a long window, which says that enough is burning, and at a short one, which says
that it still is (Beyer, Murphy, Rensin, Kawahara and Thorne, The Site Reliability Workbook, 2018, chapter 5, table 5-8).

With few requests a single failure burns fast: one bad request in an hour of sixty is a burn rate of 17 at 99.9%. So bad ones must
also be more than chance: at a rate exactly at the target, so many or more in the long window are to be had with probability
5e-7 at most (a Poisson tail, which is above the binomial one there; Anderson and Samuels, 1967). Looked at every minute for 30 days, an
objective whose independent failures are exactly as frequent as it allows pages in fewer than one of twenty months, by the sum
over all looks of both pairs that page; in fact far less often, for looks share their windows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Literal, NamedTuple

from scipy.special import pdtrc

from mainspring.clock import DAY, HOUR, MINUTE, format_instant, format_span, parse_span
from mainspring.declare import SLO
from mainspring.monitoring.counted import Bucket, Counted
from mainspring.monitoring.readings import Reading

__all__ = ["PAIRS", "Burn", "Pair", "budget_left", "burns", "counts_told", "slo_reading", "slo_readings"]

_CHANCE = 5e-7
_SILENT = 5 * MINUTE


class Pair(NamedTuple):
    """A long and a short window, and the burn rate from which both together ask for something."""

    long: int
    short: int
    burn: float
    severity: Literal["page", "ticket"]

    def __str__(self) -> str:
        return f"{format_span(self.long)}/{format_span(self.short)}"


PAIRS = (
    Pair(HOUR, 5 * MINUTE, 14.4, "page"),
    Pair(6 * HOUR, 30 * MINUTE, 6.0, "page"),
    Pair(DAY, 2 * HOUR, 3.0, "ticket"),
    Pair(3 * DAY, 6 * HOUR, 1.0, "ticket"),
)


class Burn(NamedTuple):
    """How fast the budget burns over a pair of windows: None where a window has no counts of its own. `fires` None: unknown."""

    pair: Pair
    long: float | None
    short: float | None
    fires: bool | None


def counts_told(
    kept: Mapping[str, Counted], slos: Iterable[SLO], begin: int, end: int, counts: Mapping[str, tuple[int, int]]
) -> dict[str, Counted]:
    """Return what is kept of each operational SLO by name, with the good and bad of (begin, end] counted.

    An SLO that is not among `counts` was not told of; counts of something else are left out.
    """
    found = {}
    for slo in slos:
        if slo.is_operational:
            before = kept.get(slo.name, Counted(parse_span(slo.window)))
            found[slo.name] = before.told(begin, end, *counts[slo.name]) if slo.name in counts else before
    return found


def budget_left(slo: SLO, counted: Counted, now: int) -> float | None:
    """Return the share of the error budget of the objective's window that is left; below 0 it is overspent, None: no events."""
    found = counted.over(parse_span(slo.window), now)
    return None if found is None or not found.events else 1 - _rate(slo, found)


def burns(slo: SLO, counted: Counted, now: int) -> list[Burn]:
    """Return how fast the budget burns over each pair of windows, the most urgent first.

    A pair fires while both windows burn at its rate, and the long one not by chance. One of whose windows the counts are too
    coarse is unknown; unless the other one says by itself that it does not fire.
    """
    return [_burn(slo, pair, counted.over(pair.long, now), counted.over(pair.short, now)) for pair in PAIRS]


def _burn(slo: SLO, pair: Pair, long: Bucket | None, short: Bucket | None) -> Burn:
    fast, still = (None if each is None else _rate(slo, each) for each in (long, short))
    slow = any(rate is not None and rate < pair.burn for rate in (fast, still))
    if slow or (long is not None and not _beyond_chance(slo, long)):
        return Burn(pair, fast, still, False)
    return Burn(pair, fast, still, None if fast is None or still is None else True)


def _allowed(slo: SLO) -> float:
    assert slo.target is not None, f"{slo.name} is not counted"
    return 1 - slo.target


def _rate(slo: SLO, found: Bucket) -> float:
    return found.bad / (_allowed(slo) * found.events) if found.events else 0.0


def _beyond_chance(slo: SLO, found: Bucket) -> bool:
    return found.bad > 0 and float(pdtrc(found.bad - 1, _allowed(slo) * found.events)) <= _CHANCE


def slo_readings(slos: Iterable[SLO], kept: Mapping[str, Counted], now: int) -> list[Reading]:
    """Return what each operational SLO says at an instant (microseconds), in their order."""
    return [slo_reading(slo, kept.get(slo.name, Counted()), now) for slo in slos if slo.is_operational]


def slo_reading(slo: SLO, counted: Counted, now: int) -> Reading:
    """Return what an SLO says: its most urgent pair that fires, else that its budget is spent, else that all is well.

    `value` is the burn rate over the long window and `limit` that of its pair, or of the slowest pair where none fires. Pairs
    whose windows are unknown are named. The reading is unknown where all of them are, or where a long window burns and nobody
    knows whether it still does; a budget that is spent, and not by chance, fires however seldom counts are told.
    Nothing told for five minutes longer than the last telling took is unknown too, and a page: a server that is gone counts
    no failures.
    """
    about = "" if slo.of == "freshness" else ", ".join(slo.routes)
    say = partial(Reading, monitor=f"slo {slo.name}", kind="operations", about=about)
    silent = counted.silent(now)
    if silent is None:
        return say(state="unknown", severity="note", told=f"{slo.name}: nothing has been counted yet.")
    if silent > _SILENT:
        since = format_instant(counted.buckets[-1].end)
        return say(state="unknown", severity="page", told=f"{slo.name}: nothing has been counted since {since}.")
    found = burns(slo, counted, now)
    window = counted.over(parse_span(slo.window), now)
    budget = _budget_in_words(slo, budget_left(slo, counted, now))
    for burn in found:
        if burn.fires:
            told = (
                f"{slo.name} burns its budget {burn.long:.3g} times as fast as it may over {format_span(burn.pair.long)}, and "
                f"{burn.short:.3g} times over {format_span(burn.pair.short)}: from {burn.pair.burn:g} it is a "
                f"{burn.pair.severity}. {budget}"
            )
            return say(value=burn.long, limit=burn.pair.burn, state="firing", severity=burn.pair.severity, told=told)
    slowest = found[-1]
    value, limit = slowest.long, slowest.pair.burn
    if window is not None and _rate(slo, window) >= 1 and _beyond_chance(slo, window):
        return say(value=value, limit=limit, state="firing", told=f"{slo.name} has spent its budget. {budget}")
    unknown = [burn for burn in found if burn.fires is None]
    seldom = f" Over {_listed(unknown)} it is unknown: counts are told too seldom." if unknown else ""
    if len(unknown) == len(found) or any(burn.long is not None for burn in unknown):
        return say(value=value, limit=limit, state="unknown", told=f"{slo.name}: {budget}{seldom}")
    return say(
        value=value,
        limit=limit,
        state="ok",
        told=f"{slo.name} burns at no rate that asks for anything. {budget}{seldom}",
    )


def _listed(found: Iterable[Burn]) -> str:
    return ", ".join(str(burn.pair) for burn in found)


def _budget_in_words(slo: SLO, left: float | None) -> str:
    if left is None:
        return f"Nothing was counted in {slo.window}."
    if left < 0:
        return f"The budget of {slo.window} is overspent by {-left:.0%}."
    return f"{left:.0%} of the budget of {slo.window} is left."
