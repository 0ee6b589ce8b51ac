"""LightGBM, loaded so that its idle threads sleep.

LightGBM's threads wait for each other many thousand times in a fit, and GNU's OpenMP lets them wait by spinning. On quiet
cores that is a little faster; beside a process that needs one of the cores a spinning thread keeps its core from the thread
it waits for, and a fit of seconds takes minutes (benchmarks/busy_machine.py). The OpenMP library reads its wait policy once,
while it is loaded, so this is the only moment at which it can be chosen.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from types import ModuleType

__all__ = ["load_lightgbm"]

# libgomp reads the first two, LLVM's and Intel's libomp the first and the last.
SLEEP = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}


def load_lightgbm() -> ModuleType:
    """Return the module lightgbm, imported on first use with a wait policy under which idle threads sleep.

    A policy that the environment already names wins, and one that was set when something else imported LightGBM earlier
    stays. The environment is as before afterwards: child processes inherit nothing.
    """
    if "lightgbm" not in sys.modules:
        with _waiting_asleep():
            importlib.import_module("lightgbm")
    return sys.modules["lightgbm"]


@contextlib.contextmanager
def _waiting_asleep() -> Iterator[None]:
    if any(name in os.environ for name in SLEEP):
        yield
        return
    os.environ.update(SLEEP)
    try:
        yield
    finally:
        for name in SLEEP:
            os.environ.pop(name, None)
