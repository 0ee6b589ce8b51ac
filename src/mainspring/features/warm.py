"""Compile the kernels in a process of its own, so that a first run has them when it comes to its features.

Numba compiles each kernel on first use, about ten seconds for all of them on one core, and keeps the result on disk. A first run
spends about as long bringing in facts, on the other core.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["compile_all", "warming"]


@contextlib.contextmanager
def warming() -> Iterator[None]:
    """Compile what is not on disk yet, beside the work done inside; wait for it at the end."""
    if _is_compiled():
        yield
        return
    process = subprocess.Popen(
        [sys.executable, "-c", "from mainspring.features.warm import compile_all; compile_all()"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    except BaseException:
        process.kill()
        raise
    finally:
        process.wait()


def compile_all() -> None:
    """Compute one decision with every statistic, which compiles every kernel or loads it from disk."""
    import polars as pl

    from mainspring.declare import Category, Float, Int, KnownAt, make_table
    from mainspring.features.batch import compute_with_newest
    from mainspring.features.plan import plan
    from mainspring.features.rows import INSTANT

    table = make_table("Event", {"key": Category(), "value": Float(), "size": Int(), "seen": KnownAt()})
    value = table.value  # type: ignore[attr-defined]
    expressions = {
        **{
            name: getattr(value, name)(by="key", over="1h")
            for name in ("count", "sum", "mean", "min", "max", "std", "distinct", "first")
        },
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


def _is_compiled() -> bool:
    """Whether Numba's cache holds the scan that every run needs."""
    from mainspring.features.alignment import _upper_bounds

    line = _upper_bounds.py_func.__code__.co_firstlineno
    return any(Path(_upper_bounds.stats.cache_path).glob(f"alignment._upper_bounds-{line}.*.nbi"))
