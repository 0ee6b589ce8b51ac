"""A step of a loop is written whole or not at all, and by one process only."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mainspring.answers import Arm
from mainspring.errors import LedgerError
from mainspring.ledger import Alert, KeptLoop, Ledger, LoopEvent

FIRST = KeptLoop(system="flights", declaration="d", step=1, at=10, written_at=11, state=b"one")
EVENT = LoopEvent(
    system="flights",
    number=0,
    step=0,
    at=10,
    written_at=11,
    what="train",
    model="m2",
    told="because",
    evidence={"x": 1},
)
ARMS = [Arm(name="champion", role="champion", model="m2", share=1.0)]
ALERT = Alert(
    id="drift@1", monitor="drift", kind="features", severity="ticket", owner="", abouts=("a",), opened_at=1, told="t",
    fate="sent", sent=("ticket",),
)  # fmt: skip


def test_a_step_is_kept_with_all_that_it_did(ledger: Ledger) -> None:
    assert ledger.loops.kept("flights") is None
    assert ledger.loops.commit(FIRST, done=[EVENT]) is None
    second = replace(FIRST, step=2, state=b"two")
    number = ledger.loops.commit(second, done=[EVENT, EVENT], alerts=[ALERT], arms=ARMS, reason="promoted: why")
    assert ledger.loops.kept("flights") == second
    assert ledger.loops.kept("others") is None
    assert [(each.number, each.step) for each in ledger.loops.events("flights")] == [(3, 2), (2, 2), (1, 1)]
    assert ledger.loops.events("flights", limit=1)[0].evidence == {"x": 1}
    assert ledger.loops.events("flights", model="m3") == []
    assert len(ledger.loops.events("flights", what=("train", "promoted"))) == 3
    assert ledger.loops.events("flights", what=("promoted",)) == []
    deployed = ledger.deployments.current("flights")
    assert deployed is not None
    assert (deployed.number, deployed.by, deployed.reason, deployed.at) == (number, "loop", "promoted: why", 11)
    assert [each.alert for each in ledger.alerts.open("flights")] == [ALERT]


def test_a_step_that_cannot_be_kept_whole_leaves_nothing(ledger: Ledger) -> None:
    ledger.loops.commit(FIRST)
    shadow = Arm(name="candidate", role="shadow", model="m3", share=0.5)
    with pytest.raises(LedgerError, match="LEDGER_ARMS"):
        ledger.loops.commit(replace(FIRST, step=2), done=[EVENT], alerts=[ALERT], arms=[*ARMS, shadow])
    assert ledger.loops.kept("flights") == FIRST
    assert ledger.loops.events("flights") == []
    assert ledger.alerts.open("flights") == []
    assert ledger.deployments.current("flights") is None


@pytest.mark.parametrize("step", [1, 3])
def test_who_does_not_go_on_from_the_newest_step_is_refused(ledger: Ledger, step: int) -> None:
    ledger.loops.commit(FIRST)
    with pytest.raises(LedgerError, match="LEDGER_LOOP"):
        ledger.loops.commit(replace(FIRST, step=step), done=[EVENT])
    assert ledger.loops.kept("flights") == FIRST
    assert ledger.loops.events("flights") == []
