"""The service: what it acknowledged is there after a restart, and its state is the one that was lost."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.clock import HOUR
from mainspring.errors import ContractError, DataError, ServingError
from mainspring.serving.predictor import Asked
from mainspring.serving.records import FACTS, PREDICTIONS

from .shop import BEGIN, Full, answers, ask, deliveries, open_shop, order


def body(rows: list) -> bytes:
    return json.dumps(rows).encode()


def test_facts_change_the_next_answer(tmp_path: Path) -> None:
    service, log = open_shop(tmp_path)

    async def talk() -> None:
        before = await service.predict(ask())
        taken = await service.push("delivery", body(deliveries(10)), "application/json")
        assert taken.accepted == 10
        placed = "2015-08-19T17:40:00Z"
        after = await service.predict(ask(placed=placed, explain=True))
        assert before.probability == 0.0
        assert after.features is not None
        assert after.probability == after.features["flow"] / 100 > 0
        assert (after.decided_at, after.arm, after.model, after.decision) == (
            "2015-08-19T17:30:00Z",
            "champion",
            "m1",
            False,
        )

    asyncio.run(talk())
    assert (log.end(FACTS), log.end(PREDICTIONS)) == (1, 2)
    log.close()


def test_asked_for_early_it_is_as_of_now_and_late_as_of_when_it_was_due(tmp_path: Path) -> None:
    service, log = open_shop(tmp_path)

    async def talk() -> None:
        await service.push("delivery", body(deliveries(30)), "application/json")  # until 20:50
        early = await service.predict(ask(placed="2015-08-20T10:00:00Z"))
        late = await service.predict(ask(placed="2015-08-19T20:00:00Z"))
        assert (early.decided_at, late.decided_at) == ("2015-08-19T20:50:00Z", "2015-08-19T20:00:00Z")
        with pytest.raises(DataError):
            await service.predict(ask(placed="2015-08-19T19:00:00Z"))  # the grace is an hour

    asyncio.run(talk())
    log.close()


def test_a_request_of_the_same_name_is_the_same_request(tmp_path: Path) -> None:
    service, log = open_shop(tmp_path)

    async def talk() -> None:
        for accepted in (3, 0):
            taken = await service.push("delivery", body(deliveries(3)), "application/json", "facts-1")
            assert taken.accepted == accepted
        first = await service.predict(ask(), event_id="ask-1")
        await service.push("delivery", body(deliveries(9, first=20)), "application/json")
        assert await service.predict(ask(), event_id="ask-1") == first

    asyncio.run(talk())
    assert (log.end(FACTS), log.end(PREDICTIONS)) == (2, 1)
    log.close()


def test_another_request_of_the_same_name_is_another_request(tmp_path: Path) -> None:
    service, log = open_shop(tmp_path)

    async def talk() -> None:
        for first in (0, 3):
            taken = await service.push("delivery", body(deliveries(3, first=first)), "application/json", "same")
            assert taken.accepted == 3
        orders = [{**order(order_id="n9"), "placed": "2015-08-19T16:00:00Z"}]
        assert (await service.push("order", body(orders), "application/json", "same")).accepted == 1
        asked = [await service.predict(ask(order_id=name), event_id="same") for name in ("n1", "n2", "n1")]
        assert asked[0] == asked[2]
        assert asked[0].prediction_id != asked[1].prediction_id

    asyncio.run(talk())
    assert (log.end(FACTS), log.end(PREDICTIONS)) == (3, 2)
    log.close()


def test_many_decisions_are_kept_all_or_none_and_answered_one_by_one(tmp_path: Path) -> None:
    service, log = open_shop(tmp_path)
    found = asyncio.run(service.predict_many([ask(), ask(items=0), ask(order_id="n2")]))
    assert [isinstance(each, ServingError) for each in found] == [False, True, False]
    assert log.end(PREDICTIONS) == 2
    assert asyncio.run(service.push("delivery", b"[]", "application/json")).given == 0
    assert log.end(FACTS) == 0
    log.close()


@pytest.mark.parametrize(
    ("row", "code"),
    [(order(items=0), "SERVE_ROW"), (order(items=200), "SERVE_ROW"), ({}, "SERVE_ROW"), (order(due=5), "SERVE_ROW")],
)
def test_a_row_that_cannot_be_decided_is_refused_and_not_journalled(tmp_path: Path, row: dict, code: str) -> None:
    service, log = open_shop(tmp_path)
    with pytest.raises(ServingError) as told:
        asyncio.run(service.predict(Asked(row)))
    assert told.value.code == code
    assert log.end(PREDICTIONS) == 0
    log.close()


def test_facts_that_cannot_be_read_leave_nothing_behind(tmp_path: Path) -> None:
    service, log = open_shop(tmp_path)
    for table, rows, kind in (
        ("delivery", [{"order_id": "a"}], ContractError),
        ("deliveries", deliveries(1), ServingError),
        ("delivery", 5, ServingError),
    ):
        with pytest.raises(kind):
            asyncio.run(service.push(table, body(rows), "application/json"))  # type: ignore[arg-type]
    assert log.end(FACTS) == 0
    log.close()


def test_what_cannot_be_kept_is_not_acknowledged_and_changes_nothing(tmp_path: Path) -> None:
    service, log = open_shop(tmp_path)

    kept, service.journal.broker = service.journal.broker, Full()  # type: ignore[assignment]

    async def talk() -> None:
        for asked in (service.push("delivery", body(deliveries(5)), "application/json"), service.predict(ask())):
            with pytest.raises(ServingError) as told:
                await asked
            assert told.value.code == "SERVE_UNAVAILABLE"
        assert not any(answer["flow"] for answer in answers(service, BEGIN))
        service.journal.broker = kept
        assert (await service.push("delivery", body(deliveries(5)), "application/json")).accepted == 5

    asyncio.run(talk())
    log.close()


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12), st.integers(0, 8)), min_size=1, max_size=6),
    st.sets(st.integers(0, 5)),
)
@settings(max_examples=15, deadline=None)
def test_a_restart_finds_the_state_that_was_lost(
    tmp_path_factory: pytest.TempPathFactory, sent: list[tuple[int, int, int]], restarts: set[int]
) -> None:
    """Requests overlap, repeat and come out of order; some restarts later every answer is the same."""
    folder = tmp_path_factory.mktemp("log")
    service, log = open_shop(folder)
    for number, (begin, count, first) in enumerate(sent):
        rows = body(deliveries(count, begin=BEGIN + begin * HOUR // 2, first=first))
        asyncio.run(service.push("delivery", rows, "application/json"))
        if number in restarts:
            log.close()
            service, log = open_shop(folder)
    now = service.clock.now()
    expected = [answers(service, at) for at in range(now - HOUR, now + 3 * HOUR, HOUR // 2)]
    log.close()
    service, log = open_shop(folder)
    assert service.clock.now() == now
    assert [answers(service, at) for at in range(now - HOUR, now + 3 * HOUR, HOUR // 2)] == expected
    log.close()


def test_many_at_once_are_all_kept_in_order(tmp_path: Path) -> None:
    service, log = open_shop(tmp_path)

    async def talk() -> None:
        pushes = [
            service.push("delivery", body(deliveries(1, begin=BEGIN + i * HOUR, first=i)), "application/json")
            for i in range(50)
        ]
        asked = [service.predict(ask(order_id=f"n{i}")) for i in range(50)]
        done = await asyncio.gather(*pushes, *asked)
        assert len({prediction.prediction_id for prediction in done[50:]}) == 50
        await service.journal.drained()

    asyncio.run(talk())
    assert (log.end(FACTS), log.end(PREDICTIONS)) == (50, 50)
    log.close()
