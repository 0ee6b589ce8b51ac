"""A state as bytes: what it holds at one instant, to begin from after a restart instead of from the first fact."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from mainspring.errors import WorkspaceError
from mainspring.features.online.state import OnlineState
from mainspring.features.plan import Plan

__all__ = ["Snapshot", "StoredSnapshot", "dump_state", "load_state", "plan_fingerprint", "take_snapshot"]

_FORMAT = 2
_DIGEST_SIZE = 32


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    plan: str
    grace: int
    watermark: int
    keys: list[list[Any]]
    texts: list[str | None]
    slots: int
    words: int
    about: dict[str, Any]


def plan_fingerprint(work: Plan) -> str:
    """Return what two plans share exactly when their states hold the same facts in the same places."""
    parts = [f"{scan.name}:{','.join(a.fingerprint for a in scan.aggregates.values())}" for scan in work.scans]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """All that a state held at one instant, apart from it: the state may go on while this is written."""

    plan: str
    grace: int
    watermark: int
    keys: list[list[Any]]
    texts: list[str | None]
    slots: np.ndarray
    words: np.ndarray

    def encode(self, about: dict[str, Any] | None = None) -> bytes:
        """Return it as bytes, with what the state's owner wants to know `about` it: positions in a log, for example."""
        header = _Header(
            format=_FORMAT,
            plan=self.plan,
            grace=self.grace,
            watermark=self.watermark,
            keys=self.keys,
            texts=self.texts,
            slots=len(self.slots),
            words=len(self.words),
            about=about or {},
        )
        encoded = msgspec.msgpack.encode(header)
        body = b"".join((len(encoded).to_bytes(8, "little"), encoded, self.slots.tobytes(), self.words.tobytes()))
        return hashlib.sha256(body).digest() + body


def take_snapshot(state: OnlineState) -> Snapshot:
    """Copy what a state holds: some hundredths of a second for a year of flights.

    What no decision needs any more is forgotten first, as `OnlineState.forget` does.
    """
    state.forget()
    contents = state.contents()
    return Snapshot(
        plan=plan_fingerprint(state.plan),
        grace=state.grace,
        watermark=state.watermark,
        keys=contents.keys,
        texts=list(contents.texts),
        slots=contents.slots.copy(),
        words=contents.words.copy(),
    )


def dump_state(state: OnlineState, about: dict[str, Any] | None = None) -> bytes:
    """Return a state as bytes: `take_snapshot`, encoded."""
    return take_snapshot(state).encode(about)


class StoredSnapshot:
    """A state as bytes, whole: what was said about it, and the state itself when it is asked for."""

    def __init__(self, stored: bytes) -> None:
        """Raises WorkspaceError (WORKSPACE_BROKEN) when a byte of it has changed."""
        digest, body = stored[:_DIGEST_SIZE], memoryview(stored)[_DIGEST_SIZE:]
        if hashlib.sha256(body).digest() != digest:
            raise WorkspaceError(
                "WORKSPACE_BROKEN",
                "The snapshot of an online state does not match its checksum.",
                fix="Remove it: the state is then built from the lake and the log.",
            )
        size = int.from_bytes(body[:8], "little")
        self._header = msgspec.msgpack.decode(body[8 : 8 + size], type=_Header)
        self._numbers = body[8 + size :]

    @property
    def about(self) -> dict[str, Any]:
        """What was said about the state, whatever plan it is of."""
        return self._header.about

    def state(self, work: Plan, *, grace: int = 0) -> OnlineState | None:
        """Return the state; None when it is of another plan or grace."""
        header = self._header
        if header.format != _FORMAT or header.plan != plan_fingerprint(work) or header.grace != grace:
            return None
        numbers = np.frombuffer(self._numbers, np.int64)
        slots = numbers[: 4 * header.slots].reshape(-1, 4).copy()
        state = OnlineState(work, grace=grace)
        keys = [[tuple(key) if isinstance(key, list) else key for key in held] for held in header.keys]
        state.restore(keys, header.texts, slots, numbers[4 * header.slots :], header.watermark)
        return state


def load_state(work: Plan, stored: bytes, *, grace: int = 0) -> tuple[OnlineState, dict[str, Any]] | None:
    """Return the state that `dump_state` wrote and what was said about it; None when it is of another plan or grace.

    Raises WorkspaceError (WORKSPACE_BROKEN) when a byte of it has changed.
    """
    found = StoredSnapshot(stored)
    state = found.state(work, grace=grace)
    return None if state is None else (state, found.about)
