"""Alerts: a week's budget, one alert for each monitor, each told once, whatever monitors say and in whatever order."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.clock import DAY, HOUR, parse_instant
from mainspring.declare import Alerts
from mainspring.declare.policy import SIGNALS
from mainspring.errors import DeclarationError
from mainspring.ledger import Alert, Silence
from mainspring.monitoring.alerts import AlertBook, Change, look
from mainspring.monitoring.readings import Kind, Reading, Severity

KINDS = {"volume": "inputs", "drift": "features", "spread": "predictions", "log loss": "outcomes", "lag": "operations"}
SEVERITIES = get_args(Severity)
QUIET = Alerts(after=1, clear=1, cooldown="0s")
START = parse_instant("2013-05-07T10:00Z")

readings = st.builds(
    lambda monitor, about, state, severity, value: Reading(
        monitor=monitor, kind=KINDS[monitor], about=about, state=state, severity=severity, value=value, limit=1.0,
        told=f"{about or 'It'} is {state}.",
    ),
    st.sampled_from(sorted(KINDS)),
    st.sampled_from(["", "a", "b", "c"]),
    st.sampled_from(["ok", "firing", "firing", "unknown"]),
    st.sampled_from(["page", "ticket", "ticket", "note"]),
    st.none() | st.floats(0, 5),
)  # fmt: skip
silences = st.lists(
    st.builds(
        lambda monitor, hours: Silence(
            system="s", number=1, monitor=monitor, at=0, until=START + hours * HOUR, by="", reason=""
        ),
        st.sampled_from(["*", *KINDS]),
        st.integers(0, 400),
    ),
    max_size=2,
)
looks = st.lists(st.tuples(st.integers(1, 60), st.lists(readings, max_size=8)), min_size=1, max_size=40)
rules = st.builds(
    Alerts,
    per_week=st.sampled_from([0, 1, 2, 3]),
    after=st.integers(1, 3),
    clear=st.integers(1, 3),
    cooldown=st.sampled_from(["0s", "6h", "1d", "10d"]),
)
Told = list[tuple[int, list[Change]]]


def gone_through(
    rules: Alerts,
    looks: Iterable[tuple[int, Sequence[Reading]]],
    silences: Sequence[Silence] = (),
    stored: bool = False,
) -> tuple[AlertBook, Told]:
    """Every look, so many hours after the one before, and what changed at it."""
    book, now, told = AlertBook(), START, []
    for hours, said in looks:
        now += hours * HOUR
        if stored:
            book = msgspec.msgpack.decode(msgspec.msgpack.encode(book), type=AlertBook)
        book, changes = look(rules, book, said, now, silences)
        told.append((now, changes))
    return book, told


def newest(told: Told) -> dict[str, Alert]:
    return {change.alert.id: change.alert for _, changes in told for change in changes}


def sendings(told: Told) -> list[tuple[int, Alert]]:
    """When what was sent: each change by which an alert was told once more."""
    found, sends = [], Counter[str]()
    for now, changes in told:
        for change in changes:
            if len(change.alert.sent) > sends[change.alert.id]:
                sends[change.alert.id] += 1
                found.append((now, change.alert))
    return found


def firing(monitor: str = "drift", about: str = "a", **others: Any) -> Reading:
    given = {"kind": KINDS[monitor], "state": "firing", "told": "It is amiss."} | others
    return Reading(monitor=monitor, about=about, **given)


def ok(monitor: str = "drift", about: str = "a") -> Reading:
    return firing(monitor, about, state="ok")


# Laws


@settings(max_examples=200)
@given(rules, looks, silences)
def test_in_no_seven_days_are_more_tickets_sent_than_the_budget_has_and_pages_always_are(
    rules: Alerts, looks: Any, silences: list[Silence]
) -> None:
    _, told = gone_through(rules, looks, silences)
    sent = sendings(told)
    for began, _ in sent:
        tickets = [alert for at, alert in sent if began <= at < began + 7 * DAY and alert.severity == "ticket"]
        assert len(tickets) <= rules.per_week
    silenced = {each.monitor for each in silences}
    for _, alert in [(at, change.alert) for at, changes in told for change in changes]:
        if alert.severity == "page" and not silenced & {"*", alert.monitor}:
            assert alert.sent[-1] == "page"
        assert "note" not in alert.sent


@settings(max_examples=200)
@given(rules, looks, silences)
def test_a_monitor_has_one_alert_at_a_time_and_what_was_opened_ends_or_is_open(
    rules: Alerts, looks: Any, silences: list[Silence]
) -> None:
    book, told = gone_through(rules, looks, silences)
    open_now: dict[str, str] = {}
    for now, changes in told:
        assert len({change.alert.monitor for change in changes}) == len(changes)
        for change in changes:
            alert = change.alert
            if change.what == "opened":
                assert alert.monitor not in open_now
                assert alert.opened_at == now
            if alert.ended_at is None:
                assert open_now.setdefault(alert.monitor, alert.id) == alert.id
            else:
                assert change.what == "ended"
                assert open_now.pop(alert.monitor) == alert.id
    assert open_now == {name: each.id for name, each in book.alerts.items() if each.ended_at is None}
    assert all(newest(told)[each.id] == each for each in book.alerts.values()), "what is kept was told as a change"
    severities = [[c.alert for _, changes in told for c in changes if c.alert.id == id] for id in newest(told)]
    for states in severities:
        for one, other in pairwise(states):
            assert other.sent[: len(one.sent)] == one.sent
            assert set(one.abouts) <= set(other.abouts)
            assert SEVERITIES.index(other.severity) <= SEVERITIES.index(one.severity)


@settings(max_examples=100)
@given(rules, looks, silences, st.randoms(use_true_random=False))
def test_the_same_looks_give_the_same_alerts_stored_between_or_not_and_in_any_order(
    rules: Alerts, looks: Any, silences: list[Silence], shuffler: random.Random
) -> None:
    once = gone_through(rules, looks, silences)
    assert gone_through(rules, looks, silences, stored=True) == once
    shuffled = [(hours, shuffler.sample(said, len(said))) for hours, said in looks]
    book, told = gone_through(rules, shuffled, silences)
    assert (book.alerts, told) == (once[0].alerts, once[1])
    assert msgspec.msgpack.encode(gone_through(rules, looks, silences)[0]) == msgspec.msgpack.encode(once[0])


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 3), st.integers(1, 3))
def test_flapping_at_the_limit_sends_one_alert(states: list[bool], after: int, clear: int) -> None:
    said = [(1, [firing() if state else ok()]) for state in states]
    _, told = gone_through(Alerts(per_week=100, after=after, clear=clear, cooldown="3d"), said)
    assert len(sendings(told)) <= 1
    in_a_row = "".join("x" if state else "." for state in states)
    assert bool(sendings(told)) == ("x" * after in in_a_row)


@given(st.permutations(["note", "ticket", "page"]))
def test_a_rising_severity_is_sent_and_a_falling_one_is_not(severities: list[str]) -> None:
    book, told = gone_through(QUIET, [(1, [firing(severity=each)]) for each in severities])
    rank = {"page": 0, "ticket": 1, "note": 2}
    rising = [
        each for place, each in enumerate(severities) if rank[each] < min([3, *map(rank.get, severities[:place])])
    ]
    assert [alert.severity for _, alert in sendings(told)] == [each for each in rising if each != "note"]
    assert [change.what for _, changes in told for change in changes] == ["opened", *["worse"] * (len(rising) - 1)]
    assert book.alerts["drift"].severity == "page"


# Cases


def test_all_that_is_amiss_is_one_alert_which_tells_of_the_worst() -> None:
    said = [
        firing(about=name, value=value, limit=0.2, told=name) for name, value in [("b", 0.3), ("a", 0.9), ("c", 0.4)]
    ]
    _, changes = look(QUIET, AlertBook(), [*said, ok(about="d")], START, owner="ann")
    assert changes == [
        Change(
            "opened",
            Alert(
                id="drift@2013-05-07T10:00:00Z", monitor="drift", kind="features", severity="ticket", owner="ann",
                abouts=("a", "b", "c"), opened_at=START, told="a", value=0.9, limit=0.2, fate="sent", sent=("ticket",),
            ),
        )
    ]  # fmt: skip


def test_it_opens_and_ends_after_some_looks_in_a_row_and_unknown_counts_for_neither() -> None:
    unknown = firing(state="unknown")
    row = [firing(), ok(), firing(), unknown, firing(), ok(), unknown, firing(), ok(), ok()]
    book, told = gone_through(Alerts(after=2, clear=2), [(1, [each]) for each in row])
    assert [(place, change.what) for place, (_, changes) in enumerate(told) for change in changes] == [
        (4, "opened"), (9, "ended"),
    ]  # fmt: skip
    again, changes = look(Alerts(), book, [], START + 11 * HOUR)
    assert (again, changes) == (book, []), "a monitor that says nothing changes nothing"


def test_many_that_flap_in_turn_are_no_alert() -> None:
    turns = [(1, [firing(about=each) if each == name else ok(about=each) for each in "abc"]) for name in "abcabcabc"]
    _, told = gone_through(Alerts(after=2), turns)
    assert newest(told) == {}


def test_what_is_no_longer_spoken_of_is_well() -> None:
    book, _ = gone_through(QUIET, [(1, [firing(about="a"), firing(about="b")])])
    _, changes = look(QUIET, book, [ok(about="c")], START + 2 * HOUR)
    assert [change.what for change in changes] == ["ended"]


def test_one_that_is_about_more_goes_on_and_is_not_sent_again() -> None:
    _, told = gone_through(QUIET, [(1, [firing(about="a")]), (1, [firing(about="a"), firing(about="b", told="New.")])])
    change = told[1][1][0]
    assert (change.what, change.alert.abouts, len(sendings(told))) == ("went on", ("a", "b"), 1)


@pytest.mark.parametrize(("cooldown", "alerts"), [("3h", 1), ("1h", 2)])
def test_one_that_opens_again_within_the_cooldown_is_the_old_one(cooldown: str, alerts: int) -> None:
    row = [firing(), ok(), ok(), firing()]
    _, told = gone_through(Alerts(after=1, clear=1, cooldown=cooldown), [(1, [each]) for each in row])
    assert len(newest(told)) == len(sendings(told)) == alerts
    assert told[3][1][0].alert.ended_at is None


def test_the_budget_goes_to_the_most_severe_and_then_in_the_order_of_kinds_and_the_rest_waits_for_it() -> None:
    said = [firing(name, severity="page" if name == "lag" else "ticket") for name in KINDS]
    rules = Alerts(per_week=3, after=1)
    _, told = gone_through(rules, [(1, said), (24 * 7 - 1, []), (1, [])])
    fates = {change.alert.monitor: change.alert.fate for change in told[0][1]}
    assert [name for name in KINDS if fates[name] == "sent"] == ["volume", "drift", "lag"]
    assert fates["spread"] == fates["log loss"] == "over budget"
    assert told[1][1] == [], "an hour before the week is over"
    assert {(change.what, change.alert.monitor) for change in told[2][1]} == {
        ("went on", "spread"),
        ("went on", "log loss"),
    }


def test_one_that_was_silenced_is_sent_when_the_silence_is_over_and_it_is_not() -> None:
    hush = [Silence(system="s", number=1, monitor="drift", at=0, until=START + 5 * HOUR, by="ann", reason="known")]
    _, told = gone_through(QUIET, [(1, [firing(), firing("lag")]), (3, []), (1, [])], hush)
    assert {change.alert.monitor: change.alert.fate for change in told[0][1]} == {"drift": "silenced", "lag": "sent"}
    assert told[1][1] == []
    assert [(change.what, change.alert.fate) for change in told[2][1]] == [("went on", "sent")]


def test_ids_are_plain_and_no_two_monitors_share_one() -> None:
    names = ["log loss", "log+loss", "log@loss", "verspätung"]
    _, changes = look(QUIET, AlertBook(), [firing("drift", state="ok")], START)
    said = [Reading(monitor=name, kind="inputs", state="firing", told="t") for name in names]
    _, changes = look(QUIET, AlertBook(), said, START)
    ids = {change.alert.id for change in changes}
    assert len(ids) == len(names)
    assert all(id.isascii() and " " not in id for id in ids)


def test_an_owner_is_named_by_kind_or_by_the_wider_word() -> None:
    rules = Alerts(owners={"data": "ann", "features": "bob", "quality": " "})
    assert [rules.owner_of(kind) for kind in SIGNALS] == ["ann", "bob", "", "", ""]
    assert tuple(SIGNALS) == get_args(Kind)
    with pytest.raises(DeclarationError, match=r"'qualty'.*inputs.*operations, data, quality"):
        Alerts(owners={"qualty": "ann"})
