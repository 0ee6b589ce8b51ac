"""mainspring status: what an on-call engineer reads in ten seconds, and a program under stable names."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mainspring.clock import HOUR
from mainspring.workspace import Workspace
from tests.cli.conftest import SHOP, Command
from tests.cli.test_alerts import OPENED, write
from tests.loop.lived import FILE, TRYING, lived


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return lived(tmp_path_factory.getbasetemp())[0]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (path := tmp_path / "deliveries.py").write_text(FILE)
    return path


def test_a_page_says_who_answers_what_goes_on_and_what_was_done(
    life: Workspace, file: Path, mainspring: Command
) -> None:
    told = mainspring("status", file, "--workspace", life.root)
    assert (told.code, told.err) == (0, "")
    assert "system's time  2024-02-04 12:00 UTC; step " in told.out
    assert "training deliveries-m4 since 2024-02-04 12:00: 2.5 days since the last training" in told.out
    assert "a step at 2024-02-05 00:00" in told.out
    assert "log loss of deliveries-m3 (less is better)" in told.out
    assert "unknown: " in told.out
    (arm,) = [line for line in told.out.splitlines() if line.startswith("champion")]
    assert arm.split()[:5] == ["champion", "100%", "deliveries-m3", "2024-02-04", "12:00"]
    events = told.out.partition("event (UTC)")[2].splitlines()[1:]
    assert len(events) == len(life.ledger.loops.events(TRYING.name, limit=10))


def test_a_document_has_everything_under_its_name(life: Workspace, file: Path, mainspring: Command) -> None:
    found = mainspring("status", file, "--workspace", life.root, "--json").document
    assert set(found) == {"system", "loop", "no_loop", "arms", "objectives", "alerts", "events"}
    assert set(found["loop"]) == {"step", "at", "taken_at", "every", "doing", "next", "quality"}
    assert found["loop"]["doing"]["what"] == "training"
    assert found["loop"]["next"]["trigger"] == "Every(span='2d')"
    assert found["loop"]["quality"]["realised"].keys() >= {"value", "low", "high", "known", "predicted", "unknown"}
    assert [each["alert"]["monitor"] for each in found["alerts"]] == [
        each.alert.monitor for each in life.ledger.alerts.open(TRYING.name)
    ]


def test_it_is_drawn_again_until_somebody_has_seen_enough(
    life: Workspace, file: Path, mainspring: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    told = mainspring("status", file, "--watch", "--workspace", life.root)
    assert (told.code, told.err, slept) == (0, "", [2.0] * 3)
    assert "deliveries-m3" in told.out
    assert mainspring("status", file, "--watch", "--json").code == 2


def test_before_the_first_step_it_says_how_to_begin(workspace: Path, mainspring: Command) -> None:
    told = mainspring("status", SHOP)
    assert told.code == 0
    assert f"No loop has begun yet. Begin with: mainspring serve {SHOP}" in told.out
    assert "nothing is deployed: the newest model answers" in told.out
    assert "No alert is open." in told.out
    found = mainspring("status", SHOP, "--json").document
    assert found["loop"] is None
    assert [each["role"] for each in found["arms"]] == ["champion"]


def test_what_is_amiss_is_told_with_who_looks_after_it(workspace: Path, mainspring: Command) -> None:
    write(workspace, "drift")
    write(workspace, "volume", ended_at=OPENED + HOUR)
    told = mainspring("status", SHOP).out
    (line,) = [line for line in told.splitlines() if line.startswith("ticket")]
    assert line.split() == ["ticket", "ann", "2013-05-07", "10:00", "drift", "It", "moved."]


def test_a_loop_of_another_declaration_is_not_told_as_this_one(
    life: Workspace, file: Path, mainspring: Command
) -> None:
    file.write_text(FILE.replace('ms.Every("2d")', 'ms.Every("9d")'))
    told = mainspring("status", file, "--workspace", life.root)
    assert "was of another declaration" in told.out


def test_without_a_model_it_says_how_to_make_one(file: Path, workspace: Path, mainspring: Command) -> None:
    told = mainspring("status", file)
    assert told.code == 1
    assert "SERVE_MODEL" in told.err
    assert "mainspring run" in told.err
