"""Retention removes the oldest records and no others, and waits for every group unless the limit is hard."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.clock import DAY, HOUR
from mainspring.stream import EmbeddedLog, Retention, retention
from mainspring.stream.consumer import LogConsumer
from tests.stream.conftest import Hand, message

OpenLog = Callable[..., EmbeddedLog]


def everything(consumer: LogConsumer) -> list[int]:
    return [record.offset for page in iter(consumer.poll, []) for record in page]


def settle(log: EmbeddedLog) -> None:
    """Let the writer end what it does after it has answered."""
    log._writer.close()  # type: ignore[union-attr]
    log._writer = None


def test_what_is_too_old_goes_and_its_ids_are_new_again(open_log: OpenLog, clock: Hand) -> None:
    log = open_log(retention=Retention(age=DAY))
    log.append([message(number) for number in range(3)])
    clock.instant += HOUR
    log.append([message(number) for number in range(3, 5)])
    clock.instant += DAY - HOUR + 1
    assert log.append([message(0), message(5)]) == [0, 5], "still there when it was asked"
    settle(log)
    assert (log.first("t"), log.end("t")) == (3, 6)
    assert everything(log.consumer("t", "late")) == [3, 4, 5]
    assert log.append([message(4), message(0)]) == [4, 6]


def test_what_a_group_has_not_committed_stays_until_it_is_forgotten(open_log: OpenLog, clock: Hand) -> None:
    log = open_log(retention=Retention(age=DAY))
    consumer = log.consumer("t", "slow")
    for number in range(5):
        log.append([message(number)])
    clock.instant += 2 * DAY
    assert len(consumer.poll(2)) == 2
    log.append([message(5)])
    settle(log)
    assert log.first("t") == 0, "polled is not committed"
    consumer.commit()
    clock.instant += DAY
    log.append([message(6)])
    settle(log)
    assert log.first("t") == 2
    log.forget("t", "slow")
    clock.instant += DAY
    log.append([message(7)])
    settle(log)
    assert log.first("t") >= 6


def test_a_clock_that_was_set_back_makes_no_gap(open_log: OpenLog, clock: Hand) -> None:
    log = open_log(retention=Retention(age=DAY))
    for number, instant in enumerate((9 * DAY, DAY, DAY + HOUR, 9 * DAY + HOUR)):
        clock.instant = instant
        log.append([message(number)])
    settle(log)
    assert log.first("t") == 0, "what is old waits for the young that was appended before it"


def test_size_waits_for_groups_and_hard_size_for_nobody(open_log: OpenLog) -> None:
    mild = open_log(retention=Retention(size=200_000))
    consumer = mild.consumer("t", "slow")
    for number in range(200):
        mild.append([message(number, size=4000)])
    settle(mild)
    assert mild.first("t") == 0
    mild.close()
    hard = open_log(retention=Retention(hard_size=200_000))
    for number in range(200, 400):
        hard.append([message(number, size=4000)])
    settle(hard)
    assert 330 < hard.first("t") < 400
    late = hard.consumer("t", "slow")
    assert late.position == consumer.position == 0
    assert late.lag() == 400 - hard.first("t")
    assert everything(late) == list(range(hard.first("t"), 400)), "a group left behind goes on with what is there"


def test_the_file_stops_growing(open_log: OpenLog) -> None:
    log = open_log(retention=Retention(size=1_000_000))
    pages = []
    for round in range(8):
        log.append([message(round * 1000 + number, size=1000) for number in range(1000)])
        pages.append(log._writer._blocks.sql.execute("PRAGMA page_count").fetchone()[0])  # type: ignore[union-attr]
    assert pages[-1] <= pages[3]


def test_the_last_block_stays_so_that_offsets_go_on(open_log: OpenLog, clock: Hand) -> None:
    log = open_log(retention=Retention(age=1, hard_size=1))
    for number in range(4):
        clock.instant += DAY
        log.append([message(number)])
    log.close()
    again = open_log(retention=Retention(age=1, hard_size=1))
    assert (again.first("t"), again.end("t")) == (3, 4)
    assert again.append([message(4)]) == [4]


@settings(max_examples=30, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.sampled_from("tu"), st.integers(1, 4)),
            st.tuples(st.just("commit"), st.sampled_from("tu"), st.integers(1, 4)),
            st.tuples(st.just("wait"), st.just(""), st.integers(1, 30)),
        ),
        max_size=25,
    ),
    hard=st.sampled_from([None, 40_000]),
)
def test_there_are_no_gaps_and_nothing_young_or_awaited_is_lost(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int]], hard: int | None
) -> None:
    clock, appended, number = Hand(), {"t": list[int](), "u": list[int]()}, 0
    keep = Retention(age=20, hard_size=hard)
    with (
        pytest.MonkeyPatch.context() as patches,
        EmbeddedLog(tmp_path_factory.mktemp("log"), clock, retention=keep) as log,
    ):
        patches.setattr(retention, "_BLOCKS_AT_ONCE", 3)
        consumers = {topic: log.consumer(topic, "g") for topic in "tu"}
        for what, topic, amount in steps:
            if what == "wait":
                clock.instant += amount
            elif what == "commit":
                consumers[topic].poll(amount)
                consumers[topic].commit()
            else:
                log.append([message(number + more, topic=topic, size=500) for more in range(amount)])
                appended[topic] += [clock.instant] * amount
                number += amount
        if number:
            settle(log)
        for topic, consumer in consumers.items():
            first, end = log.first(topic), log.end(topic)
            assert end == len(appended[topic])
            if end:
                assert first < end
            if hard is None:
                assert first <= consumer.position
                assert all(instant < clock.instant - 20 for instant in appended[topic][:first])
            assert everything(log.consumer(topic, "new")) == list(range(first, end))
