"""Serve one LightGBM (200 trees, 63 leaves, 30 features) with Mainspring and with its peers, side by side in one run.

The peers (FastAPI around the booster, MLServer, `mlflow models serve`, BentoML) get the booster's file, and in each request
the 30 numbers. Mainspring (`mainspring serve`) gets the few columns of a checkout, computes 25 of the 30 features from its
state, and keeps each prediction durably before it answers. Every contender is one worker process on a loopback port, and is
first shown to answer what the booster answers. Then, in turn, so that whatever else the machine does falls on all alike:

  * wrk with 16 connections and with one: requests/s, and p50 and p99 of a loop that waits for its answers;
  * an open loop at half of the peak that the contender just showed: p50 and p99 from when each request was due.

Who is not measured sleeps, children included. At the end facts are sent to Mainspring, which no peer takes. The machine is
shared by load and server. A table goes to stderr; the last line on stdout is one JSON object.

    python benchmarks/serving.py --peer-python .venv-bench-serving/bin/python
    python benchmarks/serving.py --peers fastapi --rounds 1 --seconds 1      a first impression
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from mainspring.model.bundle import Bundle, load_bundle
from mainspring.model.plain_values import frame_of
from serving_contenders import OURS, PEERS, SYSTEM, post, serve_ours, where_ours
from serving_facts import measure_facts
from serving_load import Target, closed_loop, open_loop
from serving_processes import Server, free_port, started

ROUNDS = 5
SECONDS = 3  # of each of three loads: in 9 s our server brings its predictions into the lake, as it always does
TREES, LEAVES, FEATURES = 200, 63, 30
ROWS = 200
CONNECTIONS = (16, 1)
SAME = 1e-9


@dataclass(frozen=True)
class Running:
    """A server that was shown to answer right, and what it is to be asked."""

    server: Server
    target: Target


def build(folder: Path) -> Bundle:
    """Run the system and return its bundle, once it is sure to hold the trees that all this is about."""
    command = [
        str(Path(sys.executable).with_name("mainspring")),
        "run",
        str(SYSTEM),
        "--workspace",
        str(folder),
        "--json",
    ]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    bundle = load_bundle(Path(json.loads(done.stdout)["bundle"]))
    trees = lightgbm.Booster(model_file=str(bundle.folder / "model.txt")).dump_model()["tree_info"]
    leaves = {tree["num_leaves"] for tree in trees}
    if (len(trees), leaves, len(bundle.model.schema.names)) != (TREES, {LEAVES}, FEATURES):
        raise SystemExit(f"The bundle has {len(trees)} trees of {sorted(leaves)} leaves.")
    return bundle


def checkouts() -> list[dict[str, Any]]:
    """Checkouts of cards and shops that the history knows; they are asked for now."""
    return [
        {
            "checkout_id": f"asked-{k}",
            "card": f"c{k % 300}",
            "shop": f"s{k * 7 % 40}",
            "channel": ("web", "app", "phone")[k % 3],
            "amount": round(5 + k * 0.73, 2),
        }
        for k in range(300)
    ]


def start_ours(
    stack: ExitStack, bundle: Bundle, workspace: Path, folder: Path, *options: str
) -> tuple[Running, list[list[float]]]:
    """Start our server and check its answers; return it with the features of what it is asked, as the booster takes them."""
    server = stack.enter_context(started(OURS, serve_ours(workspace, *options), folder))
    told = server.wait_until(lambda: where_ours(server))
    url = f"{told['address']}/v1/predict"
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {told['key']}"}
    explained = Target(url, headers, [json.dumps({"row": row, "explain": True}).encode() for row in checkouts()])
    answers = server.wait_until(lambda: post(explained))
    # JSON has no NaN, so that not all peers take a missing value: what lacks a feature is not asked
    known = [k for k, answer in enumerate(answers) if None not in answer["features"].values()][:ROWS]
    matrix = bundle.model.schema.encode_for_trees(
        frame_of([answers[k]["features"] for k in known], bundle.model.schema)
    )
    if len(known) < ROWS or not np.isfinite(matrix).all():
        raise SystemExit(f"{len(known)} checkouts have all their features; {ROWS} are wanted.")
    target = Target(url, headers, [json.dumps({"row": checkouts()[k]}).encode() for k in known])
    expected = bundle.model.calibration.apply(raw(bundle, matrix))
    check_same(OURS, [answer["probability"] for answer in post(target)], expected)
    return Running(server, target), matrix.tolist()


def start_peer(
    stack: ExitStack, name: str, python: str, bundle: Bundle, rows: Sequence[list[float]], folder: Path
) -> Running:
    """Start a peer on the bundle's booster and check its answers."""
    peer, port = PEERS[name], free_port()
    command = peer.command(python, bundle.folder / "model.txt", port, folder)
    server = stack.enter_context(started(name, command, folder))
    target = peer.target(port, rows)
    answers = server.wait_until(lambda: post(target))
    check_same(name, [peer.answer(answer) for answer in answers], raw(bundle, np.array(rows)))
    return Running(server, target)


