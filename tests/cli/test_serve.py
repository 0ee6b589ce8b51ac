"""mainspring serve as a process: it begins, answers and ends. What it does when something fails is in test_faults.py."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.cli.conftest import SHOP, Command
from tests.cli.serving import PROMPTLY_SECONDS, order, returned, served


def test_it_answers_and_ends_when_it_is_told_to(workspace: Path, mainspring: Command) -> None:
    with served(workspace) as server:
        asked = server.post("/v1/predict", {"row": order(1)})
        assert 0 < asked["probability"] < 1
        assert asked["decided_at"].startswith("2024-01-29T"), "time is what the facts say: they are years old"
        assert server.post("/v1/facts/return", [returned(i) for i in range(5)])["accepted"] == 5
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=PROMPTLY_SECONDS) == 0
    assert "Traceback" not in server.told.read_text()
    (key,) = mainspring("keys", "list", "--json").document
    assert key["revoked_at"] is not None, "the server's own key ends with it"


def test_what_it_knew_is_kept_for_the_next_start_and_shown(workspace: Path, mainspring: Command) -> None:
    assert mainspring("show", str(SHOP), "--json").document["state"] is None
    asked = []
    for place in ("in the lake", "in the state that was kept"):
        with served(workspace) as server:
            asked.append(server.post("/v1/predict", {"row": order(1)})["probability"])
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(timeout=PROMPTLY_SECONDS) == 0
        assert place in server.told.read_text()
    assert asked[0] == asked[1]
    for what in (str(SHOP), "latest"):
        state = mainspring("show", what, "--json").document["state"]
        assert state["facts"] > 0
        assert f"{state['facts']:,} facts" in mainspring("show", what).out


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--clock", "sundial"], "SERVE_OPTION"),
        (["--journal", "none"], "SERVE_OPTION"),
        (["--rate", "0"], "SERVE_LIMITS"),
        (["--grace", "soon"], "DECLARE_SPAN"),
        (["--host", "203.0.113.1", "--port", "9"], "SERVE_OPTION"),
    ],
)
def test_an_option_that_cannot_be_kept_is_told(
    workspace: Path, mainspring: Command, options: list[str], code: str
) -> None:
    told = mainspring("serve", SHOP, *options)
    assert told.code == 1
    assert f"[{code}]" in told.err


def test_without_a_model_there_is_nothing_to_serve(mainspring: Command, tmp_path: Path, workspace: Path) -> None:
    changed = tmp_path / "shop.py"
    changed.write_text(SHOP.read_text().replace("hour=Order.ordered_at.hour()", "hour=Order.ordered_at.weekday()"))
    told = mainspring("serve", changed)
    assert (told.code, "[SERVE_MODEL]" in told.err) == (1, True)
    other = tmp_path / "other.py"
    other.write_text(SHOP.read_text().replace('name="shop"', 'name="other"'))
    told = mainspring("serve", other)
    assert (told.code, "[SERVE_MODEL]" in told.err) == (1, True)
