"""A server to which everything happens: killed, its disk full, its lake or ledger locked. What was acknowledged is there."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.client import HTTPException
from pathlib import Path
from shutil import copytree

import pytest

from mainspring.errors import WorkspaceError
from mainspring.serving.sink import PREDICTIONS_TABLE
from mainspring.stream.lock import WriterLock
from mainspring.workspace import Workspace
from tests.cli import shop
from tests.cli.conftest import SHOP, Command
from tests.cli.serving import PROMPTLY_SECONDS, Server, order, returned, served, wait_until

RELIABILITY = Path(__file__).parents[2] / "benchmarks" / "reliability.py"
READING = ("/healthz", "/v1/state", "/v1/arms", "/metrics", "/openapi.json", "/v2/models/shop")
SMALL_DISK_MB = 24

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what a process does is read from /proc")


def returns_in_lake(workspace: Path) -> set[str]:
    lake = Workspace.open(workspace, create=False).lake(shop.system.name)
    return set(lake.read(shop.Return)["order_id"])


def alive(process: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked about yet does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_killed_again_and_again_it_has_everything_it_acknowledged_once(first_run: Path) -> None:
    """The program behind the figures of docs/reliability.md, with few lives: no broken promise may be counted."""
    command = [sys.executable, RELIABILITY, "--lives", "4", "--seed", "2", "--clients", "4", "--workspace", first_run]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    assert all(found["kept"].values()), "there was something to lose"
    assert len(found["endings"]) == 4, "in each of the ways"
    assert {name: count for name, count in found["broken"].items() if count} == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "flow_is_killed"), [(signal.SIGINT, False), (signal.SIGTERM, True)], ids=["SIGINT", "SIGTERM"]
)
def test_asked_to_end_under_load_it_keeps_what_it_answered_and_drains_it(
    workspace: Path, asked: signal.Signals, flow_is_killed: bool
) -> None:
    facts: list[str] = []
    predictions: list[str] = []
    with served(workspace, "--flush", "1h") as server:

        def send(thread: int) -> None:
            with suppress(OSError, HTTPException, AssertionError):  # it has ended, or is about to
                for number in range(thread * 100_000, (thread + 1) * 100_000):
                    server.post("/v1/facts/return", [returned(number)])
                    facts.append(f"n{number}")
                    predictions.append(server.post("/v1/predict", {"row": order(number)})["prediction_id"])

        threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(predictions) > 100)
        flow = server.flow()
        if flow_is_killed:
            os.kill(flow[0], signal.SIGKILL)
        server.process.send_signal(asked)
        assert server.process.wait(timeout=PROMPTLY_SECONDS) == 0
        for thread in threads:
            thread.join()
    assert "Traceback" not in server.told.read_text()
    assert flow
    assert not any(alive(process) for process in flow)
    assert set(facts) <= returns_in_lake(workspace), "the last drain took everything: there was no other"
    lake = Workspace.open(workspace, create=False).lake(shop.system.name)
    assert set(predictions) <= set(lake.read(PREDICTIONS_TABLE)["prediction_id"])


def test_asked_to_end_before_it_has_begun_it_cleans_up(workspace: Path, mainspring: Command) -> None:
    with served(workspace) as server:
        flow = server.flow()
        assert server.end() in (0, 130), "130 where it did not listen yet, as for Ctrl-C"
    assert "Traceback" not in server.told.read_text()
    assert not any(alive(process) for process in flow)
    (key,) = mainspring("keys", "list", "--json").document
    assert key["revoked_at"] is not None


# -- a lake, a ledger and a flow that fail for a while -----------------------------------------------------------------


@pytest.fixture(scope="module")
def running(first_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path, Path]]:
    """One server for several faults, one after the other, with its workspace and its file."""
    folder = tmp_path_factory.mktemp("faults")
    workspace, file = Path(copytree(first_run, folder / "workspace")), folder / "shop.py"
    file.write_text(SHOP.read_text())
    with served(workspace, "--flush", "1s", file=file) as server:
        yield server, workspace, file
        assert server.end() == 0


def problem(server: Server) -> str:
    answer = server.ask("/readyz")
    return "" if answer.status == 200 else str(answer.body["problems"])


def test_while_another_process_writes_the_server_goes_on_and_the_lake_catches_up(
    running: tuple[Server, Path, Path],
) -> None:
    server, workspace, _ = running
    with Workspace.open(workspace, create=False).writing():
        server.post("/v1/facts/return", [returned(1)])
        asked = server.post("/v1/predict", {"row": order(1)})
        assert "is writing to" in wait_until(lambda: problem(server))
        assert all(server.ask(path).status == 200 for path in (*READING, f"/v1/predictions/{asked['prediction_id']}"))
        server.post("/v1/facts/return", [returned(2)])
        assert returns_in_lake(workspace).isdisjoint({"n1", "n2"})
    wait_until(lambda: returns_in_lake(workspace) >= {"n1", "n2"})
    wait_until(lambda: not problem(server))


def test_a_flow_that_was_killed_is_started_again(running: tuple[Server, Path, Path]) -> None:
    server, workspace, _ = running
    (flow,) = server.flow()
    os.kill(flow, signal.SIGKILL)
    server.post("/v1/facts/return", [returned(3)])
    wait_until(lambda: "n3" in returns_in_lake(workspace))
    assert server.flow() not in ([], [flow])
    wait_until(lambda: not problem(server))


def test_two_flows_never_drain_at_once(running: tuple[Server, Path, Path]) -> None:
    """That of a server which was killed may outlive it for a moment."""
    server, workspace, _ = running
    lock = workspace / "log" / "shop" / "flow.lock"
    held: list[WriterLock] = []

    def take_the_lock() -> bool:
        """The flow that takes the place of a killed one may be quicker than we are."""
        for flow in server.flow():
            with suppress(ProcessLookupError):
                os.kill(flow, signal.SIGKILL)
        with suppress(WorkspaceError):
            held.append(WriterLock(lock))
        return bool(held)

    wait_until(take_the_lock)
    (other,) = held
    server.post("/v1/facts/return", [returned(8)])
    wait_until(lambda: "Another writer" in problem(server))
    assert "n8" not in returns_in_lake(workspace)
    other.release()
    wait_until(lambda: "n8" in returns_in_lake(workspace))


def test_a_flow_takes_nothing_by_another_declaration_than_is_served(running: tuple[Server, Path, Path]) -> None:
    server, workspace, file = running
    file.write_text(SHOP.read_text().replace("    sent_back = ms.Bool()", "    sent_back = ms.Category()"))
    (flow,) = server.flow()
    os.kill(flow, signal.SIGKILL)
    server.post("/v1/facts/return", [returned(4)])
    wait_until(lambda: "another declaration" in problem(server))
    assert "n4" not in returns_in_lake(workspace)
    file.write_text(SHOP.read_text())
    wait_until(lambda: "n4" in returns_in_lake(workspace))


def test_while_the_ledger_is_locked_the_keys_that_were_read_go_on(
    running: tuple[Server, Path, Path], mainspring: Command
) -> None:
    server, workspace, _ = running
    with closing(sqlite3.connect(workspace / "ledger.db", isolation_level=None, timeout=PROMPTLY_SECONDS)) as ledger:
        ledger.execute("PRAGMA locking_mode = EXCLUSIVE")
        ledger.execute("BEGIN EXCLUSIVE")
        for number in range(5, 8):
            server.post("/v1/facts/return", [returned(number)])
            server.post("/v1/predict", {"row": order(number)})
            assert all(server.ask(path).status == 200 for path in READING)
            threading.Event().wait(0.6)  # longer in all than keys are trusted without being read again
        assert server.ask("/v1/state", key="msk_nobody").status == 401
    wait_until(lambda: returns_in_lake(workspace) >= {"n5", "n6", "n7"})
    made = mainspring("keys", "add", "--role", "read", "--workspace", workspace, "--json").document
    wait_until(lambda: server.ask("/v1/state", key=made["key"]).status == 200)


# -- a disk that is full -----------------------------------------------------------------------------------------------

OnSmallDisk = Callable[[str], tuple[list[str], Path]]


@pytest.fixture
def on_small_disk(workspace: Path, tmp_path: Path) -> OnSmallDisk:
    """Put a folder of the workspace on a small disk in memory that only the command run there sees."""

    def place(folder: str) -> tuple[list[str], Path]:
        disk, original = workspace / folder, tmp_path / "original"
        copytree(disk, original)
        script = f'mount -t tmpfs -o size={SMALL_DISK_MB}m none "$1" && cp -r "$2/." "$1" && shift 2 && exec "$@"'
        inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", str(disk), str(original)]
        try:
            refused = subprocess.run([*inside, "true"], check=False, capture_output=True, text=True).stderr
        except FileNotFoundError as error:
            refused = str(error)
        if refused:
            pytest.skip(f"nobody may mount a disk of their own here: {refused.strip()}")
        return inside, disk

    return place


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["", "lake"], ids=["all", "lake"])
def test_while_the_disk_is_full_nothing_is_promised_and_with_room_it_goes_on(
    workspace: Path, on_small_disk: OnSmallDisk, folder: str
) -> None:
    inside, disk = on_small_disk(folder)
    with served(workspace, "--flush", "1s", inside=inside) as server:
        seen = Path(f"/proc/{server.process.pid}/root{disk}")
        first = server.post("/v1/predict", {"row": order(0)})["prediction_id"]
        acknowledged = fill(server, seen, folder)
        posts = (
            ("/v1/facts/return", [returned(-1)]),
            ("/v1/predict", {"row": order(1)}),
            ("/v1/predict", {"rows": [order(1), order(2)]}),
            ("/v1/outcomes", [{"prediction_id": first, "label": True}]),
        )
        answers = [server.ask(path, body) for path, body in posts]
        if folder == "":
            assert [(each.status, each.retry_after) for each in answers] == [(503, "2")] * len(posts)
            assert {each.body["error"]["code"] for each in answers} == {"SERVE_UNAVAILABLE"}
        else:
            assert {each.status for each in answers} <= {200, 202}, "only the lake's disk is full: the log takes it"
            acknowledged.append("n-1")
        assert "no space left" in wait_until(lambda: problem(server))
        assert all(server.ask(path).status == 200 for path in (*READING, f"/v1/predictions/{first}"))
        (seen / "filler").unlink()
        for number in (-2, -3):
            wait_until(lambda number=number: server.ask("/v1/facts/return", [returned(number)]).status == 202)
            acknowledged.append(f"n{number}")
        server.post("/v1/predict", {"row": order(3)})
        wait_until(lambda: not problem(server))
        wait_until(lambda: count(server, workspace, "return", "order_id like 'n%'") == len(acknowledged))
        assert not (seen / "log" / "shop" / "set-aside").exists()
        assert server.end() == 0
    assert "Traceback" not in server.told.read_text()


def fill(server: Server, disk: Path, folder: str) -> list[str]:
    """Fill a disk so that nothing more can be kept on it; return the facts that were accepted until then."""
    with (disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))
    if folder:
        return []
    accepted = []
    for number in range(10, 10_000):  # the log has space of its own that it uses up
        if server.ask("/v1/facts/return", [returned(number)]).status != 202:
            return accepted
        accepted.append(f"n{number}")
    raise AssertionError("the disk does not fill up")


def count(server: Server, workspace: Path, table: str, where: str = "true") -> int:
    """Return how many rows the lake has, asked where the server sees it."""
    inside = ["nsenter", f"--target={server.process.pid}", "--user", "--mount", "--preserve-credentials"]
    query = f'select count(*) as n from "{table}" where {where}'
    command = [*inside, sys.executable, "-m", "mainspring", "sql", query, "--workspace", str(workspace), "--json"]
    asked = subprocess.run(command, check=False, capture_output=True, text=True)
    return int(json.loads(asked.stdout)["rows"][0]["n"]) if asked.returncode == 0 else -1
