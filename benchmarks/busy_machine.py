"""Time the same LightGBM fit on quiet cores and beside a process that burns one core: as LightGBM waits by default, and as
Mainspring lets it wait.

Every fit runs in a process of its own, the four cases in turn, so that other work on the machine touches all of them alike.
`ours` and `peers` are seconds beside the burner; `slowdown` is busy over quiet. On two cores a perfect share would be 1.5
for two threads beside one burner, and 2 when the threads have to wait for each other. The last line on stdout is one JSON
object.

    python benchmarks/busy_machine.py              medians of 5
    python benchmarks/busy_machine.py --runs 1     a quick look
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import polars as pl

ROWS, COLUMNS, ROUNDS = 60_000, 40, 100
LIMIT = 120  # seconds after which a fit is stopped; its time then counts as the limit
WAYS = ("ours", "default")
BURNER = "while True: pass"


def fit_once(way: str) -> None:
    """Print the seconds of one fit, binning excluded."""
    if way == "default":
        import lightgbm  # noqa: F401 — loaded first, it waits as it does for everybody
    from mainspring.declare.estimator import LightGBM
    from mainspring.model.schema import FeatureSchema
    from mainspring.training.gbdt import TreeFitter
    from mainspring.training.task import Task

    random = np.random.default_rng(0)
    values = random.normal(size=(ROWS, COLUMNS))
    y = (random.random(ROWS) < 1 / (1 + np.exp(-values[:, :5].sum(axis=1)))).astype(float)
    frame = pl.DataFrame(values, schema=[f"x{k}" for k in range(COLUMNS)])
    schema = FeatureSchema.learn(frame, dict.fromkeys(frame.columns, "float"))
    fitter = TreeFitter(LightGBM(rounds=ROUNDS), frame, schema, y, Task(kind="binary"))
    start = time.perf_counter()
    fitter.fit()
    print(time.perf_counter() - start)


def measure(way: str, burners: int) -> float:
    burning = [subprocess.Popen([sys.executable, "-c", BURNER]) for _ in range(burners)]
    try:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "KMP_"))}
        command = [sys.executable, __file__, "--fit", way]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return float(LIMIT)
    finally:
        for process in burning:
            process.kill()
            process.wait()
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--fit", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fit:
        return fit_once(options.fit)

    cases = [(way, burners) for burners in (0, 1) for way in WAYS]
    seconds: dict[tuple[str, int], list[float]] = {case: [] for case in cases}
    for run in range(options.runs):
        for way, burners in cases:
            seconds[way, burners].append(measure(way, burners))
            print(f"run {run + 1}: {way:8} beside {burners} busy: {seconds[way, burners][-1]:.2f} s", file=sys.stderr)
    median = {case: statistics.median(values) for case, values in seconds.items()}
    document = {
        "name": "busy_machine",
        "cores": len(os.sched_getaffinity(0)),
        "limit": LIMIT,
        "load_before": round(os.getloadavg()[0], 2),
        "ours": round(median["ours", 1], 3),
        "peers": {"LightGBM's default": round(median["default", 1], 3)},
        "ratio": round(median["default", 1] / median["ours", 1], 2),
        "quiet": {way: round(median[way, 0], 3) for way in WAYS},
        "slowdown": {way: round(median[way, 1] / median[way, 0], 2) for way in WAYS},
    }
    print(json.dumps(document))
    return None


if __name__ == "__main__":
    main()
