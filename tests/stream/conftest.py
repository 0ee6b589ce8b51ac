from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mainspring.stream import EmbeddedLog, Message


class Hand:
    """A clock that is set by hand."""

    def __init__(self, instant: int = 1_000) -> None:
        self.instant = instant

    def now(self) -> int:
        return self.instant


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def open_log(tmp_path: Path, clock: Hand) -> Iterator[Callable[..., EmbeddedLog]]:
    """Open the log of this test, once more at every call; all are closed at the end."""
    opened: list[EmbeddedLog] = []

    def open_log(**options: object) -> EmbeddedLog:
        opened.append(EmbeddedLog(tmp_path / "log", clock, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_log
    for log in opened:
        log.close()


def message(number: int, *, topic: str = "t", size: int = 0) -> Message:
    return Message(topic=topic, value=b"%d" % number + bytes(size), id=str(number))
