"""What a server loses by what goes on beside it: the loop with its monitors, and a retraining.

The system of `serving.py` is served twice, from a workspace each: with the loop and without. Both bring facts and
predictions into the lake every few seconds, as a server does. Time is what facts say, and here they say that an hour has
passed each second: the loop takes a step for each, and every `--seconds` of load (24 at least) a day ends and all monitors
are asked, which the ledger must show afterwards.

  * wrk with 16 connections, with the loop and without in turn: requests/s, and the processor time of the server and of the
    process beside it, for a second and for a request;
  * then, with the loop, an open loop at half of the peak: p50 and p99 of a quiet server, and while it retrains, in turn. A
    retraining is that of the loop, in its process; where it ends before the load the next one begins.

Who is not measured sleeps. Load and server share the machine. A table goes to stderr; the last line on stdout is one JSON
object. The targets: the loop costs less than 5% of the requests, and p99 beside a retraining is at most twice the quiet one.

    python benchmarks/beside.py
    python benchmarks/beside.py --rounds 1 --retraining-seconds 5      a first impression
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from mainspring.adaptation.triggers import Why
from mainspring.clock import HOUR, format_instant
from mainspring.loop.live_state import Asked, read_live
from mainspring.loop.state import Train
from mainspring.loop.system_file import load_system
from mainspring.loop.teaching import as_of_of
from mainspring.loop.training_process import TrainingProcess
from mainspring.model.bundle import Bundle
from mainspring.workspace import Workspace
from serving import Running, build, medians, ratios, say, start_ours
from serving_contenders import SYSTEM, post
from serving_load import Target, closed_loop, open_loop
from serving_processes import family

ROUNDS, SECONDS, RETRAINING_SECONDS = 5, 24, 10
CONNECTIONS = 16
LOOP, NO_LOOP = "loop", "no loop"
TICKS = os.sysconf("SC_CLK_TCK")
DISPUTES = 5  # an hour
PATIENCE_SECONDS = 600


@dataclass
class Served:
    """A server with its workspace, and how many hours of its time have passed since its history ended."""

    running: Running
    workspace: Workspace
    history_ended: int  # microseconds
    hours: int = 0

    def processor(self) -> tuple[float, float]:
        """Seconds of processor that the server has taken, and that all processes beside it have."""
        server, *beside = family(self.running.server.process.pid)
        return _processor(server), sum(map(_processor, beside))

    def an_hour_passes(self) -> None:
        """Tell the server of a payment, a visit and some disputes, an hour after the last ones."""
        self.hours += 1
        at = format_instant(self.history_ended + self.hours * HOUR)
        card, shop = {"card": f"c{self.hours % 300}"}, {"shop": f"s{self.hours % 40}"}
        first = self.hours * DISPUTES
        facts = {
            "payment": [{"payment_id": f"beside-{self.hours}", "amount": 20.0, "paid": at}],
            "visit": [{"visit_id": f"beside-{self.hours}", "pages": 3, "left": at}],
            "dispute": [
                {"checkout_id": f"asked-{k % 200}", "amount": 20.0, "disputed": at}
                for k in range(first, first + DISPUTES)
            ],
        }
        asked = self.running.target
        for table, rows in facts.items():
            url = urlunsplit(urlsplit(asked.url)._replace(path=f"/v1/facts/{table}"))
            post(Target(url, asked.headers, [json.dumps([row | card | shop for row in rows]).encode()]))


def _processor(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def serve(stack: ExitStack, bundle: Bundle, workspace: Path, folder: Path, *options: str) -> Served:
    """Start a server of a workspace, shown to answer right, and put it to sleep."""
    running, _ = start_ours(stack, bundle, workspace, folder, "--clock", "facts", *options)
    running.server.sleep()
    ended = as_of_of(bundle)
    if ended is None:
        raise SystemExit("The bundle does not say when its history ended.")
    return Served(running, Workspace.open(workspace, create=False), ended)


# -- the loop and its monitors -------------------------------------------------------------------------------------------


@contextmanager
def time_flies(served: Served) -> Iterator[None]:
    """Let an hour pass each second."""
    over, failed = threading.Event(), []

    def tell() -> None:
        begin = time.monotonic()
        for passed in count(1):
            if over.wait(max(0.0, begin + passed - time.monotonic())):
                return
            try:
                served.an_hour_passes()
            except Exception as error:  # it is raised below
                failed.append(error)
                return

    teller = threading.Thread(target=tell)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
    if failed:
        raise SystemExit(f"Facts could not be sent: {failed[0]}")


def measure_loop(all_served: Mapping[str, Served], rounds: int, seconds: int, folder: Path) -> dict[str, Any]:
    """Measure servers in turn, each while the others sleep, the order turned round each time; return medians by server."""
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in all_served}
    for turn in range(-1, rounds):
        for name, served in list(all_served.items())[:: 1 if turn % 2 else -1]:
            served.running.server.wake()
            with time_flies(served):
                if turn < 0:  # for compilers, caches and the first steps; not counted
                    closed_loop(served.running.target, CONNECTIONS, seconds // 2, folder)
                else:
                    taken[name].append(one_turn(served, seconds, folder))
            served.running.server.sleep()
    with_loop, without = ([turn["rps"] for turn in taken[name]] for name in (LOOP, NO_LOOP))
    return {
        "turns": rounds,
        **ratios(with_loop, without),
        **{name: medians(turns) for name, turns in taken.items()},
    }


def one_turn(served: Served, seconds: int, folder: Path) -> dict[str, float]:
    began = served.processor()
    found = closed_loop(served.running.target, CONNECTIONS, seconds, folder)
    server, beside = (after - before for before, after in zip(began, served.processor(), strict=True))
    requests = found["rps"] * seconds
    return found | {
        "server_cores": server / seconds,
        "beside_cores": beside / seconds,
        "server_us": server / requests * 1e6,
        "beside_us": beside / requests * 1e6,
    }


def what_the_loop_did(served: Served, least_days: int) -> dict[str, int]:
    """Return how often the loop stepped, of how many days its monitors were told, and how many signals they have.

    Raises SystemExit where it has not looked as it was to: then nothing was measured.
    """
    system = load_system(SYSTEM).system
    kept = served.workspace.ledger.loops.kept(system.name)
    state = None if kept is None else read_live(kept, system.fingerprint)
    if kept is None or state is None or state.loop is None or state.looked_at is None:
        raise SystemExit("The loop has taken no step.")
    found = {
        "hours": served.hours,
        "steps": kept.step,
        "days": len(state.loop.days),
        "signals": sum(len(each) for each in state.loop.alerts.signals.values()),
        "state_bytes": len(kept.state),
    }
    if found["days"] < least_days or found["steps"] < 24 * least_days or not found["signals"]:
        raise SystemExit(f"The loop was to end {least_days} days: {found}")
    return found


# -- a retraining --------------------------------------------------------------------------------------------------------


class Retraining:
    """Retrainings of a served system, asked for as its loop does."""

    def __init__(self, served: Served, bundle: Bundle) -> None:
        system = load_system(SYSTEM).system
        self._process = TrainingProcess(SYSTEM, served.workspace, system.name, system.fingerprint)
        self._at, self._parent, self._numbers = served.history_ended, bundle.folder.name, count(1)
        self.seconds: list[float] = []

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Retrain meanwhile, again and again, and wait until the last one is done. Raises SystemExit where one failed."""
        over, failed = threading.Event(), []

        def retrain() -> None:
            try:
                while not over.is_set():
                    self._once()
            except (Exception, SystemExit) as error:  # it is raised below
                failed.append(error)

        retraining = threading.Thread(target=retrain)
        retraining.start()
        try:
            yield
        finally:
            over.set()
            retraining.join()
        if failed:
            raise SystemExit(f"A retraining failed: {failed[0]}")

    def _once(self) -> None:
        train = Train(f"beside-{next(self._numbers)}", self._at, self._parent, "fresh", None, Why("to be measured"))
        asked, began = Asked(train, self._at), time.monotonic()
        while (taught := self._process.poll(asked, time.time_ns() // 1000)) is None:
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise SystemExit("it does not end")
            time.sleep(0.05)
        if not taught.trained.quality:
            raise SystemExit(taught.trained.why.told)
        self.seconds.append(time.monotonic() - began)


def measure_retraining(served: Served, bundle: Bundle, rounds: int, seconds: int, folder: Path) -> dict[str, Any]:
    """Measure latencies at half of the peak, quiet and beside a retraining in turn; return medians."""
    target, retraining = served.running.target, Retraining(served, bundle)
    served.running.server.wake()
    peak = statistics.median(closed_loop(target, CONNECTIONS, 3, folder)["rps"] for _ in range(3))
    taken: dict[str, list[dict[str, float]]] = {"quiet": [], "retraining": []}
    for _ in range(rounds):
        taken["quiet"].append(open_loop(target, peak / 2, seconds))
        with retraining.going_on():
            taken["retraining"].append(open_loop(target, peak / 2, seconds))
    served.running.server.sleep()
    quiet, busy = ([turn["p99_ms"] for turn in taken[name]] for name in ("quiet", "retraining"))
    return {
        "turns": rounds,
        **ratios(busy, quiet, 2),
        "retraining_seconds": round(statistics.median(retraining.seconds), 1),
        **{name: medians(turns) for name, turns in taken.items()},
    }


# -- what is told --------------------------------------------------------------------------------------------------------


def loop_table(found: Mapping[str, Any]) -> str:
    lines = [f"{'':12}{'req/s':>9}{'p99 ms':>9}{'server, us':>12}{'beside, us':>12}{'server':>8}{'beside':>8} cores"]
    for name in (LOOP, NO_LOOP):
        run = found["monitors"][name]
        lines.append(
            f"{name:12}{run['rps']:9,.0f}{run['p99_ms']:9.2f}{run['server_us']:12.0f}{run['beside_us']:12.0f}"
            f"{run['server_cores']:8.2f}{run['beside_cores']:8.2f}"
        )
    return "\n".join(
        [*lines, f"with the loop {found['monitors']['ratio']:.3f} of the requests without; {found['loop']}"]
    )


def retraining_table(found: Mapping[str, Any]) -> str:
    lines = []
    for name in ("quiet", "retraining"):
        run = found[name]
        lines.append(f"{name:12}{run['rate']:9,.0f} req/s  p50 {run['p50_ms']:.2f} ms  p99 {run['p99_ms']:.2f} ms")
    return "\n".join(
        [*lines, f"p99 beside a retraining {found['ratio']:.2f} times the quiet one; by turn {found['ratio_by_turn']}"]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each is measured")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each load; an hour of the system's time each")
    parser.add_argument("--only-retraining", action="store_true", help="leave out what the loop costs")
    parser.add_argument(
        "--retraining-seconds", type=int, default=RETRAINING_SECONDS, help="of load beside a retraining"
    )
    options = parser.parse_args(arguments)
    if shutil.which("wrk") is None:
        say("This benchmark is left out: it needs wrk (on Debian: apt install wrk).")
        print(json.dumps({"name": "beside", "skipped": "wrk is not installed"}))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are ended then too
    load = round(os.getloadavg()[0], 2)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch, ExitStack() as stack:
        folder = Path(scratch)
        all_served = {}
        for name, more in {NO_LOOP: ("--no-loop",), LOOP: ("--step", "1h")}.items():
            bundle = build(folder / name)  # a lake knows where it lies: a copy of one would write into it
            all_served[name] = serve(stack, bundle, folder / name, folder / f"{name} serves", *more)
        with_loop = all_served[LOOP]
        found: dict[str, Any] = {}
        if not options.only_retraining:
            found["monitors"] = measure_loop(all_served, options.rounds, options.seconds, folder)
            found["loop"] = what_the_loop_did(with_loop, with_loop.hours // 24 - 1)
            say(loop_table(found))
        found["retraining"] = measure_retraining(with_loop, bundle, options.rounds, options.retraining_seconds, folder)
    say(retraining_table(found["retraining"]))
    print(json.dumps({"name": "beside"} | found | {"cores": len(os.sched_getaffinity(0)), "load_before": load}))


if __name__ == "__main__":
    main()