def raw(bundle: Bundle, matrix: np.ndarray) -> np.ndarray:
    return lightgbm.Booster(model_file=str(bundle.folder / "model.txt")).predict(matrix, num_threads=1)


def check_same(name: str, found: Sequence[float], expected: np.ndarray) -> None:
    worst = float(np.abs(np.array(found) - expected).max())
    if not worst <= SAME:
        raise SystemExit(f"{name} differs from the booster by {worst}.")
    say(f"{name}: the booster's answer to {len(found)} requests")


def measure(running: Mapping[str, Running], rounds: int, seconds: int, folder: Path) -> dict[str, dict[str, Any]]:
    """Measure all in turn, each while the others sleep; return the medians by contender."""
    taken: dict[str, list[dict[str, dict[str, float]]]] = {name: [] for name in running}
    for turn in range(-1, rounds):
        for name, each in running.items():
            each.server.wake()
            if turn < 0:  # once for compilers and caches; not counted
                closed_loop(each.target, max(CONNECTIONS), 1, folder)
            else:
                taken[name].append(one_turn(each.target, seconds, folder))
            each.server.sleep()
    return {name: {kind: medians([turn[kind] for turn in turns]) for kind in turns[0]} for name, turns in taken.items()}


def one_turn(target: Target, seconds: int, folder: Path) -> dict[str, dict[str, float]]:
    """Measure one contender by each kind of load. The peak is that of the same turn: a minute later it may be another."""
    found = {f"{connections}": closed_loop(target, connections, seconds, folder) for connections in CONNECTIONS}
    peak = max(run["rps"] for run in found.values())
    return found | {"half_peak": open_loop(target, peak / 2, seconds)}


def medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {what: round(statistics.median(run[what] for run in runs), 3) for what in runs[0]}


def ratios(ours: Sequence[float], others: Sequence[float], digits: int = 3) -> dict[str, Any]:
    """Return the ratio of two medians, and those of the turns in which both were measured, in order."""
    ratio = statistics.median(ours) / statistics.median(others)
    by_turn = sorted(round(a / b, digits) for a, b in zip(ours, others, strict=True))
    return {"ratio": round(ratio, digits), "ratio_by_turn": by_turn}


def compared(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Add to each contender its requests/s in multiples of the best peer's, with 16 connections and with one."""
    peers = [name for name in found if name != OURS]
    best = {f"{c}": max((found[name][f"{c}"]["rps"] for name in peers), default=None) for c in CONNECTIONS}
    for figures in found.values():
        figures["ratio"] = {c: round(figures[c]["rps"] / rps, 2) for c, rps in best.items() if rps}
    return {"contenders": found, "best_peer_rps": best, "ratio": found[OURS]["ratio"]}


def table(found: Mapping[str, Any]) -> str:
    lines = [
        f"{'':18}{'16 connections':>27}{'1 connection':>29}{'half of the peak, open loop':>31}",
        f"{'':18}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'x best':>8}"
        f"{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'x best':>8}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}",
    ]
    for name, figures in found["contenders"].items():
        cells = f"{name:18}"
        for c in ("16", "1"):
            run = figures[c]
            ratio = figures["ratio"].get(c, float("nan"))
            cells += f"{run['rps']:9,.0f}{run['p50_ms']:9.2f}{run['p99_ms']:9.2f}{ratio:8.2f}"
        run = figures["half_peak"]
        lines.append(f"{cells}{run['rate']:9,.0f}{run['p50_ms']:9.2f}{run['p99_ms']:9.2f}")
    for form, sizes in found["facts"].items():
        told = ", ".join(f"{rows:,.0f} rows/s in batches of {int(size):,}" for size, rows in sizes.items())
        lines.append(f"facts as {form}: {told}")
    return "\n".join(lines)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS, help="whom to compare with")
    parser.add_argument("--peer-python", default=sys.executable, help="the Python that has the peers; else this one")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each is measured")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="how long each run takes")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        say("The serving benchmark is left out: it needs wrk (on Debian: apt install wrk).")
        print(json.dumps({"name": "serving", "skipped": "wrk is not installed"}))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are ended then too
    load = round(os.getloadavg()[0], 2)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch, ExitStack() as stack:
        folder = Path(scratch)
        bundle = build(folder / "workspace")
        ours, rows = start_ours(stack, bundle, folder / "workspace", folder / OURS)
        ours.server.sleep()
        running = {OURS: ours}
        for name in options.peers:
            running[name] = start_peer(stack, name, options.peer_python, bundle, rows, folder / name)
            running[name].server.sleep()
        found = compared(measure(running, options.rounds, options.seconds, folder))
        ours.server.wake()
        found["facts"] = measure_facts(ours.target)
    say(table(found))
    print(json.dumps({"name": "serving"} | found | {"cores": len(os.sched_getaffinity(0)), "load_before": load}))


if __name__ == "__main__":
    main()
