"""A search for Simpson's reversals: one group has the higher rate in every stratum, yet the lower rate over them together.

Such a pair of groups is judged wrongly by any figure that ignores the strata (Simpson, 1951; Bickel, Hammel and O'Connell,
1975). The search works on tables of counts, groups by strata, and never on rows, so that it is instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import comb, ndtr

from mainspring.evaluation.grouping import Groups, group
from mainspring.evaluation.results import Reversal, Stratum
from mainspring.evaluation.reweighting import Floats

__all__ = ["reversals"]


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Pairs of groups that may be reversed: counts of both per stratum, all arrays (pairs, strata)."""

    first: NDArray[np.intp]  # (pairs,)
    second: NDArray[np.intp]
    rows: tuple[Floats, Floats]
    hits: tuple[Floats, Floats]
    p: Floats  # one-sided, that the first group's rate is the higher one
    usable: NDArray[np.bool_]  # the first group's rate is the higher one, and supported
    common: NDArray[np.intp]  # (pairs,) strata in which both groups have enough rows

    def of(self, chosen: NDArray[np.bool_]) -> _Pairs:
        return _Pairs(
            self.first[chosen],
            self.second[chosen],
            (self.rows[0][chosen], self.rows[1][chosen]),
            (self.hits[0][chosen], self.hits[1][chosen]),
            self.p[chosen],
            self.usable[chosen],
            self.common[chosen],
        )


def reversals(
    frame: pl.DataFrame,
    y: Floats,
    *,
    columns: Sequence[str] | None = None,
    rate: str = "label rate",
    level: float = 0.05,
    fewest_rows: int = 50,
    most_values: int = 30,
    at_most: int = 10,
) -> list[Reversal]:
    """Return the reversals between values of `columns` of `frame` over values of another column, best supported first.

    `y` (n,) is 0/1, `rate` its name in sentences. Two values are compared in the strata in which both have at least
    `fewest_rows` rows. Of the sets of strata that reverse them the largest supported one is reported: the search walks from
    all strata that favour one group down to two, each time leaving out the stratum whose absence widens the reversal most,
    and then tries every pair of strata.

    Support: one-sided two-proportion z-tests, of every stratum and of all together, must each reach `level`; `p_value` is
    that of the weakest, times the number of sets of strata of that size it was chosen from (an intersection-union test
    needs no more), so that all common strata cost nothing and a lucky pair among many does. With `level` 1 every reversal
    of the bare rates is reported, however weak. A pair of values is reported once for each column of strata, and at most
    `at_most` reversals in all. Values beyond the `most_values` most frequent ones take no part.
    """
    names = list(columns) if columns is not None else frame.columns
    groups = {name: group(frame[name], most=most_values) for name in names}
    found: list[Reversal] = []
    for a, b in combinations(names, 2):
        rows, hits = _table(groups[a], groups[b], np.asarray(y, np.float64))
        found += _between(a, groups[a], b, groups[b], rows, hits, rate, level, fewest_rows)
        found += _between(b, groups[b], a, groups[a], rows.T, hits.T, rate, level, fewest_rows)
    return sorted(found, key=lambda r: (r.p_value, r.column, r.by, r.first, r.second))[:at_most]


def _table(groups: Groups, strata: Groups, y: Floats) -> tuple[Floats, Floats]:
    """Return rows and positives of every group in every stratum, the pools of rare values left out."""
    shape = (len(groups.names), len(strata.names))
    cell = groups.code * shape[1] + strata.code
    kept = (slice(groups.distinct), slice(strata.distinct))
    rows = np.bincount(cell, minlength=shape[0] * shape[1]).astype(np.float64).reshape(shape)[kept]
    hits = np.asarray(np.bincount(cell, weights=y, minlength=shape[0] * shape[1]), np.float64)
    return rows, hits.reshape(shape)[kept]


def _between(
    column: str,
    groups: Groups,
    by: str,
    strata: Groups,
    rows: Floats,
    hits: Floats,
    rate: str,
    level: float,
    fewest_rows: int,
) -> list[Reversal]:
    pairs = _candidates(rows, hits, level, fewest_rows)
    best_p, best = _largest_supported(pairs, level)
    reported: dict[tuple[int, int], Reversal] = {}
    for i in np.argsort(best_p, kind="stable"):
        a, b = int(pairs.first[i]), int(pairs.second[i])
        pair = (min(a, b), max(a, b))
        if best[i].any() and pair not in reported:  # the other way round over other strata says the same, weaker
            reported[pair] = _record(column, groups, by, strata, rows, hits, a, b, best[i], float(best_p[i]), rate)
    return list(reported.values())


def _candidates(rows: Floats, hits: Floats, level: float, fewest_rows: int) -> _Pairs:
    first, second = (index.ravel() for index in np.indices((len(rows), len(rows))))
    n1, n2, k1, k2 = rows[first], rows[second], hits[first], hits[second]
    common = (n1 >= fewest_rows) & (n2 >= fewest_rows)
    p = np.where(common, _p_greater(k1, n1, k2, n2), 1.0)
    usable = common & (p <= level) & (k1 * n2 > k2 * n1)
    pairs = _Pairs(first, second, (n1, n2), (k1, k2), p, usable, common.sum(axis=1))
    return pairs.of(usable.sum(axis=1) >= 2)


