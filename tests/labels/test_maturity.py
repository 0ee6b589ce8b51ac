"""The laws of labels: known at the row that decides, or at the end of the horizon; never before."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

import mainspring as ms
from mainspring.clock import HOUR, parse_span
from mainspring.declare import Label
from mainspring.features.reference import evaluate
from mainspring.labels import mature
from tests.features.worlds import Event, Order, World, decision_rows, rows

BY_ROW = ms.Decision(Order, at=Order.placed)


def reference(label: Label, world: World, as_of: int, single: bool) -> list[tuple[Any, int | None, bool]]:
    """Row by row: the first row with a value after the decision and within the horizon, else otherwise at its end."""
    found = []
    for decision in world.decisions:
        at, horizon = decision["_at"], decision["_at"] + parse_span(label.within)
        matching = sorted(
            (
                row
                for row in world.events
                if all(row[theirs] is not None and row[theirs] == decision[ours] for theirs, ours in label.by)
                and evaluate(label.outcome, row, {}) is not None
            ),
            key=lambda row: (row["_visible_at"], row["_seq"]),
        )
        already = single and any(row["_visible_at"] <= at for row in matching)
        deciding = [row for row in matching if at < row["_visible_at"] <= horizon]
        value = evaluate(label.outcome, deciding[0], {}) if deciding else label.otherwise
        known_at = deciding[0]["_visible_at"] if deciding else horizon
        known = not already and value is not None and known_at <= as_of
        found.append((value if known else None, known_at if known else None, already))
    return found


outcomes = st.sampled_from([Event.amount > 1, Event.amount, Event.quantity, Event.shop, Event.due - Event.seen])


@given(
    st.lists(rows, max_size=20), st.lists(decision_rows, min_size=1, max_size=6), outcomes, st.booleans(),
    st.sampled_from(["1h", "5h", "2d"]), st.integers(0, 40),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_labels_are_the_reference(
    events: list[dict[str, Any]], decisions: list[dict[str, Any]], outcome: Any, fallback: bool, within: str, hours: int
) -> None:
    world = World([{**row, "_seq": i} for i, row in enumerate(events)], decisions, [])
    otherwise = {"binary": True, "regression": 0.0, "multiclass": "none"}
    label = ms.Label(outcome, by="shop", within=within)
    if fallback and outcome.kind != "span":
        label = ms.Label(outcome, by="shop", within=within, otherwise=otherwise[label.task])
    as_of = (380_000 + hours) * HOUR
    found = mature(label, BY_ROW, world.decision_frame, world.frames, as_of=as_of).frame
    for got, (value, known_at, already) in zip(
        found.rows(named=True), reference(label, world, as_of, False), strict=True
    ):
        expected = float(value) if value is not None and label.task != "multiclass" else value
        assert got["label"] == (expected / 1e6 if outcome.kind == "span" and expected is not None else expected)
        known = got["label_known_at"]
        assert (None if known is None else round(known.timestamp() * 1e6)) == known_at
        assert got["already_known"] is already


@given(st.lists(rows, max_size=20), st.lists(decision_rows, min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_a_label_known_before_its_decision_is_no_decision(
    events: list[dict[str, Any]], decisions: list[dict[str, Any]]
) -> None:
    world = World([{**row, "_seq": i} for i, row in enumerate(events)], decisions, [])
    label = ms.Label(Event.urgent, by={"shop": "order_id"}, within="5h", otherwise=False)
    frame = world.decision_frame.with_columns(pl.col("shop").alias("order_id"))
    found = mature(label, BY_ROW, frame, world.frames, as_of=10**17)
    with_key = ms.Label(Event.urgent, by="shop", within="5h", otherwise=False)
    assert found.frame["already_known"].to_list() == [
        already for _, _, already in reference(with_key, world, 10**17, True)
    ]
    assert found.left_out.get("label already known", 0) == found.frame["already_known"].sum()


@given(
    st.lists(rows, max_size=15), st.lists(decision_rows, min_size=1, max_size=6), st.lists(rows, min_size=1, max_size=4)
)
@settings(max_examples=50, deadline=None)
def test_what_comes_later_changes_no_label_known_before(
    events: list[dict[str, Any]], decisions: list[dict[str, Any]], later: list[dict[str, Any]]
) -> None:
    as_of = (380_000 + 25) * HOUR
    label = ms.Label(Event.amount > 0, by="shop", within="3h", otherwise=True)
    world = World([{**row, "_seq": i} for i, row in enumerate(events)], decisions, [])
    more = [
        {**row, "_visible_at": as_of + HOUR + row["_visible_at"] % HOUR, "_seq": 100 + i} for i, row in enumerate(later)
    ]
    grown = World(world.events + more, decisions, [])
    before = mature(label, BY_ROW, world.decision_frame, world.frames, as_of=as_of).frame
    assert before.equals(mature(label, BY_ROW, grown.decision_frame, grown.frames, as_of=as_of).frame)


def test_a_window_is_read_at_the_end_of_its_horizon() -> None:
    start = 380_000 * HOUR
    blank = dict.fromkeys(("city", "amount", "quantity", "urgent", "note", "due"))
    events = [{"shop": "a", **blank, "_visible_at": start + n * HOUR // 2, "seen": start, "_seq": n} for n in range(6)]
    world = World(events, [{"shop": "a", **blank, "_at": start}, {"shop": "b", **blank, "_at": start}], [])
    label = ms.Label(Event.count(by="shop", over="1h"), within="1h")
    schedule = ms.Decision(Order, every="1h")
    known = mature(label, schedule, world.decision_frame, world.frames, as_of=start + HOUR).frame
    assert known["label"].to_list() == [2.0, 0.0]
    pending = mature(label, schedule, world.decision_frame, world.frames, as_of=start + HOUR - 1)
    assert pending.frame["label"].to_list() == [None, None]
    assert pending.left_out == {"label not known yet": 2}
