"""The newest settled decisions: the same however they come, of two weeks at the most, and of no day too many."""

from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mainspring.clock import DAY
from mainspring.loop.newest import Newest


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 900)), max_size=8),
    st.lists(st.integers(0, 5000), max_size=5),
    st.booleans(),
)
def test_however_a_stream_is_cut_the_same_is_left(
    busy: list[tuple[int, int]], cuts: list[int], several_classes: bool
) -> None:
    day = np.concatenate([np.full(count, number) for number, count in sorted(busy)] or [np.zeros(0)]).astype(np.int64)
    rng = np.random.default_rng(len(day))
    p = rng.uniform(size=(len(day), 3)) if several_classes else rng.uniform(size=len(day))
    y = rng.integers(0, 2, len(day)).astype(float)
    whole = Newest().after(day * DAY + 5, p, y)
    parts = Newest()
    for rows in np.split(np.arange(len(day)), sorted(min(cut, len(day)) for cut in cuts)):
        parts = parts.after(day[rows] * DAY + 5, p[rows], y[rows])
    assert parts == whole
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(whole), type=Newest) == whole
    if not len(day):
        assert (whole.span, whole.is_full, len(whole.settled().labels)) == (0, False, 0)
        return
    days, said, labels = whole.settled()
    assert days.min() > day.max() - 14
    assert (np.diff(days) >= 0).all()
    assert len(said) == len(labels) == len(days)
    for number, count in zip(*np.unique(days, return_counts=True), strict=True):
        of_day = int((day == number).sum())
        assert min(of_day, 256) <= count <= min(of_day, 512)
        first = np.flatnonzero(day == number)[0]
        assert (said[days == number][0] == p[first]).all(), "those kept are spread over the day from its first one"
