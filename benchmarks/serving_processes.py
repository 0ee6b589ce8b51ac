"""Servers as processes: started, put to sleep while others are measured, woken, and killed with all their children."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

__all__ = ["Server", "family", "free_port", "started"]

READY_SECONDS = 120
T = TypeVar("T")


class Server:
    """A process and all that it starts. Asleep (SIGSTOP) it takes no processor from the one that is measured."""

    def __init__(self, name: str, command: Sequence[str], folder: Path) -> None:
        self.name, self.printed, self.told = name, folder / "printed", folder / "told"
        with self.printed.open("wb") as output, self.told.open("wb") as errors:
            # One thread for OpenMP: with more, LightGBM in the peers spends longer on waking threads than on one row.
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                process_group=0,  # and of the session of this process, as all that is started in one terminal
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )

    def sleep(self) -> None:
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        self.sleep()  # so that nothing is started between finding the children and killing them
        self._signal(signal.SIGKILL)
        self.process.wait()

    def wait_until(self, ready: Callable[[], T | None]) -> T:
        """Ask until there is an answer.

        Raises SystemExit with what the server printed, if it ends or takes too long.
        """
        latest = time.monotonic() + READY_SECONDS
        while time.monotonic() < latest and self.process.poll() is None:
            with contextlib.suppress(OSError):
                if (found := ready()) is not None:
                    return found
            time.sleep(0.1)
        raise SystemExit(
            f"{self.name} does not answer:\n{self.told.read_text()[-3000:]}{self.printed.read_text()[-3000:]}"
        )

    def _signal(self, number: int) -> None:
        for process in family(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)


@contextmanager
def started(name: str, command: Sequence[str], folder: Path) -> Iterator[Server]:
    """Start a server and kill it at the end, whatever happens."""
    folder.mkdir()
    server = Server(name, command, folder)
    try:
        yield server
    finally:
        server.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return held.getsockname()[1]


def family(first: int) -> list[int]:
    """A process and its descendants, parents first."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(status.parent.name))
    found = [first]
    for process in found:
        found += children.get(process, [])
    return found
