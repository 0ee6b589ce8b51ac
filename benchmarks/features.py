"""Time every window feature of 336,776 flights against Polars and DuckDB, on the same frames in the same run.

For each of origin, carrier and tailnum and each of 1h, 6h, 1d and 7d: count, mean and max of the departure delays known in
the window; the latest arrival delay by tailnum; the latest weather by origin. Ours are declared and computed by
`mainspring.features.compute`; each peer runs in its own process, and in its own environment where --peer-python names one.
All answers are first shown to be equal. Contenders run in turn, so that whatever else the machine does falls on all alike.
The last line on stdout is one JSON object.

    python benchmarks/features.py               the fastest forms of each peer, medians of 5
    python benchmarks/features.py --all-forms   every form in which the peers were tried
    python benchmarks/features.py --scaling     and our time and memory at 10 and 30 times the rows
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import flights

RUNS = 5
SIZES = (1, 10, 30)
PEERS = ("polars", "duckdb")
OURS = "mainspring"


class Contender:
    """A process that has the frames in memory and computes the features in one of several forms when asked."""

    def __init__(self, name: str, python: str, folder: Path) -> None:
        self.name = name
        program = Path(__file__).with_name("contender.py")
        self.process = subprocess.Popen(
            [python, str(program), f"features_{name}", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ready = self._reply()

    def ask(self, *command: str) -> Any:
        assert self.process.stdin is not None
        print(json.dumps(command), file=self.process.stdin, flush=True)
        return self._reply()

    def _reply(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} stopped; what it said stands above.")
        return json.loads(line)

    def answer(self, form: str, folder: Path) -> pl.DataFrame:
        path = folder / f"{self.name}-{form}.arrow"
        self.ask("answer", form, str(path))
        found = pl.read_ipc(path)
        path.unlink()
        return found.select(pl.col(flights.feature_names()).cast(pl.Float64))


@contextmanager
def started(name: str, python: str, folder: Path) -> Iterator[Contender]:
    contender = Contender(name, python, folder)
    try:
        yield contender
    finally:
        contender.process.kill()
        contender.process.wait()


def check_equal(ours: pl.DataFrame, theirs: pl.DataFrame, peer: str) -> None:
    """Stop unless every answer is the same: counts, maxima and latest values to the bit, means to 1e-9."""
    for name in flights.feature_names():
        tolerance = 1e-9 if "_mean_" in name else 0.0
        # A peer that slides a sum over whole minutes may leave 1e-12 where the mean is exactly zero.
        same = np.isclose(
            ours[name].to_numpy(), theirs[name].to_numpy(), rtol=tolerance, atol=tolerance, equal_nan=True
        )
        if not same.all():
            raise SystemExit(f"{peer} differs from Mainspring in {(~same).sum()} answers of {name}.")


def compare(folder: Path, peers: list[str], peer_python: str, all_forms: bool) -> dict[str, Any]:
    """Show that all answers are equal, then time all contenders in turn."""
    with ExitStack() as stack:
        ours = stack.enter_context(started(OURS, sys.executable, folder))
        runs = [(ours, ours.ready["forms"][0])]
        expected = ours.answer(*runs[0][1:], folder)
        for peer in peers:
            contender = stack.enter_context(started(peer, peer_python, folder))
            for form in contender.ready["forms" if all_forms else "fastest"]:
                check_equal(expected, contender.answer(form, folder), f"{peer} ({form})")
                runs.append((contender, form))
            say(f"{peer}: equal in all {len(flights.feature_names())} features")
        taken = [{f"{who.name} {form}": who.ask("time", form) for who, form in runs} for _ in range(RUNS)]
        peak = ours.ask("memory")["peak_mb"]
    wall, cpu = ({name: median(turn[name][clock] for turn in taken) for name in taken[0]} for clock in ("wall", "cpu"))
    fastest = {peer: min(seconds for name, seconds in wall.items() if name.split()[0] == peer) for peer in peers}
    seconds = wall[f"{OURS} {runs[0][1]}"]
    return {
        "decisions": ours.ready["rows"],
        "features": len(flights.feature_names()),
        "ours": seconds,
        "peers": fastest,
        "ratio": round(min(fastest.values()) / seconds, 2),
        "peak_mb": peak,
        "forms": wall,
        "cpu": cpu,
    }


def measure_size(copies: int, folder: Path) -> dict[str, float]:
    """Measure ourselves at `copies` times the rows: seconds, and memory with and without what was there before."""
    flights.write(flights.load(copies), folder)
    with started(OURS, sys.executable, folder) as ours:
        form = ours.ready["forms"][0]
        ours.ask("time", form)  # once for the kernels to be loaded
        taken = [ours.ask("time", form) for _ in range(RUNS)]
        peak = ours.ask("memory")["peak_mb"]
    return {
        "size": copies,
        "seconds": median(turn["wall"] for turn in taken),
        "cpu": median(turn["cpu"] for turn in taken),
        "peak_mb": peak,
        "data_and_imports_mb": ours.ready["held_mb"],
    }


def median(values: Iterator[float]) -> float:
    return round(statistics.median(values), 4)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=PEERS, help="whom to compare with")
    parser.add_argument("--peer-python", default=sys.executable, help="the Python that has the peers; else this one")
    parser.add_argument("--all-forms", action="store_true", help="time every form of each peer, not only the fastest")
    parser.add_argument("--scaling", action="store_true", help="measure ourselves at 10 and 30 times the rows too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        load = round(os.getloadavg()[0], 2)
        flights.write(flights.load(), folder)
        result = {"name": "features"} | compare(folder, arguments.peers, arguments.peer_python, arguments.all_forms)
        if arguments.scaling:
            result["scaling"] = []
            for copies in SIZES:
                result["scaling"].append(measure_size(copies, folder))
                say(f"size {copies}: {result['scaling'][-1]['seconds']} s")
    print(json.dumps(result | {"cores": len(os.sched_getaffinity(0)), "load_before": load}))


if __name__ == "__main__":
    main()
