"""Columns that can only have been filled in together with the target: as features they would be the answer."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from mainspring.declare.kind import NUMBERS
from mainspring.loop.starter.survey import Field

__all__ = ["tells"]

_TOO_ALIKE = 0.98  # correlation with a numeric target
_ROWS_A_VALUE = 5  # fewer rows for each value prove nothing
_NEARLY_ALL = 0.99


def tells(field: Field, target: Field, others: Sequence[Field]) -> bool:
    """Whether a column gives the target away: alone, by being there at all, or as a summand of it."""
    if target.kind in NUMBERS and target.distinct > 2:
        return field.kind in NUMBERS and (_is_alike(field, target) or any(_adds_up(field, o, target) for o in others))
    return _decides(field.values.is_null(), target) or _decides(field.values, target) or _divides(field, target)


def _is_alike(field: Field, target: Field) -> bool:
    correlation = _pair(field, target).select(pl.corr("a", "b")).item()
    return correlation is not None and abs(correlation) >= _TOO_ALIKE


def _adds_up(field: Field, other: Field, target: Field) -> bool:
    """Whether two columns add up to the target, as casual and registered riders do to all riders."""
    if other is field or other.kind not in NUMBERS or other.distinct < 3 or field.distinct < 3:
        return False
    total = field.values.cast(pl.Float64) + other.values.cast(pl.Float64)
    wanted = target.values.cast(pl.Float64)
    equal = ((total - wanted).abs() <= 1e-9 * wanted.abs().clip(lower_bound=1.0)).mean()
    return isinstance(equal, float) and equal >= _NEARLY_ALL


def _decides(values: pl.Series, target: Field) -> bool:
    """Whether each of a few values goes with one value of the target."""
    distinct = values.n_unique()
    if not 1 < distinct <= len(values) / _ROWS_A_VALUE:
        return False
    pairs = pl.DataFrame({"a": values, "b": target.values}).drop_nulls("b")
    return pairs.n_unique(["a", "b"]) == pairs["a"].n_unique()


def _divides(field: Field, target: Field) -> bool:
    """Whether one number divides the two values of a target."""
    if field.kind not in NUMBERS or target.distinct != 2:
        return False
    sides = (
        _pair(field, target, plain=True).group_by("b").agg(low=pl.col("a").min(), high=pl.col("a").max()).sort("low")
    )
    return sides.height == 2 and bool(sides["high"][0] < sides["low"][1])


def _pair(field: Field, target: Field, *, plain: bool = False) -> pl.DataFrame:
    pair = pl.DataFrame({"a": field.values, "b": target.values}).drop_nulls()
    return pair if plain else pair.cast(pl.Float64)
