"""How long the pages of a server take, over the flights' full year with 336,776 predictions in the lake, and what looking costs.

A workspace is made in which the year has been lived through (`flights_lived.py`), and served as it is (`--no-loop`). Then:

  * every page in turn, each made anew (the server keeps a page for two seconds): milliseconds until it is there, as a client on
    loopback sees it; and the first of all, for which the process that makes pages begins;
  * the first paint of every page in Chromium, where that and playwright are installed;
  * wrk with 16 connections asks for predictions, with ten tabs open on ten pages and without, in turn: requests/s.

A table goes to stderr; the last line on stdout is one JSON object. The targets: a page in under 150 ms, a first paint in under
one second, and less than 5% of the requests for ten tabs. No peer has pages of the kind.

    python benchmarks/dashboard.py
    python benchmarks/dashboard.py --workspace FOLDER      keep the workspace there for the next time
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from flights_lived import flights_lived
from mainspring.loop import load_system
from mainspring.loop.example import find_system_file
from mainspring.workspace import Workspace
from serving import medians, ratios, say
from serving_contenders import post, where_ours
from serving_load import Target, closed_loop
from serving_processes import started

ROUNDS, SECONDS, CONNECTIONS, ROWS = 5, 10, 16, 200
KEPT_SECONDS = 2.1
TABS = 10
TAB_SECONDS = 5.0  # as the pages' script asks


class Browser:
    """A client that has signed in, over one connection."""

    def __init__(self, address: str, key: str) -> None:
        self._to = urlsplit(address)
        status, headers, _ = self.ask("POST", "/ui/login", urlencode({"key": key}))
        if status != 303:
            raise SystemExit(f"The key is refused: {status}")
        self.cookie = headers["set-cookie"].partition(";")[0]

    def ask(self, method: str, path: str, body: str | None = None, **more: str) -> tuple[int, Any, bytes]:
        connection = http.client.HTTPConnection(self._to.hostname or "", self._to.port, timeout=120)
        headers = {"content-type": "application/x-www-form-urlencoded"} | more
        if hasattr(self, "cookie"):
            headers["cookie"] = self.cookie
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        try:
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def page(self, path: str) -> tuple[float, int]:
        """Return how many milliseconds a page takes, and its bytes. Raises SystemExit where it cannot be shown."""
        begin = time.perf_counter()
        status, _, body = self.ask("GET", f"/ui/{path}")
        took = (time.perf_counter() - begin) * 1000
        if status != 200:
            raise SystemExit(f"/ui/{path} is not shown: {status}")
        return took, len(body)


def pages_of(workspace: Workspace, system: str) -> list[str]:
    """Every page, and those behind them that read most."""
    model = workspace.ledger.runs(system=system)[0].name
    bundle = next(iter(workspace.ledger.models(model))).bundle or ""
    alert = workspace.ledger.alerts.history(system, limit=1)[0].alert.id
    return [
        "now", "quality", "quality?by=day&days=all", "features", "features?signal=missing", "models",
        f"models/{Path(bundle).name}", "loop", "loop?page=2", "replays", "alerts", "alerts?state=all", f"alerts/{alert}",
        "facts", "facts/flight", "facts/weather", "facts/predictions",
    ]  # fmt: skip


def measure_pages(browser: Browser, paths: list[str], rounds: int) -> dict[str, dict[str, float]]:
    found = {}
    for path in paths:
        browser.page(path)
        taken = []
        for _ in range(rounds):
            time.sleep(KEPT_SECONDS)
            took, size = browser.page(path)
            taken.append(took)
        found[path] = {"ms": round(statistics.median(taken), 1), "max_ms": round(max(taken), 1), "bytes": size}
        say(f"{path:40}{found[path]['ms']:9.1f} ms{found[path]['max_ms']:9.1f} at most{size / 1000:9.1f} kB")
    return found


def measure_paint(address: str, key: str, paths: list[str], rounds: int) -> dict[str, float] | None:
    """Return the median of the first contentful paint of each page, milliseconds; None without a browser."""
    chromium = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if chromium is None:
        return None
    found = {}
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for path in paths:
            taken = []
            for _ in range(rounds):
                page = launched.new_context().new_page()  # with nothing kept
                page.goto(f"{address}/ui/login")
                page.get_by_label("API key").fill(key)
                page.keyboard.press("Enter")
                page.wait_for_url("**/ui/now")
                time.sleep(KEPT_SECONDS)
                page.goto(f"{address}/ui/{path}", wait_until="load")
                while (
                    at := page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
                ) is None:
                    time.sleep(0.02)
                taken.append(at)
                page.context.close()
            found[path] = round(statistics.median(taken))
        launched.close()
    return found


@contextmanager
def tabs_open(browser: Browser, paths: list[str]) -> Iterator[None]:
    """Ask for ten pages every five seconds, as tabs do that somebody looks at."""
    over = threading.Event()

    def look(number: int, path: str) -> None:
        over.wait(number * TAB_SECONDS / TABS)
        tag = '"none"'
        while not over.is_set():
            _, headers, _ = browser.ask("GET", f"/ui/{path}", **{"if-none-match": tag})
            tag = headers.get("etag") or tag
            over.wait(TAB_SECONDS)

    tabs = [threading.Thread(target=look, args=each) for each in enumerate(paths)]
    for tab in tabs:
        tab.start()
    try:
        yield
    finally:
        over.set()
        for tab in tabs:
            tab.join()


def questions(workspace: Workspace, now: datetime) -> list[bytes]:
    """Flights that are to leave in an hour and a half, as a client asks about them."""
    system = load_system(find_system_file("flights")).system
    flights = workspace.lake(system.name).read(system.decision.table).tail(ROWS)
    rows = flights.select(column.name for column in system.decision.table.__schema__.columns).to_dicts()
    leaves = (now + timedelta(minutes=90)).isoformat()
    asked = [
        {**row, "flight_id": f"asked-{k}", "sched_dep": leaves, "published": (now - timedelta(days=9)).isoformat()}
        for k, row in enumerate(rows)
    ]
    return [json.dumps({"row": row}, default=str).encode() for row in asked]


def measure_tabs(
    browser: Browser, target: Target, paths: list[str], rounds: int, seconds: int, folder: Path
) -> dict[str, Any]:
    taken: dict[str, list[dict[str, float]]] = {"tabs": [], "no tabs": []}
    closed_loop(target, CONNECTIONS, seconds // 2, folder)
    for turn in range(rounds):
        for name in ("tabs", "no tabs")[:: 1 if turn % 2 else -1]:
            if name == "tabs":
                with tabs_open(browser, paths):
                    taken[name].append(closed_loop(target, CONNECTIONS, seconds, folder))
            else:
                taken[name].append(closed_loop(target, CONNECTIONS, seconds, folder))
    ours, without = ([turn["rps"] for turn in taken[name]] for name in ("tabs", "no tabs"))
    return {**ratios(ours, without), **{name: medians(turns) for name, turns in taken.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, help="make the workspace there, or take the one that is there")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each is measured")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch, ExitStack() as stack:
        workspace = flights_lived(options.workspace or Path(scratch) / "lived")
        load = round(os.getloadavg()[0], 2)
        command = [
            str(Path(sys.executable).with_name("mainspring")), "serve", "flights", "--workspace", str(workspace.root),
            "--no-loop", "--port", "0", "--json", "--rate", "1000000",
        ]  # fmt: skip
        server = stack.enter_context(started("mainspring", command, Path(scratch) / "server"))
        told = server.wait_until(lambda: where_ours(server))
        browser = Browser(told["address"], told["key"])
        system = load_system(find_system_file("flights")).system.name
        paths = pages_of(workspace, system)
        first, _ = browser.page("now")
        found: dict[str, Any] = {"first_ms": round(first), "pages": measure_pages(browser, paths, options.rounds)}
        slowest = max(found["pages"].values(), key=lambda each: each["ms"])
        say(f"the first page of all took {first:,.0f} ms; the slowest of the others {slowest['ms']:.0f} ms")
        eight = ["now", "quality", "features", "models", "loop", "replays", "alerts", "facts"]
        found["first_paint_ms"] = measure_paint(told["address"], told["key"], eight, options.rounds)
        say(f"first paint: {found['first_paint_ms']}")
        if shutil.which("wrk") is None:
            say("What tabs cost is left out: it needs wrk (on Debian: apt install wrk).")
        else:
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {told['key']}"}
            now = datetime.fromisoformat(_state(browser, told)["now"])
            target = Target(f"{told['address']}/v1/predict", headers, questions(workspace, now))
            post(target)
            found["tabs"] = measure_tabs(browser, target, (paths * 2)[:TABS], options.rounds, SECONDS, Path(scratch))
            say(
                f"with {TABS} tabs {found['tabs']['ratio']:.3f} of the requests without; by turn {found['tabs']['ratio_by_turn']}"
            )
    print(json.dumps({"name": "dashboard"} | found | {"cores": len(os.sched_getaffinity(0)), "load_before": load}))


def _state(browser: Browser, told: dict[str, str]) -> Any:
    _, _, body = browser.ask("GET", "/v1/state", authorization=f"Bearer {told['key']}")
    return json.loads(body)


if __name__ == "__main__":
    main()
