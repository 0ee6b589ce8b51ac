"""What the same weekday looked like in the last weeks: a reference for data that changes with the day of the week."""

from __future__ import annotations

from collections.abc import Mapping

from mainspring.monitoring.spread import Spread, added

__all__ = ["WEEKS", "same_weekdays", "weekday_reference"]

WEEKS = 4
"""How many weeks are looked back on. Who keeps features by day for this keeps 7 * WEEKS days before the newest."""

_FEWEST = 2  # of these days: one may have been a holiday


def same_weekdays(days: Mapping[int, Spread], day: int, *, weeks: int = WEEKS) -> list[int]:
    """Return the numbers of the days of the same weekday in the `weeks` weeks before a day that have any rows, oldest first.

    Days are numbered since the epoch; the day itself is never among them.
    """
    wanted = (day - 7 * week for week in range(weeks, 0, -1))
    return [number for number in wanted if number in days and days[number].rows]


def weekday_reference(
    days: Mapping[int, Spread], day: int, *, weeks: int = WEEKS, at_least: int = _FEWEST
) -> Spread | None:
    """Return the counts of the same weekday in the `weeks` weeks before a day, all of one layout.

    None where fewer than `at_least` of these days have any rows.
    """
    found = same_weekdays(days, day, weeks=weeks)
    return added([days[number] for number in found]) if len(found) >= max(1, at_least) else None
