"""The memory of the online state: bounded whatever comes, told as it is, and let go in pieces as well as at once."""

from __future__ import annotations

import tracemalloc

import numpy as np
import polars as pl
import pytest

from mainspring.clock import HOUR
from mainspring.declare import Expression
from mainspring.features import INSTANT, plan
from mainspring.features.online import OnlineState

from .test_online import LONG, long_world, restarted
from .worlds import Event

SHORT: dict[str, Expression] = {
    "note": Event.note.latest(by="shop", within="3h"),
    "notes": Event.note.distinct(by=("shop", "city"), over="2h"),
    "total": Event.amount.sum(by="shop", over="3h"),
}


def events(n: int, hour: int, *, notes: int | None = None, begin: int = 0) -> pl.DataFrame:
    """So many facts of one hour, each of a shop that never was before, with a note that never was (or one of a few)."""
    numbers = np.arange(begin, begin + n)
    return pl.DataFrame(
        {
            "shop": [f"shop-{hour}-{i}" for i in numbers],
            "city": [f"city-{i % 7}" for i in numbers],
            "amount": numbers * 0.5,
            "note": [
                f"a note of hour {hour}, and of nothing else: {i if notes is None else i % notes}" for i in numbers
            ],
            "_visible_at": np.full(n, hour * HOUR),
        }
    ).cast({"_visible_at": INSTANT})


@pytest.mark.parametrize("came", [None, 200])
def test_memory_is_flat_over_a_stream_of_ever_new_keys_and_texts(came: int | None) -> None:
    state = OnlineState(plan(SHORT))
    sizes = []
    for hour in range(120):
        state.add("event", events(200, hour))
        state.advance(hour * HOUR)
        state.forget(came)
        sizes.append(state.size())
    for part in ("arena_bytes", "key_bytes", "text_bytes", "n_facts"):
        taken = [getattr(size, part) for size in sizes]
        assert max(taken[40:]) <= 1.1 * max(taken[:40]), part
    assert max(size.keys["event by shop"] for size in sizes) <= 200 * (4 if came is None else 8)


def test_texts_stay_exactly_as_long_as_a_fact_has_them() -> None:
    state = OnlineState(plan(SHORT))
    for hour in range(12):
        state.add("event", events(30, hour, notes=5))
        state.advance(hour * HOUR)
        state = restarted(state)
        held = {text for text in state.contents().texts if text is not None}
        assert held == {text for kept in range(max(0, hour - 2), hour + 1) for text in events(5, kept)["note"]}
        assert state.answer({"shop": f"shop-{hour}-1", "city": "", "_at": hour * HOUR})["note"] in held


def test_a_text_that_comes_during_a_round_is_kept() -> None:
    """A round in pieces has passed a key when its next fact comes: what that fact says stays all the same."""
    state = OnlineState(plan(SHORT))
    state.add("event", events(50, 0))
    for number in range(100):
        state.forget(3)
        state.add("event", events(1, 0).with_columns(note=pl.lit(f"news {number}")))
        state.forget(3)
        assert state.answer({"shop": "shop-0-0", "city": "", "_at": HOUR})["note"] == f"news {number}"


def test_pieces_let_go_of_what_is_let_go_at_once_and_a_piece_is_small() -> None:
    whole, pieces = OnlineState(plan(SHORT)), OnlineState(plan(SHORT))
    for state in (whole, pieces):
        state.add("event", events(300, 0))
        state.add("event", events(100, 5))
        state.advance(5 * HOUR)
    whole.forget()
    most = 2 * 4 * 5  # places of four facts: three lanes, of which two have a text
    held = pieces.size().keys["event by shop"]
    for _ in range(200):
        pieces.forget(4)
        left = pieces.size().keys["event by shop"]
        assert held - left <= most
        held = left
    assert (pieces.size().keys, pieces.size().facts) == (whole.size().keys, whole.size().facts)
    assert set(pieces.contents().texts) - {None} == set(whole.contents().texts) - {None}


def test_what_some_keys_gave_back_others_take() -> None:
    state = OnlineState(plan({"total": SHORT["total"]}))
    key_by_key = pl.concat([events(2000, 0)] * 20).sort("shop", maintain_order=True)
    state.add("event", key_by_key)
    before = state.size().arena_bytes
    state.advance(9 * HOUR)
    state.forget(100_000)
    others = key_by_key.with_columns(pl.lit(9 * HOUR).cast(INSTANT).alias("_visible_at"), shop="new " + pl.col("shop"))
    state.add("event", others)
    assert state.size().arena_bytes == before
    assert state.size().keys == {"event by shop": 2000}
    assert [state.answer({"shop": f"{new}shop-0-3", "_at": 9 * HOUR})["total"] for new in ("", "new ")] == [0.0, 30.0]


def test_what_part_of_a_key_gave_back_it_takes_anew() -> None:
    """Of every shop the last note stays, but no amount; then amounts of those shops come, and of others."""
    state = OnlineState(plan({"note": Event.note.latest(by="shop"), "total": SHORT["total"]}))
    state.add("event", events(20, 0))
    state.advance(9 * HOUR)
    state.forget(1000)
    assert state.size().facts == {"event by shop": 20}
    state.add("event", events(40, 0).with_columns(pl.lit(9 * HOUR).cast(INSTANT).alias("_visible_at")))
    totals = [state.answer({"shop": f"shop-0-{i}", "_at": 9 * HOUR})["total"] for i in range(40)]
    assert totals == [i * 0.5 for i in range(40)]


@pytest.mark.parametrize("forgets", [False, True])
def test_size_tells_what_python_took(forgets: bool) -> None:
    frames = [events(8000, hour) for hour in range(4)]
    tracemalloc.start()
    try:
        state = OnlineState(plan(SHORT))
        empty = tracemalloc.get_traced_memory()[0]
        for hour, frame in enumerate(frames):
            state.add("event", frame)
            state.advance((hour + 2 * forgets) * HOUR)
            if forgets:
                state.forget(100_000)
        taken = tracemalloc.get_traced_memory()[0] - empty
    finally:
        tracemalloc.stop()
    told = state.size()
    assert told.bytes == told.arena_bytes + told.key_bytes + told.text_bytes
    assert 0.85 < told.bytes / taken < 1.15, (told, taken)
    assert told.key_bytes > 32 * 8000
    assert told.text_bytes > 32 * 8000


def test_facts_are_counted_by_group() -> None:
    state = OnlineState(plan(LONG))
    facts = long_world(1)[0]
    state.add("event", facts)
    size = state.size()
    assert size.facts["event"] == facts["amount"].is_not_null().sum()
    assert size.keys == {"event by shop": 3, "event by city": 3, "event": 1}
