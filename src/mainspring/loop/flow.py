"""The flow beside a running server: every few seconds what its log has goes into the lake, and the loop takes its steps.

That is a process of its own: it is told when to go on and what time it is by a line on its standard input, and answers with
a line; it ends when that input ends, however the server does. A thread of the server would take the interpreter from the
requests.
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
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from mainspring.clock import Clock
from mainspring.cores import ONE_CORE
from mainspring.declare import Alerts, System
from mainspring.errors import MainspringError, ServingError
from mainspring.loop.delivery import Delivery
from mainspring.loop.system_file import LoadedSystem, load_system
from mainspring.serving.deployed import load_model
from mainspring.serving.measured import MeasuredCounts
from mainspring.serving.shadows import Shadows
from mainspring.serving.sink import Sink
from mainspring.serving.skew import Skew, measure_skew
from mainspring.stream import EmbeddedLog
from mainspring.stream.lock import WriterLock
from mainspring.workspace import Workspace

if TYPE_CHECKING:
    from mainspring.loop.live import Live

__all__ = ["Flow", "flowing", "run_sink"]

_log, _loop_log = logging.getLogger("mainspring.serving"), logging.getLogger("mainspring.loop")
# It does not give way: one that starves holds up the flow of the server that comes after its own was killed.
_COMMAND = "import sys; from mainspring.loop.flow import run_sink; run_sink(*sys.argv[1:])"
_DELIVERY_SECONDS = 1.0
_LAST_SECONDS, _LAST_PAUSE_SECONDS = 10.0, 0.2  # for what is left when the server ends; the log keeps it in any case
_SKEW_FIRST_SECONDS, _SKEW_EVERY_SECONDS = 60.0, 600.0
_SKEW_NEWEST = 2_000  # predictions whose features are computed again in batch


class Flow:
    """Drains the log of a served system into the lake, in a process of its own that is started again should it end."""

    def __init__(
        self,
        loaded: LoadedSystem,
        workspace: Workspace,
        settled: Callable[[], int],
        every_seconds: float,
        clock: Clock,
        step: int | None,
    ) -> None:
        told = (str(loaded.path), str(workspace.root), loaded.system.fingerprint, str(step or 0))
        self._command = [sys.executable, "-c", _COMMAND, *told]
        self._settled, self._every_seconds, self._clock = settled, every_seconds, clock
        self._operations: Callable[[], MeasuredCounts] | None = None
        self._ending = threading.Event()
        self._problem, self._skew, self._loop_problem = "", Skew(0, {}), ""
        self._process = self._start()
        rules = loaded.system.alerts or Alerts()
        self._delivery = Delivery(loaded.system.name, rules.to, workspace.ledger.alerts, clock) if step else None
        self._threads = [threading.Thread(target=self._flow, name="flow", daemon=True)]
        if self._delivery is not None:
            self._threads.append(threading.Thread(target=self._deliver, name="delivery", daemon=True))
        for thread in self._threads:
            thread.start()

    def problem(self) -> str:
        """Return why the lake takes nothing for now, or nothing."""
        return self._problem

    def count(self, operations: Callable[[], MeasuredCounts]) -> None:
        """From now on tell the loop what a server has counted since it was last asked."""
        self._operations = operations

    def skew(self) -> Skew:
        """Return what the last check of features found: those of the newest predictions are computed again in batch."""
        return self._skew

    def end(self) -> None:
        """Drain once more, tell whom it concerns, and end."""
        self._ending.set()
        for thread in self._threads:
            thread.join()
        self._process.communicate()

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | ONE_CORE,
            process_group=0,  # a Ctrl-C is for the server, which then drains once more
        )

    def _flow(self) -> None:
        last = False
        while not last:
            last = self._ending.wait(self._every_seconds)
            self._drain()
        # By the process that took the place of one that ended, or once the flow of a server that was killed is done.
        patience = time.monotonic() + _LAST_SECONDS
        while self._problem and time.monotonic() < patience:
            time.sleep(_LAST_PAUSE_SECONDS)
            self._drain()

    def _deliver(self) -> None:
        """Deliver alerts, whoever takes his time to take them; what is not taken by the end is sent by the next server."""
        assert self._delivery is not None
        while not self._ending.wait(_DELIVERY_SECONDS):
            self._delivery.deliver()

    def _drain(self) -> None:
        """Let the process drain; when it has ended, another one is started."""
        answer = self._turn()
        if answer:
            told = msgspec.json.decode(answer, type=_Turn)
            self._problem = told.problem
            if told.skew is not None:
                self._hear_of_skew(told.skew)
            self._hear_of_loop(told)
            if self._problem:
                _log.warning("the lake takes nothing for now: %s", self._problem)
            return
        self._problem = "the flow into the lake ended and is started again; the log keeps everything"
        _log.error(self._problem)
        self._process.communicate()
        try:
            self._process = self._start()
        except OSError as error:  # no memory for it, say: the next turn finds it ended still, and tries again
            _log.error("the flow into the lake cannot be started: %s", error)

    def _hear_of_skew(self, skew: Skew) -> None:
        self._skew = skew
        if skew.different:
            features = ", ".join(f"{name} ({count})" for name, count in skew.different.items())
            _log.warning("of %d predictions batch does not confirm these features: %s", skew.predictions, features)

    def _hear_of_loop(self, told: _Turn) -> None:
        for event in told.done:
            _loop_log.info("%s %s: %s", event.what, event.model, event.told)
        if told.loop_problem and told.loop_problem != self._loop_problem:
            _loop_log.warning("the loop stands still for now: %s", told.loop_problem)
        self._loop_problem = told.loop_problem

    def _turn(self) -> str:
        """Tell the process to drain; return its answer, empty when it has ended."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            counted = [] if self._operations is None else [self._operations()]
            asked = _Asked(self._settled(), self._clock.now(), counted)
            stdin.write(msgspec.json.encode(asked).decode() + "\n")
            stdin.flush()
            return stdout.readline()
        except (OSError, ValueError):
            return ""


