"""Monitors of columns: what the counts of the last days say of features, or of predictions, as readings.

Two references answer two questions. The rows that the model learned from: is it still asked what it was taught? The same
weekday of the last weeks: did something happen today? A season moves away from the first and not from the second; a source
that breaks leaves the second at once.

Rows of a day are alike, so that a p-value over rows finds every day unlike every other. So each monitor also asks for a
declared effect, and those of a single day for more than what recent days have shown among themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from mainspring.clock import DAY
from mainspring.declare.policy import Drifted
from mainspring.monitoring.column_counts import Floats, Ints, Places, counts_of, moved_columns, shares_moved
from mainspring.monitoring.column_days import ColumnDays
from mainspring.monitoring.drift import corrected
from mainspring.monitoring.layout import Layout
from mainspring.monitoring.readings import Kind, Reading
from mainspring.monitoring.spread import Spread

__all__ = ["ColumnLimits", "feature_readings", "moved_features"]

_USUAL = 0.9  # of recent days: what is beyond them is unusual
_VARIED = 0.8  # of recent days a column varies that is to vary
_TOO_NEW = "Days of fewer than two weeks are known: what is usual cannot be told yet."


class ColumnLimits(Struct, frozen=True, kw_only=True):
    """From where on a column has moved. Shares are absolute: 0.1 is ten in a hundred.

    `effect` is a PSI. `missing`, `unlisted` and `outside` limit by how much the share of missing values may move, or that of
    values which the model never saw and of numbers beyond all that it learned from may grow. `lost` is the part of its known
    values that a column may lose and still be there. `alpha` bounds the chance that a monitor fires of any column.
    """

    effect: float = Drifted.effect
    missing: float = 0.1
    lost: float = 0.5
    unlisted: float = 0.02
    outside: float = 0.05
    alpha: float = 0.05
    fewest_rows: int = 50  # of a day: with fewer it is none


class _Found(NamedTuple):
    """What a monitor has found: its figure of each column, NaN where there is none, its limit, and whether it fires."""

    values: Floats
    limits: Floats
    fires: NDArray[np.bool_]
    told: Callable[[int], str]


def feature_readings(
    layout: Layout,
    reference: Spread,
    days: Mapping[int, Spread],
    now: int,
    *,
    kind: Kind = "features",
    over: int = 7 * DAY,
    limits: ColumnLimits | None = None,
) -> list[Reading]:
    """Return what the last day that ended by an instant, and those before it, say of each column.

    `reference` counts the rows that the model learned from, `days` those of each day, by its number since the epoch, all in
    one layout. `now` and `over` are microseconds. Each monitor tells of every column of which it fires, the farthest first;
    or once that it does of none; or once why it cannot tell:

    * "drift": the days of `over` together lie a PSI of `effect` or more from the reference, and not by chance.
    * "sudden drift": so does the last day from the same weekday of four weeks, and by more than the days of those weeks from
      theirs.
    * "missing values": their share on the last day is farther than `missing` from what nine in ten recent days had at most
      (or at least), and not by chance; or the days of `over` and the last one have both lost the part `lost` of what the
      reference knows.
    * "new categories", "out of range": the share of values that the reference has not grew by `unlisted`, or `outside`.
    * "constant": a column that varied on eight in ten recent days has one value on the last one, or lies in one bin.

    p-values are corrected for the number of columns (Holm). What nothing can be compared of is never said to be ok. No
    reading depends on days after `now`.
    """
    limits = limits or ColumnLimits()
    seen = ColumnDays.of(layout, reference, days, now, over, limits.fewest_rows)
    readings: list[Reading] = []
    for monitor, look in _MONITORS.items():
        found = look(seen, limits)
        if isinstance(found, str):
            readings.append(Reading(monitor=monitor, kind=kind, state="unknown", severity="note", told=found))
        else:
            readings += _said(monitor, kind, seen.places.names, found)
    return readings


def moved_features(
    layout: Layout, reference: Spread, current: Spread, *, effect: float = Drifted.effect
) -> dict[str, float]:
    """Return for each column the p-value that it is spread as it was, 1 where it lies less than an effect (PSI) from there.

    It is what `kinds_of_shift` asks for, and larger than the plain p-value: its guarantee stays.
    """
    places = Places.of(layout)
    found = moved_columns(places, counts_of(reference), counts_of(current))
    real = (found.psi >= effect) & (found.p <= 1.0)
    return {name: float(p) if yes else 1.0 for name, p, yes in zip(places.names, found.p, real, strict=True)}


# -- monitors: what each has found, or why it cannot tell ----------------------------------------------------------------


def _drift(seen: ColumnDays, limits: ColumnLimits) -> _Found | str:
    if seen.recent is None:
        return "The last days are not all known yet."
    psi, p = moved_columns(seen.places, seen.reference, seen.recent)
    fires = (psi >= limits.effect) & _surely(p, limits)
    told: Callable[[int], str] = lambda k: f"has moved from what the model learned from: PSI {psi[k]:.2f}"  # noqa: E731
    return _Found(psi, _all(limits.effect, psi), fires, told)


def _sudden_drift(seen: ColumnDays, limits: ColumnLimits) -> _Found | str:
    if seen.today is None:
        return _few_rows(limits)
    if not seen.usual_is_known:
        return _TOO_NEW
    found = seen.unlike_days(seen.today)
    fires = (found.psi >= limits.effect) & _surely(found.p, limits)

    def told(k: int) -> str:
        return (
            f"moved within a day: PSI {found.psi[k]:.2f} from the same weekday of {seen.weekdays} weeks, where "
            f"{found.usual[k]:.2f} is usual"
        )

    return _Found(found.psi, _all(limits.effect, found.psi), fires, told)


def _missing_values(seen: ColumnDays, limits: ColumnLimits) -> _Found | str:
    if seen.today is None:
        return _few_rows(limits)
    places, today = seen.places, seen.today
    recent = today if seen.recent is None else seen.recent
    rows, missing = places.rows(today), today[places.first]
    now, learned, recently = (places.known(each) / places.rows(each) for each in (today, seen.reference, recent))
    # what has been lost for so long that it is usual is lost all the same
    fires = np.maximum(now, recently) < (1 - limits.lost) * learned
    usual = 1 - learned
    if seen.usual_is_known:
        of_days, past = places.rows(seen.past), seen.past[:, places.first]
        low, usual, high = np.quantile(past / of_days, (1 - _USUAL, 0.5, _USUAL), axis=0)
        far = (1 - now >= high + limits.missing) | (1 - now <= low - limits.missing)
        fires |= far & _surely(shares_moved(past.sum(axis=0), of_days.sum(axis=0), missing, rows, asked=far), limits)
    return _Found(
        1 - now,
        usual + limits.missing,
        fires,
        lambda k: f"is missing in {1 - now[k]:.1%} of the rows of the last day, usually in {usual[k]:.1%}",
    )


def _new_categories(seen: ColumnDays, limits: ColumnLimits) -> _Found | str:
    if seen.today is None:
        return _few_rows(limits)
    places = seen.places
    before, now = ((~places.number) * each[places.last - 1] for each in (seen.reference, seen.today))
    told = "of the values of the last day are none that the model learned from"
    return _grown(seen, seen.today, before, now, ~places.number, limits.unlisted, limits, told)


def _out_of_range(seen: ColumnDays, limits: ColumnLimits) -> _Found | str:
    if seen.today is None:
        return _few_rows(limits)
    places = seen.places
    low, high = places.first + 1, places.last - 1
    binned = places.number & (low < high)
    before, now = (binned * (each[low] + each[high]) for each in (seen.reference, seen.today))
    told = "of the values of the last day lie beyond all that the model learned from"
    return _grown(seen, seen.today, before, now, binned, limits.outside, limits, told)


def _constant(seen: ColumnDays, limits: ColumnLimits) -> _Found | str:
    if seen.today is None:
        return _few_rows(limits)
    if not seen.usual_is_known:
        return _TOO_NEW
    places = seen.places

    def constant(counts: Ints) -> NDArray[np.bool_]:
        known = places.known(counts)
        return (known >= limits.fewest_rows) & (places.most(counts) == known)

    fires = constant(seen.today)
    if fires.any():  # what tells the day of the week is constant on every day
        fires &= constant(seen.past).mean(axis=0) <= 1 - _VARIED
    share = places.most(seen.today) / places.known(seen.today).clip(1)
    return _Found(share, _all(1.0, share), fires, lambda k: "is the same in all rows of the last day")


_MONITORS: Mapping[str, Callable[[ColumnDays, ColumnLimits], _Found | str]] = {
    "drift": _drift,
    "sudden drift": _sudden_drift,
    "missing values": _missing_values,
    "new categories": _new_categories,
    "out of range": _out_of_range,
    "constant": _constant,
}


def _grown(
    seen: ColumnDays,
    today: Ints,
    before: Ints,
    now: Ints,
    asked: NDArray[np.bool_],
    limit: float,
    limits: ColumnLimits,
    told: str,
) -> _Found:
    """Whether the share of counts among known values surely grew by a limit, in the columns that are asked about."""
    known = [seen.places.known(each) for each in (seen.reference, today)]
    share_before, share = before / known[0].clip(1), now / known[1].clip(1)
    far = asked & (share >= share_before + limit)
    fires = far & _surely(shares_moved(before, known[0], now, known[1], asked=far), limits)
    return _Found(np.where(asked, share, np.nan), share_before + limit, fires, lambda k: f": {share[k]:.1%} {told}")


def _surely(p: Floats, limits: ColumnLimits) -> NDArray[np.bool_]:
    """Whether each p-value, corrected for the number of columns, is at most alpha; NaN is not."""
    made = corrected([None if each != each else each for each in p.tolist()])
    return np.array([each is not None and each <= limits.alpha for each in made], bool)


def _all(limit: float, values: Floats) -> Floats:
    return np.full(len(values), limit)


def _few_rows(limits: ColumnLimits) -> str:
    return f"The last day has fewer than {limits.fewest_rows} rows."


def _said(monitor: str, kind: Kind, names: tuple[str, ...], found: _Found) -> list[Reading]:
    """Return a reading of every column that a monitor fires of, or that of the nearest one."""

    def reading(k: int, fires: bool, told: str) -> Reading:
        return Reading(
            monitor=monitor,
            kind=kind,
            about=names[k] if fires else "",
            value=float(found.values[k]),
            limit=float(found.limits[k]),
            state="firing" if fires else "ok",
            severity="ticket" if fires else "note",
            told=told,
        )

    order = sorted(np.flatnonzero(found.fires).tolist(), key=lambda k: (-found.values[k], k))
    if order:
        return [reading(k, True, f"{names[k]} {found.told(k)}.".replace(" :", ":")) for k in order]
    if not (found.values == found.values).any():
        return [
            Reading(monitor=monitor, kind=kind, state="unknown", severity="note", told="No column can be compared.")
        ]
    nearest = int(np.nanargmax(found.values - found.limits))
    return [reading(nearest, False, f"The nearest to its limit is {names[nearest]}.")]
