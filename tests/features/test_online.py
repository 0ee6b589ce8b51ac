"""The laws of the online state: it is the reference, whatever comes when, and forgets nothing that could still be asked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.clock import HOUR
from mainspring.declare import Expression
from mainspring.errors import DataError, WorkspaceError
from mainspring.features import INSTANT, compute, plan
from mainspring.features.online import OnlineState, dump_state, load_state
from mainspring.features.reference import evaluate_feature

from .test_batch import ROWS
from .worlds import VALUES, Event, World, aggregates, worlds


def same(got: Any, want: Any, expression: Expression) -> bool:
    if got is None or want is None or not isinstance(want, float):
        return got is want if isinstance(want, bool) or want is None else got == want
    if not any(statistic in repr(expression) for statistic in ("sum", "mean", "std", "share")):
        return got == want
    return math.isclose(got, want, rel_tol=1e-9, abs_tol=1e-6 if "std" in repr(expression) else 1e-12)


def check_equal(state: OnlineState, decision: dict[str, Any], world: World) -> None:
    found = state.answer(decision)
    for name, expression in state.plan.expressions.items():
        want = evaluate_feature(expression, decision, world.tables)
        assert same(found[name], want, expression), f"{expression!r}: online {found[name]!r}, reference {want!r}"


def fill(state: OnlineState, world: World, events: pl.DataFrame, pieces: int) -> None:
    state.add("shop", world.frames["shop"])
    for begin in range(0, events.height, pieces):
        state.add("event", events[begin : begin + pieces])


@given(worlds(), st.lists(aggregates(), min_size=1, max_size=4), st.integers(1, 30), st.sampled_from([0, 5, 64]))
@settings(max_examples=250, deadline=None)
def test_online_equals_the_reference_for_every_aggregate(
    world: World, chosen: list[Expression], pieces: int, few: int
) -> None:
    """Facts come in the order of ingestion, their times in any order; decisions are asked as of any time.

    `few` of them are looked up one by one, more are numbered first.
    """
    state = OnlineState(plan({f"f{i}": expression for i, expression in enumerate(chosen)}))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("mainspring.features.online.intake._FEW", few)
        fill(state, world, world.frames["event"].sort("_seq"), pieces)
    for decision in world.decisions:
        check_equal(state, decision, world)


@given(worlds())
@settings(max_examples=60, deadline=None)
def test_online_equals_the_reference_for_every_row_expression(world: World) -> None:
    state = OnlineState(plan(ROWS))
    fill(state, world, world.frames["event"], 7)
    for decision in world.decisions:
        check_equal(state, decision, world)


def restarted(state: OnlineState) -> OnlineState:
    """Forget what can be, write the state, and begin from what was written."""
    found = load_state(state.plan, dump_state(state, {"position": 7}), grace=state.grace)
    assert found is not None
    assert found[1] == {"position": 7}
    return found[0]


@given(worlds(), st.lists(aggregates(), min_size=1, max_size=3), st.integers(0, 3), st.data())
@settings(max_examples=150, deadline=None)
def test_what_is_forgotten_was_not_needed(
    world: World, chosen: list[Expression], grace: int, data: st.DataObject
) -> None:
    """Facts and decisions in order of time; the state forgets and restarts between them; decisions may be late by the grace."""
    state = OnlineState(plan({f"f{i}": e for i, e in enumerate(chosen)}), grace=grace * HOUR)
    state.add("shop", world.frames["shop"])
    events = world.frames["event"]
    done = 0
    for decision in sorted(world.decisions, key=lambda row: row["_at"]):
        now = decision["_at"]
        due = events.filter(pl.col("_visible_at").cast(pl.Int64) <= now).height
        state.add("event", events[done:due])
        done = due
        state.advance(now)
        if data.draw(st.booleans()):
            state = restarted(state)
        check_equal(state, decision, world)
        check_equal(state, {**decision, "_at": now - data.draw(st.integers(0, grace)) * HOUR}, world)


def test_a_decision_from_before_the_watermark_is_refused() -> None:
    state = OnlineState(plan(ROWS), grace=HOUR)
    state.advance(10 * HOUR)
    with pytest.raises(DataError) as told:
        state.answer({"_at": 9 * HOUR - 1})
    assert told.value.code == "DATA_FORGOTTEN"


LONG: dict[str, Expression] = {
    f"{statistic}_{over}": getattr(Event.amount, statistic)(by="shop", over=over)
    for statistic in ("sum", "mean", "min", "max", "std", "count", "distinct", "first")
    for over in ("3h", "40h", "300h")
} | {
    "newest": Event.quantity.latest(by="shop"),
    "newest_urgent": Event.note.latest(by="city", where=Event.urgent),
    "everywhere": Event.amount.max(over="100h"),
}


def long_world(seed: int, n: int = 2000) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Many facts of few keys, so that regions are filled, emptied and moved; one in twenty comes late."""
    rng = np.random.default_rng(seed)

    def draw(rows: int, seen: np.ndarray) -> dict[str, Any]:
        some = lambda values, share=0.1: pl.Series(values).scatter(np.flatnonzero(rng.random(rows) < share), None)  # noqa: E731
        return {
            "shop": some(rng.choice(list("abc"), rows)),
            "city": some(rng.choice(list("xyz"), rows)),
            "amount": some(rng.normal(0, 1, rows) * 10.0 ** rng.integers(-3, 9, rows)),
            "quantity": some(rng.integers(-5, 5, rows)),
            "urgent": some(rng.random(rows) < 0.5),
            "note": some(rng.choice(["", "é", "long enough to have no view"], rows)),
            "due": pl.Series(seen),
        }

    times = np.sort(rng.integers(0, 500 * HOUR, n)) // HOUR * HOUR
    late = rng.random(n) < 0.05
    order = np.argsort(np.where(late, times + rng.integers(0, 50 * HOUR, n), times), kind="stable")
    facts = pl.DataFrame({**draw(n, times), "seen": times, "_visible_at": times})[order].with_row_index("_seq")
    at = np.sort(rng.integers(0, 520, 300)) * HOUR
    decisions = pl.DataFrame({**draw(300, at), "_at": at})
    instants = {"due": INSTANT, "_at": INSTANT, "seen": INSTANT, "_visible_at": INSTANT}
    return facts.cast({k: v for k, v in instants.items() if k in facts.columns}), decisions.cast(
        {k: v for k, v in {**VALUES, **instants}.items() if k in decisions.columns}
    )


