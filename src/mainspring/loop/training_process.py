"""A retraining in a process of its own: of low priority, on the cores that serving leaves, with threads that do not spin.

What was asked, and what became of it, are files: whoever is killed, the loop finds what was trained, and trains it once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from mainspring.adaptation.triggers import Why
from mainspring.cores import available_cores
from mainspring.errors import WorkspaceError
from mainspring.loop.live_state import Asked
from mainspring.loop.state import Trained
from mainspring.loop.system_file import load_system
from mainspring.loop.teaching import Taught, teach
from mainspring.storage import storage_errors, write_atomically
from mainspring.stream.lock import WriterLock
from mainspring.workspace import Workspace

__all__ = ["Trainer", "TrainingProcess", "run_training"]

_COMMAND = (
    "from mainspring.cores import give_way; give_way(wholly=True);"  # before what takes long to import
    "import sys; from mainspring.loop.training_process import run_training; run_training(*sys.argv[1:])"
)
_ATTEMPTS = 3


class Trainer(Protocol):
    """Somebody who trains what a loop asks for, and tells when it is done."""

    def poll(self, asked: Asked, wall: int) -> Taught | None:
        """Return what became of a training; None while it goes on. It is begun where it was not; `wall` is real time."""
        ...


class _Kept(Struct, frozen=True):
    asked: Asked
    wall: int
    taught: Taught | None = None


class TrainingProcess:
    """Trains in a process of its own, one at a time, for the system in a file whose declaration has a fingerprint."""

    def __init__(self, file: Path, workspace: Workspace, system: str, fingerprint: str) -> None:
        self._told = (str(file), str(workspace.root), fingerprint)
        self._folder = workspace.training(system)
        self._child: subprocess.Popen[bytes] | None = None
        self._begun: tuple[Asked, int] | None = None  # how often it was begun here

    def poll(self, asked: Asked, wall: int) -> Taught | None:
        """Return what became of a training; None while it goes on. One that ended without a word is begun again, twice."""
        name = asked.train.model
        kept = _read(self._folder, name)
        busy = self._child is not None and self._child.poll() is None
        if kept is not None and kept.asked == asked and kept.taught is not None:
            return kept.taught
        if busy:
            return None
        if _is_training(self._folder):  # begun by a process that was killed since
            return None
        before = self._begun[1] if self._begun is not None and self._begun[0] == asked else 0
        if before == _ATTEMPTS:
            return _failed(name, f"its training ended {_ATTEMPTS} times without a result")
        self._begun = asked, before + 1
        with storage_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        _write(self._folder, _Kept(asked, wall))
        self._child = subprocess.Popen(
            [sys.executable, "-c", _COMMAND, *self._told, name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=os.environ | _few_threads(),
            process_group=0,  # a Ctrl-C is for the server; what was begun is done to its end
        )
        return None


def run_training(file: str, root: str, fingerprint: str, name: str) -> None:
    """Do a training that was asked for, and leave what became of it, unless another process is at it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    workspace, system = Workspace.open(root, create=False), load_system(Path(file)).system
    folder = workspace.training(system.name)
    try:
        lock = WriterLock(folder / "lock")
    except WorkspaceError:
        return
    try:
        kept = _read(folder, name)
        if kept is not None and kept.taught is None:
            if system.fingerprint == fingerprint:
                taught = teach(system, workspace, kept.asked, _Since(kept.wall))
            else:
                taught = _failed(name, f"{file} holds another declaration now than is served")
            _write(folder, msgspec.structs.replace(kept, taught=taught))
    finally:
        lock.release()


def _failed(model: str, told: str) -> Taught:
    return Taught(Trained(model, False, Why(told), {}, {}))


class _Since:
    """Real time, going on from what a process was told when it began."""

    def __init__(self, wall: int) -> None:
        self._wall, self._began = wall, time.monotonic()

    def now(self) -> int:
        return self._wall + int((time.monotonic() - self._began) * 1e6)


def _few_threads() -> dict[str, str]:
    """Leave a core to the server; a thread that waits for work sleeps."""
    threads = str(max(1, available_cores() - 1))
    counts = dict.fromkeys(("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS"), threads)
    return {**counts, "PYICEBERG_MAX_WORKERS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def _read(folder: Path, name: str) -> _Kept | None:
    with contextlib.suppress(FileNotFoundError):
        return msgspec.msgpack.decode((folder / f"{name}.msgpack").read_bytes(), type=_Kept)
    return None


def _write(folder: Path, kept: _Kept) -> None:
    write_atomically(folder / f"{kept.asked.train.model}.msgpack", msgspec.msgpack.encode(kept))


def _is_training(folder: Path) -> bool:
    if not folder.exists():
        return False
    try:
        WriterLock(folder / "lock").release()
    except WorkspaceError:
        return True
    return False
