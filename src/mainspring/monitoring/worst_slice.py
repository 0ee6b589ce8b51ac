"""Where is the model worst? A search over slices that nobody declared: one or two conditions on features.

Who looks through thousands of slices finds a bad one in any noise. So the days are parted: on every other one the worst
few slices are found, and on the rest, which the search has not seen, it is asked whether they are worse (Holm). However
wide the search, what it finds is tested as often as slices are proposed, and rows of one day may depend on each other in any
way. The price is half of the rows for each. (Chung and others, Slice Finder, ICDE 2019, search likewise and correct for all
that was looked at.)
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray

from mainspring.model.schema import CATEGORIES
from mainspring.monitoring.calibration_check import Unknown
from mainspring.monitoring.clusters import days_told_of, p_of_excess
from mainspring.monitoring.drift import corrected
from mainspring.monitoring.layout import numbers_of
from mainspring.monitoring.readings import Reading
from mainspring.monitoring.realised import Figure

__all__ = ["WorstSlice", "worst_slice", "worst_slice_reading"]

Floats = NDArray[np.float64]
Ints = NDArray

_BINS, _VALUES = 4, 8  # of numbers; of a category the most frequent ones, all others are one group
_BEAM = 24  # groups of which each is tried together with every other feature
_PROPOSED = 5
_FEWEST_DAYS = 4  # in each of the halves
MISSING = "missing"


class WorstSlice(Struct, frozen=True, kw_only=True):
    """The slice on which a figure is most surely worse than elsewhere. Figures are of the half that the search had not seen.

    `excess` is by how much the excess of its rows is above that of all others, `p_value` corrected for what was proposed.
    """

    conditions: tuple[str, ...]
    rows: int
    figure: float
    rest: float
    excess: float
    p_value: float


class _Groups(NamedTuple):
    """Each row's group in each feature, and what the groups are called; groups are numbered through all features."""

    code: Ints  # (rows, features)
    names: list[str]
    first: Ints  # (features + 1,)


class _Half(NamedTuple):
    """Every other day of the rows."""

    code: Ints
    figure: Floats
    excess: Floats
    day: Ints
    days: int  # in both halves

    def rows(self, conditions: tuple[int, ...]) -> NDArray[np.bool_]:
        """Which rows are in all of some groups."""
        return np.logical_and.reduce([(self.code == group).any(axis=1) for group in conditions])

    def by_day(self, chosen: NDArray[np.bool_]) -> tuple[Ints, Floats]:
        """The rows and the sum of the excess of each day."""
        day = self.day[chosen]
        sums = np.bincount(day, self.excess[chosen], self.days)
        return np.bincount(day, minlength=self.days), sums.astype(np.float64, copy=False)

    def large(self, chosen: NDArray[np.bool_], fewest: int) -> bool:
        """Whether there are enough rows chosen, on enough days, and enough others."""
        enough = min(chosen.sum(), (~chosen).sum()) >= fewest
        return bool(enough) and days_told_of(self.by_day(chosen)[0]) >= _FEWEST_DAYS


def worst_slice(
    features: pl.DataFrame,
    kinds: Mapping[str, str],
    figure: Floats,
    excess: Floats,
    days: Ints,
    *,
    fewest_share: float = 0.02,
    fewest_rows: int = 50,
) -> WorstSlice | Unknown:
    """Return the slice of rows on which the model is most surely worse than elsewhere, with how sure that is.

    `features` are the rows (n,) with the columns that `kinds` names; `figure` is what each row adds to a loss, `excess` by how
    much that is more than expected (`excess_of`; for a figure that is better when greater give both with the other sign),
    and `days` the number of its day. Slices are values of categories and quarters of numbers, alone or two at a time; two only
    where one of them is among the worst. Each has at least `fewest_share` of the rows, and `fewest_rows`, on four days or
    more, in both halves.

    Guarantee: where no slice is worse than the others, `p_value` is at most a with probability a at most, up to the normality
    of the sums of days. The same rows give the same answer. Unknown with fewer than eight days, or no slice large enough.
    """
    known, day = np.unique(days, return_inverse=True)
    if len(known) < 2 * _FEWEST_DAYS:
        return Unknown(f"Labels have settled of {len(known)} day(s) only; {2 * _FEWEST_DAYS} are needed.")
    groups = _grouped(features, kinds)
    halves = [
        _Half(groups.code[rows], figure[rows], excess[rows], day[rows], len(known))
        for rows in (day % 2 == 0, day % 2 == 1)
    ]
    fewest = max(fewest_rows, round(fewest_share * min(len(half.code) for half in halves)))
    search, rest = halves
    slices = []
    for conditions in _worst(search, groups.first, fewest):
        chosen = [half.rows(conditions) for half in halves]
        if all(half.large(rows, fewest) for half, rows in zip(halves, chosen, strict=True)):
            slices.append((conditions, chosen[1]))
        if len(slices) == _PROPOSED:
            break
    if not slices:
        return Unknown(f"No slice has {fewest:,} rows on {_FEWEST_DAYS} days of either half.")
    tested = [p_of_excess(rest.by_day(inside), rest.by_day(~inside)) for _, inside in slices]
    made = corrected([p for _, p in tested])
    best = min(range(len(slices)), key=lambda k: (tested[k][1], -tested[k][0]))
    conditions, inside = slices[best]
    return WorstSlice(
        conditions=tuple(groups.names[group] for group in conditions),
        rows=int(inside.sum()),
        figure=float(rest.figure[inside].mean()),
        rest=float(rest.figure[~inside].mean()),
        excess=tested[best][0],
        p_value=float(made[best] or 0.0),
    )


