"""Which facts a server has already: a row that is sent twice is one fact, as it is in the lake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from mainspring.declare import TableSchema
from mainspring.lake.identity import identity

__all__ = ["Hashes", "KnownFacts", "Sieved"]

_SEED = 11


@dataclass(frozen=True, eq=False)
class Sieved:
    """Every row is in one of three: new, there already, or in contradiction to the fact that was there first."""

    fresh: np.ndarray  # bool (rows,)
    conflicts: np.ndarray  # bool (rows,)

    @property
    def already_there(self) -> int:
        return int((~self.fresh & ~self.conflicts).sum())


class Hashes(NamedTuple):
    """Of facts, in the order of the first: what identifies each, and the whole of it. uint64 (facts,)."""

    ids: np.ndarray
    contents: np.ndarray


class KnownFacts:
    """The facts of one table by two numbers each: a hash of what identifies a fact, and one of the whole of it.

    `lake.identity` says what identifies a fact. Hashes have 64 bits: of ten million facts the chance that any two share one
    is about three in a million. 16 bytes a fact that came with the history, about 150 for one that came since.
    """

    def __init__(self, schema: TableSchema, history: pl.DataFrame | Hashes) -> None:
        """`history` are the facts to begin with, or the hashes of all that another one knew."""
        self._columns = [column.name for column in schema.columns]
        self._identity = list(identity(schema))
        if isinstance(history, Hashes):
            self._ids, self._contents = history
        else:
            ids, contents = self._hashes(history)
            order = np.argsort(ids, kind="stable")
            self._ids, self._contents = ids[order], contents[order]
        self._since: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._ids) + len(self._since)

    def hashes(self) -> Hashes:
        """Return the hashes of all facts that are known, in the order of the first: apart from what comes later."""
        ids = np.fromiter(self._since, np.uint64, len(self._since))
        contents = np.fromiter(self._since.values(), np.uint64, len(self._since))
        order = np.argsort(ids)
        ids, contents = ids[order], contents[order]
        places = np.searchsorted(self._ids, ids)
        return Hashes(np.insert(self._ids, places, ids), np.insert(self._contents, places, contents))

    def sieve(self, facts: pl.DataFrame) -> Sieved:
        """Tell which rows are new; they count as known from then on, also to later rows of the same frame."""
        ids, contents = self._hashes(facts)
        known = self._in_history(ids)
        held = np.full(len(ids), 0, np.uint64)
        held[known >= 0] = self._contents[known[known >= 0]]
        fresh, same = np.zeros(len(ids), bool), known >= 0
        same[same] = held[same] == contents[same]
        since = self._since
        for row in np.flatnonzero(known < 0).tolist():
            fact, content = int(ids[row]), int(contents[row])
            if fact in since:
                same[row] = since[fact] == content
            else:
                since[fact], fresh[row] = content, True
        return Sieved(fresh, ~fresh & ~same)

    def _in_history(self, ids: np.ndarray) -> np.ndarray:
        """The place of each id among those of the history; -1 where it is not there."""
        if not len(self._ids):
            return np.full(len(ids), -1)
        place = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        return np.where(self._ids[place] == ids, place, -1)

    def _hashes(self, facts: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        whole = facts.select(self._columns)
        return whole.select(self._identity).hash_rows(_SEED).to_numpy(), whole.hash_rows(_SEED + 1).to_numpy()
