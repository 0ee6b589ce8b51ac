"""What was known of each day: the newest that was said stays, a step that is not kept says nothing, a past begun again forgets."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mainspring.answers import Arm
from mainspring.clock import DAY
from mainspring.errors import LedgerError
from mainspring.ledger import KeptLoop, Ledger, Signal

NOON = DAY // 2
STEP = KeptLoop(system="flights", declaration="d", step=1, at=3 * DAY + NOON, written_at=11, state=b"")


def said(day: int, at: int, document: bytes = b"", *, kind: str = "quality", about: str = "m1") -> Signal:
    return Signal(system="flights", kind=kind, about=about, day=day, at=at, document=document)


def days(ledger: Ledger, kind: str = "quality") -> list[int]:
    return [each.day for each in ledger.signals.read("flights", kind)]


KINDS, MODELS = ("features", "quality"), ("m1", "m2")
whose = st.tuples(st.integers(0, 2), st.sampled_from(MODELS), st.sampled_from(KINDS))


@given(steps=st.lists(st.lists(whose, unique=True, max_size=5), max_size=5))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_of_each_day_the_newest_that_was_said_is_kept_once(
    ledger: Ledger, steps: list[list[tuple[int, str, str]]]
) -> None:
    begun = ledger.loops.newest_step("flights")
    expected = {
        (each.day, each.about, each.kind): each for kind in KINDS for each in ledger.signals.read("flights", kind)
    }
    for number, changed in enumerate(steps, begun + 1):
        signals = [said(day, number, b"%d" % number, about=about, kind=kind) for day, about, kind in changed]
        ledger.loops.commit(replace(STEP, step=number), signals=signals)
        expected |= {(each.day, each.about, each.kind): each for each in signals}
    for kind in KINDS:
        kept = [expected[key] for key in sorted(expected) if key[2] == kind]
        assert ledger.signals.read("flights", kind) == kept


def test_what_is_asked_for_is_read(ledger: Ledger) -> None:
    rows = [said(1, 10), said(2, 20), said(2, 20, about="m2"), said(2, 20, kind="features")]
    ledger.loops.commit(STEP, signals=rows)
    read = ledger.signals.read
    assert read("flights", "quality") == rows[:3]
    assert read("flights", "quality", about="m2") == [rows[2]]
    assert read("flights", "quality", since=2) == rows[1:3]
    assert read("flights", "quality", after=10) == rows[1:3]
    assert read("others", "quality") == []


def test_a_step_that_is_not_kept_says_nothing(ledger: Ledger) -> None:
    ledger.loops.commit(STEP, signals=[said(1, 10, b"before")])
    wrong = [Arm(name="candidate", role="shadow", model="m", share=0.5)]
    with pytest.raises(LedgerError, match="LEDGER_ARMS"):
        ledger.loops.commit(replace(STEP, step=2), signals=[said(1, 20), said(2, 20)], arms=wrong)
    with pytest.raises(LedgerError, match="LEDGER_LOOP"):
        ledger.loops.commit(replace(STEP, step=7), signals=[said(1, 20), said(2, 20)])
    assert [each.document for each in ledger.signals.read("flights", "quality")] == [b"before"]


def test_a_loop_that_begins_in_the_past_forgets_what_came_after(ledger: Ledger) -> None:
    rows = [said(day, (day + 1) * DAY) for day in range(1, 6)]
    ledger.loops.commit(replace(STEP, at=6 * DAY), signals=[*rows, *(replace(each, kind="features") for each in rows)])
    elsewhere = replace(STEP, system="others")
    ledger.loops.commit(elsewhere, signals=[replace(each, system="others") for each in rows])
    ledger.loops.commit(replace(STEP, step=2), anew=True)  # at noon of day 3, which had ended
    assert days(ledger) == days(ledger, "features") == [1, 2]
    assert len(ledger.signals.read("others", "quality")) == 5


def test_a_loop_that_begins_again_now_forgets_nothing(ledger: Ledger) -> None:
    ledger.loops.commit(STEP, signals=[said(2, 3 * DAY), said(3, STEP.at)])
    ledger.loops.commit(replace(STEP, step=2), anew=True)
    assert days(ledger) == [2, 3]