def worst_slice_reading(found: WorstSlice | Unknown, figure: Figure, *, by: float, alpha: float = 0.01) -> Reading:
    """Return "worst slice": it fires when the excess of the slice that was found is at least `by`, and p at most alpha."""
    if isinstance(found, Unknown):
        return Reading(monitor="worst slice", kind="outcomes", state="unknown", severity="note", told=found.reason)
    fires = found.p_value <= alpha and found.excess >= by
    about = " and ".join(found.conditions)
    sign = -1.0 if figure.greater_is_better else 1.0
    return Reading(
        monitor="worst slice",
        kind="outcomes",
        about=about if fires else "",
        value=found.excess,
        limit=by,
        state="firing" if fires else "ok",
        severity="ticket" if fires else "note",
        told=f"Where {about} ({found.rows:,} decisions) {figure.name} is {sign * found.figure:.4f}, elsewhere "
        f"{sign * found.rest:.4f}: worse by {found.excess:.4f} than is to be expected (p = {found.p_value:.2g}).",
    )


def _worst(half: _Half, first: Ints, fewest: int) -> list[tuple[int, ...]]:
    """Return slices of one or two groups whose excess stands out from that of all other rows, the worst first."""
    code, centred = half.code, half.excess - half.excess.mean()
    spread = float(np.square(centred).mean())
    total, count = len(code), int(first[-1])

    def scores(rows: Ints, sums: Floats) -> Floats:
        large = (rows >= fewest) & (total - rows >= fewest)
        scale = np.sqrt(np.maximum(rows * (1.0 - rows / total), 1.0) * max(spread, 1e-300))
        return np.where(large, sums / scale, -np.inf)

    def tally(part: Ints, weights: Floats) -> tuple[Ints, Floats]:
        flat = part.ravel()
        rows = np.bincount(flat, minlength=count)
        return rows, np.bincount(flat, np.repeat(weights, part.shape[1]), count).astype(np.float64, copy=False)

    rows, sums = tally(code, centred)
    alone = scores(rows, sums)
    candidates: dict[tuple[int, ...], float] = {
        (group,): float(alone[group]) for group in np.argsort(-alone, kind="stable")[:_BEAM].tolist()
    }
    # a slice that is bad for two conditions shows in each alone; rows that are too few alone are too few together
    for group in np.argsort(-alone, kind="stable")[:_BEAM].tolist():
        if rows[group] < fewest:
            continue
        inside = code[:, np.searchsorted(first, group, side="right") - 1] == group
        both = scores(*tally(code[inside], centred[inside]))
        own = np.searchsorted(first, group, side="right") - 1
        both[first[own] : first[own + 1]] = -np.inf
        for other in np.argsort(-both, kind="stable")[:_PROPOSED].tolist():
            candidates[min(group, other), max(group, other)] = float(both[other])
    worst = sorted(candidates, key=lambda conditions: (-candidates[conditions], conditions))
    return [conditions for conditions in worst if candidates[conditions] > 0.0]


def _grouped(features: pl.DataFrame, kinds: Mapping[str, str]) -> _Groups:
    codes, names, first = [], [], [0]
    for name, kind in kinds.items():
        code, found = _values(features[name]) if kind in CATEGORIES else _quarters(features[name])
        codes.append(code + first[-1])
        names += found
        first.append(len(names))
    return _Groups(np.stack(codes, axis=1), names, np.array(first, np.intp))


def _values(column: pl.Series) -> tuple[Ints, list[str]]:
    text = column.cast(pl.String).alias("value")
    counted = text.drop_nulls().value_counts(name="rows").sort("rows", "value", descending=[True, False])
    listed = counted["value"].head(_VALUES).to_list()
    code = text.replace_strict(listed, range(len(listed)), default=len(listed), return_dtype=pl.Int64).to_numpy()
    code = np.where(text.is_null().to_numpy(), len(listed) + 1, code)
    names = [f"{column.name} is {value}" for value in listed]
    return code, [*names, f"{column.name} is another", f"{column.name} is {MISSING}"]


def _quarters(column: pl.Series) -> tuple[Ints, list[str]]:
    values = numbers_of(column)
    known = np.sort(values[~np.isnan(values)])
    edges = np.unique(known[np.arange(1, _BINS) * len(known) // _BINS - 1]) if len(known) >= _BINS else known[:0]
    code = np.searchsorted(edges, values, side="left")
    code[np.isnan(values)] = len(edges) + 1
    told = [f"{edge:.4g}" for edge in edges.tolist()]
    if not told:
        return code, [f"{column.name} is known", f"{column.name} is {MISSING}"]
    between = [f"{low} < {column.name} <= {high}" for low, high in pairwise(told)]
    return code, [
        f"{column.name} <= {told[0]}",
        *between,
        f"{column.name} > {told[-1]}",
        f"{column.name} is {MISSING}",
    ]
