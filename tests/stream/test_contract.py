"""The embedded log keeps what every broker promises; and the checks of the promises do find a broker that breaks one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest

from mainspring.errors import StreamError
from mainspring.stream import Broker, EmbeddedLog, Message, Record
from mainspring.stream.consumer import LogConsumer
from mainspring.testing import broker_contract
from tests.stream.conftest import Hand


@pytest.mark.parametrize("durability", ["full", "relaxed"])
@pytest.mark.parametrize("check", broker_contract.checks(), ids=lambda check: check.__name__)
def test_the_embedded_log_keeps_the_contract(check: broker_contract.Check, durability: str, tmp_path: Path) -> None:
    check(lambda: EmbeddedLog(tmp_path, Hand(), durability=durability))  # type: ignore[arg-type]


def test_the_embedded_log_is_a_broker(tmp_path: Path) -> None:
    broker: Broker = EmbeddedLog(tmp_path, Hand())
    assert (broker.seekable, broker.deduplicates, broker.atomic, broker.prompt) == (True, True, True, True)


class Submitting(EmbeddedLog):
    """Whose every way in is `submit`, so that what breaks that breaks all."""

    def append(self, messages: Sequence[Message]) -> list[int]:
        return self.submit(messages).result()


class Reversing(Submitting):
    def submit(self, messages: Sequence[Message]) -> Future[list[int]]:
        return super().submit(messages[::-1])


class Forgetting(Submitting):
    def submit(self, messages: Sequence[Message]) -> Future[list[int]]:
        return super().submit([Message(topic=each.topic, value=each.value, id=f"{id(each)}") for each in messages])


class Losing(EmbeddedLog):
    """Commits as soon as it polls."""

    def consumer(self, topic: str, group: str) -> LogConsumer:
        consumer = super().consumer(topic, group)
        poll = consumer.poll

        def poll_and_commit(limit: int = 1000, timeout: float = 0.0) -> list[Record]:
            records = poll(limit, timeout)
            consumer.commit()
            return records

        consumer.poll = poll_and_commit  # type: ignore[method-assign]
        return consumer


class OneGroup(EmbeddedLog):
    def consumer(self, topic: str, group: str) -> LogConsumer:
        return super().consumer(topic, "the only one")


class Lax(Submitting):
    """Keeps of a submission what it can."""

    def submit(self, messages: Sequence[Message]) -> Future[list[int]]:
        try:
            return super().submit(messages)
        except StreamError:
            super().submit(messages[:1]).result()
            raise


@pytest.mark.parametrize("broken", [Reversing, Forgetting, Losing, OneGroup, Lax])
def test_the_contract_finds_a_broken_broker(
    broken: type[EmbeddedLog], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_contract, "_PATIENCE_S", 0.3)
    monkeypatch.setattr(broker_contract, "_QUIET_S", 0.05)
    failed = [check.__name__ for check in broker_contract.checks() if not keeps(check, broken, tmp_path)]
    expected = {
        Reversing: {
            "polled_is_what_was_appended_in_order",
            "keys_keep_their_order",
            "one_submission_may_have_many_topics",
        },
        Forgetting: {"an_id_is_kept_once"},
        Losing: {"what_was_not_committed_comes_again"},
        OneGroup: {"groups_are_independent"},
        Lax: {"large_messages_are_kept_and_larger_ones_refused"},
    }
    assert expected[broken] <= set(failed)


def keeps(check: broker_contract.Check, broken: Callable[..., EmbeddedLog], folder: Path) -> bool:
    opened: list[EmbeddedLog] = []

    def open_broker() -> EmbeddedLog:
        opened.append(broken(folder / check.__name__, Hand()))
        return opened[-1]

    try:
        check(open_broker)
    except AssertionError:
        return False
    finally:
        for log in opened:
            log.close()
    return True
