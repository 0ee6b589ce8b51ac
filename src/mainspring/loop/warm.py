"""Make ready, in a process of its own, what a first run would otherwise wait for.

Numba compiles each kernel on first use, about ten seconds for all of them on one core, and keeps the result on disk; the
report's charts come with a script that takes seconds to bundle once. A first run spends as long bringing in facts, on the other
core.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import numpy as np
import polars as pl

from mainspring.declare import Category, Float, Int, KnownAt, make_table
from mainspring.evaluation.bootstrap import intervals
from mainspring.evaluation.metric import metrics_for
from mainspring.features import INSTANT, compute_with_newest, plan
from mainspring.features.alignment import _upper_bounds
from mainspring.page.vega import vega_script

__all__ = ["make_ready", "warming"]

_COMMAND = "from mainspring.loop.warm import make_ready; make_ready()"


@contextlib.contextmanager
def warming() -> Iterator[None]:
    """Make ready what is not on disk yet, beside the work done inside; at its end wait for the kernels of features.

    What only the evaluation and the report need may go on being made after that; whoever comes first to need it makes it too.
    """
    if _is_ready():
        yield
        return
    process = subprocess.Popen(
        [sys.executable, "-c", _COMMAND], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    # Somebody must see it end, whenever that is, or it would stay in the system's table of processes.
    threading.Thread(target=process.wait, daemon=True).start()
    try:
        with contextlib.closing(cast(IO[bytes], process.stdout)) as said:
            yield
            said.readline()  # a process that fails ends the line as well
    except BaseException:
        process.kill()
        raise


def make_ready() -> None:
    """Compile every kernel, or load it from disk, and bundle the report's script; say so when features are ready."""
    _compile_features()
    sys.stdout.write("features\n")
    sys.stdout.flush()
    labels = np.tile([0.0, 1.0], 20)
    intervals(metrics_for("binary"), labels, np.linspace(0.1, 0.9, 40), np.arange(40) // 2, replicates=3)
    vega_script()


def _compile_features() -> None:
    """Compute one decision with every statistic."""
    table = make_table("Event", {"key": Category(), "value": Float(), "size": Int(), "seen": KnownAt()})
    value = table.value  # type: ignore[attr-defined]
    statistics = ("count", "sum", "mean", "min", "max", "std", "distinct", "first")
    expressions = {
        **{name: getattr(value, name)(by="key", over="1h") for name in statistics},
        "latest": value.latest(by="key"),
        "share": (value > 0).share(by=("key", "size"), over="1h"),
    }
    rows = {
        "key": ["a", "b"],
        "value": [1.0, None],
        "size": [1, 2],
        "seen": [1, 2],
        "_visible_at": [1, 2],
        "_seq": [0, 1],
    }
    facts = pl.DataFrame(rows).cast({"seen": INSTANT, "_visible_at": INSTANT})
    decisions = pl.DataFrame({"key": ["a"], "size": [1], "_at": [3]}).cast({"_at": INSTANT})
    compute_with_newest(plan(expressions), decisions, {"event": facts})


def _is_ready() -> bool:
    """Whether Numba's cache holds the scan that every run needs."""
    line = _upper_bounds.py_func.__code__.co_firstlineno
    return any(Path(_upper_bounds.stats.cache_path).glob(f"alignment._upper_bounds-{line}.*.nbi"))
