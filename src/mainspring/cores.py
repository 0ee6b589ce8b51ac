"""How many cores work may be spread over, and how work beside a server gives way to it."""

from __future__ import annotations

import os

__all__ = ["ONE_CORE", "available_cores", "give_way"]

ONE_CORE = {"POLARS_MAX_THREADS": "1", "PYICEBERG_MAX_WORKERS": "1", "OMP_NUM_THREADS": "1"}
"""What the environment of a process beside a server says: the other cores are the server's."""

_LESS_URGENT = 10


def available_cores() -> int:
    """Return how many cores this process may run on, at least 1: what an affinity mask or a container leaves of them."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def give_way(*, wholly: bool = False) -> None:
    """Let this process yield to others of its session from now on; `wholly`: run only on what they leave.

    A process that serves and those beside it must be of one session: Linux may divide the cores by sessions first.
    """
    os.nice(_LESS_URGENT)
    if wholly and hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
