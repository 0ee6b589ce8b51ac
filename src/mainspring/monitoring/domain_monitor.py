"""A monitor of all features together, from rows: can the rows of now be told from those of before, and better than usual?

It needs rows, which no state keeps: give it those of a journal or of a dataset, once a week or so. It takes a second.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from mainspring.monitoring.domain import Domains, tell_apart
from mainspring.monitoring.readings import Reading

__all__ = ["domain_reading"]

_TOLD = 3


def domain_reading(
    learned: pl.DataFrame,
    newest: pl.DataFrame,
    kinds: Mapping[str, str],
    *,
    before: pl.DataFrame | None = None,
    auc: float = 0.8,
    rows: int = 2_000,
) -> Reading:
    """Return "domain": how well the newest rows can be told from those that the model learned from, see `tell_apart`.

    Any two weeks can be told apart, by their weather if by nothing else. So it fires only when the AUC is surely above `auc`
    and, with the rows of an earlier span `before`, surely above what those are told apart by. Name what gives the rows away:
    features that go together otherwise than they did show here and in no monitor of single ones. Give no feature that grows
    with time. Unknown with fewer than 50 rows.

    Raises BundleError (BUNDLE_INPUT) where a feature is missing or has a type that cannot be read.
    """
    found = tell_apart(learned, newest, kinds, rows=rows)
    usual = None if before is None else tell_apart(learned, before, kinds, rows=rows, explained=False)
    if found is None:
        told = "There are too few rows to try to tell them apart."
        return Reading(monitor="domain", kind="features", state="unknown", severity="note", told=told)
    limit = max(auc, 0.0 if usual is None else usual.high)
    fires = found.low > limit
    return Reading(
        monitor="domain",
        kind="features",
        value=found.auc,
        limit=limit,
        state="firing" if fires else "ok",
        severity="ticket" if fires else "note",
        told=_told(found),
    )


def _told(found: Domains) -> str:
    by = ", ".join(f"{each.name} ({each.auc_lost:.2f})" for each in found.giveaways[:_TOLD])
    return (
        f"The newest rows are told from those that the model learned from with an AUC of {found.auc:.2f}, in "
        f"[{found.low:.2f}, {found.high:.2f}]{', by ' + by if by else ''}."
    )
