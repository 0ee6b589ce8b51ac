"""Kill a running server again and again under load, and count what of all that it acknowledged is lost or there twice.

`mainspring serve` of the shop of the tests, as a process, loaded by clients that never stop. At random moments the server is
killed with SIGKILL, or the server and its flow into the lake at once, or the flow alone and the server a moment later, or
the server while it is still starting; then it is started again. In the end it is asked to end, and the lake is held against
what clients were told. The last line on stdout is one JSON object.

    python benchmarks/reliability.py --lives 50
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from reliability_audit import audit
from reliability_load import Load

MAINSPRING = [sys.executable, "-m", "mainspring"]
SHOP = Path(__file__).parents[1] / "tests" / "cli" / "shop.py"
ENDINGS = ("server", "flow, then server", "while starting", "server and flow", "server")
LONGEST_LIFE_SECONDS = 2.5
READY_SECONDS = 120.0


class Server:
    """A server that was started, with the flow that it started."""

    def __init__(self, workspace: Path, port: int, options: list[str], told: Path) -> None:
        self.address, self.told = f"http://127.0.0.1:{port}", told
        command = [
            *MAINSPRING,
            "serve",
            str(SHOP),
            "--port",
            str(port),
            "--workspace",
            str(workspace),
            "--rate",
            "100000",
        ]
        self.begun = time.perf_counter()
        with told.open("ab") as errors:
            self.process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=errors)

    def wait_until_ready(self) -> float:
        """Return the seconds from the start to the first answer that says that the server is ready."""
        while time.perf_counter() < self.begun + READY_SECONDS and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.address}/readyz", timeout=READY_SECONDS):
                    return time.perf_counter() - self.begun
            except OSError:  # no answer, or another one
                time.sleep(0.01)
        raise SystemExit(f"The server did not become ready ({self.process.poll()}):\n{self.told.read_text()[-3000:]}")

    def flow(self) -> list[int]:
        """Return the ids of the processes that the server has started."""
        found = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(child) for file in found for child in file.read_text().split()]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lives", type=int, default=50, help="how often the server is killed")
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--journal", default="full", choices=["full", "relaxed"])
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which it is killed")
    parser.add_argument("--workspace", type=Path, help="a workspace with a run of the shop; it is copied")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "workspace"
        if options.workspace:
            shutil.copytree(options.workspace, workspace)
        else:
            subprocess.run([*MAINSPRING, "run", SHOP, "--workspace", workspace], check=True, capture_output=True)
        found = measure(workspace, Path(folder) / "told", options)
    print(json.dumps(found))


def measure(workspace: Path, told: Path, options: argparse.Namespace) -> dict[str, Any]:
    load_before, dice = round(os.getloadavg()[0], 2), random.Random(options.seed)
    adding = [*MAINSPRING, "keys", "add", "--role", "write", "--json", "--workspace", workspace]
    key = json.loads(subprocess.run(adding, check=True, capture_output=True, text=True).stdout)["key"]
    port, settings = free_port(), ["--journal", options.journal, "--flush", "1s"]
    load = Load(f"http://127.0.0.1:{port}", key, options.clients)
    ready, endings, flows = list[float](), Counter[str](), list[int]()
    for ending in islice(cycle(ENDINGS), options.lives):
        endings[ending] += 1
        acknowledged = load.acknowledged()
        server = Server(workspace, port, settings, told)
        if ending == "while starting":
            time.sleep(dice.uniform(0, ready[-1] if ready else 1.0))
        else:
            ready.append(server.wait_until_ready())
            while load.acknowledged() == acknowledged and server.process.poll() is None:
                time.sleep(0.01)  # on a busy machine clients need a moment to find that it is there again
            time.sleep(dice.uniform(0, LONGEST_LIFE_SECONDS))
        if ending == "flow, then server":
            kill(server.flow())
            time.sleep(dice.uniform(0, LONGEST_LIFE_SECONDS))
        flow = server.flow()
        flows += flow
        server.kill()
        if ending == "server and flow":
            kill(flow)
    server = Server(workspace, port, settings, told)
    ready.append(server.wait_until_ready())
    load.stop()
    flows += server.flow()
    server.process.terminate()
    code = server.process.wait(timeout=READY_SECONDS)
    found, tracebacks = audit(SHOP, workspace, load), told.read_text().count("Traceback")
    if tracebacks:
        print(told.read_text(), file=sys.stderr)
    found["broken"] |= {
        "exit code when asked to end": code,
        "flows that outlived their server": len([each for each in flows if Path(f"/proc/{each}").exists()]),
        "tracebacks": tracebacks,
    }
    return {
        "name": "reliability",
        "lives": options.lives,
        "journal": options.journal,
        "endings": dict(endings),
        **found,
        "ready_seconds": {
            "starts": len(ready),
            "median": round(statistics.median(ready), 2),
            "max": round(max(ready), 2),
        },
        "cores": len(os.sched_getaffinity(0)),
        "load_before": load_before,
    }


def kill(processes: list[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(process, signal.SIGKILL)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


if __name__ == "__main__":
    main()
