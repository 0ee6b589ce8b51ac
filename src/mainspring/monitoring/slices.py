"""Quality by declared slice: is the model worse on a slice than its own probabilities say, and than it is elsewhere?

Slices differ in how hard they are: where half of the flights are late, log loss is high and nobody is to blame. What is held
against a slice is therefore its excess: what its rows add to a figure, less what they were expected to add, beside the excess
of all other rows. Of a number nothing is expected; there a slice is only compared with the rest, and that is a note.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from mainspring.clock import DAY
from mainspring.evaluation.grouping import MISSING, OTHER
from mainspring.monitoring.clusters import p_of_excess
from mainspring.monitoring.drift import corrected
from mainspring.monitoring.estimated import expected_rows
from mainspring.monitoring.readings import Reading
from mainspring.monitoring.realised import Figure

__all__ = ["SliceDays", "excess_of", "slice_readings"]

Floats = NDArray[np.float64]

_FEWEST_DAYS = 5


class _Tally(Struct, frozen=True, array_like=True):
    """Of one day: for each group of a column its rows, and the sums of the figure and of its excess."""

    rows: tuple[float, ...]
    figures: tuple[float, ...]
    excess: tuple[float, ...]


class SliceDays(Struct, frozen=True, kw_only=True):
    """Quality by day and by the values of a few columns, of one model: plain data, which every method returns anew.

    The values told apart are fixed at the beginning, at most `most` a column; all others count as "(other)", missing ones as
    "(missing)". So memory is bounded, and however labels are cut into batches, the same is left of them, up to the order in
    which floats are added. Days more than `kept` before the newest go.
    """

    values: dict[str, tuple[str, ...]]
    kept: int = 60
    days: dict[int, dict[str, _Tally]] = {}

    @classmethod
    def begin(cls, learned: pl.DataFrame, *, most: int = 20, kept: int = 60) -> SliceDays:
        """Return the state of a model before its first label, with the `most` most frequent values of each column of a frame."""
        values = {}
        for column in learned.columns:
            counted = learned[column].cast(pl.String).alias("value").drop_nulls().value_counts(name="rows")
            values[column] = tuple(counted.sort("rows", "value", descending=[True, False])["value"].head(most))
        return cls(values=values, kept=kept)

    def names(self, column: str) -> tuple[str, ...]:
        """Return the groups of a column."""
        return (*self.values[column], OTHER, MISSING)

    def matured(self, decided_at: NDArray[np.int64], slices: pl.DataFrame, figure: Floats, excess: Floats) -> SliceDays:
        """Take in decisions whose labels have become known: when they were made (microseconds), the columns of their slices,
        what each adds to a figure, and how much that is more than was expected (`excess_of`); NaN where nothing was said.
        """
        known = ~np.isnan(figure)
        day = decided_at[known] // DAY
        days = dict(self.days)
        for column in self.values:
            names = self.names(column)
            text = slices[column].cast(pl.String).fill_null(MISSING)
            found = text.replace_strict(
                names, range(len(names)), default=len(names) - 2, return_dtype=pl.Int64
            ).to_numpy()
            for number in np.unique(day).tolist():
                mine = day == number
                group = found[known][mine]
                weights = (np.ones(len(day)), figure[known], excess[known])
                sums = [np.bincount(group, each[mine], len(names)) for each in weights]
                before = days.get(number, {}).get(column)
                if before is not None:
                    sums = [
                        np.add(a, b) for a, b in zip((before.rows, before.figures, before.excess), sums, strict=True)
                    ]
                tally = _Tally(*(tuple(each.tolist()) for each in sums))
                days[number] = {**days.get(number, {}), column: tally}
        oldest = max(days, default=0) - self.kept
        return replace(self, days={number: days[number] for number in sorted(days) if number >= oldest})


def excess_of(figure: Figure, labels: NDArray, predictions: Floats, *, task: str) -> tuple[Floats, Floats]:
    """Return what each row adds to a figure, and by how much that is more than its probabilities let one expect."""
    added = figure.row(labels, predictions)
    return added, added if task == "regression" else added - expected_rows(figure, predictions)


def slice_readings(
    slices: SliceDays,
    figure: Figure,
    now: int,
    *,
    task: str,
    horizon: int,
    by: float,
    over: int = 28 * DAY,
    alpha: float = 0.01,
    fewest_rows: int = 100,
) -> list[Reading]:
    """Return "slice" readings: of each declared slice on which the model is worse than elsewhere, or that there is none.

    A slice fires when over the newest decisions of `over` whose horizon is over (microseconds) its excess is above that of all
    other rows by `by`, in the unit of the mean of the figure, and not by chance: at most a share `alpha` of looks finds any
    slice where all are alike (Student's t over days; Holm). Slices of few rows are left out. Unknown with fewer than five days.
    """
    end = (now - horizon) // DAY
    numbers = [number for number in sorted(slices.days) if end - over // DAY <= number < end]
    if len(numbers) < _FEWEST_DAYS:
        return [_reading("unknown", f"Labels have settled of {len(numbers)} day(s) only; {_FEWEST_DAYS} are needed.")]
    worse = -1.0 if figure.greater_is_better else 1.0
    found: list[tuple[str, float, float, float, float, int]] = []
    for column in slices.values:
        tallies = [slices.days[number][column] for number in numbers if column in slices.days[number]]
        rows, figures, excess = (np.array(each, np.float64) for each in zip(*_parts(tallies), strict=True))
        for k, name in enumerate(slices.names(column)):
            inside, others = rows[:, k], rows.sum(axis=1) - rows[:, k]
            if min(inside.sum(), others.sum()) < fewest_rows:
                continue
            beyond, p = p_of_excess(
                (inside, worse * excess[:, k]), (others, worse * (excess.sum(axis=1) - excess[:, k]))
            )
            mean = figures[:, k].sum() / inside.sum()
            rest = (figures.sum() - figures[:, k].sum()) / others.sum()
            found.append((f"{column} {name}", beyond, p, mean, rest, int(inside.sum())))
    made = corrected([each[2] for each in found])
    firing = [
        Reading(
            monitor="slice",
            kind="outcomes",
            about=about,
            value=beyond,
            limit=by,
            state="firing",
            severity="note" if task == "regression" else "ticket",
            told=f"On {about} ({rows:,} decisions) {_named(figure)} is {mean:.4f}, elsewhere {rest:.4f}: worse by {beyond:.4f} "
            f"than is to be expected (p = {p:.2g}).",
        )
        for (about, beyond, _, mean, rest, rows), p in zip(found, made, strict=True)
        if p is not None and p <= alpha and beyond >= by
    ]
    ordered = sorted(firing, key=lambda each: (-(each.value or 0.0), each.about))
    return ordered or [_reading("ok", f"None of {len(found)} slices is surely worse than the others by {by:.4g}.")]


def _parts(tallies: Sequence[_Tally]) -> list[tuple[Sequence[float], Sequence[float], Sequence[float]]]:
    return [(each.rows, each.figures, each.excess) for each in tallies]


def _named(figure: Figure) -> str:
    return f"the square of {figure.name}" if figure.root else figure.name


def _reading(state: Literal["ok", "unknown"], told: str) -> Reading:
    return Reading(monitor="slice", kind="outcomes", state=state, severity="note", told=told)
