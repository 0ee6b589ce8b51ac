"""What really went wrong in a history, as only hindsight can tell: spells of poor quality, and tables whose rows were gone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal

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
    that overlap or touch are one incident. `horizon` (microseconds) is when the labels of a decision are settled.
    """
    known = ~(np.isnan(rows) | np.isnan(let_in))
    if not known.any():
        return []
    before = np.square(let_in[known]) if figure.root else let_in[known]
    day = decided_at[known] // DAY
    first, count = int(day.min()), int(day.max() - day.min()) + 1
    number, value, usual = (np.bincount(day - first, each, count) for each in (None, rows[known], before))
    bad: list[tuple[int, float, float]] = []
    for end in range(over, count + 1):
        span = slice(end - over, end)
        found = _worse(figure, number[span], value[span], usual[span], by)
        if found is not None:
            bad.append((first + end, *found))
    return [_quality(figure, spell, over, horizon) for spell in _joined(bad, over)]


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


def _worse(
    figure: Figure, number: Floats, value: Floats, usual: Floats, by: float | None
) -> tuple[float, float] | None:
    """The figure over some days and what it was when models were let in, where it is surely worse; a root is taken at the end."""
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
    least = _WORSE * abs(before) if by is None else by
    return (found, before) if surely and worse_by(figure, found, before) >= least else None


def _joined(bad: list[tuple[int, float, float]], over: int) -> list[list[tuple[int, float, float]]]:
    """Bad spans, by the day after their last one, in groups of those that overlap or touch."""
    groups: list[list[tuple[int, float, float]]] = []
    for span in bad:
        if groups and span[0] - over <= groups[-1][-1][0]:
            groups[-1].append(span)
        else:
            groups.append([span])
    return groups


def _quality(figure: Figure, spell: list[tuple[int, float, float]], over: int, horizon: int) -> Incident:
    begin, end = spell[0][0] - over, spell[-1][0]
    _, value, before = max(spell, key=lambda each: worse_by(figure, each[1], each[2]))
    return Incident(
        kind="quality",
        about=figure.name,
        begin=begin * DAY,
        end=end * DAY,
        told_by=spell[0][0] * DAY + horizon,
        until=end * DAY + horizon + DAY,  # most monitors look once a day
        told=f"{figure.name} was {value:.4f} over the worst {over} days from {_date(begin)} to {_date(end - 1)}; when the models "
        f"that answered were let in it was {before:.4f}.",
    )


def _date(day: int) -> str:
    return format_instant(day * DAY)[:10]
