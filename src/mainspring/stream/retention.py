"""How long a log keeps its records: until they are too old or too many, and every group has done with them."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

import msgspec

from mainspring.stream.blocks import Blocks
from mainspring.stream.groups import Groups

__all__ = ["Retention", "trim"]

_BLOCKS_AT_ONCE = 512
_BYTES_AT_ONCE = 16 << 20


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """When records are removed, oldest first. None: never for this reason.

    `age`: when they were appended longer ago than this many microseconds. `size`: when the log's records need more than
    this many bytes. Neither removes what a known group has not committed. `hard_size`: above this many bytes the oldest
    go in any case: a group that is further behind misses them.

    The newest block of a topic always stays: from it the log knows how far the topic had come.
    """

    age: int | None = None
    size: int | None = None
    hard_size: int | None = None

    def smallest_size(self) -> int | None:
        """Return the smaller of the sizes, None when there is none."""
        return min((size for size in (self.size, self.hard_size) if size is not None), default=None)


def trim(blocks: Blocks, topics: Mapping[str, int], groups: Groups, retention: Retention, now: int) -> dict[str, int]:
    """Remove some of what retention lets go, in one transaction that is soon over: call until nothing is returned.

    Returns the offset before which records were removed, of each topic that lost any.

    Raises WorkspaceError, and sqlite3.Error for what the disk does not explain.
    """
    before = used = blocks.bytes_used()
    removed = dict[str, int]()
    aged = -(2**63) if retention.age is None else now - retention.age
    done = {topic: min(groups.of(topic).values(), default=2**63) for topic in topics}
    candidates = heapq.merge(
        *(
            [(appended_at, topic, first + records, size) for first, records, appended_at, size in fronts]
            for topic, fronts in ((topic, blocks.fronts(number, _BLOCKS_AT_ONCE)) for topic, number in topics.items())
        ),
        key=lambda candidate: candidate[0],
    )
    kept = set[str]()
    for appended_at, topic, end, size in candidates:
        if before - used > _BYTES_AT_ONCE:
            break
        over = retention.size is not None and used > retention.size
        too_much = retention.hard_size is not None and used > retention.hard_size
        if topic not in kept and (too_much or ((over or appended_at < aged) and end <= done[topic])):
            removed[topic] = end
            used -= size
        else:
            kept.add(topic)  # what follows in the topic stays too: there are no gaps
    if removed:
        with blocks.transaction():
            for topic, end in removed.items():
                blocks.remove_before(topics[topic], end)
    return removed
