"""The counts of columns that one look of the monitors needs: what was learned from, the last day, and what is usual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from mainspring.clock import DAY
from mainspring.monitoring.column_counts import Floats, Ints, Places, cells_of, counts_of, stability
from mainspring.monitoring.layout import Layout
from mainspring.monitoring.spread import Spread, added
from mainspring.monitoring.weekdays import WEEKS, same_weekdays

__all__ = ["ColumnDays", "UnlikeDays"]

_FEWEST_DAYS = 14  # to tell what is usual
_FEWEST_WEEKDAYS = 2  # one may have been a holiday
_FLOOR = 0.01  # of a PSI, before a logarithm
_LEAST_DEVIATION = 0.25  # of that logarithm, where days were all alike


@dataclass(frozen=True, eq=False)
class UnlikeDays:
    """How far each column of the last day lies from the same weekday before (PSI), and how far a usual day does."""

    psi: Floats
    usual: Floats
    p: Floats  # that the last day is one more of these days


@dataclass(frozen=True, eq=False)
class ColumnDays:
    """Counts in the order of a layout. Days with few rows are none: nothing of `today`, `past` or `weekdays` has them."""

    places: Places
    reference: Ints
    today: Ints | None  # the last day that has ended
    recent: Ints | None  # the last days together, once there are so many
    day: int
    past_days: NDArray[np.int64]  # the days of the weeks before the last day, by number
    past: Ints  # (days, counts)
    weekdays: int  # how many of them are of its weekday

    @classmethod
    def of(
        cls, layout: Layout, reference: Spread, days: Mapping[int, Spread], now: int, over: int, fewest_rows: int
    ) -> ColumnDays:
        """Return what a look at an instant needs of spreads by day; `now` and `over` in microseconds."""
        day = (now - 1) // DAY
        known = {number: each for number, each in sorted(days.items()) if each.rows >= fewest_rows}
        first = (now - over) // DAY
        recent = [each for number, each in sorted(days.items()) if first <= number <= day and each.rows]
        if min(days, default=day) > first:  # a day or two are unlike any longer span
            recent = []
        past = [number for number in known if day - 7 * WEEKS <= number < day]
        learned = counts_of(reference)
        return cls(
            places=Places.of(layout),
            reference=learned,
            today=counts_of(known[day]) if day in known else None,
            recent=counts_of(added(recent)) if recent else None,
            day=day,
            past_days=np.array(past, np.int64),
            past=np.stack([counts_of(known[number]) for number in past]) if past else np.empty((0, len(learned)), int),
            weekdays=len(same_weekdays(known, day)),
        )

    @property
    def usual_is_known(self) -> bool:
        """Whether there are enough days before the last one to tell what is usual."""
        return len(self.past) >= _FEWEST_DAYS and self.weekdays >= _FEWEST_WEEKDAYS

    def unlike_days(self, today: Ints) -> UnlikeDays:
        """Compare the last day with its weekday of the weeks before, and each of those days with the others of its own.

        The logarithm of the PSI of a day is taken to be normal, so that of one more day is a Student's t. Columns that were
        not there on enough days have NaN.
        """
        # cells of recent days: in those of a winter all days of May are alike
        cells, starts = cells_of(self.places, self.past.sum(axis=0))
        past, now = (np.add.reduceat(each, cells, axis=-1) for each in (self.past, today))
        weekday = self.past_days % 7
        pools = np.stack([past[weekday == k].sum(axis=0) for k in range(7)])
        psi = stability(pools[self.day % 7], now, starts)
        logs = np.log(stability(pools[weekday] - past, past, starts) + _FLOOR)
        told = np.sum(logs == logs, axis=0)
        enough = told >= _FEWEST_DAYS
        many = np.where(enough, told, 2)
        mean = np.nansum(logs, axis=0) / many
        deviation = np.sqrt(np.nansum((logs - mean) ** 2, axis=0) / (many - 1)).clip(_LEAST_DEVIATION)
        far = (np.log(psi + _FLOOR) - mean) / (deviation * np.sqrt(1 + 1 / many))
        p = np.where(enough, stdtr(many - 1, -far), np.nan)
        return UnlikeDays(psi, np.where(enough, np.maximum(np.exp(mean) - _FLOOR, 0.0), np.nan), p)
