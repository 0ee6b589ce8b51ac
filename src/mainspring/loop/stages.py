"""Stages: what a run does one after the other, timed, and taken from an earlier run where its inputs are the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from mainspring.clock import Clock
from mainspring.ledger import Ledger, Stage

__all__ = ["Made", "Progress", "Stages"]

Value = TypeVar("Value")


class Progress(Protocol):
    """Who is told how a run gets on. Called from the thread that runs; it must not raise."""

    def started(self, stage: str) -> None:
        """A stage begins."""

    def ended(self, stage: str, seconds: float, note: str, *, reused: bool) -> None:
        """A stage ended well; `note` says in a few words what came of it."""

    def warn(self, message: str) -> None:
        """Something does not stop the run but deserves a look."""


@dataclass(frozen=True)
class Made(Generic[Value]):
    """What a stage made: the value, a note for people, and where and how a later run finds it again."""

    value: Value
    note: str
    output: dict[str, Any] = field(default_factory=dict)
    path: str | None = None  # relative to the workspace


class Stages:
    """Runs stages in order. `seconds` and `reused` hold what has ended so far."""

    def __init__(self, ledger: Ledger, system: str, clock: Clock, progress: Progress) -> None:
        self._ledger, self._system, self._clock, self._progress = ledger, system, clock, progress
        self.seconds: dict[str, float] = {}
        self.reused: list[str] = []

    def run(self, stage: str, make: Callable[[], Made[Value]]) -> Value:
        """Run a stage that is done every time; one whose note is "unchanged" counts as reused."""
        return self._timed(stage, lambda: (made := make(), made.note == "unchanged"))

    def reuse(
        self, stage: str, key: str, *, load: Callable[[Stage], Made[Value] | None], make: Callable[[], Made[Value]]
    ) -> Value:
        """Load what an earlier run made with the same `key`, the fingerprint of all inputs; else make and record it.

        `load` returns None when what was recorded is gone or damaged: then it is made again.
        """

        def loaded_or_made() -> tuple[Made[Value], bool]:
            record = self._ledger.lookup(stage, key)
            found = load(record) if record is not None else None
            if found is not None:
                return found, True
            made = make()
            self._ledger.record_stage(
                Stage(
                    stage=stage,
                    key=key,
                    system=self._system,
                    output=made.output,
                    path=made.path,
                    created_at=self._clock.now(),
                )
            )
            return made, False

        return self._timed(stage, loaded_or_made)

    def _timed(self, stage: str, work: Callable[[], tuple[Made[Value], bool]]) -> Value:
        self._progress.started(stage)
        begin = time.perf_counter()
        made, reused = work()
        seconds = self.seconds[stage] = time.perf_counter() - begin
        if reused:
            self.reused.append(stage)
        self._progress.ended(stage, seconds, made.note, reused=reused)
        return made.value