@pytest.mark.parametrize(("seed", "pieces", "grace"), [(1, 1, 0), (2, 9, 60), (3, 700, 3)])
def test_online_equals_batch_over_long_histories(seed: int, pieces: int, grace: int) -> None:
    """The state is asked while facts come in, forgets what is old, and restarts; the grace is what it takes to be late."""
    facts, decisions = long_world(seed)
    # What has come by then is what counts: a fact is visible from its arrival on.
    arrived = facts.with_columns(pl.col("_visible_at").cum_max())
    expected = compute(LONG, decisions, {"event": arrived}).to_dicts()
    state = OnlineState(plan(LONG), grace=grace * HOUR)
    done = 0
    times = arrived["_visible_at"].to_physical().to_numpy()
    for number, decision in enumerate(decisions.with_columns(pl.col(INSTANT).to_physical()).to_dicts()):
        due = int(np.searchsorted(times, decision["_at"], side="right"))
        for begin in range(done, due, pieces):
            state.add("event", arrived[begin : min(due, begin + pieces)])
        done = max(done, due)
        state.advance(decision["_at"])
        if number % 50 == 49:
            state = restarted(state)
        for name, got in state.answer(decision).items():
            want = expected[number][name]
            assert (got is None) == (want is None), name
            if isinstance(want, float):
                # A deviation, like a sum, is measured against the values it comes from.
                size = 1e9 if name.startswith(("std", "sum", "mean")) else 0.0
                assert math.isclose(got, want, rel_tol=1e-9, abs_tol=size * 1e-15), (name, got, want)
            else:
                assert got == want, name
    state.forget()
    recent = int((times > state.watermark - 300 * HOUR).sum())
    assert state.size().facts["event by shop"] <= 2 * (recent + 16 * 3), "two lanes, and at most a block too many a key"


def test_a_changed_byte_is_told_and_another_plan_is_refused() -> None:
    state = OnlineState(plan(LONG))
    state.add("event", long_world(1)[0])
    stored = dump_state(state)
    assert load_state(plan(ROWS), stored) is None
    assert load_state(plan(LONG), stored, grace=1) is None
    with pytest.raises(WorkspaceError) as told:
        load_state(plan(LONG), stored[:-1] + bytes([stored[-1] ^ 1]))
    assert told.value.code == "WORKSPACE_BROKEN"


def test_facts_prepared_before_forgetting_are_void() -> None:
    state = OnlineState(plan(LONG))
    prepared = state.prepare("event", long_world(1)[0])
    state.forget()
    with pytest.raises(ValueError, match="prepare them again"):
        state.apply(prepared)


def test_the_smallest_whole_number_is_no_missing_one() -> None:
    state = OnlineState(plan({"newest": Event.quantity.latest(by="shop")}))
    smallest = -(2**63)
    rows = {"shop": ["a", "b"], "quantity": [smallest, None], "_visible_at": [1, 1]}
    state.add("event", pl.DataFrame(rows, schema={"shop": pl.String, "quantity": pl.Int64, "_visible_at": pl.Int64}))
    assert [state.answer({"shop": shop, "_at": 2})["newest"] for shop in "abc"] == [smallest, None, None]


def test_instants_and_truths_may_be_keys() -> None:
    expressions: dict[str, Expression] = {
        "due": Event.count(by="due", over="1h"),
        "both": Event.count(by=("due", "urgent"), over="1h"),
    }
    facts = pl.DataFrame({"due": [5, 5, 6], "urgent": [True, False, True], "_visible_at": [1, 1, 1]})
    state = OnlineState(plan(expressions))
    state.add("event", facts.cast({"due": INSTANT, "_visible_at": INSTANT}))
    state = restarted(state)
    assert state.answer({"due": 5, "urgent": True, "_at": 2}) == {"due": 2, "both": 1}
