"""What the same weekday looked like in the last weeks: a reference for data that changes with the day of the week."""

from __future__ import annotations

from functools import reduce

from msgspec import Struct
from msgspec.structs import replace

from mainspring.clock import DAY
from mainspring.monitoring.layout import Layout
from mainspring.monitoring.sketch import CategoryCounts, NumberCounts, Sketch

__all__ = ["DayCounts", "Weekdays"]


class DayCounts(Struct, frozen=True):
    """The counts of one day, in the layout of the history that holds them."""

    rows: int
    columns: tuple[NumberCounts | CategoryCounts, ...]


class Weekdays(Struct, frozen=True):
    """Daily sketches of the last weeks, by the number of the day since the epoch.

    A value: `add` returns a new one, and the order of adding does not matter. At most 7 * weeks + 1 days are held. Days
    are those of UTC and begin `begins` microseconds after its midnight; a zone whose clocks change is an hour off for
    half of the year. A new layout, as of a new model, begins a new history.
    """

    layout: Layout
    weeks: int = 4
    at_least: int = 2
    begins: int = 0
    days: dict[int, DayCounts] = {}

    def add(self, at: int, sketch: Sketch) -> Weekdays:
        """Count rows of the day in which the instant `at` (microseconds) lies; days beyond the weeks before the newest go.

        Raises ValueError where the sketch has another layout.
        """
        day = self._day(at)
        before = self._sketch(day) if day in self.days else Sketch.empty(self.layout)
        counted = before.merge(sketch)
        days = self.days | {day: DayCounts(counted.rows, counted.columns)}
        oldest = max(days) - 7 * self.weeks
        return replace(self, days={number: days[number] for number in sorted(days) if number >= oldest})

    def reference(self, at: int) -> Sketch | None:
        """Return the rows of the same weekday in the `weeks` weeks before the day of an instant, which itself is left out.

        None where fewer than `at_least` of these days have any rows.
        """
        wanted = (self._day(at) - 7 * week for week in range(1, self.weeks + 1))
        found = [self._sketch(day) for day in wanted if day in self.days and self.days[day].rows]
        return reduce(Sketch.merge, found) if len(found) >= max(1, self.at_least) else None

    def _day(self, at: int) -> int:
        return (at - self.begins) // DAY

    def _sketch(self, day: int) -> Sketch:
        return Sketch(self.layout, self.days[day].rows, self.days[day].columns)
