"""Live through the flights of 2013 with the declared policy, by days and by hours, and count what is not LightGBM's own time.

The system is built first (facts and features of 336,777 decisions). Then the whole loop is replayed from March to December:
predictions, labels that come late, sketches of 75 features by day, retraining every week on 90 days, shadow, canary, promotion
or rollback, and every monitor of inputs, features, predictions and outcomes with the alerts that come of them. Training and
predicting happen in LightGBM and are timed apart; so are the classifiers of the monitor "domain", which are LightGBM's too.
No peer replays a system; the last line on stdout is one JSON object.

    python benchmarks/replay.py            by days and by hours
    python benchmarks/replay.py --hours 0  by days alone
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import polars as pl

from mainspring.adaptation.retraining import Past
from mainspring.clock import DAY, HOUR
from mainspring.declare import AnyOf, Degraded, Drifted, EstimatedDegraded, Every, Retrain, System
from mainspring.loop import load_system
from mainspring.loop import replay as replaying
from mainspring.loop.example import find_system_file
from mainspring.loop.replay import Replay
from mainspring.loop.state import Policy
from mainspring.model.model import Model
from mainspring.monitoring import domain
from mainspring.training import NEVER
from mainspring.training import dataset as datasets
from mainspring.workspace import Workspace

WARM_UP = 60 * DAY


def history_of(folder: Path) -> tuple[datasets.Dataset, dict[str, pl.DataFrame]]:
    """Build the flights and read their dataset back, and the facts that it was made from."""
    command = [
        str(Path(sys.executable).with_name("mainspring")),
        "run",
        "flights",
        "--workspace",
        str(folder),
        "--json",
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    workspace = Workspace.open(folder, create=False)
    run = workspace.ledger.runs()[0]
    (stored,) = workspace.ledger.datasets(run.name)
    path = folder / (stored.path or "")
    data = datasets.read_dataset(path, left_out={}, as_of=0)
    known = data.label_known_at[data.label_known_at < NEVER]
    lake = workspace.lake(run.system)
    tables = load_system(find_system_file("flights")).system.tables
    snapshots = lake.snapshots(tables)
    frames = {table.__schema__.name: lake.read(table, snapshots[table.__schema__.name]) for table in tables}
    return replace(data, as_of=int(known.max())), frames


class Stopwatch:
    """Seconds spent in functions that are wrapped."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **options: Any) -> Any:
            begin = time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                self.seconds += time.perf_counter() - begin

        return timed

    @contextmanager
    def running(self) -> Any:
        with (
            mock.patch.object(replaying, "trained", self.wrap(replaying.trained)),
            mock.patch.object(replaying, "continued", self.wrap(replaying.continued)),
            mock.patch.object(Model, "predict", self.wrap(Model.predict)),
        ):
            yield


def everything(system: System) -> Retrain:
    """The declared policy with every signal watched each day; the drifts and estimates asked for do not occur."""
    declared = system.retrain
    assert declared is not None
    never = (Drifted(1.0, effect=50.0), EstimatedDegraded("log_loss", by=5.0))
    return Retrain(
        when=AnyOf(*never, Every("7d"), Degraded("log_loss", by=0.02)), window=declared.window, cooldown="1h"
    )


def measure(past: Past, begin: int, every: int, facts: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """Replay once; return the seconds in and outside LightGBM, and what happened."""
    watch, apart = Stopwatch(), Stopwatch()
    start = time.perf_counter()
    with watch.running(), mock.patch.object(domain, "_fitted", apart.wrap(domain._fitted)):
        life = Replay(past, begin, every, facts)
        story = life.run("everything", Policy.of(past.system, everything(past.system), past.system.rollout))
    whole = time.perf_counter() - start
    counts = {
        what: story.count(what) for what in ("train", "shadow", "canary", "promoted", "rolled back", "passed over")
    }
    return {
        "steps": -(-(life.end - begin) // every),
        "decisions": len(life.rows),
        "seconds": round(whole, 2),
        "lightgbm": round(watch.seconds, 2),
        "domain_lightgbm": round(apart.seconds, 2),
        "without_lightgbm": round(whole - watch.seconds - apart.seconds, 2),
        "alerts": sum(event.what == "alert opened" for event in story.alerts),
        **counts,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=1, help="also by steps of so many hours; 0: by days alone")
    options = parser.parse_args()
    load = round(os.getloadavg()[0], 2)
    system = load_system(find_system_file("flights")).system
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        data, facts = history_of(Path(scratch))
    begin = int(data.decided_at[0]) + WARM_UP
    past = Past(system, data, begin)
    found = {"days": measure(past, begin, DAY, facts)}
    if options.hours:
        found["hours"] = measure(past, begin, options.hours * HOUR, facts)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    cores = len(os.sched_getaffinity(0))
    print(json.dumps({"name": "replay", **found, "peak_gb": round(memory, 2), "cores": cores, "load_before": load}))


if __name__ == "__main__":
    main()
