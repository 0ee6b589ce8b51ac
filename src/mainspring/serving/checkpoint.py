"""What a service knows, kept on disk: one that begins again reads that, and of the log only what came after it.

Without it a server builds its state from the whole lake, which finds the same: it is a short cut, and taken only where it is
certain to lead there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl

from mainspring.declare import System
from mainspring.errors import MainspringError
from mainspring.features.online import Snapshot, StoredSnapshot, take_snapshot
from mainspring.serving.known_facts import Hashes
from mainspring.serving.records import FACTS, PREDICTIONS
from mainspring.serving.service import Service
from mainspring.storage import storage_errors, write_atomically
from mainspring.stream import EmbeddedLog

__all__ = ["STATE_GROUP", "Checkpoint", "Kept", "StateTold", "read_state_told"]

STATE_GROUP = "state"
"""The group of the log that has what the checkpoint has: the log keeps all facts after its position."""

_EVERY_SECONDS, _FIRST_SECONDS = 600.0, 30.0
_log = logging.getLogger("mainspring.serving")


class StateTold(msgspec.Struct, frozen=True, kw_only=True):
    """How much the online state of a server held when it was last kept."""

    kept_at: int  # the service's clock, microseconds
    bytes: int
    facts: int
    keys: int


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint says beside the state itself."""

    declaration: str
    hashed_by: str  # what made the hashes: another release makes others
    histories: dict[str, str]  # by table: the mark of the lake's history that the state was built from
    facts_end: int  # the offset in the topic of facts up to which all of them are in the state
    decided: int  # the latest instant as of which a decision was answered
    predictions_end: int  # the offset in the topic of predictions up to which that is so
    newest: int | None
    fresh: dict[str, int]
    known: dict[str, tuple[bytes, bytes]]
    versions: list[tuple[int, int, list[Any]]]
    told: StateTold

    def hashes(self) -> dict[str, Hashes]:
        """Return which facts were known, by table."""
        return {name: Hashes(*(np.frombuffer(each, np.uint64) for each in two)) for name, two in self.known.items()}


class _Taken(NamedTuple):
    """What a service knew at one instant, apart from it."""

    snapshot: Snapshot
    hashes: Mapping[str, Hashes]
    about: Kept


class Checkpoint:
    """The file of a served system. For one event loop; `keep` may be called when that has ended.

    Guarantee: what `read` returns, with the facts that the log has from `facts_end` on, is what a service knew that was built
    from the lake and the log. So it returns nothing where facts came into the lake that the log never had, where the log has
    lost facts, and for another declaration.
    """

    def __init__(self, path: Path, system: System, log: EmbeddedLog) -> None:
        self._path, self._system, self._log = path, system, log
        self._histories: dict[str, str] = {}
        self._end = -1  # of the facts that the file holds

    def read(self, histories: Mapping[str, str]) -> tuple[Kept, StoredSnapshot] | None:
        """Return what was kept and the state itself; None where there is nothing, or nothing of use.

        `histories` are the lake's marks now, before anything of it was read (`Lake.histories`).
        """
        self._histories = dict(histories)
        try:
            stored = StoredSnapshot(self._path.read_bytes())
            kept = msgspec.convert(stored.about, Kept)
        except FileNotFoundError:
            return None
        except (OSError, MainspringError, msgspec.ValidationError) as error:
            _log.warning("the state that was kept cannot be read and is built from the lake: %s", error)
            return None
        position = self._log.groups(FACTS).get(STATE_GROUP)
        if (
            kept.declaration != self._system.fingerprint
            or kept.hashed_by != _hashed_by()
            or kept.histories != self._histories
            or position is None
            or not position <= kept.facts_end <= self._log.end(FACTS)
        ):
            return None
        self._end = kept.facts_end
        return kept, stored

    def keep(self, service: Service) -> None:
        """Keep what a service knows now.

        Raises WorkspaceError; then what was kept before is still there.
        """
        if self._is_due(service):
            self._write(self._take(service))

    async def run(self, service: Service) -> None:
        """Keep what a service knows every ten minutes; soon, where it was built from the lake. Never ends."""
        await asyncio.sleep(_FIRST_SECONDS if self._end < 0 else _EVERY_SECONDS)
        while True:
            try:
                if self._is_due(service):
                    await asyncio.to_thread(self._write, self._take(service))
            except (MainspringError, OSError) as error:
                _log.warning("the state cannot be kept for now: %s", error)
            await asyncio.sleep(_EVERY_SECONDS)

    def _is_due(self, service: Service) -> bool:
        """Whether a service knows more than was kept. One that has gone back in time knows less than it would begin with."""
        return service.whole and service.facts_end != self._end

    def _take(self, service: Service) -> _Taken:
        """Copy what a service knows: while this runs it answers nobody, so all that can wait is left to `_write`."""
        predictor = service.predictor
        snapshot, size = take_snapshot(predictor.state), predictor.state.size()
        about = Kept(
            declaration=self._system.fingerprint,
            hashed_by=_hashed_by(),
            histories=self._histories,
            facts_end=service.facts_end,
            decided=service.decided,
            predictions_end=self._log.end(PREDICTIONS),
            newest=service.newest,
            fresh=dict(service.fresh),
            known={},
            versions=[(visible, until, list(values)) for visible, until, values in predictor.current.versions()],
            told=StateTold(
                kept_at=service.clock.now(), bytes=size.bytes, facts=size.n_facts, keys=sum(size.keys.values())
            ),
        )
        return _Taken(snapshot, {name: known.hashes() for name, known in service.intake.known().items()}, about)

    def _write(self, taken: _Taken) -> None:
        known = {name: (each.ids.tobytes(), each.contents.tobytes()) for name, each in taken.hashes.items()}
        about = msgspec.structs.replace(taken.about, known=known)
        with storage_errors(self._path):
            write_atomically(self._path, taken.snapshot.encode(msgspec.structs.asdict(about)))
        # Only now may the log let go of what is in the file.
        consumer = self._log.consumer(FACTS, STATE_GROUP)
        try:
            consumer.seek(about.facts_end)
            consumer.commit()
        finally:
            consumer.close()
        self._end = about.facts_end


def read_state_told(path: Path) -> StateTold | None:
    """Return how much the state held that is kept in a file; None where none is.

    Raises WorkspaceError (WORKSPACE_BROKEN).
    """
    if not path.is_file():
        return None
    with storage_errors(path):
        return msgspec.convert(StoredSnapshot(path.read_bytes()).about, Kept).told


def _hashed_by() -> str:
    return f"polars {pl.__version__}"
