"""What really went wrong, and whether alerts were about it: laws of hindsight on worlds that are known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import to_builtins

from mainspring.clock import DAY, HOUR
from mainspring.features import INSTANT
from mainspring.ledger import Alert
from mainspring.loop.comparing import compare_policies
from mainspring.loop.hindsight import EARLY, Hindsight, judged_alerts
from mainspring.loop.incidents import Incident, input_incidents, quality_incidents
from mainspring.loop.policies import NEVER_RETRAIN
from mainspring.loop.state import Event
from mainspring.monitoring.realised import Figure

from .deliveries import TURN, Delivery, Order, history, instant, past

DAYS, A_DAY, BEGIN = 60, 40, 19_700
FIGURE = Figure("loss", lambda y, p: y)
RATE = Figure("rate", lambda y, p: y, greater_is_better=True)
SQUARED = Figure("rmse", lambda y, p: y, root=True)

AT = (BEGIN + np.repeat(np.arange(DAYS), A_DAY)) * DAY + np.tile(np.arange(A_DAY), DAYS) * (DAY // A_DAY)


def world(worse: range, *, by: float = 0.3, seed: int = 1, day: float = 0.05) -> np.ndarray:
    """Losses about 1.0, more by so much on some days; the decisions of a day share some of their luck."""
    random = np.random.default_rng(seed)
    of_day = random.normal(0, day, DAYS) + np.array([by * (k in worse) for k in range(DAYS)])
    return 1.0 + np.repeat(of_day, A_DAY) + random.normal(0, 0.2, len(AT))


def quality(rows: np.ndarray, figure: Figure = FIGURE, let_in: float = 1.0, by: float | None = None) -> list[Incident]:
    return quality_incidents(figure, AT, rows, np.full(len(rows), let_in), horizon=36 * HOUR, by=by)


# -- incidents -----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_where_nothing_is_worse_there_is_no_incident(seed: int) -> None:
    assert quality(world(range(0), seed=seed), by=0.1) == []


@given(st.integers(8, 40), st.integers(8, 20), st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_a_spell_that_is_worse_is_one_incident_about_it(first: int, days: int, seed: int) -> None:
    (found,) = quality(world(range(first, first + days), seed=seed), by=0.1)
    begin, end = (BEGIN + first) * DAY, (BEGIN + min(first + days, DAYS)) * DAY
    assert begin - 6 * DAY <= found.begin < begin + 2 * DAY
    assert abs(found.end - end) <= 6 * DAY
    assert begin + 36 * HOUR < found.told_by <= found.begin + 7 * DAY + 36 * HOUR
    assert found.until > found.end


def test_one_bad_day_is_no_proof_that_a_model_is_worse() -> None:
    """Its seven days are worse by more than the margin, and rows by themselves would make that look sure."""
    rows = world(range(30, 31), by=2.0)
    seven = rows[(AT // DAY >= BEGIN + 25) & (AT // DAY < BEGIN + 32)]
    assert seven.mean() - 1.0 > 5 * seven.std() / np.sqrt(len(seven)) > 0.05
    assert quality(rows) == []


def test_labels_could_have_told_from_the_first_span_that_was_worse_by_enough() -> None:
    """A day so bad that its span is not surely worse is followed by a spell that is."""
    (found,) = quality(world(range(30, 50)) + 3.0 * (AT // DAY == BEGIN + 30), by=0.1)
    assert found.told_by == (BEGIN + 31) * DAY + 36 * HOUR < found.begin + 7 * DAY + 36 * HOUR


def test_what_is_worse_by_less_than_was_declared_is_none() -> None:
    rows = world(range(20, 40))
    assert len(quality(rows, by=0.1)) == 1
    assert quality(rows, by=0.5) == []


def test_a_figure_may_be_better_when_it_is_greater_or_a_root() -> None:
    rows = world(range(20, 40))
    (found,) = quality(rows)
    spell = (found.begin, found.end, found.told_by)
    mirrored = quality(2.0 - rows, RATE)
    assert [(each.begin, each.end, each.told_by) for each in mirrored] == [spell]
    assert len(quality(rows, SQUARED, by=0.1)) == 1  # sqrt(1.3) is worse by 0.14
    assert quality(rows, SQUARED, by=0.2) == []
    assert quality(rows - 0.3, SQUARED, let_in=1.0) == []  # sqrt(1.0) at the most


def test_each_decision_is_held_against_the_model_that_answered_it() -> None:
    rows = world(range(20, 40))
    let_in = np.where((AT // DAY >= BEGIN + 20) & (AT // DAY < BEGIN + 40), 1.3, 1.0)
    assert quality_incidents(FIGURE, AT, rows, let_in, horizon=DAY) == []
    let_in[:] = np.nan  # nobody knows how good they were
    assert quality_incidents(FIGURE, AT, rows, let_in, horizon=DAY) == []


def frames(days: set[int]) -> dict[str, pl.DataFrame]:
    at = pl.Series(sorted((BEGIN + day) * DAY + HOUR for day in days), dtype=pl.Int64).cast(INSTANT)
    return {"order": pl.DataFrame({"_visible_at": at}), "delivery": pl.DataFrame({"_visible_at": at.head(0)})}


@given(st.sets(st.integers(0, 29)))
def test_a_table_is_missed_when_it_was_there_on_each_of_seven_days(days: set[int]) -> None:
    found = input_incidents([Order, Delivery], frames(days), (BEGIN + 5) * DAY, (BEGIN + 30) * DAY)
    missed = {day for each in found for day in range(each.begin // DAY - BEGIN, each.end // DAY - BEGIN)}
    assert missed == {
        day
        for day in range(5, 30)
        if (last := max((each for each in days if each <= day), default=-1)) != day
        and last + 1 >= 5
        and set(range(last - 6, last + 1)) <= days
    }
    assert all(each.about == "order" for each in found)


# -- alerts --------------------------------------------------------------------------------------------------------------

POOR = Incident(kind="quality", about="loss", begin=20 * DAY, end=30 * DAY, told_by=24 * DAY, until=32 * DAY, told="")
GONE = Incident(kind="inputs", about="order", begin=40 * DAY, end=42 * DAY, told_by=41 * DAY, until=43 * DAY, told="")
END = 60 * DAY


def alert(
    monitor: str, opened: int, ended: int | None, kind: str = "outcomes", sent: bool = True, about: str = ""
) -> list[Event]:
    """What a story tells of an alert: that it opened, and that it ended."""
    first = Alert(
        id=f"{monitor}@{opened}",
        monitor=monitor,
        kind=kind,
        severity="ticket",
        owner="",
        abouts=(about,) if about else (),
        opened_at=opened,
        told="",
        fate="sent" if sent else "over budget",
        sent=("ticket",) if sent else (),
    )
    events = [Event(opened, "alert opened", "m1", "", to_builtins(first))]
    if ended is not None:
        events.append(Event(ended, "alert ended", "m1", "", {**to_builtins(first), "ended_at": ended}))
    return events


def judged(*events: list[Event], incidents: tuple[Incident, ...] = (POOR, GONE)) -> Hindsight:
    return judged_alerts([event for each in events for event in each], incidents, 0, END)


@pytest.mark.parametrize(
    ("opened", "ended", "true"),
    [
        (21 * DAY, 22 * DAY, True),
        (2 * DAY, 21 * DAY, True),  # open at it
        (20 * DAY - EARLY, 20 * DAY - EARLY + HOUR, True),  # an early sign
        (20 * DAY - EARLY - 1, 20 * DAY - HOUR, False),
        (32 * DAY, None, True),  # labels of its last days settle until then
        (32 * DAY + 1, None, False),
    ],
)
def test_an_alert_is_true_in_an_incident_and_shortly_before(opened: int, ended: int | None, true: bool) -> None:
    found = judged(alert("realised loss", opened, ended), incidents=(POOR,))
    assert [each.true for each in found.alerts] == [true]
    assert (found.missed == ()) == true


def test_which_monitors_can_be_about_what() -> None:
    def true(incident: Incident, kind: str, about: str = "") -> bool:
        return (
            judged(alert("any", incident.begin + HOUR, None, kind, about=about), incidents=(incident,)).alerts[0].true
        )

    assert [true(POOR, kind) for kind in ("inputs", "features", "predictions", "outcomes", "operations")] == [
        True, True, True, True, False
    ]  # fmt: skip
    assert [true(GONE, kind, "order") for kind in ("inputs", "features", "predictions", "outcomes")] == [
        True, True, False, False
    ]  # fmt: skip
    assert not true(GONE, "inputs", "delivery")


def test_an_incident_of_which_nobody_was_told_is_missed_whatever_was_kept() -> None:
    found = judged(alert("realised loss", 21 * DAY, None, sent=False))
    assert (len(found.sent), found.missed) == (0, (POOR, GONE))
    assert found.monitors[0].true == 1


def test_a_monitor_that_always_fires_tells_nothing_and_stands_last() -> None:
    found = judged(
        alert("drift", 0, None, "features"),
        alert("realised loss", 25 * DAY, 31 * DAY),
        alert("estimated loss", 22 * DAY, 31 * DAY),
    )
    assert [each.monitor for each in found.monitors] == ["estimated loss", "realised loss", "drift"]
    estimated, realised, always = found.monitors
    assert always.informed == 0.0
    assert (estimated.lead, realised.lead) == (2 * DAY, -DAY)
    assert (estimated.needs_labels, realised.needs_labels) == (False, True)
    # what had been open for long is no earlier than a sign may be
    assert always.lead == ((24 - 18) + (41 - 38)) * DAY / 2
    assert "1 of 1 incident" in estimated.reason


def test_of_monitors_that_tell_as_much_the_one_without_labels_comes_first() -> None:
    found = judged(alert("calibration", 22 * DAY, 31 * DAY), alert("proxy held", 22 * DAY, 31 * DAY), incidents=(POOR,))
    assert [each.monitor for each in found.monitors] == ["proxy held", "calibration"]


def test_an_alert_that_opened_again_is_one_with_two_spans() -> None:
    first, ended = alert("drift", 2 * DAY, 4 * DAY, "features")
    again = changed_event(first, 21 * DAY, "alert went on")
    (found,) = judged([first, ended, again]).alerts
    assert found.spans == ((2 * DAY, 4 * DAY), (21 * DAY, END))
    assert found.true


def changed_event(event: Event, at: int, what: str) -> Event:
    return Event(at, what, event.model, event.told, event.evidence)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["drift", "volume", "realised loss", "slo lag"]),
            st.integers(0, 59),
            st.integers(0, 40),
            st.booleans(),
        ),
        max_size=12,
        unique_by=lambda each: each[:2],
    )
)
@settings(max_examples=60, deadline=None)
def test_every_alert_is_true_or_false_and_counts_add_up(given_alerts: list[tuple[str, int, int, bool]]) -> None:
    kinds = {"drift": "features", "volume": "inputs", "realised loss": "outcomes", "slo lag": "operations"}
    found = judged(
        *(alert(name, at * DAY, (at + days) * DAY, kinds[name], sent) for name, at, days, sent in given_alerts)
    )
    assert len(found.alerts) == len(given_alerts) == sum(each.alerts for each in found.monitors)
    assert sum(each.true for each in found.alerts) == sum(each.true for each in found.monitors)
    assert len(found.sent) == sum(sent for *_, sent in given_alerts)
    for each in found.monitors:
        assert 0 <= each.told <= each.incidents <= 2
        assert 0 <= each.true <= each.alerts
        assert -1 <= each.informed <= 1
        assert (each.told > 0) == (each.true > 0)


# -- whole ---------------------------------------------------------------------------------------------------------------


def test_a_world_that_turns_is_an_incident_and_is_told() -> None:
    found = compare_policies(past(), ["declared"], start=instant(20), facts=history())
    by_name = {each.name: each.alerting for each in found.policies}
    never, declared = by_name[NEVER_RETRAIN], by_name["declared"]
    assert by_name["last-label"] is None
    assert never is not None
    assert declared is not None
    (incident,) = never.incidents
    assert incident.begin <= f"2024-01-{TURN + 1}" <= incident.end
    assert (never.missed, never.false) == (0, 0)
    assert {"realised log_loss", "estimated log_loss"} <= {each.monitor for each in never.monitors}
    assert len(declared.incidents) <= 1
    assert declared.incidents == [] or declared.incidents[0].end < incident.end  # who learns again is well sooner
