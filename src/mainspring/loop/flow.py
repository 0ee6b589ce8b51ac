"""The flow beside a running server: every few seconds what its log has goes into the lake, in a process of its own.

The process is told when to drain and what time it is by a line on its standard input, and answers with a line; it ends when
that input ends, however the server does. A thread of the server would take the interpreter from the requests.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from mainspring.errors import MainspringError
from mainspring.lake import Lake
from mainspring.loop.build import namespace
from mainspring.loop.system_file import LoadedSystem, load_system
from mainspring.serving.sink import Sink
from mainspring.stream import EmbeddedLog
from mainspring.workspace import Workspace

__all__ = ["flowing", "run_sink"]

_log = logging.getLogger("mainspring.serving")
_COMMAND = "import sys; from mainspring.loop.flow import run_sink; run_sink(*sys.argv[1:])"
_LESS_URGENT = 10


@contextlib.contextmanager
def flowing(
    loaded: LoadedSystem, workspace: Workspace, settled: Callable[[], int], every_seconds: float
) -> Iterator[None]:
    """Drain the log of a served system into the lake every so many seconds, and once more at the end.

    `settled` tells up to when all facts that arrived are in the log: an outcome is joined only when nothing can change it.
    While another process writes to the workspace, or the disk is full, the log keeps everything, and the next turn takes it.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", _COMMAND, str(loaded.path), str(workspace.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a Ctrl-C is for the server, which then drains once more
    )
    ending = threading.Event()
    thread = threading.Thread(target=_flow, args=(process, settled, every_seconds, ending), name="flow", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
        process.communicate()


def _flow(
    process: subprocess.Popen[str], settled: Callable[[], int], every_seconds: float, ending: threading.Event
) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    last = False
    while not last:
        last = ending.wait(every_seconds)
        try:
            process.stdin.write(f"{settled()}\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except (OSError, ValueError):
            answer = ""
        if not answer:
            _log.error("the flow into the lake has ended; the log keeps everything for the next server")
            return
        if problem := msgspec.json.decode(answer).get("problem"):
            _log.warning("the lake takes nothing for now: %s", problem)


def run_sink(file: str, folder: str) -> None:
    """Drain whenever a line with the time comes in; answer each with a line of JSON."""
    os.nice(_LESS_URGENT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends when its input does, after the last turn
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the user's file or a library prints is no answer
    system = load_system(Path(file)).system
    workspace = Workspace.open(folder, create=False)
    log = EmbeddedLog(workspace.log / system.name, _Unasked())
    sink = Sink(system, Lake(workspace.catalog_properties(), namespace(system)), log, set_aside=log.path / "set-aside")
    for line in sys.stdin:
        try:
            with workspace.writing():
                answer: object = sink.drain(int(line))
        except MainspringError as error:
            answer = {"problem": str(error)}
        except Exception as error:  # of a library: what was not committed is tried again, and the server goes on
            answer = {"problem": f"{type(error).__name__}: {error}"}
        try:
            answers.write(msgspec.json.encode(answer).decode() + "\n")
            answers.flush()
        except BrokenPipeError:  # the server was killed; what was drained is committed
            os.dup2(os.open(os.devnull, os.O_WRONLY), answers.fileno())
            break
    sink.close()
    log.close()


class _Unasked:
    """The clock of a log that is only read."""

    def now(self) -> int:
        raise RuntimeError("a log that is only read asks no clock")
