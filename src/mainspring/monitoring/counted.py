"""Good and bad, counted in buckets of time that grow coarser as they age: bounded memory, and exact for every window asked."""

from __future__ import annotations

from bisect import bisect_right

from msgspec import Struct
from msgspec.structs import replace

from mainspring.clock import DAY, HOUR, MINUTE

__all__ = ["FINE", "Bucket", "Counted"]

FINE = 6 * HOUR
"""Windows up to this begin at a minute, longer ones at an hour."""

_LEEWAY = 4


class Bucket(Struct, frozen=True, array_like=True):
    """What was counted in (begin, end], microseconds."""

    begin: int
    end: int
    good: int
    bad: int

    @property
    def events(self) -> int:
        """Good and bad together."""
        return self.good + self.bad


class Counted(Struct, frozen=True):
    """The counts of one SLO, oldest first, in buckets that do not overlap.

    A value: `told` returns a new one. Minutes are kept for the newest six hours, whole hours before that, and nothing beyond
    `keep` (microseconds): at most 421 buckets of minutes and one for each hour of `keep`.
    """

    keep: int = 30 * DAY
    buckets: tuple[Bucket, ...] = ()

    def told(self, begin: int, end: int, good: int, bad: int) -> Counted:
        """Count what happened in (begin, end].

        A telling of a minute or less belongs to the minute of its end, a longer one to all the minutes it touches that have
        no bucket yet. What comes after its time is counted in the newest bucket.
        """
        upper = -(-end // MINUTE) * MINUTE
        lower = begin // MINUTE * MINUTE if end - begin > MINUTE else upper - MINUTE
        newest = self.buckets[-1] if self.buckets else None
        if newest is not None and upper <= newest.end:
            joined = Bucket(newest.begin, newest.end, newest.good + good, newest.bad + bad)
            return replace(self, buckets=(*self.buckets[:-1], joined))
        if newest is not None:
            lower = max(lower, newest.end)
        buckets = (*self.buckets, Bucket(lower, upper, good, bad))
        whole = (upper - MINUTE - FINE) // HOUR * HOUR
        if newest is None or (newest.end - MINUTE - FINE) // HOUR * HOUR != whole:
            buckets = _coarser(buckets, whole, upper - self.keep - HOUR)
        return replace(self, buckets=buckets)

    def over(self, window: int, now: int) -> Bucket | None:
        """Return what was counted in the newest `window` microseconds, to the minute or, of more than six hours, to the hour.

        None where the window has no bucket of its own: where what it should begin with was told together with more than a
        quarter of the window before it. An empty bucket where nothing was told in the window.
        """
        grain = MINUTE if window <= FINE else HOUR
        begin = (now - window) // grain * grain
        place = bisect_right(self.buckets, begin, key=lambda bucket: bucket.end)
        found = self.buckets[place:]
        if found and begin - found[0].begin > window // _LEEWAY:
            return None
        return Bucket(begin, now, sum(each.good for each in found), sum(each.bad for each in found))

    def silent(self, now: int) -> int | None:
        """How long nothing has been told (microseconds) beyond the time that the newest telling spoke of; None: never anything."""
        if not self.buckets:
            return None
        newest = self.buckets[-1]
        return max(0, now - newest.end - (newest.end - newest.begin))


def _coarser(buckets: tuple[Bucket, ...], whole: int, oldest: int) -> tuple[Bucket, ...]:
    """Join the buckets of each hour that has ended by `whole`; leave out what ended by `oldest`."""
    found: list[Bucket] = []
    for each in buckets:
        if each.end <= oldest:
            continue
        last = found[-1] if found else None
        if (
            last is not None
            and each.end <= whole
            and last.begin // HOUR == each.begin // HOUR == (each.end - 1) // HOUR
        ):
            found[-1] = Bucket(last.begin, each.end, last.good + each.good, last.bad + each.bad)
        else:
            found.append(each)
    return tuple(found)
