"""What is known sooner than labels, decision by decision: proxies, and the friction that users met with."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from mainspring.clock import parse_span
from mainspring.declare import Decision, Friction, Proxy
from mainspring.features import INSTANT
from mainspring.labels.maturity import mature

__all__ = ["mature_frictions", "mature_proxies"]


def mature_proxies(
    proxies: Mapping[str, Proxy],
    decision: Decision,
    decisions: pl.DataFrame,
    facts: Mapping[str, pl.DataFrame],
    *,
    as_of: int,
) -> dict[str, pl.DataFrame]:
    """Return, for each proxy, one row for each decision in their order, as known at `as_of` (microseconds).

    `value` is 1 for yes, 0 for no, null while unknown; `known_at` the instant from which it is known; `settled_at` the end of
    its horizon, before which it is not to be counted: what comes quickly is not like what comes late. Both are null while the
    value is, and `settled_at` may lie after `as_of`. Decisions and facts are those of `labels.mature`.
    """
    return {name: _matured(proxy, decision, decisions, facts, as_of) for name, proxy in proxies.items()}


def mature_frictions(
    frictions: Mapping[str, Friction],
    decision: Decision,
    decisions: pl.DataFrame,
    facts: Mapping[str, pl.DataFrame],
    *,
    as_of: int,
) -> dict[str, pl.DataFrame]:
    """Return, for each friction signal, what `mature_proxies` does.

    Whether a key was asked again is read from `decisions` alone: give all that were made by `as_of`, live those of the
    journal of predictions. Two decisions of one key at the same instant are one request.
    """
    return {
        name: _asked_again(friction, decision, decisions, as_of)
        if friction.told_by is None
        else _matured(friction.told_by, decision, decisions, facts, as_of)
        for name, friction in frictions.items()
    }


def _matured(
    proxy: Proxy, decision: Decision, decisions: pl.DataFrame, facts: Mapping[str, pl.DataFrame], as_of: int
) -> pl.DataFrame:
    found = mature(proxy, decision, decisions, facts, as_of=as_of).frame
    return _settled(found["label"], found["label_known_at"], decisions, proxy.within)


def _asked_again(friction: Friction, decision: Decision, decisions: pl.DataFrame, as_of: int) -> pl.DataFrame:
    keys = list(decision.table.__schema__.keys)
    made = decisions.select(*keys, "_at").unique().sort(*keys, "_at")
    following = made.with_columns(pl.col("_at").shift(-1).over(keys).alias("again"))
    horizon = pl.col("_at") + pl.duration(microseconds=parse_span(friction.within))
    again = pl.col("again").is_not_null() & (pl.col("again") <= horizon)
    found = decisions.join(following, on=[*keys, "_at"], how="left", maintain_order="left").select(
        again.cast(pl.Float64).alias("value"),
        pl.when(again).then(pl.col("again")).otherwise(horizon).cast(INSTANT).alias("known_at"),
    )
    known = found["known_at"].to_physical() <= as_of
    value, known_at = (found.select(pl.when(known).then(pl.col(name))).to_series() for name in ("value", "known_at"))
    return _settled(value, known_at, decisions, friction.within)


def _settled(value: pl.Series, known_at: pl.Series, decisions: pl.DataFrame, within: str) -> pl.DataFrame:
    horizon = decisions["_at"].to_physical() + parse_span(within)
    return pl.DataFrame({"value": value, "known_at": known_at, "horizon": horizon.cast(INSTANT)}).select(
        "value", "known_at", pl.when(pl.col("value").is_not_null()).then(pl.col("horizon")).alias("settled_at")
    )
