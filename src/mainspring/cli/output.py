"""The one way of printing: results on stdout, all else on stderr, and every error as one message without a traceback."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import typer

from mainspring.cli.interrupts import insistent_interrupts
from mainspring.errors import MainspringError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["FAULT", "INTERRUPTED", "Output", "reporting"]

FAULT, INTERRUPTED, BROKEN_PIPE = 70, 130, 141
_WIDE = 200  # where no terminal says how wide it is, lines are not to be folded


class Output:
    """Where a command prints. With `as_json` text is not printed and documents are; without it the other way round."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    @cached_property
    def stdout(self) -> Console:
        """Where results go."""
        return _console(stderr=False)

    @cached_property
    def stderr(self) -> Console:
        """Where progress, warnings and errors go."""
        return _console(stderr=True)

    def text(self, *parts: RenderableType) -> None:
        """Print a part of the result for people, unless JSON was asked for."""
        if not self.as_json:
            for part in parts:
                self.stdout.print(part, soft_wrap=isinstance(part, str))

    def document(self, value: Any) -> None:
        """Print the whole result as one JSON document, if JSON was asked for. NaN and infinities become null."""
        if self.as_json:
            import msgspec

            encoded = msgspec.json.encode(value, enc_hook=str)
            sys.stdout.write(msgspec.json.format(encoded, indent=2).decode() + "\n")

    def warn(self, message: str) -> None:
        """Print a warning on stderr."""
        self.stderr.print(f"warning: {message}", style="yellow", soft_wrap=True)

    def fail(self, error: MainspringError) -> None:
        """Print an error: the line of the declaration, what was given, what exists, what to do, and the code."""
        origin = f"{error.origin}: " if error.origin else ""
        lines = [
            f"{origin}{error.problem}",
            *(f"  {part}" for part in (error.exists, error.fix, f"[{error.code}]") if part),
        ]
        self.stderr.print("\n".join(lines), style="red", soft_wrap=True)
        place = {"file": error.origin.file, "line": error.origin.line} if error.origin else {}
        told = {"code": error.code, "message": error.problem, "exists": error.exists, "fix": error.fix, **place}
        self.document({"error": told})

    def fault(self, error: BaseException) -> None:
        """Print an error that nobody foresaw."""
        told = f"unexpected {type(error).__name__}: {error}"
        told = " ".join(told.split())
        self.stderr.print(
            f"{told}\n  This is a fault of Mainspring; what was stored is intact. Please report it with the output of "
            "the same command with --debug.",
            style="red",
            soft_wrap=True,
        )
        self.document({"error": {"code": "UNEXPECTED", "message": told}})


@contextmanager
def reporting(*, as_json: bool = False, debug: bool = False) -> Iterator[Output]:
    """Give a command its output, and end it with an exit code whatever happens inside.

    Raises typer.Exit.
    """
    output = Output(as_json=as_json)
    try:
        with insistent_interrupts():
            yield output
            sys.stdout.flush()
        return
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        line_ends = "\n" if output.stderr.is_terminal else ""
        output.stderr.print(
            f"{line_ends}Interrupted; the workspace is intact: the same command uses again what was finished."
        )
        code = INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = BROKEN_PIPE
    except MainspringError as error:
        _trace(debug)
        output.fail(error)
        code = 1
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a library in Rust that panics raises no Exception
        _trace(debug)
        output.fault(error)
        code = FAULT
    raise typer.Exit(code)


def _trace(debug: bool) -> None:
    if debug:
        sys.stderr.write(traceback.format_exc())


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDE
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)
