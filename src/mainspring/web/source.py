"""What pages are made of: the ledger, the loop's newest state and the lake of one served system, each read when it has changed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from mainspring.declare import System
from mainspring.lake import Lake
from mainspring.ledger import Ledger
from mainspring.loop.live_state import LiveState, read_live
from mainspring.loop.state import Policy
from mainspring.loop.status import Status, status_of
from mainspring.workspace import Workspace

__all__ = ["Source"]

Found = TypeVar("Found")


class Source:
    """Reads for pages. For one thread; a page asks for what it needs and gets what was read last where that still holds."""

    def __init__(self, system: System, workspace: Workspace, file: Path) -> None:
        self.system, self.workspace, self.file = system, workspace, file
        self.policy = Policy.of(system, system.retrain, system.rollout)
        self._kept: dict[str, tuple[Any, Any]] = {}

    @property
    def ledger(self) -> Ledger:
        return self.workspace.ledger

    @cached_property
    def lake(self) -> Lake:
        return self.workspace.lake(self.system.name)

    def once(self, name: str, mark: Any, read: Callable[[], Found]) -> Found:
        """Return what `read` returned last under this name, if the mark is the same; else read, and keep it."""
        found = self._kept.get(name)
        if found is None or found[0] != mark:
            found = self._kept[name] = mark, read()
        return found[1]

    def step(self) -> int:
        """Return the number of the loop's newest step, 0 where there is none: what the loop wrote holds until the next one."""
        return self.ledger.loops.newest_step(self.system.name)

    def state(self) -> LiveState | None:
        """Return what the loop knows after its newest step; None where none has begun, or it was of another declaration."""
        return self.once("state", self.step(), self._read_state)

    def status(self) -> Status:
        """Return how the system is. Raises as `status_of` does."""
        return self.once("status", self.ledger.mark(self.system.name), lambda: status_of(self.system, self.workspace))

    def _read_state(self) -> LiveState | None:
        kept = self.ledger.loops.kept(self.system.name)
        return None if kept is None else read_live(kept, self.system.fingerprint)
