"""Quality by day or week, from what the loop has kept of each day: realised, estimated and by proxies, of each arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from mainspring.clock import DAY
from mainspring.loop.deployed_when import periods_of
from mainspring.loop.kept_signals import CHECKS, QUALITY, ChecksDay, ProxyTold, QualityDay, SliceTold
from mainspring.monitoring.realised import Cohorts, Figure, Realised
from mainspring.web.source import Source

__all__ = ["Known", "Point", "Role", "SliceNow", "known_of", "points_of", "slice_points", "slices_now"]

Role = Literal["champion", "candidate"]

_KEPT_DAYS = 400  # further back nobody draws days
_MONDAY = 3  # the first day of the epoch was a Thursday


class Known(NamedTuple):
    """What is kept of the newest days: by model and day, and who was champion from which instant on."""

    quality: Mapping[tuple[str, int], QualityDay]
    checks: Mapping[tuple[str, int], ChecksDay]
    proxies: Mapping[tuple[str, int], Mapping[str, ProxyTold]]  # by the day that they tell of
    champions: Sequence[tuple[int, str]]  # since when (microseconds), the oldest first

    @property
    def models(self) -> list[str]:
        """The models of which anything is kept, those that came last first."""
        newest: dict[str, int] = {}
        for model, day in self.quality:
            newest[model] = max(newest.get(model, 0), day)
        return sorted(newest, key=lambda model: (-newest[model], model))

    def role(self, model: str, day: int) -> Role:
        """What a model was on a day: champion if for any part of it."""
        ends = [begin for begin, _ in self.champions[1:]]
        for (begin, champion), end in zip(self.champions, [*ends, (day + 2) * DAY], strict=False):
            if champion == model and begin < (day + 1) * DAY and end > day * DAY:
                return "champion"
        return "candidate"


class Point(NamedTuple):
    """What is known of one model's decisions of a day, or of a week from its first day on.

    `estimated` None: `refused` says why. Of a week there is an estimate where there is one of each of its days, and no proxy.
    """

    day: int
    days: int
    model: str
    role: Role
    predicted: int
    known: int
    realised: Realised | None
    estimated: Realised | None
    refused: str = ""
    proxies: Mapping[str, ProxyTold] = {}

    @property
    def complete(self) -> float:
        """The share of the predictions whose label is known."""
        return self.known / self.predicted if self.predicted else 0.0


class SliceNow(NamedTuple):
    """A group of decisions over the newest settled days: its figure, that of all others, and how much worse than expected."""

    column: str
    value: str
    rows: int
    figure: float
    elsewhere: float | None
    beyond: float | None  # positive is worse


def known_of(source: Source) -> Known:
    """Return what is kept of the newest days; read again when the loop has taken a step or somebody set arms."""
    return source.once("quality of days", source.ledger.mark(source.system.name), lambda: _read(source))


def _read(source: Source) -> Known:
    read, name = source.ledger.signals.read, source.system.name
    state = source.state()
    since = None if state is None else state.now // DAY - _KEPT_DAYS
    said, checked = (read(name, kind, since=since) for kind in (QUALITY, CHECKS))
    of_quality, of_checks = msgspec.msgpack.Decoder(QualityDay), msgspec.msgpack.Decoder(ChecksDay)
    checks = {(each.about, each.day): of_checks.decode(each.document) for each in checked}
    proxies: dict[tuple[str, int], dict[str, ProxyTold]] = {}
    for (model, _), each in checks.items():
        for proxy, told in each.proxies.items():
            proxies.setdefault((model, told.day), {})[proxy] = told
    quality = {(each.about, each.day): of_quality.decode(each.document) for each in said}
    return Known(quality, checks, proxies, _champions(source))


def _champions(source: Source) -> list[tuple[int, str]]:
    """Who was champion since when; what came before time was turned back is left out."""
    found: list[tuple[int, str]] = []
    for period in periods_of(source.ledger, source.system.name):
        while found and found[-1][0] >= period.begin:
            found.pop()
        champion = period.arms[0].model
        if not found or found[-1][1] != champion:
            found.append((period.begin, champion))
    return found


def points_of(known: Known, figure: Figure, *, by: str, model: str | None = None, proxies: bool = False) -> list[Point]:
    """Return the points of a figure, the oldest first; `by` is "day" or "week", `model` the one that is asked for, or all.

    `proxies` tells whether it is the figure that models are compared by: of that one alone proxies tell anything.
    """
    spans: dict[tuple[int, str], dict[int, QualityDay]] = {}
    for (of, day), each in known.quality.items():
        if figure.name in each.figures and model in (None, of):
            begin = day if by == "day" else day - (day + _MONDAY) % 7
            spans.setdefault((begin, of), {})[day] = each
    return [_point(known, figure, of, begin, days, by, proxies) for (begin, of), days in sorted(spans.items())]


def _point(
    known: Known, figure: Figure, model: str, begin: int, days: Mapping[int, QualityDay], by: str, proxies: bool
) -> Point:
    length = 1 if by == "day" else 7
    span = begin * DAY, (begin + length) * DAY
    figures = next(iter(days.values())).figures
    same = {day: each for day, each in days.items() if each.figures == figures}
    realised = Cohorts(DAY, figures, {day: each.realised for day, each in same.items()}).quality(figure, *span)
    checks = {day: known.checks.get((model, day)) for day in same}
    refused = next((_refusal(each) for each in checks.values() if _refusal(each)), "")
    estimated = None
    if not refused:
        expected = {day: each.expected for day, each in same.items() if each.expected is not None}
        estimated = Cohorts(DAY, figures, expected).quality(figure, *span)
    return Point(
        day=begin,
        days=length,
        model=model,
        role=known.role(model, max(same)),
        predicted=sum(each.realised.predicted for each in same.values()),
        known=sum(each.realised.known for each in same.values()),
        realised=realised,
        estimated=estimated,
        refused=refused,
        proxies=known.proxies.get((model, begin), {}) if proxies and by == "day" else {},
    )


def _refusal(checks: ChecksDay | None) -> str:
    return "The day had not ended, or nobody looked when it did." if checks is None else checks.refused


# -- slices --------------------------------------------------------------------------------------------------------------


def slice_points(
    known: Known, figure: Figure, column: str, value: str, *, by: str, model: str | None = None
) -> list[Point]:
    """Return the points of the figure that models are compared by on one group of decisions, without intervals."""
    spans: dict[tuple[int, str], list[SliceTold]] = {}
    for (of, day), each in known.quality.items():
        told = each.slices.get(column, {}).get(value)
        if told is not None and model in (None, of):
            spans.setdefault((day if by == "day" else day - (day + _MONDAY) % 7, of), []).append(told)
    points = []
    for (begin, of), several in sorted(spans.items()):
        rows = sum(each.rows for each in several)
        mean = _mean(figure, sum(each.figure for each in several) / rows)
        length = 1 if by == "day" else 7
        settled = Realised(mean, mean, mean, rows, rows)
        role = known.role(of, begin + length - 1)
        points.append(Point(begin, length, of, role, rows, rows, settled, None, "Slices are judged by labels alone."))
    return points


def slices_now(known: Known, figure: Figure, model: str, *, over: int, fewest: int) -> list[SliceNow]:
    """Return the groups of a model's newest settled days (`over` at most), the worst first; those of few rows left out."""
    days = sorted(day for of, day in known.quality if of == model and known.quality[of, day].slices)[-over:]
    worse = -1.0 if figure.greater_is_better else 1.0
    found = []
    for column in dict.fromkeys(column for day in days for column in known.quality[model, day].slices):
        sums: dict[str, list[float]] = {}
        for day in days:
            for value, told in known.quality[model, day].slices.get(column, {}).items():
                into = sums.setdefault(value, [0.0, 0.0, 0.0])
                for place, part in enumerate((told.rows, told.figure, told.excess)):
                    into[place] += part
        rows, figures, excess = (sum(each[place] for each in sums.values()) for place in range(3))
        for value, (inside, added, more) in sums.items():
            if inside < fewest:
                continue
            others = rows - inside
            beyond = worse * (more / inside - (excess - more) / others) if others else None
            elsewhere = _mean(figure, (figures - added) / others) if others else None
            found.append(SliceNow(column, value, int(inside), _mean(figure, added / inside), elsewhere, beyond))
    return sorted(found, key=lambda each: (-(each.beyond or 0.0), each.column, each.value))


def _mean(figure: Figure, mean: float) -> float:
    return max(mean, 0.0) ** 0.5 if figure.root else mean
