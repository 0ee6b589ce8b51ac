"""Commands called in this process, and a shop whose first run is made once."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mainspring.cli import main

SHOP = Path(__file__).parent / "shop.py"


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


Command = Callable[..., Outcome]


@pytest.fixture(scope="session", autouse=True)
def as_from_a_terminal() -> Iterator[None]:
    """Heed Ctrl-C, here and in processes that tests start: a job in the background of a shell ignores it, tests and all."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def mainspring(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command in a folder of its own; its workspace is `.mainspring` there unless it is told another."""
    monkeypatch.chdir(tmp_path)
    for name in ("MAINSPRING_HOME", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    return run


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one run of the shop; not to be written to."""
    folder = tmp_path_factory.mktemp("shop")
    assert main(["run", str(SHOP), "--workspace", str(folder)]) == 0
    return folder


@pytest.fixture
def workspace(first_run: Path, tmp_path: Path) -> Path:
    """A copy of that workspace, where the commands of a test look by default."""
    return Path(shutil.copytree(first_run, tmp_path / ".mainspring"))
