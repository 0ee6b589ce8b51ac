"""How features lay to what the champion learned from, by day or week, from what the loop has kept of each day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from mainspring.clock import DAY
from mainspring.loop.kept_signals import FEATURES, FeaturesDay
from mainspring.loop.state import LoopState
from mainspring.monitoring.column_counts import Places, counts_of
from mainspring.monitoring.feature_monitors import ColumnLimits
from mainspring.web.source import Source

__all__ = ["SIGNALS", "FeatureDays", "Looked", "feature_days"]

SIGNALS = {
    "drift": "drift over 7 days (PSI)",
    "psi": "drift of the day (PSI)",
    "missing": "share missing",
    "new": "share of new categories",
    "outside": "share out of range",
}
"""What can be looked at, by its name in a path."""

_KEPT_DAYS = 400  # further back nobody draws days
_MONDAY = 3  # the first day of the epoch was a Thursday

Floats = NDArray[np.float32]


class FeatureDays(NamedTuple):
    """Signals by day: `values` (signals, days, features) in the order of `FeaturesDay.SIGNALS`, NaN where nothing is known.

    `limits` (signals, features) are those from which on a monitor looks closer.
    """

    days: tuple[int, ...]
    models: tuple[str, ...]  # the champion at the end of each
    rows: tuple[int, ...]
    names: tuple[str, ...]
    values: Floats
    limits: Floats

    def looked(self, signal: str, *, weeks: bool) -> Looked:
        """Return one signal, of days or of weeks; of a week the most of its days counts."""
        place = FeaturesDay.SIGNALS.index(signal)
        values, begins = self.values[place], np.array(self.days, np.int64)
        if weeks and len(begins):
            begins, first = np.unique(begins - (begins + _MONDAY) % 7, return_index=True)
            values = np.fmax.reduceat(values, first, axis=0)
        return Looked(signal, tuple(begins.tolist()), 7 if weeks else 1, self.names, values, self.limits[place])


class Looked(NamedTuple):
    """One signal of all features: `values` (days or weeks, features), those of the last one at the end."""

    signal: str
    begins: tuple[int, ...]
    length: int  # in days
    names: tuple[str, ...]
    values: Floats
    limits: Floats  # (features,)

    @property
    def order(self) -> list[int]:
        """The places of features, the farthest from its limit at the top: by the newest that is known, then by the most ever."""
        newest, most = self.newest, self.most
        room = np.where(self.limits > 0, self.limits, 1.0)
        last, ever = (np.nan_to_num(each / room, nan=-1.0).tolist() for each in (newest, most))
        return sorted(range(len(self.names)), key=lambda k: (-last[k], -ever[k], self.names[k]))

    @property
    def newest(self) -> Floats:
        """The newest value of each feature, NaN where that is not known."""
        return self.values[-1] if len(self.values) else np.full(len(self.names), np.nan, np.float32)

    @property
    def most(self) -> Floats:
        """The most of each feature over the time that is shown, NaN where none is known."""
        nothing = np.full((1, len(self.names)), np.nan, np.float32)
        return np.fmax.reduce(np.concatenate([nothing, self.values]), axis=0)

    @property
    def above(self) -> NDArray[np.int64]:
        """On how many days or weeks each feature was beyond its limit."""
        return np.sum(self.values >= self.limits, axis=0)


def feature_days(source: Source) -> FeatureDays | None:
    """Return what is kept of the newest days; None where nothing is. Read again when the loop has taken a step."""
    return source.once("features of days", source.step(), lambda: _read(source))


def _read(source: Source) -> FeatureDays | None:
    state, decoder = source.state(), msgspec.msgpack.Decoder(FeaturesDay)
    since = None if state is None else state.now // DAY - _KEPT_DAYS
    kept = source.ledger.signals.read(source.system.name, FEATURES, since=since)
    # where a champion was replaced and time begun anew, two may have spoken of a day: who spoke last counts
    newest = {each.day: each for each in sorted(kept, key=lambda each: each.at)}
    told = {day: (newest[day].about, decoder.decode(newest[day].document)) for day in sorted(newest)}
    if not told:
        return None
    names = [*told.values()][-1][1].names
    values = np.full((len(FeaturesDay.SIGNALS), len(told), len(names)), np.nan, np.float32)
    for place, (_, each) in enumerate(told.values()):
        values[:, place] = _in_order(each, names)
    loop = None if state is None else state.loop
    return FeatureDays(
        days=tuple(told),
        models=tuple(about for about, _ in told.values()),
        rows=tuple(each.rows for _, each in told.values()),
        names=names,
        values=values,
        limits=_limits(loop, names),
    )


def _in_order(day: FeaturesDay, names: Sequence[str]) -> Floats:
    """The values of a day by the names of the newest one: an older declaration may have had other features."""
    if day.names == names:
        return day.array()
    place = {name: k for k, name in enumerate(day.names)}
    found = np.full((len(FeaturesDay.SIGNALS), len(names)), np.nan, np.float32)
    there = [k for k, name in enumerate(names) if name in place]
    found[:, there] = day.array()[:, [place[names[k]] for k in there]]
    return found


def _limits(loop: LoopState | None, names: Sequence[str]) -> Floats:
    """From where on monitors look closer: a PSI, or so much more than what the champion learned from had."""
    limits, learned = ColumnLimits(), _learned(loop)
    more = {"missing": limits.missing, "new": limits.unlisted, "outside": limits.outside}
    rows = [
        np.full(len(names), limits.effect, np.float32)
        if signal not in more
        else np.array([learned.get(name, {}).get(signal, 0.0) + more[signal] for name in names], np.float32)
        for signal in FeaturesDay.SIGNALS
    ]
    return np.stack(rows)


def _learned(loop: LoopState | None) -> Mapping[str, Mapping[str, float]]:
    """The shares of what the champion learned from, by feature."""
    if loop is None or loop.layout is None or loop.leading.reference is None:
        return {}
    places = Places.of(loop.layout)
    shares = places.shares(counts_of(loop.leading.reference))._asdict()
    return {
        name: {signal: float(np.nan_to_num(share[k])) for signal, share in shares.items()}
        for k, name in enumerate(places.names)
    }
