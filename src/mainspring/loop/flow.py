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
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from mainspring.errors import MainspringError, ServingError
from mainspring.loop.system_file import LoadedSystem, load_system
from mainspring.serving.deployed import load_model
from mainspring.serving.shadows import Shadows
from mainspring.serving.sink import Sink
from mainspring.serving.skew import Skew, measure_skew
from mainspring.stream import EmbeddedLog
from mainspring.stream.lock import WriterLock
from mainspring.workspace import Workspace

__all__ = ["Flow", "flowing", "run_sink"]

_log = logging.getLogger("mainspring.serving")
_COMMAND = "import sys; from mainspring.loop.flow import run_sink; run_sink(*sys.argv[1:])"
_LESS_URGENT = 10
# The others are the server's.
_ONE_CORE = {"POLARS_MAX_THREADS": "1", "PYICEBERG_MAX_WORKERS": "1", "OMP_NUM_THREADS": "1"}
_SKEW_FIRST_SECONDS, _SKEW_EVERY_SECONDS = 60.0, 600.0
_SKEW_NEWEST = 2_000  # predictions whose features are computed again in batch


class Flow:
    """Drains the log of a served system into the lake, in a process of its own that is started again should it end."""

    def __init__(
        self, loaded: LoadedSystem, workspace: Workspace, settled: Callable[[], int], every_seconds: float
    ) -> None:
        told = (str(loaded.path), str(workspace.root), loaded.system.fingerprint)
        self._command = [sys.executable, "-c", _COMMAND, *told]
        self._settled, self._every_seconds = settled, every_seconds
        self._ending = threading.Event()
        self._problem, self._skew = "", Skew(0, {})
        self._process = self._start()
        self._thread = threading.Thread(target=self._flow, name="flow", daemon=True)
        self._thread.start()

    def problem(self) -> str:
        """Return why the lake takes nothing for now, or nothing."""
        return self._problem

    def skew(self) -> Skew:
        """Return what the last check of features found: those of the newest predictions are computed again in batch."""
        return self._skew

    def end(self) -> None:
        """Drain once more, and end."""
        self._ending.set()
        self._thread.join()
        self._process.communicate()

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | _ONE_CORE,
            start_new_session=True,  # a Ctrl-C is for the server, which then drains once more
        )

    def _flow(self) -> None:
        last = False
        while not last:
            last = self._ending.wait(self._every_seconds)
            if not self._drained() and last:
                self._drained()  # by the process that took the place of the one that ended

    def _drained(self) -> bool:
        """Let the process drain; False, and another one is started, when it has ended."""
        answer = self._turn()
        if answer:
            told = msgspec.json.decode(answer)
            self._problem = str(told.get("problem", ""))
            if "skew" in told:
                self._hear_of_skew(Skew(**told["skew"]))
            if self._problem:
                _log.warning("the lake takes nothing for now: %s", self._problem)
            return True
        self._problem = "the flow into the lake ended and is started again; the log keeps everything"
        _log.error(self._problem)
        self._process.communicate()
        try:
            self._process = self._start()
        except OSError as error:  # no memory for it, say: the next turn finds it ended still, and tries again
            _log.error("the flow into the lake cannot be started: %s", error)
        return False

    def _hear_of_skew(self, skew: Skew) -> None:
        self._skew = skew
        if skew.different:
            features = ", ".join(f"{name} ({count})" for name, count in skew.different.items())
            _log.warning("of %d predictions batch does not confirm these features: %s", skew.predictions, features)

    def _turn(self) -> str:
        """Tell the process to drain; return its answer, empty when it has ended."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(f"{self._settled()}\n")
            stdin.flush()
            return stdout.readline()
        except (OSError, ValueError):
            return ""


@contextlib.contextmanager
def flowing(
    loaded: LoadedSystem, workspace: Workspace, settled: Callable[[], int], every_seconds: float
) -> Iterator[Flow]:
    """Drain the log of a served system into the lake every so many seconds, and once more at the end.

    `settled` tells up to when all facts that arrived are in the log: an outcome is joined only when nothing can change it.
    While another process writes to the workspace, or the disk is full, the log keeps everything, and the next turn takes it.
    """
    flow = Flow(loaded, workspace, settled, every_seconds)
    try:
        yield flow
    finally:
        flow.end()


def run_sink(file: str, folder: str, fingerprint: str) -> None:
    """Drain whenever a line with the time comes in; answer each with a line of JSON.

    `fingerprint` is that of the declaration which is served: nothing is drained by another one, to which the file may have
    been changed since.
    """
    os.nice(_LESS_URGENT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends when its input does, after the last turn
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the user's file or a library prints is no answer
    workspace = Workspace.open(folder, create=False)
    with contextlib.ExitStack() as opened:
        sink: Sink | None = None
        skew_due = time.monotonic() + _SKEW_FIRST_SECONDS
        for line in sys.stdin:
            try:
                with workspace.writing():
                    sink = sink or _open_sink(Path(file), workspace, fingerprint, opened)
                    answer: object = sink.drain(int(line))
                if time.monotonic() >= skew_due:
                    skew_due = time.monotonic() + _SKEW_EVERY_SECONDS
                    answer = {"skew": measure_skew(sink.system, sink.lake, newest=_SKEW_NEWEST)}
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


def _open_sink(file: Path, workspace: Workspace, fingerprint: str, opened: contextlib.ExitStack) -> Sink:
    """Open the sink of the system in a file; what is to be closed goes to `opened`.

    Raises ServingError (SERVE_MODEL) when the file holds another declaration; DeclarationError, WorkspaceError.
    """
    system = load_system(file).system
    if system.fingerprint != fingerprint:
        raise ServingError(
            "SERVE_MODEL",
            f"{file} holds another declaration now than the server began with.",
            fix="Start the server again, or undo the change; the log keeps everything until then.",
        )
    folder = workspace.log / system.name
    with contextlib.ExitStack() as on_failure:
        # The flow of a server that was killed may be at its last turn: of two, each would bring in what the other has.
        on_failure.callback(WriterLock(folder / "flow.lock").release)
        log = on_failure.enter_context(EmbeddedLog(folder, _Unasked()))
        sink = Sink(
            system,
            workspace.lake(system.name),
            log,
            set_aside=folder / "set-aside",
            shadows=Shadows(lambda name: load_model(system, workspace, name).model),
        )
        opened.enter_context(on_failure.pop_all())
    return sink


class _Unasked:
    """The clock of a log that is only read."""

    def now(self) -> int:
        raise RuntimeError("a log that is only read asks no clock")
