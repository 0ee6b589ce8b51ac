"""check: every finding with its line, and nothing written."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import SHOP, Command


def changed(folder: Path, *changes: tuple[str, str]) -> Path:
    """The shop with some of its text replaced."""
    text = SHOP.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "shop.py"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_sound_system_has_no_errors_and_nothing_is_written(mainspring: Command, tmp_path: Path) -> None:
    told = mainspring("check", SHOP)
    assert told.code == 0
    assert told.out.splitlines()[-1] == "1 note"
    assert list(tmp_path.iterdir()) == []


def test_each_finding_names_its_line(mainspring: Command, tmp_path: Path) -> None:
    path = changed(tmp_path, ("price=Order.price", "price=Order.prize"), ('"7d"', '"70d"'))
    told = mainspring("check", path, "--json")
    assert told.code == 1
    assert told.err == ""
    line = next(i for i, text in enumerate(path.read_text().splitlines(), 1) if "Order.prize" in text)
    (finding,) = [found for found in told.document if found["severity"] == "error"]
    assert (finding["code"], finding["file"], finding["line"]) == ("unknown-column", str(path), line)
    assert set(finding) == {"code", "severity", "file", "line", "message", "exists", "fix"}
    assert f"{path}:{line}: error [unknown-column] " in mainspring("check", path).out


def test_the_history_is_tried_unless_it_is_not_wanted(mainspring: Command, tmp_path: Path) -> None:
    path = changed(tmp_path, ('"7d"', '"70d"'), ("ge=0", "ge=20"))
    codes = [found["code"] for found in mainspring("check", path, "--json").document]
    assert sorted(codes) == ["CONTRACT_ROW_REJECTED", "open-question", "window-beyond-history"]
    codes = [found["code"] for found in mainspring("check", path, "--no-history", "--json").document]
    assert codes == ["open-question"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["shop.py"]


def test_what_a_run_would_refuse_is_an_error(mainspring: Command, tmp_path: Path) -> None:
    path = changed(tmp_path, ("    price = ms.Float(", '    price = ms.Float(source="prize", '))
    told = mainspring("check", path)
    assert told.code == 1
    assert "error [CONTRACT_COLUMN_MISSING] The data of Order has no column prize." in told.out


def test_a_file_that_is_none(mainspring: Command, tmp_path: Path) -> None:
    told = mainspring("check", "shop.py", "--json")
    assert told.code == 1
    assert told.document["error"]["code"] == "DECLARE_FILE"
    assert told.err.startswith("There is no file shop.py.\n")


def test_without_a_history_the_stored_facts_are_tried(mainspring: Command, workspace: Path, tmp_path: Path) -> None:
    text = SHOP.read_text(encoding="utf-8").replace('"7d"', '"70d"').replace("def history", "def unused")
    path = tmp_path / "shop.py"
    path.write_text(text, encoding="utf-8")
    codes = [found["code"] for found in mainspring("check", path, "--json").document]
    assert "window-beyond-history" in codes
    elsewhere = mainspring("check", path, "--json", "--workspace", tmp_path / "none").document
    assert [found["code"] for found in elsewhere] == ["open-question"]
