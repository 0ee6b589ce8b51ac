"""mainspring replay: policies over a history, in one table, one page and one document."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import SHOP, Command

OPTIONS = ("--start", "2024-01-15", "--compare", "weekly,daily-continue")


def test_policies_are_compared_and_the_run_is_on_record(workspace: Path, mainspring: Command) -> None:
    found = mainspring("replay", str(SHOP), *OPTIONS, "--json").document
    assert set(found["policies"]) == {"never", "last-label", "weekly", "daily-continue"}
    assert {"facts", "features", "replay"} <= set(found["seconds"])
    assert found["recommendation"]["policy"] in found["policies"]
    assert found["policies"]["never"]["retrainings"] == 0 < found["policies"]["daily-continue"]["retrainings"]
    for figures in found["policies"].values():
        assert 0 < figures["log_loss"] < 2
        assert figures["labels"] > 100
    assert found["policies"]["last-label"]["alerts"] is None
    assert set(found["policies"]["never"]["alerts"]) == {"sent", "true", "false", "missed"}
    for monitor in found["monitors"]:
        assert {"monitor", "alerts", "true", "incidents", "told", "lead_days", "needs_labels", "reason"} <= set(monitor)
    page = Path(found["report"]).read_text()
    assert found["recommendation"]["policy"] in page
    assert json.loads(Path(found["report_json"]).read_text())["recommendation"]
    run, *_ = mainspring("runs", "--json").document
    assert (run["name"], run["kind"], run["status"]) == (found["run"], "replay", "finished")
    assert mainspring("show", found["run"]).code == 0


def test_people_see_a_table_and_what_to_take(workspace: Path, mainspring: Command) -> None:
    told = mainspring("replay", str(SHOP), *OPTIONS)
    assert told.code == 0
    for word in (
        "policy",
        "never",
        "last-label",
        "weekly",
        "daily-continue",
        "alerts true",
        "missed",
        "Take ",
        "report ",
    ):
        assert word in told.out


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--compare", "yearly"], "DECLARE_OPTION"),
        (["--start", "1999-01-01"], "DATA_TOO_FEW"),
        (["--start", "2024-01-02"], "TRAIN_SPLIT"),
        (["--every", "often"], "DECLARE_SPAN"),
    ],
)
def test_what_cannot_be_replayed_is_told(workspace: Path, mainspring: Command, options: list[str], code: str) -> None:
    ended = mainspring("replay", str(SHOP), *options)
    assert ended.code == 1
    assert code in ended.err
    assert "Traceback" not in ended.err
