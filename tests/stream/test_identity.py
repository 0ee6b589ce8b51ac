from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.stream import identity
from mainspring.stream.identity import Identities


@settings(max_examples=200, deadline=None, database=None)
@given(
    batches=st.lists(st.sets(st.integers(0, 200), max_size=20), max_size=30),
    removed=st.integers(0, 100),
    colours=st.integers(1, 1000),
)
def test_a_topic_knows_its_ids_and_no_others(batches: list[set[int]], removed: int, colours: int) -> None:
    """Whatever collides (`colours` is how many hashes there are), and whatever retention has removed."""
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(identity, "_RECENT", 8)
        patches.setattr(identity, "_LARGEST_RUN", 40)
        hashes = identity._hashes
        patches.setattr(identity, "_hashes", lambda ids: hashes(ids) % colours)
        log: list[str] = []
        first = 0
        known = Identities(lambda offsets: [log[offset] if offset >= first else None for offset in offsets])
        for number, batch in enumerate(batches):
            ids = [str(each) for each in batch]
            held = {each: offset for offset, each in enumerate(log) if offset >= first}
            assert known.find(ids) == {each: held[each] for each in ids if each in held}
            fresh = [each for each in ids if each not in held]
            known.add({each: len(log) + more for more, each in enumerate(fresh)})
            log += fresh
            if number == len(batches) // 2:
                first = min(removed, len(log))
                known.forget_before(first)


def test_memory_stays_at_sixteen_bytes_a_record() -> None:
    ids = [hashlib.sha1(b"%d" % number).hexdigest() for number in range(100_000)]
    known = Identities(lambda offsets: [ids[offset] for offset in offsets])
    for start in range(0, len(ids), 1000):
        known.add({each: start + more for more, each in enumerate(ids[start : start + 1000])})
    assert sum(hashes.nbytes + offsets.nbytes for hashes, offsets in known._runs) <= 16 * len(ids)
    assert len(known._recent) < 20_000
    assert len(known._runs) <= 2
    assert known.find(ids[::1000]) == {ids[number]: number for number in range(0, len(ids), 1000)}
    known.forget_before(len(ids))
    assert known._runs == []
