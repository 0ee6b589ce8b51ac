"""Time every window feature of 336,776 flights against Polars and DuckDB, on the same frames in the same run.

For each of origin, carrier and tailnum and each of 1h, 6h, 1d and 7d: count, mean and max of the departure delays known in
the window; the latest arrival delay by tailnum; the latest weather by origin. All answers are first shown to be equal.
The last line on stdout is one JSON object.

    python benchmarks/features.py            everything
    python benchmarks/features.py --size 10  our time and peak memory at ten times the rows, nothing else
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl

from flights import KEYS, SPANS, WEATHER, Flights, feature_names, load
from mainspring.features import alignment, kernels

RUNS = 5
SIZES = (1, 10, 30)


def mainspring(flights: Flights) -> dict[str, np.ndarray]:
    """Compute the features with two threads, from the same frames that the peers are given."""
    times = flights.decisions["time"].to_physical().to_numpy()

    def windows(by: str) -> dict[str, np.ndarray]:
        aligned = align(flights.decisions, flights.departures, by, times, time_order, departures.result())
        values = flights.departures["dep_delay"].to_numpy()[departures.result()][aligned.fact_order]
        high, low = kernels.prefix_sums(values, aligned.starts)
        upper, order = aligned.upper, aligned.decision_order
        found = {}
        for span, over in SPANS.items():
            lower = aligned.lower(over)
            found[f"{by}_count_{span}"] = kernels.window_count(lower, upper, order)
            found[f"{by}_mean_{span}"] = kernels.window_mean(values, high, low, lower, upper, order)
            found[f"{by}_max_{span}"] = kernels.window_max(values, lower, upper, order)
        return found

    def latest(by: str, facts: pl.DataFrame, columns: tuple[str, ...]) -> dict[str, np.ndarray]:
        known = order_by_time(facts["known_at"])
        aligned = align(flights.decisions, facts, by, times, time_order, known)
        position = kernels.latest_position(aligned.lower(None), aligned.upper, aligned.decision_order)
        row = np.append(known[aligned.fact_order], -1)[position]
        return {name: np.append(facts[name].to_numpy(), np.nan)[row] for name in columns}

    with ThreadPoolExecutor(2) as threads:
        departures = threads.submit(order_by_time, flights.departures["known_at"])
        time_order = order_by_time(flights.decisions["time"])
        jobs = [threads.submit(windows, by) for by in KEYS]
        jobs.append(threads.submit(latest, "tailnum", flights.arrivals, ("arr_delay",)))
        jobs.append(threads.submit(latest, "origin", flights.weather, WEATHER))
        return {name: column for job in jobs for name, column in job.result().items()}


def order_by_time(times: pl.Series) -> np.ndarray:
    return np.argsort(times.to_physical().to_numpy(), kind="stable")


def align(
    decisions: pl.DataFrame, facts: pl.DataFrame, by: str, times: np.ndarray, time_order: np.ndarray, known: np.ndarray
) -> alignment.Alignment:
    fact_codes, decision_codes, n_codes = alignment.encode_keys(facts.select(by), decisions.select(by))
    fact_times = facts["known_at"].to_physical().to_numpy()
    return alignment.align(fact_codes[known], fact_times[known], decision_codes, times, n_codes, time_order=time_order)


def timed(compute: Callable[[Flights], object], flights: Flights) -> float:
    return timed_twice(compute, flights)[0]


def timed_twice(compute: Callable[[Flights], object], flights: Flights) -> tuple[float, float]:
    """Time one run by the clock on the wall and by what the processors spent on it."""
    wall, spent = time.perf_counter(), time.process_time()
    compute(flights)
    return time.perf_counter() - wall, time.process_time() - spent


def check_equal(ours: dict[str, np.ndarray], theirs: pl.DataFrame, peer: str) -> None:
    """Stop unless every answer is the same: counts, maxima and latest values to the bit, means to 1e-9."""
    for name in feature_names():
        column = theirs[name].to_numpy()
        tolerance = 1e-9 if "_mean_" in name else 0.0
        # A peer that slides a sum over whole minutes may leave 1e-12 where the mean is exactly zero.
        if not np.allclose(ours[name], column, rtol=tolerance, atol=tolerance, equal_nan=True):
            differs = int((~np.isclose(ours[name], column, rtol=tolerance, atol=tolerance, equal_nan=True)).sum())
            raise SystemExit(f"{peer} differs from Mainspring in {differs} answers of {name}.")


def measure_size(copies: int) -> dict[str, float]:
    """Measure ourselves at `copies` times the rows: seconds, and the peak memory of this process above its data."""
    flights = load(copies)
    before = peak_mb()
    mainspring(flights)
    seconds = statistics.median(timed(mainspring, flights) for _ in range(RUNS))
    return {"size": copies, "seconds": round(seconds, 4), "peak_mb": peak_mb(), "data_and_imports_mb": before}


def peak_mb() -> int:
    """Return the most memory this process has held; getrusage would begin from the peak of the process that began it."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) // 1024


def measure_size_apart(copies: int) -> dict[str, float]:
    """Measure a size in a process of its own, so that its peak memory is its own."""
    command = [sys.executable, __file__, "--size", str(copies)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, help="measure only ourselves, at this many times the rows")
    parser.add_argument("--peers", nargs="+", default=["polars", "duckdb"], help="whom to compare with")
    arguments = parser.parse_args()
    if arguments.size is not None:
        print(json.dumps(measure_size(arguments.size)))
        return
    flights = load()
    answers = mainspring(flights)
    contenders: dict[str, Callable[[Flights], object]] = {"mainspring": mainspring}
    for peer in arguments.peers:
        module = importlib.import_module(f"peers.features_{peer}")
        once = {}
        for form, compute in module.FORMS.items():
            check_equal(answers, compute(flights), f"{peer} ({form})")
            once[form] = timed(compute, flights)
            print(f"{peer} {form}: {once[form]:.3f} s", file=sys.stderr)
        near = [form for form, seconds in once.items() if seconds <= 2 * min(once.values())]
        contenders |= {f"{peer} {form}": module.FORMS[form] for form in near}
    # In turn, so that whatever else the machine does falls on all of them alike.
    rounds = [{name: timed_twice(compute, flights) for name, compute in contenders.items()} for _ in range(RUNS)]
    medians, cpu = (
        {name: round(statistics.median(turn[name][clock] for turn in rounds), 4) for name in contenders}
        for clock in (0, 1)
    )
    peers = {
        peer: min(seconds for name, seconds in medians.items() if name.startswith(peer)) for peer in arguments.peers
    }
    scaling = [measure_size_apart(copies) for copies in SIZES]
    result = {
        "name": "features",
        "decisions": flights.decisions.height,
        "features": len(feature_names()),
        "ours": medians["mainspring"],
        "peers": peers,
        "ratio": round(min(peers.values()) / medians["mainspring"], 2),
        "peak_mb": scaling[0]["peak_mb"],
        "forms": medians,
        "cpu": cpu,
        "scaling": scaling,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
