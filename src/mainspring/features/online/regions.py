"""The memory of the online state: one arena, and one region in it for each key of each lane.

A lane is a stream of facts that count for the same aggregates (see layout.py). Its facts with one key live in a region of
the arena, sorted by (visible time, order of arrival): `capacity` positions, of which `count` from `first` on hold facts.
A region is a table laid out column by column, and everything in it is 64 bits wide:

    times       capacity x int64        visible times
    values      capacity x float64      for each number of the lane: its values,
    high, low   capacity x float64      and the sums of the earlier values of the key (`features.kernels.prefix_sums`)
    payloads    capacity x int64        for each value that is picked or told apart: its bits or its code
    peaks       capacity / BLOCK        for each number: the greatest and the least value of each block

`slots` has a row for each region: BASE (where it begins in the arena), FIRST, COUNT, CAPACITY; those of one key, one for each
lane of its group, follow one another. Capacities are BLOCK times a power of two, so that what one key gives back another takes:
`free` has a row for each lane, with the first free region of each capacity (NOWHERE: none), which names the next one in its
first word. Only when there is none is a region taken at the end of the arena, from the word `used[0]` on; `used[1]` is what was last
asked for in vain.

Old facts leave in whole blocks, by moving FIRST; so the peaks stay what they are, and the sums go on as if the old facts were
still there: a window's sum has the same bits as in batch, whose sums begin with the history.
"""

from __future__ import annotations

from numba import njit

__all__ = [
    "BASE",
    "BLOCK",
    "CAPACITY",
    "COUNT_OF",
    "FIRST",
    "LEVELS",
    "NOWHERE",
    "NUMBERS",
    "PAYLOADS",
    "compact",
    "expire",
    "look_through",
    "make_room",
    "positions_until",
]

BLOCK = 16
LEVELS = 48
"""More than there are capacities."""
NOWHERE = -1
BASE, FIRST, COUNT_OF, CAPACITY = 0, 1, 2, 3
NUMBERS, PAYLOADS, RETENTION, KEEPS_LAST, WIDTH = 0, 1, 2, 3, 4  # the columns of `lanes`; WIDTH: the lanes of its group


