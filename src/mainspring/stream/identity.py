"""Which ids a topic already holds, in memory: 16 bytes a record, whatever the ids look like.

A database index over ids was tried first. Ids are often random, so every insertion touches another page of the index, and
each page goes to the disk twice: at 400,000 records it made appending three to four times slower, and it grows worse.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Identities"]

_RECENT = 16_384
_LARGEST_RUN = 1 << 20

_Run = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Hashes in ascending order, and the offset of each."""


class Identities:
    """The ids of one topic with their offsets.

    The most recent are kept as they are; older ones as sorted runs of (hash, offset), merged in pairs of like size so that
    there are few. A hash that matches is only a hint: `ids_at` is asked which ids the records at ascending offsets have,
    and says None for one that retention removed. Hashes are Python's own, different in every process, so nobody can aim at them.
    """

    def __init__(self, ids_at: Callable[[list[int]], Iterable[str | None]]) -> None:
        self._ids_at = ids_at
        self._recent: dict[str, int] = {}
        self._runs: list[_Run] = []
        self._first = 0

    def find(self, ids: Collection[str]) -> dict[str, int]:
        """Return the offsets of those ids that the topic holds."""
        recent = self._recent
        found: dict[str, int] = {}
        if not recent.keys().isdisjoint(ids):
            found = {each: recent[each] for each in ids if recent.get(each, -1) >= self._first}
        if self._runs and len(found) < len(ids):
            found.update(self._find_in_runs([each for each in ids if each not in found] if found else list(ids)))
        return found

    def add(self, offsets: dict[str, int]) -> None:
        """Remember ids that were not held yet."""
        self._recent.update(offsets)
        if len(self._recent) >= _RECENT:
            self._runs.append(_run(_hashes(self._recent), np.fromiter(self._recent.values(), np.int64)))
            self._recent = {}
            while len(self._runs) > 1 and len(self._runs[-2][0]) <= min(2 * len(self._runs[-1][0]), _LARGEST_RUN):
                last, before = self._runs.pop(), self._runs.pop()
                self._runs.append(_run(*(np.concatenate(pair) for pair in zip(before, last, strict=True))))

    def forget_before(self, offset: int) -> None:
        """Records before `offset` were removed: their ids are new again. Memory is freed a run at a time."""
        self._first = offset
        self._runs = [run for run in self._runs if run[1].max() >= offset]

    def _find_in_runs(self, ids: list[str]) -> dict[str, int]:
        sought = _hashes(ids)
        hints: list[tuple[int, str]] = []
        for hashes, offsets in self._runs:
            at = np.searchsorted(hashes, sought)
            for number in np.flatnonzero(hashes[np.minimum(at, len(hashes) - 1)] == sought).tolist():
                place = int(at[number])
                while place < len(hashes) and hashes[place] == sought[number]:
                    hints.append((int(offsets[place]), ids[number]))
                    place += 1
        hints.sort()  # neighbours lie in one block, which is read once
        held = self._ids_at([offset for offset, _ in hints]) if hints else ()
        return {each: offset for (offset, each), found in zip(hints, held, strict=True) if found == each}


def _hashes(ids: Collection[str]) -> NDArray[np.int64]:
    return np.fromiter(map(hash, ids), np.int64, len(ids))


def _run(hashes: NDArray[np.int64], offsets: NDArray[np.int64]) -> _Run:
    order = np.argsort(hashes, kind="stable")  # linear for two runs laid end to end
    return hashes[order], offsets[order]
