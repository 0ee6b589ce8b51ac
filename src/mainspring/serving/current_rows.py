"""The rows of the decision's table that came as facts, so that a decision can be asked for by its key alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from mainspring.declare import Decision
from mainspring.features.rows import INSTANT, row_expression

__all__ = ["CurrentRows"]

_ALWAYS, _NEVER = -(2**62), 2**62


class _Version(NamedTuple):
    visible: int  # from when it may be used, microseconds
    until: int  # when a newer version is visible: from then on it decides nothing
    values: tuple[Any, ...]


class CurrentRows:
    """The versions of each row by which a decision can still be made.

    `find` gives the one that decides, by the rule of `features.find_decisions`: it is visible at the decision's time and no
    newer one is, not even one by which nothing is decided (a flight that was cancelled has no time). Not for several threads
    at once.
    """

    def __init__(self, decision: Decision, due: Callable[[Mapping[str, Any], int], int | None]) -> None:
        """`due` tells when the decision of a row is made, asked now (microseconds); None where the row does not tell."""
        schema = decision.table.__schema__
        self._decision, self._due = decision, due
        self._keys = list(schema.keys)
        self._columns = [column.name for column in schema.columns]
        self._places = [self._columns.index(key) for key in self._keys]
        self._versions: dict[tuple[Any, ...], list[_Version]] = {}

    def __len__(self) -> int:
        return len(self._versions)

    def add(self, facts: pl.DataFrame, watermark: int) -> None:
        """Take in facts with `_visible_at`, in the order in which they came.

        No decision before `watermark` is asked for, and what comes later is not visible before it.
        """
        if not self._keys or not facts.height:
            return
        visible = pl.col("_visible_at").to_physical().fill_null(_ALWAYS)
        rows = facts.with_columns(_until=pl.lit(None, pl.Int64))
        if facts.select(self._keys).is_duplicated().any():
            rows = facts.sort("_visible_at", maintain_order=True).with_columns(
                _until=visible.shift(-1).over(self._keys)
            )
        rows = rows.filter(pl.col("_until").fill_null(_NEVER) > watermark)
        if self._decision.every is None and not self._versions:  # else a row that decides nothing may end an older one
            due = row_expression(self._decision.time).fill_null(pl.lit(_ALWAYS).cast(INSTANT)).to_physical()
            rows = rows.filter((due >= watermark) | (visible > watermark))
        columns = [
            pl.col(name).to_physical() if rows[name].dtype == INSTANT else pl.col(name) for name in self._columns
        ]
        for visible_at, until, *values in rows.select(
            visible, pl.col("_until").fill_null(_NEVER), *columns
        ).iter_rows():
            self._insert(_Version(visible_at, until, tuple(values)), watermark)

    def find(self, key: tuple[Any, ...], now: int) -> dict[str, Any] | None:
        """Return the row that decides for a key, asked now; None where none is known in time."""
        for version in reversed(self._versions.get(key, ())):
            row = dict(zip(self._columns, version.values, strict=True))
            due = self._due({**row, "_at": now}, now)
            if due is not None and version.visible <= min(due, now) < version.until:
                return row
        return None

    def versions(self) -> list[tuple[int, int, tuple[Any, ...]]]:
        """Return every version that is held: from when it may be used, until when it decides, and its values."""
        return [(each.visible, each.until, each.values) for held in self._versions.values() for each in held]

    def restore(self, versions: Iterable[tuple[int, int, Sequence[Any]]]) -> None:
        """Take over the versions that another one held."""
        for visible, until, values in versions:
            key = tuple([values[place] for place in self._places])
            self._versions.setdefault(key, []).append(_Version(visible, until, tuple(values)))

    def keys(self) -> list[tuple[Any, ...]]:
        """Return the keys of all rows that are held."""
        return list(self._versions)

    def forget(self, watermark: int) -> None:
        """Let go of versions by which no decision from `watermark` (microseconds) on can be made."""
        for key in list(self._versions):
            self._keep_useful(key, watermark)

    def _insert(self, version: _Version, watermark: int) -> None:
        key = tuple([version.values[place] for place in self._places])
        held = self._versions.setdefault(key, [])
        place = len(held)
        while place and held[place - 1].visible > version.visible:
            place -= 1  # of two that become visible at once the one that came last is the newest
        if place < len(held):
            version = version._replace(until=min(version.until, held[place].visible))
        if place:
            before = held[place - 1]
            held[place - 1] = before._replace(until=min(before.until, version.visible))
        held.insert(place, version)
        if len(held) > 1 or not self._is_useful(version, watermark):
            self._keep_useful(key, watermark)

    def _keep_useful(self, key: tuple[Any, ...], watermark: int) -> None:
        useful = [version for version in self._versions[key] if self._is_useful(version, watermark)]
        if useful:
            self._versions[key] = useful
        else:
            del self._versions[key]

    def _is_useful(self, version: _Version, watermark: int) -> bool:
        """Whether a version may decide from the watermark on, or end one that is yet to come."""
        if version.until <= watermark:
            return False
        if self._decision.every is not None or version.visible > watermark:
            return True
        row = dict(zip(self._columns, version.values, strict=True))
        due = self._due({**row, "_at": watermark}, watermark)
        return due is not None and due >= watermark