@njit(cache=True, nogil=True)
def _size(capacity, numbers, payloads):  # type: ignore[no-untyped-def]
    """How many words a region of so many positions takes."""
    return capacity * (1 + 3 * numbers + payloads) + (capacity // BLOCK) * 2 * numbers


@njit(cache=True, nogil=True)
def _take(words, used, free, lane, capacity, size):  # type: ignore[no-untyped-def]
    """Return where a region of this capacity may begin, NOWHERE when the arena has no room for it."""
    level = _level(capacity)
    base = free[lane, level]
    if base != NOWHERE:
        free[lane, level] = words[base]
    elif used[0] + size <= len(words):
        base = used[0]
        used[0] += size
    else:
        used[1] = size
    return base


@njit(cache=True, nogil=True)
def _give_back(words, free, lane, base, capacity):  # type: ignore[no-untyped-def]
    level = _level(capacity)
    words[base] = free[lane, level]
    free[lane, level] = base


@njit(cache=True, nogil=True)
def _level(capacity):  # type: ignore[no-untyped-def]
    level = 0
    while BLOCK << level < capacity:
        level += 1
    return level


@njit(cache=True, nogil=True)
def make_room(words, used, free, slots, slot, lanes, lane, watermark):  # type: ignore[no-untyped-def]
    """Give a full region room for one more fact: let old ones go, else move to a larger one. False: the arena is full."""
    expire(words, slots, slot, lanes, lane, watermark)
    count, capacity = slots[slot, COUNT_OF], slots[slot, CAPACITY]
    if capacity and 2 * count <= capacity:
        _move(words, slots, slot, lanes, lane, words, slots[slot, BASE], capacity)
        return True
    return _exchange(words, used, free, slots, slot, lanes, lane, max(BLOCK, 2 * capacity))


@njit(cache=True, nogil=True)
def _exchange(words, used, free, slots, slot, lanes, lane, wanted):  # type: ignore[no-untyped-def]
    """Move a slot's facts to a region of another capacity and give the old one back. False: the arena has no room."""
    old, capacity = slots[slot, BASE], slots[slot, CAPACITY]
    base = _take(words, used, free, lane, wanted, _size(wanted, lanes[lane, NUMBERS], lanes[lane, PAYLOADS]))
    if base == NOWHERE:
        return False
    _move(words, slots, slot, lanes, lane, words, base, wanted)
    if capacity:
        _give_back(words, free, lane, old, capacity)
    return True


@njit(cache=True, nogil=True)
def _move(words, slots, slot, lanes, lane, target, base, capacity):  # type: ignore[no-untyped-def]
    """Copy a slot's facts to the beginning of a region of `target`, which may be the region in which they are."""
    old_base, first = slots[slot, BASE], slots[slot, FIRST]
    count, old_capacity = slots[slot, COUNT_OF], slots[slot, CAPACITY]
    columns = 1 + 3 * lanes[lane, NUMBERS] + lanes[lane, PAYLOADS]
    for column in range(columns):
        begin, to = old_base + column * old_capacity + first, base + column * capacity
        for i in range(count):
            target[to + i] = words[begin + i]
    for peak in range(2 * lanes[lane, NUMBERS]):
        begin = old_base + columns * old_capacity + peak * (old_capacity // BLOCK) + first // BLOCK
        to = base + columns * capacity + peak * (capacity // BLOCK)
        for i in range((count + BLOCK - 1) // BLOCK):
            target[to + i] = words[begin + i]
    slots[slot, BASE], slots[slot, FIRST], slots[slot, CAPACITY] = base, 0, capacity


@njit(cache=True, nogil=True)
def expire(words, slots, slot, lanes, lane, watermark):  # type: ignore[no-untyped-def]
    """Let whole blocks of facts go that no window of a decision at or after the watermark can hold."""
    base, first, count = slots[slot, BASE], slots[slot, FIRST], slots[slot, COUNT_OF]
    if count == 0 or watermark < words[base + first]:
        return
    old = positions_until(words, base + first, count, watermark - lanes[lane, RETENTION])
    if lanes[lane, KEEPS_LAST]:
        old = min(old, max(0, positions_until(words, base + first, count, watermark) - 1))
    elif old == count:
        slots[slot, FIRST], slots[slot, COUNT_OF] = 0, 0
        return
    gone = old // BLOCK * BLOCK
    slots[slot, FIRST] = first + gone
    slots[slot, COUNT_OF] = count - gone


@njit(cache=True, nogil=True)
def positions_until(words, begin, count, instant):  # type: ignore[no-untyped-def]
    """How many of the sorted times are at or before an instant."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if words[begin + middle] <= instant:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def look_through(words, used, free, slots, lane_of, lanes, texts, kept, begin, budget, watermark, gone):  # type: ignore[no-untyped-def]
    """Let old facts go and give back what they took, key by key from slot `begin` on, until `budget` regions and texts are seen.

    `lane_of` holds the lane of each slot, `texts` is true for the payloads of each lane that are codes of texts; of those
    that stay `kept` is made true. The first slot of each key of which nothing is left goes to `gone`, and its BASE becomes
    NOWHERE. Returns the slot to go on from, and how many are gone.
    """
    slot, seen, n_gone = begin, 0, 0
    while slot < len(lane_of) and seen < budget:
        first_lane = lane_of[slot]
        width = lanes[first_lane, WIDTH]
        held = 0
        seen += width
        if slots[slot, BASE] != NOWHERE:
            for offset in range(width):
                lane = first_lane + offset
                expire(words, slots, slot + offset, lanes, lane, watermark)
                _shrink(words, used, free, slots, slot + offset, lanes, lane)
                held += slots[slot + offset, COUNT_OF]
                seen += _keep_texts(words, slots, slot + offset, lanes, lane, texts, kept)
            if held == 0:
                slots[slot, BASE] = NOWHERE
                gone[n_gone] = slot
                n_gone += 1
        slot += width
    return slot, n_gone


@njit(cache=True, nogil=True)
def _shrink(words, used, free, slots, slot, lanes, lane):  # type: ignore[no-untyped-def]
    """Give an empty region back; exchange one of which not an eighth is used for one of which at least a quarter is."""
    count, capacity = slots[slot, COUNT_OF], slots[slot, CAPACITY]
    if capacity and not count:
        _give_back(words, free, lane, slots[slot, BASE], capacity)
        slots[slot, FIRST], slots[slot, CAPACITY] = 0, 0
    elif capacity > max(BLOCK, 8 * count):
        _exchange(words, used, free, slots, slot, lanes, lane, _least(2 * count))


@njit(cache=True, nogil=True)
def _keep_texts(words, slots, slot, lanes, lane, texts, kept):  # type: ignore[no-untyped-def]
    """Mark the texts that a slot's facts hold; return how many were looked at."""
    count, capacity, numbers = slots[slot, COUNT_OF], slots[slot, CAPACITY], lanes[lane, NUMBERS]
    seen = 0
    for payload in range(lanes[lane, PAYLOADS]):
        if texts[lane, payload]:
            begin = slots[slot, BASE] + (1 + 3 * numbers + payload) * capacity + slots[slot, FIRST]
            for i in range(begin, begin + count):
                if words[i] >= 0:
                    kept[words[i]] = True
            seen += count
    return seen


@njit(cache=True, nogil=True)
def _least(count):  # type: ignore[no-untyped-def]
    """The least capacity that holds so many facts."""
    return BLOCK << _level(count)


@njit(cache=True, nogil=True)
def compact(words, used, free, slots, lane_of, lanes, watermark, target):  # type: ignore[no-untyped-def]
    """Let old facts go everywhere and copy what stays, slot by slot, into `target`; return the words that it takes.

    Without a target (of length 0) the words are only counted. With one, nothing is free but what comes after `used`.
    """
    needed = 0
    for slot in range(len(lane_of)):
        lane = lane_of[slot]
        expire(words, slots, slot, lanes, lane, watermark)
        count = slots[slot, COUNT_OF]
        capacity = _least(count) if count else 0
        if len(target) and count:
            _move(words, slots, slot, lanes, lane, target, needed, capacity)
        elif len(target):
            slots[slot, FIRST], slots[slot, CAPACITY] = 0, 0
        needed += _size(capacity, lanes[lane, NUMBERS], lanes[lane, PAYLOADS])
    if len(target):
        free[:] = NOWHERE
        used[0] = needed
    return needed
