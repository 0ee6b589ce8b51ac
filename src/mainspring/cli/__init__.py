"""The command line: one file for each command, and no logic of its own.

`main` is the command `mainspring`. Results go to stdout, progress and warnings to stderr; with --json stdout holds exactly
one JSON document. This room is the edge: it alone reads the environment and asks what time it is.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, by default the one this process was started with, and return its exit code.

    0 done; 1 an error, or a check that found one; 2 no such command or option; 70 a fault of Mainspring itself; 130 Ctrl-C.
    """
    try:
        from mainspring.cli.app import app

        app(args=None if arguments is None else list(arguments), prog_name="mainspring")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except KeyboardInterrupt:  # while the commands were still being loaded
        return 130
    return 0
