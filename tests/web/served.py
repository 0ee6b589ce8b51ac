# The deliveries that turn round, as a file to serve: mainspring serve tests/web/served.py. A docstring would describe the system,
# and make it another declaration than the one that tests live through.

from __future__ import annotations

import polars as pl

from mainspring.declare import Table
from tests.loop.living import DAYS, TURNING, facts

system = TURNING


def history() -> dict[type[Table], pl.DataFrame]:
    return facts(DAYS)
