"""The command as a process: killed, interrupted, or cut off from its reader at any moment, the workspace stays whole."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import SHOP, Command

PROMPTLY_SECONDS = 30.0  # on a busy machine; about one on an idle one


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    command = [sys.executable, "-m", "mainspring", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(process: subprocess.Popen[str], words: str) -> None:
    """Read stderr up to a line that begins with words."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(words):
            return


@pytest.mark.parametrize(
    ("stop", "after"), [(signal.SIGKILL, "facts"), (signal.SIGINT, "features")], ids=["killed", "interrupted"]
)
def test_stopped_at_a_random_moment_it_leaves_a_workspace_that_works(
    mainspring: Command, tmp_path: Path, stop: signal.Signals, after: str
) -> None:
    with start("run", SHOP, "--workspace", tmp_path / "w") as process:
        wait_for(process, after)
        time.sleep(random.Random(f"{after}{stop}").uniform(0.0, 0.3))
        process.send_signal(stop)
        said, told = process.communicate(timeout=PROMPTLY_SECONDS)
    assert "Traceback" not in told
    if stop is signal.SIGINT:
        assert process.returncode == 130
        assert told.endswith("Interrupted; the workspace is intact: the same command uses again what was finished.\n")
        assert said == ""
    (before,) = mainspring("runs", "--workspace", tmp_path / "w", "--json").document
    assert before["status"] == "interrupted"
    again = mainspring("run", SHOP, "--workspace", tmp_path / "w", "--json").document
    assert again["decisions"] == 300
    assert "facts" in again["reused"], "what was finished is used again"


def test_a_reader_that_has_seen_enough_is_no_error(workspace: Path) -> None:
    with start("sql", 'select * from "order", range(4)', "--rows", 1_000_000, "--workspace", workspace) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_run_while_another_one_writes_is_told_to_wait(mainspring: Command, tmp_path: Path) -> None:
    slow = tmp_path / "shop.py"
    text = SHOP.read_text(encoding="utf-8")
    slow.write_text(
        text.replace("    number = pl.int", "    import time\n\n    time.sleep(60)\n    number = pl.int", 1)
    )
    with start("run", slow, "--workspace", tmp_path / "w") as process:
        deadline = time.monotonic() + PROMPTLY_SECONDS
        while (
            mainspring("runs", "--workspace", tmp_path / "w", "--json").out[:3] != "[\n "
            and time.monotonic() < deadline
        ):
            time.sleep(0.1)
        told = mainspring("run", SHOP, "--workspace", tmp_path / "w")
        assert told.code == 1
        assert f"Another process (pid {process.pid}) is writing" in told.err
        assert told.err.endswith("[WORKSPACE_BUSY]\n")
        (running,) = mainspring("runs", "--workspace", tmp_path / "w", "--json").document
        assert running["status"] == "running"
        process.kill()
    assert json.loads(mainspring("runs", "--workspace", tmp_path / "w", "--json").out)[0]["status"] == "interrupted"
