"""mainspring why: the story of a version, and who answered when."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring.workspace import Workspace
from tests.cli.conftest import SHOP, Command
from tests.loop.lived import FILE, lived


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return lived(tmp_path_factory.getbasetemp())[0]


def test_a_story_is_told_from_its_making_to_its_answers(life: Workspace, mainspring: Command) -> None:
    told = mainspring("why", "deliveries-m3", "--workspace", life.root)
    assert (told.code, told.err) == (0, "")
    parts = [
        "deliveries-m3, a model of deliveries",
        "by the loop in deliveries-",
        "on what was known at 2024-02-02 00:00",
        "2.0 days since the last training",
        "beside deliveries-m1, the champion then",
        "trained on the last 6d",
        "snapshots",
        "log loss",
        "gate  let in at 2024-02-02 12:00: log_loss",
        "2024-02-04 12:00  promoted  the loop  not shown to be worse as a canary",
        "candidate, as a shadow",
    ]
    places = [told.out.find(part) for part in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)


def test_a_story_has_stable_names_and_its_name_may_be_cut_short(life: Workspace, mainspring: Command) -> None:
    found = mainspring("why", "deliveries-m2", "--workspace", life.root, "--json").document
    assert set(found) == {"model", "system", "made", "judged", "gate", "done", "answers", "alerts"}
    assert not found["gate"]["passed"]
    run = next(each for each in life.ledger.runs() if each.kind == "run")
    (model,) = life.ledger.models(run.name)
    name = life.locate(model.bundle or "").name
    assert mainspring("why", name[:-3], "--workspace", life.root, "--json").document["model"] == name


def test_a_model_that_was_only_asked_for_or_did_nothing_is_told_so(
    life: Workspace, workspace: Path, mainspring: Command
) -> None:
    assert "not yet, or it could not be" in mainspring("why", "deliveries-m4", "--workspace", life.root).out
    told = mainspring("why", "shop-")
    assert "by mainspring run in shop-1" in told.out
    assert "Nothing was done with it" in told.out
    assert "It has answered nothing" in told.out


def test_who_answered_on_a_day(life: Workspace, tmp_path: Path, mainspring: Command) -> None:
    (file := tmp_path / "deliveries.py").write_text(FILE)
    where = ("--workspace", life.root)
    told = mainspring("why", file, "--on", "2024-02-04", *where)
    assert told.code == 0
    assert "decisions from 2024-02-04 00:00 until 2024-02-05 00:00 UTC" in told.out
    assert "champion deliveries-m1 70%, candidate deliveries-m3 30%" in told.out
    found = mainspring("why", file, "--on", "2024-02-04T05:30Z", "--json", *where).document
    assert set(found) == {"system", "begin", "end", "answers", "deployed"}
    assert found["end"] - found["begin"] == 3_600_000_000
    assert {each["arm"] for each in found["answers"]} <= {"champion", "candidate"}
    assert "No decision of then" in mainspring("why", file, "--on", "2023-01-01", *where).out


@pytest.mark.parametrize(
    ("arguments", "code"), [(["nothing"], "SERVE_MODEL"), ([SHOP, "--on", "a while ago"], "DECLARE_SPAN")]
)
def test_what_cannot_be_told_is_refused(workspace: Path, mainspring: Command, arguments: list[str], code: str) -> None:
    refused = mainspring("why", *arguments)
    assert refused.code == 1
    assert code in refused.err
