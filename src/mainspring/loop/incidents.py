"""What really went wrong in a history, as only hindsight can tell: spells of poor quality, and tables whose rows were gone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray
from scipy.special import stdtrit

from mainspring.clock import DAY, format_instant
from mainspring.declare import Table
from mainspring.monitoring.degradation import worse_by
from mainspring.monitoring.realised import Figure

__all__ = ["Incident", "input_incidents", "quality_incidents"]

Floats = NDArray[np.float64]
Instants = NDArray[np.int64]

_WORSE = 0.05  # of the figure when a model was let in: what counts as worse where nothing is declared
_FEWEST_DAYS = 3  # of a span: fewer tell nothing of how unlike each other days are
_ALWAYS = 7  # days in a row on which a table had rows before it is missed


class Incident(Struct, frozen=True, kw_only=True):
    """A spell of whole days [begin, end), microseconds, in which something was wrong.

    `told_by` is the earliest instant at which labels (of a table: its rows) could have told it; until `until` they could have
    told of its last days.
    """

    kind: Literal["quality", "inputs"]
    about: str  # the figure, or the table
    begin: int
    end: int
    told_by: int
    until: int
    told: str


def quality_incidents(
    figure: Figure,
    decided_at: Instants,
    rows: Floats,
    let_in: Floats,
    *,
    horizon: int,
    by: float | None = None,
    over: int = 7,
) -> list[Incident]:
    """Return the spells in which what was answered was surely worse than the models that answered had been when let in.

    `rows` (n,) is what each decision adds to the figure, `let_in` (n,) the figure by which the model that answered it was let
    in; a decision where either is NaN does not count. Of each `over` whole days (UTC) one after the other the figure is held
    against the mean of `let_in`. They are bad where it is worse by at least `by` (None: a twentieth of that mean) and, with
    two-sided 95% (Student's t over the means of days, for the decisions of a day share its weather), worse at all. Bad spans
    that overlap or touch are one incident. `horizon` (microseconds) is when the labels of a decision are settled: those of the
    first span, from the day on which it was worse by enough, could have told the incident.
    """
    known = ~(np.isnan(rows) | np.isnan(let_in))
    if not known.any():
        return []
    before = np.square(let_in[known]) if figure.root else let_in[known]
    day = decided_at[known] // DAY
    first, count = int(day.min()), int(day.max() - day.min()) + 1
    sums = [np.bincount(day - first, each, count).astype(float) for each in (np.ones(len(day)), rows[known], before)]
    worse = {end: _worse(figure, [each[end - over : end] for each in sums], by) for end in range(over, count + 1)}
    bad = [end for end, found in worse.items() if found is not None and found.surely]
    return [_quality(figure, worse, spell, first, over, horizon) for spell in _joined(bad, over)]


def input_incidents(
    tables: Iterable[type[Table]], frames: Mapping[str, pl.DataFrame], begin: int, end: int
) -> list[Incident]:
    """Return the spells of whole days (UTC) in [begin, end), microseconds, on which a table had no row though it always had.

    Always: on each of the seven days before. `frames` are those of a lake, with `_visible_at`. A table whose history ends
    before that of others is one of which rows are gone: nobody who lives through it can tell the two apart.
    """
    first, last = -(-begin // DAY), end // DAY
    found = []
    for table in tables:
        name = table.__schema__.name
        if table.__schema__.static or name not in frames or frames[name].is_empty():
            continue
        days = np.unique(frames[name]["_visible_at"].to_physical().to_numpy() // DAY)
        for before, after in zip(days.tolist(), [*days[1:].tolist(), last], strict=True):
            low, high = before + 1, min(after, last)
            place = int(np.searchsorted(days, before - _ALWAYS + 1))
            if low < high and low >= first and days[place] == before - _ALWAYS + 1 and _in_a_row(days, place):
                told = f"{name} had no row from {_date(low)} to {_date(high - 1)}, and some on each day of the week before."
                found.append(
                    Incident(
                        kind="inputs",
                        about=name,
                        begin=low * DAY,
                        end=high * DAY,
                        told_by=(low + 1) * DAY,
                        until=(high + 1) * DAY,
                        told=told,
                    )
                )
    return sorted(found, key=lambda each: (each.begin, each.about))


def _in_a_row(days: Instants, place: int) -> bool:
    return len(days) >= place + _ALWAYS and int(days[place + _ALWAYS - 1] - days[place]) == _ALWAYS - 1


class _Worse(NamedTuple):
    """The figure over some days, what it was when models were let in, and whether more than chance has made it worse."""

    value: float
    before: float
    surely: bool


def _worse(figure: Figure, sums: Sequence[Floats], by: float | None) -> _Worse | None:
    """What is worse by enough, from sums by day (rows, their values, what those were); None where it is not, or cannot be told."""
    number, value, usual = sums
    some = number > 0
    days, rows = int(some.sum()), float(number.sum())
    if days < _FEWEST_DAYS:
        return None
    found, before = float(value.sum()) / rows, float(usual.sum()) / rows
    excess = (value - usual)[some]
    left = excess - number[some] * (excess.sum() / rows)
    error = math.sqrt(float(np.square(left).sum()) * days / (days - 1)) / rows
    surely = worse_by(figure, found, before) > float(stdtrit(days - 1, 0.975)) * error
    if figure.root:
        found, before = math.sqrt(max(found, 0.0)), math.sqrt(max(before, 0.0))
    enough = worse_by(figure, found, before) >= (_WORSE * abs(before) if by is None else by)
    return _Worse(found, before, surely) if enough else None


def _joined(bad: Sequence[int], over: int) -> list[list[int]]:
    """The ends of bad spans in groups whose spans overlap or touch."""
    groups: list[list[int]] = []
    for end in bad:
        if groups and end - over <= groups[-1][-1]:
            groups[-1].append(end)
        else:
            groups.append([end])
    return groups


def _quality(
    figure: Figure, worse: Mapping[int, _Worse | None], spell: Sequence[int], first: int, over: int, horizon: int
) -> Incident:
    found = [each for each in map(worse.get, spell) if each is not None]
    most = max(found, key=lambda each: worse_by(figure, each.value, each.before))
    told_by = spell[0]
    while worse.get(told_by - 1) is not None:  # not surely yet; but whoever asks for less could have told
        told_by -= 1
    begin, end = first + spell[0] - over, first + spell[-1]
    return Incident(
        kind="quality",
        about=figure.name,
        begin=begin * DAY,
        end=end * DAY,
        told_by=(first + told_by) * DAY + horizon,
        until=end * DAY + horizon + DAY,  # most monitors look once a day
        told=f"From {_date(begin)} to {_date(end - 1)}: {figure.name} was {most.value:.4f} over the worst {over} days, and "
        f"{most.before:.4f} when the models that answered were let in.",
    )


def _date(day: int) -> str:
    return format_instant(day * DAY)[:10]
