"""How a run gets on: one line for each stage, on stderr."""

from __future__ import annotations

import sys

from mainspring.cli.output import Output

__all__ = ["StageLines"]

_CLEAR_LINE = "\r\x1b[K"


class StageLines:
    """Prints a line when a stage has ended. On a terminal the stage that runs is named meanwhile; nothing moves."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._live = sys.stderr.isatty()
        self._running = ""

    def started(self, stage: str) -> None:
        """A stage begins."""
        self._running = stage
        self._name_running()

    def ended(self, stage: str, seconds: float, note: str, *, reused: bool) -> None:
        """A stage ended well."""
        self._clear()
        self._running = ""
        told = f"{note} (reused)" if reused and note != "unchanged" else note
        self._output.stderr.print(f"{stage:<11} {seconds:>7.2f} s  {told}", soft_wrap=True)

    def warn(self, message: str) -> None:
        """Something does not stop the run but deserves a look."""
        self._clear()
        self._output.warn(message)
        self._name_running()

    def _name_running(self) -> None:
        if self._live and self._running:
            sys.stderr.write(f"{self._running} …")
            sys.stderr.flush()

    def _clear(self) -> None:
        if self._live and self._running:
            sys.stderr.write(_CLEAR_LINE)