@contextlib.contextmanager
def flowing(
    loaded: LoadedSystem,
    workspace: Workspace,
    settled: Callable[[], int],
    every_seconds: float,
    *,
    clock: Clock,
    step: int | None = None,
) -> Iterator[Flow]:
    """Drain the log of a served system into the lake every so many seconds, and once more at the end.

    `settled` tells up to when all facts that arrived are in the log: an outcome is joined only when nothing can change it.
    `step` (microseconds) is the time between two steps of the loop, in the system's own time; None: there is no loop.
    `clock` is real time. While another process writes to the workspace, or the disk is full, the log keeps everything, and
    the next turn takes it.
    """
    flow = Flow(loaded, workspace, settled, every_seconds, clock, step)
    try:
        yield flow
    finally:
        flow.end()


class _Asked(Struct, frozen=True):
    """What the process is told for a turn: the system's time, real time, and what the server has counted since the last one."""

    now: int
    wall: int
    operations: list[MeasuredCounts]


class _Done(Struct, frozen=True):
    """Something that the loop did, as the server's log tells it."""

    what: str
    model: str
    told: str


class _Turn(Struct, frozen=True, omit_defaults=True):
    """What came of one turn: why the lake took nothing, what the loop did or why it stands still, and the skew if it was looked for."""

    problem: str = ""
    skew: Skew | None = None
    done: list[_Done] = []
    loop_problem: str = ""


def run_sink(file: str, folder: str, fingerprint: str, step: str = "0") -> None:
    """Drain whenever a line comes in that says what time it is; answer each with a line of JSON.

    `fingerprint` is that of the declaration which is served: nothing is drained by another one, to which the file may have
    been changed since. `step` is that of the loop, 0 for none.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends when its input does, after the last turn
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the user's file or a library prints is no answer
    with contextlib.ExitStack() as opened:
        beside = _Beside(Path(file), Workspace.open(folder, create=False), fingerprint, int(step), opened)
        for line in sys.stdin:
            turn = beside.turn(msgspec.json.decode(line, type=_Asked))
            try:
                answers.write(msgspec.json.encode(turn).decode() + "\n")
                answers.flush()
            except BrokenPipeError:  # the server was killed; what was drained is committed
                os.dup2(os.open(os.devnull, os.O_WRONLY), answers.fileno())
                break


class _Beside:
    """What goes on beside a server: the sink, the check for skew, the loop."""

    def __init__(
        self, file: Path, workspace: Workspace, fingerprint: str, step: int, opened: contextlib.ExitStack
    ) -> None:
        self._file, self._workspace, self._fingerprint, self._step = file, workspace, fingerprint, step
        self._opened = opened
        self._sink: Sink | None = None
        self._live: Live | None = None
        self._skew_due = time.monotonic() + _SKEW_FIRST_SECONDS

    def turn(self, asked: _Asked) -> _Turn:
        """Drain, then let the loop go on, which hears of nothing that is not in the lake."""
        skew = None
        try:
            if self._sink is None:
                self._sink = _open_sink(self._file, self._workspace, self._fingerprint, self._opened)
            unready = self._open_live(self._sink.system)  # before what comes now is in the lake
            with self._workspace.writing():
                self._sink.drain(asked.now)
            if time.monotonic() >= self._skew_due:
                self._skew_due = time.monotonic() + _SKEW_EVERY_SECONDS
                skew = measure_skew(self._sink.system, self._sink.lake, newest=_SKEW_NEWEST)
        except Exception as error:  # what was not committed is tried again, and the server goes on
            return _Turn(problem=_told(error))
        if self._live is None:
            return _Turn(skew=skew, loop_problem=unready)
        try:
            events = self._live.advance(asked.now, asked.wall, asked.operations)
            return _Turn(skew=skew, done=[_Done(each.what, each.model, each.told) for each in events])
        except Exception as error:  # the step was not taken, and is tried again
            return _Turn(skew=skew, loop_problem=_told(error))

    def _open_live(self, system: System) -> str:
        """Open the loop where there is to be one; return why it cannot be, which is no reason not to drain."""
        if self._live is not None or not self._step:
            return ""
        # Training and all monitors come with it: neither the server, which imports this file, nor a flow alone needs them.
        from mainspring.loop.live import Live
        from mainspring.loop.training_process import TrainingProcess

        try:
            trainer = TrainingProcess(self._file, self._workspace, system.name, self._fingerprint)
            self._live = Live(system, self._workspace, trainer, self._step)
        except Exception as error:
            return _told(error)
        return ""


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, MainspringError) else f"{type(error).__name__}: {error}"


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