def _p_greater(k1: Floats, n1: Floats, k2: Floats, n2: Floats) -> Floats:
    """Return the one-sided p-value that k1/n1 exceeds k2/n2, pooled variance; 0.5 where there is no variance or no row."""
    n1, n2 = np.maximum(n1, 1.0), np.maximum(n2, 1.0)
    pooled = (k1 + k2) / (n1 + n2)
    deviation = np.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
    z = np.divide(k1 / n1 - k2 / n2, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    return ndtr(-z)


def _largest_supported(pairs: _Pairs, level: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Return, per pair, the p-value and strata of its largest supported reversal; p is inf and no stratum set without one."""
    count, strata = pairs.usable.shape
    best_p, best = np.full(count, np.inf), np.zeros((count, strata), bool)
    chosen, unsolved = pairs.usable.copy(), np.ones(count, bool)
    while unsolved.any() and (size := chosen.sum(axis=1)).max() > 2:
        p = _p_reversed(pairs, [np.where(chosen, x, 0.0).sum(axis=1) for x in (*pairs.rows, *pairs.hits)],
                        np.where(chosen, pairs.p, 0.0).max(axis=1), size)  # fmt: skip
        solved = unsolved & (size > 2) & (p <= level)
        best_p[solved], best[solved] = p[solved], chosen[solved]
        unsolved &= ~solved
        gap = np.where(chosen, _gap_without(pairs, chosen), -np.inf)
        chosen[size > 2, gap.argmax(axis=1)[size > 2]] = False
    if not unsolved.any():
        return best_p, best
    left = pairs.of(unsolved)
    a, b = np.triu_indices(strata, 1)
    p = _p_reversed(
        left, [x[:, a] + x[:, b] for x in (*left.rows, *left.hits)], np.maximum(left.p[:, a], left.p[:, b]), 2
    )
    p = np.where(left.usable[:, a] & left.usable[:, b] & (p <= level), p, np.inf)
    pick, row = p.argmin(axis=1), np.flatnonzero(unsolved)
    best_p[row] = p[np.arange(len(row)), pick]
    for strata_of_pair in (a, b):
        best[row, strata_of_pair[pick]] = np.isfinite(best_p[row])
    return best_p, best


def _p_reversed(pairs: _Pairs, sums: list[Floats], weakest: Floats, size: NDArray[np.intp] | int) -> Floats:
    """Return the p-value of the reversals over sets of `size` strata; inf where the rates together are not reversed.

    `sums` holds rows of both groups and positives of both groups over each set, `weakest` the greatest p-value inside it.
    """
    n1, n2, k1, k2 = sums
    choices = comb(pairs.common, size)
    p = np.maximum(weakest, _p_greater(k2, n2, k1, n1)) * (choices if n1.ndim == 1 else choices[:, None])
    return np.where(k1 * n2 < k2 * n1, np.minimum(p, 1.0), np.inf)


def _gap_without(pairs: _Pairs, chosen: NDArray[np.bool_]) -> Floats:
    """Return, per stratum, how much higher the second group's rate would be over the chosen strata without that one."""
    rates = []
    for n, k in zip(pairs.rows, pairs.hits, strict=True):
        n, k = np.where(chosen, n, 0.0), np.where(chosen, k, 0.0)
        left = n.sum(axis=1, keepdims=True) - n
        rates.append(np.divide(k.sum(axis=1, keepdims=True) - k, left, out=np.zeros_like(n), where=left > 0))
    return rates[1] - rates[0]


def _record(
    column: str,
    groups: Groups,
    by: str,
    strata: Groups,
    rows: Floats,
    hits: Floats,
    a: int,
    b: int,
    chosen: NDArray[np.bool_],
    p_value: float,
    rate: str,
) -> Reversal:
    index = np.flatnonzero(chosen)
    first, second = groups.names[a], groups.names[b]
    inside = [
        Stratum(
            value=strata.names[s],
            first_rate=float(hits[a, s] / rows[a, s]),
            first_rows=int(rows[a, s]),
            second_rate=float(hits[b, s] / rows[b, s]),
            second_rows=int(rows[b, s]),
        )
        for s in index
    ]
    together = [float(hits[g, index].sum() / rows[g, index].sum()) for g in (a, b)]
    each = ", ".join(f"{s.value} {s.first_rate:.1%} against {s.second_rate:.1%}" for s in inside)
    support = "" if p_value <= 0.05 else f" The weakest of these differences may be chance (p = {p_value:.2g})."
    return Reversal(
        column=column,
        first=first,
        second=second,
        by=by,
        strata=inside,
        first_rate=together[0],
        second_rate=together[1],
        p_value=p_value,
        sentence=f"{column} {first} has a higher {rate} than {second} in every one of these values of {by} ({each}), yet a "
        f"lower one over them together ({together[0]:.1%} against {together[1]:.1%}).{support}",
    )
