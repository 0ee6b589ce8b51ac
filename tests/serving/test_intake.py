"""Facts that come over the wire are those that the lake would keep: sound, new, and visible when they may be."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.clock import DAY, HOUR, MINUTE
from mainspring.features import INSTANT
from mainspring.serving.given_rows import frame_of_values
from mainspring.serving.intake import Intake, Taken, latest_known

from .shop import BEGIN, deliveries, empty_history, system


def take(intake: Intake, rows: list[dict[str, Any]], arrived_at: int = BEGIN) -> Taken:
    conformed = intake.read("delivery", frame_of_values(rows))
    return intake.take("delivery", conformed, arrived_at, latest_known(arrived_at))


def test_rows_sent_again_are_there_already_and_contradictions_are_told() -> None:
    intake = Intake(system, empty_history())
    rows = deliveries(4)
    first = take(intake, [*rows, rows[0]])
    assert (first.given, first.accepted, first.already_there, first.rejected) == (5, 4, 1, 0)
    changed = {**rows[1], "minutes": 99.0}
    second = take(intake, [rows[3], changed, {**rows[0], "minutes": -1.0}, *deliveries(1, first=7)])
    assert (second.given, second.accepted, second.already_there, second.rejected) == (4, 1, 1, 2)
    assert [(each.row, each.reason) for each in second.rejections] == [(1, "contradiction"), (2, "too_small")]


def test_what_the_history_has_is_there_already() -> None:
    rows = deliveries(6)
    empty = Intake(system, empty_history())
    history = empty_history() | {"delivery": take(empty, rows).facts}
    taken = take(Intake(system, history), [*rows, *deliveries(1, first=9), {**rows[2], "minutes": 0.5}])
    assert (taken.accepted, taken.already_there, taken.rejected) == (1, 6, 1)


def test_none_is_visible_before_it_arrived_nor_before_its_lag() -> None:
    at = BEGIN + HOUR
    early, late = deliveries(1, begin=at - 2 * HOUR)[0], deliveries(1, begin=at + 2 * HOUR, first=1)[0]
    visible = take(Intake(system, empty_history()), [early, late], arrived_at=at).facts["_visible_at"].to_physical()
    assert visible.to_list() == [at, at + 2 * HOUR + 5 * MINUTE]


def test_what_a_wrong_clock_made_is_rejected_with_the_reason() -> None:
    intake = Intake(system, empty_history())
    rows = [deliveries(1, begin=BEGIN + days * DAY, first=days)[0] for days in (0, 366, 367, 60_000)]
    taken = take(intake, rows)
    assert (taken.given, taken.accepted, taken.rejected) == (4, 2, 2)
    assert [(each.row, each.reason) for each in taken.rejections] == [(2, "too_far_ahead"), (3, "too_far_ahead")]
    newest = intake.newest(taken, BEGIN)
    assert newest is not None
    assert newest.known_at == BEGIN + 366 * DAY
    assert take(intake, rows, BEGIN + 2 * DAY).accepted == 1, "its time has come nearer"


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=12), st.data())
@settings(deadline=None)
def test_however_rows_are_split_the_same_facts_are_accepted(drawn: list[tuple[int, int]], data: st.DataObject) -> None:
    """The first row with a key and time is the fact, in whichever request it came."""
    rows = [{**deliveries(6)[i], "minutes": float(m)} for i, m in drawn]
    expected: dict[str, float] = {}
    for row in rows:
        expected.setdefault(row["order_id"], row["minutes"])
    cut = data.draw(st.integers(0, len(rows)))
    intake = Intake(system, empty_history())
    taken = [take(intake, part) for part in (rows[:cut], rows[cut:]) if part]
    found = pl.concat([t.facts for t in taken]) if taken else empty_history()["delivery"]
    assert dict(found.select("order_id", "minutes").iter_rows()) == expected
    assert found["_visible_at"].dtype == INSTANT
    assert all(t.accepted + t.already_there + t.rejected == t.given for t in taken)
