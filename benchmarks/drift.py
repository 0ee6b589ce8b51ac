"""Find which of 50 columns have moved: 1,000,000 rows of reference and as many of now, 40 numbers and 10 categories.

Ours builds both sketches and compares them. A peer is given the same rows in the form it takes (alibi-detect an array with
codes for names, NannyML and Evidently a frame of pandas with categories; ours a Polars frame with texts), made before the
clock starts, and asked for Kolmogorov-Smirnov and chi-square; exact is the Kolmogorov-Smirnov statistic of the 40 numbers by
sorting in NumPy. Five numbers and two categories have moved, by more than the effect we ask for by default: ours must find
just these, and the peers, that ask for significance alone, these among others; `wrong` names the columns where one does
not. Everyone runs in a process of its own, in turn; `extra_mb` is the most memory it held beyond what it held before. The
last line on stdout is one JSON object.

    python benchmarks/drift.py --peer-python .venv-bench-monitoring/bin/python   medians of 5
    python benchmarks/drift.py --peers --rows 100000 --runs 1               ourselves alone, a first impression

The peers: pip install alibi-detect nannyml evidently. One that cannot be imported or fails is told in `left_out`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

OURS, EXACT = "mainspring", "exact"
PEERS = ("alibi", "nannyml", "evidently")
QUIET = {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1", "PYTHONWARNINGS": "ignore"}  # two peers report home
ROWS, NUMBERS, CATEGORIES, VALUES = 1_000_000, 40, 10, 20
MOVED = [f"n{k}" for k in range(5)] + ["c0", "c1"]
Found = tuple[
    list[str] | None, dict[str, float]
]  # which columns have moved, and Kolmogorov-Smirnov statistics, if told


def names() -> list[str]:
    return [f"n{k}" for k in range(NUMBERS)] + [f"c{k}" for k in range(CATEGORIES)]


def write(rows: int, folder: Path) -> None:
    """Write both samples as (columns, rows): numbers normal, lognormal, with ties and mostly zero; codes of categories."""
    for number, part in enumerate(("before", "now")):
        draw = np.random.default_rng(number)
        values = np.empty((NUMBERS + CATEGORIES, rows))
        for k, name in enumerate(names()):
            moved = part == "now" and name in MOVED
            if k >= NUMBERS:
                shares = np.arange(VALUES, 0, -1.0) ** (3 if moved else 1)
                values[k] = draw.choice(VALUES, rows, p=shares / shares.sum())
            else:
                drawn = draw.normal(size=rows) + 0.6 * moved
                forms = (drawn, np.exp(drawn), np.round(drawn, 1), np.where(drawn > 0.3, drawn, 0.0))
                values[k] = forms[k % len(forms)]
        np.save(folder / f"{part}.npy", values)


def prepare_mainspring(before: np.ndarray, now: np.ndarray) -> Callable[[], Found]:
    import polars as pl

    from mainspring.monitoring.drift import compare
    from mainspring.monitoring.sketch import Sketch

    kinds = {name: "float" if name.startswith("n") else "category" for name in names()}

    def frame(values: np.ndarray) -> pl.DataFrame:
        columns = [
            pl.Series(name, values[k])
            if kinds[name] == "float"
            else pl.select(pl.format("value {}", pl.lit(pl.Series(values[k].astype(np.int64))))).to_series().alias(name)
            for k, name in enumerate(names())
        ]
        return pl.DataFrame(columns)

    reference_rows, current_rows = frame(before), frame(now)

    def run() -> Found:
        reference = Sketch.over(reference_rows, kinds)
        drifts = compare(reference, Sketch.empty(reference.layout).add(current_rows))
        return [drift.name for drift in drifts if drift.drifted], {
            drift.name: drift.values.ks for drift in drifts if kinds[drift.name] == "float"
        }

    return run


def prepare_exact(before: np.ndarray, now: np.ndarray) -> Callable[[], Found]:
    def run() -> Found:
        found = {}
        for k in range(NUMBERS):
            first, second = np.sort(before[k]), np.sort(now[k])
            both = np.concatenate((first, second))
            shares = (np.searchsorted(each, both, "right") / len(each) for each in (first, second))
            found[names()[k]] = float(np.abs(next(shares) - next(shares)).max())
        return None, found

    return run


def prepare_alibi(before: np.ndarray, now: np.ndarray) -> Callable[[], Found]:
    from alibi_detect.cd import TabularDrift

    reference, current = np.ascontiguousarray(before.T), np.ascontiguousarray(now.T)
    codes = dict.fromkeys(range(NUMBERS, NUMBERS + CATEGORIES))

    def run() -> Found:
        told = TabularDrift(reference, p_val=0.05, categories_per_feature=codes).predict(current, drift_type="feature")
        moved = [name for name, drifted in zip(names(), told["data"]["is_drift"], strict=True) if drifted]
        return moved, dict(zip(names()[:NUMBERS], map(float, told["data"]["distance"]), strict=False))

    return run


def prepare_nannyml(before: np.ndarray, now: np.ndarray) -> Callable[[], Found]:
    from nannyml import UnivariateDriftCalculator

    reference, current = pandas_frame(before), pandas_frame(now)

    def run() -> Found:
        calculator = UnivariateDriftCalculator(
            column_names=names(),
            continuous_methods=["kolmogorov_smirnov"],
            categorical_methods=["chi2"],
            chunk_number=1,
        )
        told = calculator.fit(reference).calculate(current).filter(period="analysis").to_df()
        methods = {name: "kolmogorov_smirnov" if name.startswith("n") else "chi2" for name in names()}
        moved = [name for name in names() if told[(name, methods[name], "alert")].iloc[-1]]
        numbers = names()[:NUMBERS]
        return moved, {name: float(told[(name, "kolmogorov_smirnov", "value")].iloc[-1]) for name in numbers}

    return run


def prepare_evidently(before: np.ndarray, now: np.ndarray) -> Callable[[], Found]:
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    definition = DataDefinition(numerical_columns=names()[:NUMBERS], categorical_columns=names()[NUMBERS:])
    reference, current = (
        Dataset.from_pandas(pandas_frame(values), data_definition=definition) for values in (before, now)
    )

    def run() -> Found:
        tests = [ValueDrift(column=name, method="ks" if name.startswith("n") else "chisquare") for name in names()]
        told = Report(tests).run(current, reference).dict()["metrics"]
        return [name for name, metric in zip(names(), told, strict=True) if float(metric["value"]) < 0.05], {}

    return run


def pandas_frame(values: np.ndarray) -> Any:
    import pandas as pd

    columns = {name: values[k] for k, name in enumerate(names())}
    for name in names()[NUMBERS:]:
        columns[name] = pd.Categorical.from_codes(columns[name].astype(np.int8), [f"value {k}" for k in range(VALUES)])
    return pd.DataFrame(columns)


PREPARE = {
    OURS: prepare_mainspring,
    EXACT: prepare_exact,
    "alibi": prepare_alibi,
    "nannyml": prepare_nannyml,
    "evidently": prepare_evidently,
}


def contend(name: str, folder: Path) -> None:
    """Run when a line comes; tell the seconds, what was found, and the memory."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no reply
    run = PREPARE[name](np.load(folder / "before.npy"), np.load(folder / "now.npy"))
    held = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak from here on
    print(json.dumps({"held_mb": held}), file=replies)
    for _ in sys.stdin:
        wall, spent = time.perf_counter(), time.process_time()
        moved, statistics_found = run()
        wall, spent = time.perf_counter() - wall, time.process_time() - spent
        told = {"wall": wall, "cpu": spent, "extra_mb": memory("VmHWM") - held, "moved": moved, "ks": statistics_found}
        print(json.dumps(told), file=replies)


