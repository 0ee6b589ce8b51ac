"""Kernels of the online state: facts are inserted into its regions (see regions.py), and aggregates answered from them."""

from __future__ import annotations

import numpy as np
from numba import njit

from mainspring.features.kernels import _add_exactly, _sum_between
from mainspring.features.online.regions import (
    BASE,
    BLOCK,
    CAPACITY,
    COUNT_OF,
    FIRST,
    NUMBERS,
    PAYLOADS,
    make_room,
    positions_until,
)

__all__ = [
    "COUNT",
    "DISTINCT",
    "FIRST_VALUE",
    "FOREVER",
    "LATEST",
    "MAX",
    "MEAN",
    "MIN",
    "NO_SLOT",
    "STD",
    "SUM",
    "answer",
    "insert",
]

NO_SLOT = -1
COUNT, SUM, MEAN, STD, MIN, MAX, LATEST, FIRST_VALUE, DISTINCT = range(9)
STATISTIC, OFFSET, LANE, COLUMN, SPAN = 0, 1, 2, 3, 4  # the columns of `asked`
FOREVER = -1  # the span of a latest value of any age


@njit(cache=True, nogil=True)
def insert(words, reals, used, free, slots, lane, lanes, rows, times, values, payloads, begin, end, watermark):  # type: ignore[no-untyped-def]
    """Insert facts [begin, end) of a lane, in the order of arrival; return how far it came.

    `words` and `reals` are the arena as int64 and as float64; `rows` holds each fact's slot (NO_SLOT: it has no key, and is
    passed over), `values` and `payloads` a row for each number and payload of the lane. It stops before a fact for which
    the arena has no room.
    """
    numbers, n_payloads = lanes[lane, NUMBERS], lanes[lane, PAYLOADS]
    for fact in range(begin, end):
        slot = rows[fact]
        if slot == NO_SLOT:
            continue
        full = slots[slot, FIRST] + slots[slot, COUNT_OF] == slots[slot, CAPACITY]
        if full and not make_room(words, used, free, slots, slot, lanes, lane, watermark):
            return fact
        base, capacity = slots[slot, BASE], slots[slot, CAPACITY]
        first, count = slots[slot, FIRST], slots[slot, COUNT_OF]
        time = times[fact]
        position = first + count
        while position > first and words[base + position - 1] > time:
            position -= 1
        for column in range(1 + 3 * numbers + n_payloads):
            begins = base + column * capacity
            for i in range(first + count, position, -1):
                words[begins + i] = words[begins + i - 1]
        words[base + position] = time
        for k in range(numbers):
            reals[base + (1 + 3 * k) * capacity + position] = values[k, fact]
        for k in range(n_payloads):
            words[base + (1 + 3 * numbers + k) * capacity + position] = payloads[k, fact]
        slots[slot, COUNT_OF] = count + 1
        _follow(reals, base, capacity, first, first + count + 1, position, numbers, n_payloads)
    return end


