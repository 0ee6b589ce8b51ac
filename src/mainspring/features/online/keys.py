"""The keys that the online state holds: which slots belong to which key of which group."""

from __future__ import annotations

from collections.abc import Sequence
from sys import getsizeof
from typing import Any

import numpy as np

from mainspring.features.online.layout import Group

__all__ = ["Keys"]

_FIRST_SLOTS = 64
_SLOT_BYTES = getsizeof(1 << 16)


class Keys:
    """Slots by key: those of one key, one for each lane of its group, follow one another.

    `slots` and `lane_of` are what the kernels read of them (see regions.py), `used` slots long; a slot that was given back
    goes to the next new key of its group.
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        self.groups = groups
        self.slots = np.zeros((_FIRST_SLOTS, 4), np.int64)
        self.lane_of = np.zeros(_FIRST_SLOTS, np.int64)
        self.used = 0
        self.of: list[dict[Any, int]] = [{} for _ in groups]  # by group: the first slot of each key
        self._names: list[Any] = []  # by slot: the key whose first slot it is
        self._free: list[list[int]] = [[] for _ in groups]
        self._group_of_lane = [number for number, group in enumerate(groups) for _ in group.lanes]
        self._key_bytes = 0

    @property
    def bytes(self) -> int:
        """About how many bytes keys and slots take."""
        lists = sum(map(getsizeof, (*self.of, *self._free, self._names)))
        return lists + self._key_bytes + self.slots.nbytes + self.lane_of.nbytes

    def slot(self, number: int, key: Any) -> int:
        """Find the first slot of a key of the group of that number, or give it slots."""
        slot = self.of[number].get(key)
        return self._add(number, key) if slot is None else slot

    def remove(self, first_slots: Sequence[int]) -> None:
        """Take the slots from the keys that have these first slots: of their facts nothing is left."""
        for slot in first_slots:
            number, key = self._group_of_lane[self.lane_of[slot]], self._names[slot]
            del self.of[number][key]
            self._names[slot] = None
            self._free[number].append(slot)
            self._key_bytes -= _bytes_of(key)

    def close_up(self) -> None:
        """Number the slots anew, group by group in the order of `of`, without gaps."""
        order = [np.empty(0, np.int64)]
        for group, held in zip(self.groups, self.of, strict=True):
            first = np.fromiter(held.values(), np.int64, len(held))
            order.append((first[:, None] + np.arange(len(group.lanes))).ravel())
        self.take_over([list(held) for held in self.of], self.slots[np.concatenate(order)])

    def take_over(self, keys: Sequence[Sequence[Any]], slots: np.ndarray) -> None:
        """Hold these keys, by group, and no others; `slots` are theirs, in this order."""
        self.slots = np.concatenate([slots, np.zeros((_FIRST_SLOTS, 4), np.int64)])
        self.lane_of = np.zeros(len(self.slots), np.int64)
        self.used, self._key_bytes = 0, 0
        self._names = [None] * len(slots)
        self._free = [[] for _ in self.groups]
        for number, (group, names) in enumerate(zip(self.groups, keys, strict=True)):
            width = len(group.lanes)
            end = self.used + width * len(names)
            self.of[number] = dict(zip(names, range(self.used, end, width), strict=True))
            self._names[self.used : end : width] = names
            self.lane_of[self.used : end] = np.tile(group.first_lane + np.arange(width), len(names))
            self._key_bytes += sum(map(_bytes_of, names))
            self.used = end

    def _add(self, number: int, key: Any) -> int:
        group = self.groups[number]
        width = len(group.lanes)
        if self._free[number]:
            slot = self._free[number].pop()
        else:
            slot = self.used
            self.used += width
            while self.used > len(self.slots):
                self.slots = np.concatenate([self.slots, np.zeros_like(self.slots)])
                self.lane_of = np.concatenate([self.lane_of, np.zeros_like(self.lane_of)])
            self._names += [None] * width
            self.lane_of[slot : slot + width] = range(group.first_lane, group.first_lane + width)
        self.slots[slot : slot + width] = 0
        self.of[number][key] = slot
        self._names[slot] = key
        self._key_bytes += _bytes_of(key)
        return slot


def _bytes_of(key: Any) -> int:
    """What a key takes: itself, its parts, and the number of its slot."""
    return getsizeof(key) + (sum(map(getsizeof, key)) if isinstance(key, tuple) else 0) + _SLOT_BYTES