def memory(field: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(field))) // 1024


class Contender:
    """A process that holds both samples in its own form."""

    def __init__(self, name: str, python: str, folder: Path) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [python, __file__, "--contend", name, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | QUIET,
        )
        self.ready = self._reply()

    def run(self) -> dict[str, Any] | None:
        assert self.process.stdin is not None
        print(file=self.process.stdin, flush=True)
        return self._reply()

    def _reply(self) -> dict[str, Any] | None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def measure(contestants: dict[str, str], runs: int, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the figures of each contender and the names of those that could not run. One process at a time holds the data."""
    found: dict[str, Any] = {}
    left_out = []
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in contestants}
    for turn in range(runs):
        for name, python in contestants.items():
            if name in left_out:
                continue
            contender = Contender(name, python, folder)
            try:
                told = (
                    contender.ready and contender.run() and contender.run()
                )  # the first one compiles and fills caches
            finally:
                contender.stop()
            if told:
                taken[name].append(told)
                say(f"turn {turn + 1}: {name:11}{told['wall']:8.2f} s, {told['extra_mb']} MB")
            else:
                left_out.append(name)
                say(f"{name} is left out; what it said stands above.")
    for name, all_told in taken.items():
        if name not in left_out:
            last = all_told[-1]
            found[name] = {what: median(all_told, what) for what in ("wall", "cpu", "extra_mb")} | {
                "wrong": wrong(name, last["moved"]), "ks": last["ks"]
            }  # fmt: skip
    return found, left_out


def wrong(name: str, moved: list[str] | None) -> list[str]:
    """Return the columns that were missed, or, of ours, found wrongly."""
    if moved is None:
        return []
    return sorted(set(MOVED) ^ set(moved) if name == OURS else set(MOVED) - set(moved))


def median(told: list[dict[str, Any]], what: str) -> float:
    return round(statistics.median(turn[what] for turn in told), 3)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS, help="whom to compare with")
    parser.add_argument("--peer-python", default=sys.executable, help="the Python that has the peers; else this one")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--contend", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contend:
        contend(options.contend[0], Path(options.contend[1]))
        return
    load = round(os.getloadavg()[0], 2)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write(options.rows, folder)
        contestants = dict.fromkeys((OURS, EXACT), sys.executable) | dict.fromkeys(options.peers, options.peer_python)
        found, left_out = measure(contestants, options.runs, folder)
    told = {name: figures.pop("ks") for name, figures in found.items()}
    for name in set(told) - {EXACT}:
        found[name]["ks_off_by"] = max((abs(ks - told[EXACT][of]) for of, ks in told[name].items()), default=None)
    peers = [found[name]["wall"] for name in options.peers if name in found]
    document = {
        "name": "drift",
        "rows": options.rows,
        "columns": len(names()),
        "data_mb": 2 * options.rows * len(names()) * 8 // 2**20,
        "ours": found[OURS]["wall"],
        "peers": {name: found[name]["wall"] for name in (EXACT, *options.peers) if name in found},
        "ratio": round(min(peers) / found[OURS]["wall"], 2) if peers else None,
        "contenders": found,
        "left_out": left_out,
        "cores": len(os.sched_getaffinity(0)),
        "load_before": load,
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()
