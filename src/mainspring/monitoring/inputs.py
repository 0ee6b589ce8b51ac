"""What is known of the tables that come in: counts by day and hour for some weeks, gaps, and how much counts vary.

Pure and plain: `heard` takes in what was seen of each table since the last look; the same looks give the same values, bit for
bit. What that means is said by `input_monitors`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import median

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from mainspring.clock import DAY

__all__ = ["DayKnown", "InputsKnown", "TableKnown", "TableSeen", "Usual", "heard"]

_UNKNOWN = -1  # in the place of a count that nobody can tell any more
_CHI2_90 = 2.705543454095404
_FEWEST_SURPRISES, _FEWEST_GAPS = 14, 3


class TableSeen(Struct, frozen=True, array_like=True):
    """What was seen of a table at one look, in the time since the look before (none before: since ever).

    A row is counted at the first look at which it is both stored and visible, so once. Times are microseconds.
    """

    rows: int  # facts that were counted
    rejected: int = 0  # rows that broke the contract and went to quarantine; those equal to an earlier one left out
    late: int = 0  # of `rows`: those that arrived more than an hour after known_at + lag; rows of a history never did
    newest: int | None = None  # when the newest row so far became visible; None: there is none yet
    gap: int = 0  # the longest time without a row that ended with one of `rows`


class DayKnown(Struct, frozen=True, array_like=True):
    """What is kept of one day (UTC) of a table.

    `slots` holds the rows of each of its slots (None: not looked at), `surprises` how far each lay from what was to be expected,
    squared, in variances of a Poisson.
    """

    rows: int = 0
    rejected: int = 0
    late: int = 0
    gap: int = 0
    slots: tuple[int | None, ...] = ()
    surprises: tuple[float | None, ...] = ()


class Usual(Struct, frozen=True, array_like=True):
    """What is usual of a table: what was counted on the days that are kept, up to the day `until`, estimated once a day.

    `spread` is how many times the variance of counts is that of a Poisson, at least 1: the 90% quantile of the surprises over that
    of a chi-squared, so that an incident of a few hours does not widen it. `gap` is the longest that all but a tenth of the days
    had to end (microseconds). Both are None before there is enough to tell.
    """

    until: int = -1
    rows: int = 0
    rejected: int = 0
    late: int = 0
    spread: float | None = None
    gap: int | None = None


class TableKnown(Struct, frozen=True):
    """What is kept of one table."""

    newest: int | None = None
    usual: Usual = Usual()
    days: dict[int, DayKnown] = {}

    @property
    def lately(self) -> list[DayKnown]:
        """The days after those that tell what is usual: yesterday and today."""
        return [self.days[number] for number in (self.usual.until + 1, self.usual.until + 2) if number in self.days]


class InputsKnown(Struct, frozen=True):
    """What is kept between looks: by day for `weeks` weeks, and in each day by slot, `width` microseconds each: an hour or a day.

    Where looks are an hour apart or less let slots be hours: then a count is compared with the same hour of the same weekday;
    else with the same weekday. Days and hours are those of UTC. The rows of a look belong to the slot of its middle; a look of
    more than one and a half slots tells no slot, and those it touches stay unknown.
    """

    width: int = DAY
    weeks: int = 8
    since: int | None = None  # the first look
    now: int = 0  # the newest look
    tables: dict[str, TableKnown] = {}

    def rows_in(self, table: str, slot: int) -> int | None:
        """Return the rows of a slot (its number since the epoch) that has ended; None where they are not known."""
        found = self._known(table, slot, (0,))
        return found[0] if found else None

    def same_weekday(self, table: str, slot: int) -> list[int]:
        """Return the rows of a table in the same slot of the weeks before, as far as they are known; the newest first."""
        return self._known(table, slot, range(7, 7 * self.weeks + 1, 7))

    def _known(self, table: str, slot: int, days_before: Iterable[int]) -> list[int]:
        if self.since is None:
            return []
        a_day = DAY // self.width
        day, place = divmod(slot, a_day)
        # A first look that came a little late has missed as little of its slot.
        first = -(-(self.since - self.width // 20) // self.width)
        days, found = self.tables[table].days, []
        for back in days_before:
            known = days.get(day - back)
            if known is not None and known.slots and slot - back * a_day >= first:
                rows = known.slots[place]
                if rows is not None and rows != _UNKNOWN:
                    found.append(rows)
        return found


def heard(known: InputsKnown, seen: Mapping[str, TableSeen], now: int) -> InputsKnown:
    """Take in what a look at an instant (microseconds, not before the last one) saw of each table.

    The first look tells no counts, since nobody knows of what time: it says from when on there are some.
    """
    if known.since is None:
        tables = {name: TableKnown(newest=each.newest) for name, each in seen.items()}
        return replace(known, since=now, now=now, tables=tables)
    first, middle, last = (at // known.width for at in (known.now, (known.now + now) // 2, now))
    too_long = now - known.now > known.width + known.width // 2
    tables = dict(known.tables)
    for name, each in seen.items():
        table = tables.get(name, TableKnown())
        days = dict(table.days)
        for slot in range(first, last + 1) if too_long else (middle,):
            _count(days, known.width, slot, _UNKNOWN if too_long else each.rows)
        day = (now - 1) // DAY
        was = days.get(day, DayKnown())
        days[day] = replace(
            was,
            rows=was.rows + each.rows,
            rejected=was.rejected + each.rejected,
            late=was.late + each.late,
            gap=max(was.gap, each.gap),
        )
        newest = table.newest if each.newest is None else max(each.newest, table.newest or each.newest)
        tables[name] = TableKnown(newest, table.usual, days)
    after = replace(known, now=now, tables=tables)
    for slot in range(max(first, last - known.weeks), last):
        for name, table in tables.items():
            _be_surprised(after, name, table.days, slot)
    return _tidied(after) if (now - 1) // DAY > (known.now - 1) // DAY else after


def _count(days: dict[int, DayKnown], width: int, slot: int, rows: int) -> None:
    """Add rows to a slot; one that is unknown stays so."""
    day, place = divmod(slot, DAY // width)
    was = days.get(day, DayKnown())
    slots = list(was.slots or (None,) * (DAY // width))
    before = slots[place] or 0
    slots[place] = _UNKNOWN if _UNKNOWN in (before, rows) else before + rows
    days[day] = replace(was, slots=tuple(slots))


def _be_surprised(known: InputsKnown, name: str, days: dict[int, DayKnown], slot: int) -> None:
    """Keep how far a slot that has ended lies from what was to be expected of it."""
    rows, before = known.rows_in(name, slot), known.same_weekday(name, slot)
    if rows is None or len(before) < 2:
        return
    day, place = divmod(slot, DAY // known.width)
    mean = max(float(median(before)), 0.5)
    surprises = list(days[day].surprises or (None,) * len(days[day].slots))
    surprises[place] = (rows - mean) ** 2 / (mean * (1 + 1 / len(before)))
    days[day] = replace(days[day], surprises=tuple(surprises))


def _tidied(known: InputsKnown) -> InputsKnown:
    """Once a day: let go of what is older than the weeks that are kept, and tell what is usual."""
    today = (known.now - 1) // DAY
    oldest = today - 7 * known.weeks - 1
    tables = {}
    for name, table in known.tables.items():
        days = {number: day for number, day in table.days.items() if number >= oldest}
        tables[name] = TableKnown(table.newest, _usual(days, today - 2), days)
    return replace(known, tables=tables)


def _usual(days: Mapping[int, DayKnown], until: int) -> Usual:
    past = [day for number, day in days.items() if number <= until]
    surprises = [value for day in days.values() for value in day.surprises if value is not None]
    gaps = sorted(day.gap for day in days.values() if day.gap)
    return Usual(
        until,
        sum(day.rows for day in past),
        sum(day.rejected for day in past),
        sum(day.late for day in past),
        max(1.0, float(np.quantile(surprises, 0.9)) / _CHI2_90) if len(surprises) >= _FEWEST_SURPRISES else None,
        gaps[math.ceil(0.9 * len(gaps)) - 1] if len(gaps) >= _FEWEST_GAPS else None,
    )
