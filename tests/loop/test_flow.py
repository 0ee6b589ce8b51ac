"""The flow beside a server, with a process in its place that ends, and one that cannot be started."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mainspring.errors import DeclarationError
from mainspring.loop import flow
from mainspring.loop.flow import Flow, flowing
from mainspring.workspace import Workspace

from .living import Ticking

# Ends without an answer the first time it is started, then answers.
PROCESS = """
import pathlib, sys
begun = pathlib.Path(sys.argv[2]) / "begun"
if begun.exists():
    for line in sys.stdin:
        print("{}", flush=True)
begun.touch()
"""
PROMPTLY_SECONDS = 30.0


def test_a_process_that_ends_and_cannot_be_started_is_started_when_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[int] = []
    start = Flow._start

    def scarce(self: Flow) -> Any:
        starts.append(len(starts))
        if len(starts) in (2, 3):
            raise OSError(12, "Cannot allocate memory")
        return start(self)

    monkeypatch.setattr(flow, "_COMMAND", PROCESS)
    monkeypatch.setattr(Flow, "_start", scarce)
    loaded: Any = SimpleNamespace(
        path=tmp_path / "file.py", system=SimpleNamespace(fingerprint="f", name="n", alerts=None)
    )
    workspace: Any = SimpleNamespace(root=tmp_path, ledger=SimpleNamespace(alerts=None))
    with flowing(loaded, workspace, lambda: 0, 0.02, clock=Ticking()) as running:
        latest = time.monotonic() + PROMPTLY_SECONDS
        while len(starts) < 4 or running.problem():
            assert time.monotonic() < latest, running.problem()
            time.sleep(0.01)
    assert len(starts) == 4


def test_a_server_does_not_import_what_trains_and_watches() -> None:
    """It imports this file, and its start waits for all that comes with it."""
    heavy = "{'mainspring.training', 'mainspring.evaluation', 'mainspring.loop.live'}"
    code = f"import sys; import mainspring.loop.flow; sys.exit(str({heavy} & set(sys.modules) or ''))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert not done.stderr.strip(), done.stderr


def test_a_loop_that_cannot_be_opened_keeps_nothing_out_of_the_lake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drained: list[int] = []

    def refused(*given: object) -> None:
        raise DeclarationError("DECLARE_OPTION", "auc cannot be watched.", fix="Name another.")

    monkeypatch.setattr("mainspring.loop.live.Live", refused)
    sink: Any = SimpleNamespace(system=SimpleNamespace(name="n"), drain=drained.append)
    monkeypatch.setattr(flow, "_open_sink", lambda *given: sink)
    with contextlib.ExitStack() as opened:
        beside = flow._Beside(tmp_path / "file.py", Workspace.open(tmp_path), "f", 1, opened)
        turns = [beside.turn(flow._Asked(now, 0, [])) for now in (5, 6)]
    assert drained == [5, 6]
    assert [turn.problem for turn in turns] == ["", ""]
    assert all("auc cannot be watched" in turn.loop_problem for turn in turns)
