"""What is asked on a topic is answered once, in its order, with what was answered the first time, wherever it is killed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mainspring.answers import Failure
from mainspring.clock import HOUR
from mainspring.errors import WorkspaceError
from mainspring.serving import streaming
from mainspring.serving.facts_clock import FactsClock
from mainspring.serving.limits import Limits
from mainspring.serving.records import (
    ANSWERS,
    DECISIONS,
    PREDICTIONS,
    Answered,
    DecisionAsked,
    read_prediction,
    write,
)
from mainspring.serving.sink import PREDICTIONS_TABLE, Sink
from mainspring.serving.streaming import ANSWERING_GROUP, DecisionStream
from mainspring.stream import EmbeddedLog, Message, Record

from .shop import BEGIN, Full, deliveries, empty_lake, living, open_shop, order, system, until
from .test_app import Site

SOUND = [DecisionAsked(row=order()), DecisionAsked(row=order(shop="b"), explain=True)]
REFUSED = [DecisionAsked(row=order(items=0)), DecisionAsked(key="nobody"), DecisionAsked(row={}), DecisionAsked()]


def everything(log: EmbeddedLog, topic: str) -> list[Record]:
    reader = log.consumer(topic, "test")
    reader.seek(0)
    records = reader.poll(10_000)
    reader.close()
    log.forget(topic, "test")
    return records


class KilledError(RuntimeError):
    pass


class Life:
    """A server that is killed and begins again; decisions are asked for on its own log or on another one."""

    def __init__(self, folder: Path, *, external: bool) -> None:
        self.folder, self.lake = folder, empty_lake(folder)
        self.external = EmbeddedLog(folder / "external", FactsClock(BEGIN)) if external else None
        self.asked: list[str] = []
        self.service, self.log = open_shop(folder / "log", self.lake)

    async def ask(self, questions: Sequence[DecisionAsked]) -> None:
        if self.external is None:
            self.asked += [await self.service.ask_later(each) for each in questions]
        else:
            names = [f"q{len(self.asked) + n}" for n in range(len(questions))]
            self.external.append(
                [
                    Message(topic=DECISIONS, value=write(each), id=name)
                    for each, name in zip(questions, names, strict=True)
                ]
            )
            self.asked += names

    async def push(self, number: int) -> None:
        rows = deliveries(3, begin=BEGIN + number * HOUR, first=number * 10)
        await self.service.push("delivery", json.dumps(rows).encode(), "application/json")

    async def answer(self, killed_at: str | None, *, drained: bool = False) -> None:
        """Answer all that is asked, or die before something of it is written; `drained`: the lake has it before the next life."""
        source = self.external or self.log
        consumer = source.consumer(DECISIONS, ANSWERING_GROUP)
        wake = self.service.asked_to_answer if self.external is None else None
        commit, keep = consumer.commit, self.service.journal.write

        def write(message: Message) -> asyncio.Future[int]:
            if message.topic == killed_at:
                raise KilledError
            return keep(message)

        def done() -> None:
            if killed_at == "commit":
                raise KilledError
            commit()

        consumer.commit, self.service.journal.write = done, write  # type: ignore[method-assign]
        self.service.asked_to_answer.set()
        task = asyncio.create_task(DecisionStream(self.service, consumer, wake=wake).run())
        await until(lambda: task.done() or source.groups(DECISIONS)[ANSWERING_GROUP] == source.end(DECISIONS))
        if task.done():
            assert isinstance(task.exception(), KilledError)
            await self.service.journal.drained()
            if drained:
                self.drain()
            self.restart()
        else:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.service.journal.write = keep  # type: ignore[method-assign]
            consumer.close()

    def drain(self) -> None:
        sink = Sink(system, self.lake, self.log)
        sink.drain(self.service.clock.now())
        sink.close()

    def restart(self) -> None:
        self.log.close()
        if self.external is not None:
            self.external.close()
            self.external = EmbeddedLog(self.folder / "external", FactsClock(BEGIN))
        self.service, self.log = open_shop(self.folder / "log", self.lake)

    def close(self) -> None:
        self.log.close()
        if self.external is not None:
            self.external.close()

    def told(self) -> list[Answered]:
        return [msgspec.json.decode(record.value, type=Answered) for record in everything(self.log, ANSWERS)]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.lists(st.sampled_from([*SOUND, *REFUSED]), min_size=1, max_size=4)),
        st.tuples(st.just("push"), st.none()),
        st.tuples(st.just("answer"), st.tuples(st.sampled_from([None, PREDICTIONS, ANSWERS, "commit"]), st.booleans())),
        st.tuples(st.just("drain"), st.none()),
        st.tuples(st.just("restart"), st.none()),
    ),
    min_size=2,
    max_size=10,
)


@pytest.mark.parametrize("external", [False, True], ids=["own topic", "topic of another log"])
@given(STEPS)
@example([("ask", SOUND), ("answer", (ANSWERS, True)), ("push", None)])
@settings(max_examples=12, deadline=None)
def test_every_question_is_answered_once_in_order_wherever_the_server_is_killed(
    tmp_path_factory: pytest.TempPathFactory, external: bool, steps: list[tuple[str, Any]]
) -> None:
    life = Life(tmp_path_factory.mktemp("life"), external=external)

    async def live() -> None:
        for number, (what, given_) in enumerate(steps):
            if what == "ask":
                await life.ask(given_)
            elif what == "push":
                await life.push(number)
            elif what == "answer":
                await life.answer(given_[0], drained=given_[1])
            else:
                life.drain() if what == "drain" else life.restart()
        await life.answer(None)

    asyncio.run(live())
    told = life.told()
    assert [each.id for each in told] == life.asked
    journal = {record.id: read_prediction(record.value).prediction for record in everything(life.log, PREDICTIONS)}
    assert journal.keys() == {each.id for each in told if each.prediction is not None}
    for each in told:
        if each.prediction is None:
            assert each.error is not None
            assert each.error.code in {"SERVE_ROW", "SERVE_UNKNOWN"}
        else:
            plain = msgspec.structs.replace(each.prediction, features=None, contributions=None)
            assert plain == journal[each.id]
        assert not life.service.remembered.is_pending(each.id)
    life.drain()
    assert sorted(life.lake.read(PREDICTIONS_TABLE)["prediction_id"]) == sorted(journal)
    life.close()


def test_a_record_that_nobody_could_foresee_holds_up_nothing(tmp_path: Path) -> None:
    life = Life(tmp_path, external=True)
    assert life.external is not None
    bad = [
        b"", b"\xff", b"[]", b"1", b'{"row": 5}', b'{"row": {"shop": ["a"]}}', b'{"key": [1]}', b'{"key": {"order_id": {}}}',
        b"[" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b'{"row": {"items": 1e999}}', b'{"explain": 7}',
        b'{"row": {"x": "' + b"x" * Limits().body_bytes + b'"}}', b'{"row": {"items": ' + b"9" * 5000 + b"}}",
    ]  # fmt: skip
    life.external.append([Message(topic=DECISIONS, value=each, id=f"bad{n}") for n, each in enumerate(bad)])

    async def live() -> None:
        await life.ask(SOUND[:1])
        prepare = life.service.predictor.prepare
        life.service.predictor.prepare = lambda asked, now: 1 / 0 if asked.explain else prepare(asked, now)  # type: ignore
        await life.ask([SOUND[1], SOUND[0]])
        await life.answer(None)

    asyncio.run(live())
    told = {each.id: each for each in life.told()}
    assert len(told) == len(bad) + 3
    for n in range(len(bad)):
        error = told[f"bad{n}"].error
        assert error is not None
        assert error.code in {"SERVE_BODY", "SERVE_ROW"}
        assert error.fix
    assert told["q0"].prediction is not None
    assert told["q2"].prediction is not None
    assert told["q1"].error == Failure(code="UNEXPECTED", message="The decision q1 failed.")
    life.close()


def test_what_comes_twice_from_a_broker_that_does_not_tell_is_answered_once(tmp_path: Path) -> None:
    service, log = open_shop(tmp_path)
    record = Record(topic=DECISIONS, offset=-1, key=b"", value=write(SOUND[0]), id="twice", appended_at=0)

    made = []
    prepare = service.predictor.prepare
    service.predictor.prepare = lambda asked, now: made.append(now) or prepare(asked, now)  # type: ignore

    async def live() -> None:
        first = await service.answer_asked([record, record])
        assert [each.id for each in first] == ["twice"]
        assert await service.answer_asked([record]) == first

    asyncio.run(live())
    assert len(made) == log.end(PREDICTIONS) == 1
    log.close()


class FullDisk:
    """A broker whose disk is full for a while."""

    prompt = False

    def __init__(self, broker: Any, failures: int) -> None:
        self.broker, self.left = broker, failures

    def submit(self, messages: Sequence[Message]) -> Future[list[int]]:
        if self.left and any(message.topic in (PREDICTIONS, ANSWERS) for message in messages):
            self.left -= 1
            refused: Future[list[int]] = Future()
            refused.set_exception(WorkspaceError("WORKSPACE_DISK_FULL", "No space.", fix="Free some."))
            return refused
        return self.broker.submit(messages)  # type: ignore[no-any-return]


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_what_cannot_be_kept_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int) -> None:
    monkeypatch.setattr(streaming, "_RETRY_SECONDS", 0.001)
    life = Life(tmp_path, external=False)

    async def live() -> None:
        await life.ask([*SOUND, *REFUSED])
        life.service.journal.broker = FullDisk(life.log, failures)  # type: ignore[assignment]
        await life.answer(None)

    asyncio.run(live())
    assert [each.id for each in life.told()] == life.asked
    assert life.log.end(PREDICTIONS) == len(SOUND)
    life.close()


def test_a_position_that_cannot_be_committed_is_committed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "_RETRY_SECONDS", 0.001)
    service, log = open_shop(tmp_path)
    consumer = log.consumer(DECISIONS, ANSWERING_GROUP)
    commit, failures = consumer.commit, [1, 1]

    def refuse() -> None:
        if failures:
            failures.pop()
            raise WorkspaceError("WORKSPACE_DISK_FULL", "No space.", fix="Free some.")
        commit()

    consumer.commit = refuse  # type: ignore[method-assign]

    async def live() -> None:
        await service.ask_later(SOUND[0])
        task = asyncio.create_task(DecisionStream(service, consumer, wake=service.asked_to_answer).run())
        await until(lambda: log.groups(DECISIONS)[ANSWERING_GROUP] == 1)
        task.cancel()

    asyncio.run(live())
    assert log.end(ANSWERS) == 1
    log.close()


# Over HTTP


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.log.close()


LATER = {"prefer": "respond-async"}


def reopened(site: Site, folder: Path) -> Site:
    """The server after a restart, with the same keys."""
    site.log.close()
    return Site(folder, ledger=site.ledger, keys=site.keys)


def test_a_decision_is_asked_for_now_and_answered_later(site: Site, tmp_path: Path) -> None:
    headers = {"authorization": f"Bearer {site.keys['read']}"}

    async def ask(client: httpx.AsyncClient) -> list[str]:
        places = []
        for asked in ({"row": order(), "explain": True}, {"row": order(items=0)}, {"key": "nobody"}):
            told = await client.post("/v1/predict", json=asked, headers={**headers, **LATER})
            assert (told.status_code, told.json()["status"]) == (202, "pending")
            assert told.headers["location"] == told.json()["location"]
            assert told.headers["preference-applied"] == "respond-async"
            places.append(told.json()["location"])
        for place in places:  # nobody answers yet: the application does not live
            waiting = await client.get(place, headers=headers)
            assert (waiting.status_code, waiting.headers["retry-after"]) == (202, "1")
        return places

    places = site.ask(ask)

    async def look(client: httpx.AsyncClient) -> None:
        found = [await client.get(place, headers=headers) for place in places]
        assert [each.status_code for each in found] == [200, 422, 422]
        assert found[0].json()["prediction"]["features"]["items"] == 2, "it was to be explained"
        assert [each.json()["error"]["code"] for each in found[1:]] == ["SERVE_ROW", "SERVE_UNKNOWN"]
        assert (await client.get("/v1/predictions/nothing", headers=headers)).status_code == 404

    async def live(client: httpx.AsyncClient) -> None:
        async with living(site.app):
            await until(lambda: site.service.remembered.n_pending == 0)
            await look(client)

    again = reopened(site, tmp_path)  # killed with all three still open
    site.__dict__.update(again.__dict__)
    assert site.service.remembered.n_pending == 3
    site.ask(live)
    site.__dict__.update(reopened(site, tmp_path).__dict__)
    assert site.service.remembered.n_pending == 0
    site.ask(look)
    assert (site.log.end(DECISIONS), site.log.end(PREDICTIONS), site.log.end(ANSWERS)) == (3, 1, 3)


def test_a_question_of_the_same_name_is_the_same_question_even_when_only_the_lake_remembers(
    site: Site, tmp_path: Path
) -> None:
    headers = {"authorization": f"Bearer {site.keys['write']}", "idempotency-key": "once"}

    async def ask(client: httpx.AsyncClient) -> str:
        async with living(site.app):
            told = await client.post("/v1/predict", json={"row": order()}, headers={**headers, **LATER})
            assert told.status_code == 202
            await until(lambda: site.service.remembered.n_pending == 0)
            await until(lambda: site.log.groups(DECISIONS)[ANSWERING_GROUP] == 1)
            found = await client.get(told.json()["location"], headers=headers)
            assert found.status_code == 200
            return str(found.json()["prediction"]["prediction_id"])

    first = site.ask(ask)
    site.send("POST", "/v1/facts/delivery", json=deliveries(9))
    assert site.ask(ask) == first
    sink = Sink(system, site.lake, site.log)
    sink.drain(site.service.clock.now())
    sink.close()
    site.__dict__.update(reopened(site, tmp_path).__dict__)
    site.service.remembered._answers.clear()  # fifty thousand predictions later
    assert site.ask(ask) == first
    assert (site.log.end(DECISIONS), site.log.end(PREDICTIONS)) == (1, 1)


def test_no_more_wait_than_are_answered_in_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.serving.service._MOST_PENDING", 2)
    told = [site.send("POST", "/v1/predict", json={"row": order()}, headers=LATER) for _ in range(3)]
    assert [each.status_code for each in told] == [202, 202, 503]
    assert told[2].headers["retry-after"]
    assert site.service.remembered.n_pending == 2


def test_what_cannot_be_kept_is_not_accepted(site: Site) -> None:
    kept, site.service.journal.broker = site.service.journal.broker, Full()  # type: ignore[assignment]
    refused = site.send("POST", "/v1/predict", json={"row": order()}, headers=LATER)
    assert (refused.status_code, site.service.remembered.n_pending) == (503, 0)
    site.service.journal.broker = kept
    assert site.send("POST", "/v1/predict", json={"row": order()}, headers=LATER).status_code == 202
