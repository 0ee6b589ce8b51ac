"""The alerts of the ledger: recorded once, delivered until done, acknowledged by whoever was first, silenced for a while."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mainspring.errors import LedgerError
from mainspring.ledger import Alert, AlertLog, KeptAlert, Ledger, put_alerts
from tests.ledger.test_ledger import few_examples

SENT: dict[str, Any] = {"fate": "sent", "sent": ("ticket",)}


@pytest.fixture
def log(ledger: Ledger) -> AlertLog:
    return ledger.alerts


def alert(id: str = "drift@1", opened_at: int = 1, **others: Any) -> Alert:
    given = {
        "monitor": "drift", "kind": "features", "severity": "ticket", "owner": "ann", "abouts": ("a",), "told": "It moved.",
        "fate": "kept",
    }  # fmt: skip
    return Alert(id=id, opened_at=opened_at, **given | others)


states = st.builds(
    alert,
    severity=st.sampled_from(["page", "ticket", "note"]),
    ended_at=st.none() | st.integers(0, 2**62),
    abouts=st.lists(st.text(max_size=5), max_size=3).map(tuple),
    told=st.text(),
    value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    fate=st.sampled_from(["sent", "silenced", "over budget", "kept"]),
    sent=st.lists(st.sampled_from(["page", "ticket"]), max_size=2).map(tuple),
)


# Laws


@few_examples
@given(states, st.text(min_size=1, max_size=9))
def test_what_is_recorded_is_read_back_equal_and_the_same_again_is_once(
    log: AlertLog, state: Alert, system: str
) -> None:
    for _ in range(2):
        log.record(system, [state])
        assert log.history(system) == [KeptAlert(alert=state)]
        assert log.open(system) == [KeptAlert(alert=state)] * (state.ended_at is None)
        assert log.undelivered(system) == [state] * (state.fate == "sent")
        assert log.sends(system) == len(state.sent)


def test_alerts_are_kept_with_the_transaction_that_they_were_put_in(ledger: Ledger) -> None:
    def step() -> None:
        with ledger._database.writing() as connection:
            put_alerts(connection, "flights", [alert()])
            raise RuntimeError("the step failed")

    with pytest.raises(RuntimeError, match="the step failed"):
        step()
    assert ledger.alerts.history("flights") == []


def test_delivered_is_delivered_until_it_grows_worse(log: AlertLog) -> None:
    first = alert(**SENT)
    log.record("flights", [first])
    log.mark_delivered("flights", first, at=5)
    log.mark_delivered("flights", first, at=9)
    log.record("flights", [replace(first, ended_at=7)])
    assert log.undelivered("flights") == []
    assert [each.delivered_at for each in log.history("flights")] == [5]
    worse = replace(first, severity="page", sent=("ticket", "page"))
    log.record("flights", [worse])
    log.mark_delivered("flights", first, at=10)  # by one who did not know
    assert log.undelivered("flights") == [worse]


def test_who_acknowledged_first_stays_whatever_is_recorded_after(log: AlertLog) -> None:
    log.record("flights", [alert()])
    first = log.acknowledge("flights", "drift@1", by="ann", at=3)
    assert (first.acknowledged_by, first.acknowledged_at) == ("ann", 3)
    assert log.acknowledge("flights", "drift", by="bob", at=4) == first
    log.record("flights", [alert(ended_at=9)])
    assert log.history("flights")[0].acknowledged_by == "ann"


def test_a_silence_holds_from_when_it_was_made_until_it_ends(log: AlertLog) -> None:
    drift = log.silence("flights", "drift", at=10, until=20, by="ann", reason="known")
    everything = log.silence("flights", "*", at=12, until=14)
    log.silence("ships", "drift", at=0, until=99)
    held = {now: log.silences("flights", now) for now in (9, 10, 12, 14, 19, 20)}
    assert held == {9: [], 10: [drift], 12: [everything, drift], 14: [drift], 19: [drift], 20: []}
    assert log.unsilence("flights", "drift", at=15) == [drift]
    assert log.silences("flights", 15) == []
    assert log.silences("flights", 14) == [replace(drift, until=15)]


# Cases


def test_the_newest_is_first_and_the_oldest_is_delivered_first_system_by_system(log: AlertLog) -> None:
    alerts = [alert(f"drift@{at}", at, **SENT) for at in (2, 3, 1)]
    log.record("flights", alerts)
    log.record("ships", [alert(**SENT)])
    opened = [each.alert.opened_at for each in log.history("flights")]
    assert all(one > other for one, other in pairwise(opened))
    assert [each.alert.opened_at for each in log.history("flights", limit=2)] == [3, 2]
    assert [each.opened_at for each in log.undelivered("flights")] == [1, 2, 3]


def test_an_alert_that_is_not_there_or_is_not_the_only_one(log: AlertLog) -> None:
    with pytest.raises(LedgerError, match=r"none yet.*LEDGER_UNKNOWN_ALERT"):
        log.acknowledge("flights", "drift", by="ann", at=1)
    log.record("flights", [alert(), alert("drift@2", 2)])
    with pytest.raises(LedgerError, match=r"begins the ids of several.*drift@2, drift@1"):
        log.acknowledge("flights", "drift", by="ann", at=1)
    with pytest.raises(LedgerError, match="No alert of flights has the id ''"):
        log.acknowledge("flights", "", by="ann", at=1)


def test_silences_that_cannot_be(log: AlertLog) -> None:
    for monitor, until, problem in [("drift", 5, "ends before it begins"), ("", 9, "names no monitor")]:
        with pytest.raises(LedgerError, match=problem):
            log.silence("flights", monitor, at=5, until=until)
    with pytest.raises(LedgerError, match="Nothing is"):
        log.unsilence("flights", "drift", at=5)
    log.silence("flights", "drift", at=5, until=9)
    with pytest.raises(LedgerError, match="Silenced are: drift"):
        log.unsilence("flights", "*", at=6)


# Pages of many


some = st.lists(
    st.tuples(st.integers(0, 20), st.none() | st.integers(0, 9), st.sampled_from(["drift", "volume", "lag"])),
    max_size=25,
)


@few_examples
@given(
    some, st.sampled_from(["open", "ended", "all"]), st.none() | st.sampled_from(["drift", "none"]), st.integers(1, 9)
)
def test_pages_are_the_history_of_what_is_chosen(
    ledger: Ledger, made: list[tuple[int, int | None, str]], state: Any, monitor: str | None, size: int
) -> None:
    log, system = ledger.alerts, f"s{hash((tuple(made), state, monitor, size))}"
    for number, (at, lasted, name) in enumerate(made):
        ended = None if lasted is None else at + lasted
        log.record(system, [alert(f"{number}", at, monitor=name, ended_at=ended)])
    history = log.history(system)
    wanted = [
        each
        for each in history
        if monitor in (None, each.alert.monitor)
        and (state == "all" or (each.alert.ended_at is None) == (state == "open"))
    ]
    pages = [
        log.page(system, state=state, monitor=monitor, limit=size, offset=offset)
        for offset in range(0, len(wanted) + size, size)
    ]
    assert [each for page in pages for each in page] == wanted
    assert log.count(system, state=state, monitor=monitor) == len(wanted)
    assert log.page(system, opened_before=7, limit=99) == [each for each in history if each.alert.opened_at < 7]
    assert sum(log.monitors(system).values()) == len(history)
    overlapping = [
        each.alert.id
        for each in history
        if each.alert.opened_at <= 12 and (each.alert.ended_at is None or each.alert.ended_at >= 8)
    ]
    assert [each.id for each in log.spans(system, 8, 12, limit=99)] == overlapping
    assert [each.id for each in log.spans(system, 8, 12, limit=2)] == overlapping[:2]
    for each in history:
        assert log.find(system, each.alert.id) == each
    assert log.find(system, "nothing") is None