@njit(cache=True, nogil=True)
def _follow(reals, base, capacity, first, end, position, numbers, payloads):  # type: ignore[no-untyped-def]
    """Bring sums and peaks up to date from a changed position on.

    The sum before a key's first fact ever is zero; when a fact is put before the first one still there, what had been summed
    before that one stands before the new one.
    """
    for k in range(numbers):
        value = base + (1 + 3 * k) * capacity
        high, low = value + capacity, value + 2 * capacity
        if end - first == 1:
            reals[high + position], reals[low + position] = 0.0, 0.0
        elif position == first:
            reals[high + position], reals[low + position] = reals[high + position + 1], reals[low + position + 1]
        for i in range(max(position, first + 1), end):
            total, lost = _add_exactly(reals[high + i - 1], reals[value + i - 1])
            total, rest = _add_exactly(total, reals[low + i - 1] + lost)
            reals[high + i], reals[low + i] = total, rest
        greatest = base + capacity * (1 + 3 * numbers + payloads) + 2 * k * (capacity // BLOCK)
        least = greatest + capacity // BLOCK
        block = position // BLOCK
        if position == end - 1 and position > max(first, block * BLOCK):  # one more at the end, as nearly always
            reals[greatest + block] = max(reals[greatest + block], reals[value + position])
            reals[least + block] = min(reals[least + block], reals[value + position])
            continue
        for changed in range(block, (end - 1) // BLOCK + 1):
            top, bottom = -np.inf, np.inf
            for i in range(max(first, changed * BLOCK), min(end, (changed + 1) * BLOCK)):
                top, bottom = max(top, reals[value + i]), min(bottom, reals[value + i])
            reals[greatest + changed], reals[least + changed] = top, bottom


@njit(cache=True, nogil=True)
def answer(words, reals, slots, lanes, asked, firsts, at, found, picked):  # type: ignore[no-untyped-def]
    """Answer every aggregate as of `at`.

    `asked` has a row for each aggregate: its STATISTIC, LANE, COLUMN among the numbers or payloads, SPAN, and OFFSET, the
    lane's place in its group; `firsts` holds for each aggregate the first slot of the decision's key in that group (NO_SLOT:
    none). Statistics go to `found` (NaN: missing), counts and picked payloads to `picked`; where a payload is picked `found`
    is 1, where none is it is NaN.
    """
    for k in range(len(asked)):
        statistic, span = asked[k, STATISTIC], asked[k, SPAN]
        picked[k] = 0
        found[k] = 0.0 if statistic == SUM else np.nan
        if firsts[k] == NO_SLOT:
            continue
        slot, lane = firsts[k] + asked[k, OFFSET], asked[k, LANE]
        numbers, payloads = lanes[lane, NUMBERS], lanes[lane, PAYLOADS]
        base, capacity, count = slots[slot, BASE], slots[slot, CAPACITY], slots[slot, COUNT_OF]
        times = base + slots[slot, FIRST]
        upper = positions_until(words, times, count, at)
        lower = 0 if span == FOREVER else positions_until(words, times, upper, at - span)
        if statistic == COUNT:
            picked[k] = upper - lower
            continue
        if lower == upper:
            continue
        column = asked[k, COLUMN]
        if statistic in (LATEST, FIRST_VALUE, DISTINCT):
            values = times + (1 + 3 * numbers + column) * capacity
            if statistic == DISTINCT:
                picked[k] = _distinct(words, values + lower, upper - lower)
            else:
                picked[k] = words[values + (upper - 1 if statistic == LATEST else lower)]
                found[k] = 1.0
            continue
        values = times + (1 + 3 * column) * capacity
        if statistic in (MIN, MAX):
            sign = 1.0 if statistic == MAX else -1.0
            peaks = base + capacity * (1 + 3 * numbers + payloads) + 2 * column * (capacity // BLOCK)
            if statistic == MIN:
                peaks += capacity // BLOCK
            first = slots[slot, FIRST]
            found[k] = _extreme(reals, values - first, peaks, first + lower, first + upper, sign)
            continue
        if statistic == STD and upper - lower < 2:
            continue
        series, high = reals[values : values + count], reals[values + capacity : values + capacity + count]
        low = reals[values + 2 * capacity : values + 2 * capacity + count]
        total = _sum_between(series, high, low, lower, upper)
        if statistic == SUM:
            found[k] = total
        elif statistic == MEAN:
            found[k] = total / (upper - lower)
        else:
            found[k] = _deviation(series, lower, upper, total)


@njit(cache=True, nogil=True)
def _extreme(reals, values, peaks, begin, end, sign):  # type: ignore[no-untyped-def]
    """The greatest (or least, by sign) of the values at [begin, end): whole blocks by their peaks."""
    best = -np.inf
    i = begin
    while i < end and i % BLOCK:
        best = max(best, sign * reals[values + i])
        i += 1
    while i + BLOCK <= end:
        best = max(best, sign * reals[peaks + i // BLOCK])
        i += BLOCK
    while i < end:
        best = max(best, sign * reals[values + i])
        i += 1
    return sign * best


@njit(cache=True, nogil=True)
def _deviation(values, lower, upper, total):  # type: ignore[no-untyped-def]
    """The sample standard deviation in two passes, the second one corrected (Chan, Golub and LeVeque 1983)."""
    count = upper - lower
    mean = total / count
    squares, rest = 0.0, 0.0
    for i in range(lower, upper):
        gap = values[i] - mean
        squares += gap * gap
        rest += gap
    return np.sqrt(max(0.0, squares - rest * rest / count) / (count - 1))


@njit(cache=True, nogil=True)
def _distinct(words, begin, count):  # type: ignore[no-untyped-def]
    """How many different words there are in a piece of the arena."""
    size = 8
    while size < 2 * count:
        size *= 2
    table, taken = np.empty(size, np.int64), np.zeros(size, np.bool_)
    different = 0
    for i in range(begin, begin + count):
        word = words[i]
        mixed = np.uint64(word) * np.uint64(0x9E3779B97F4A7C15)
        place = np.int64(mixed >> np.uint64(32)) & (size - 1)
        while taken[place] and table[place] != word:
            place = (place + 1) & (size - 1)
        if not taken[place]:
            taken[place], table[place] = True, word
            different += 1
    return different
