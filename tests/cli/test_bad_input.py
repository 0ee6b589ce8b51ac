"""Bad input: each gives one clear error with a code, and what was stored is still there afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import Command

SYSTEM = """import mainspring as ms


class Order(ms.Table):
    order_id = ms.Key()
    price = ms.Float(ge=0)
    at = ms.KnownAt()


class Result(ms.Table):
    order_id = ms.Key()
    good = ms.Bool()
    known = ms.KnownAt()


system = ms.System(
    name="orders",
    decision=ms.Decision(Order, at=Order.at),
    label=ms.Label(Result.good, by="order_id", within="1d"),
    features=dict(price=Order.price, seen=Order.at.count(over="2d")),
    model=ms.LightGBM(rounds=3, min_data_in_leaf=5),
)
history = {Order: ms.csv("orders.csv"), Result: ms.csv("results.csv")}
"""
START = datetime(2024, 1, 1, tzinfo=UTC)
ROWS = 60


@dataclass(frozen=True)
class World:
    """A system file and its two files of facts, as lines."""

    system: str = SYSTEM
    orders: tuple[str, ...] = (
        "order_id,price,at",
        *(f"o{i},{i * 7 % 10},{(START + timedelta(hours=6 * i)).isoformat()}" for i in range(ROWS)),
    )
    results: tuple[str, ...] = (
        "order_id,good,known",
        *(
            f"o{i},{str(i * 7 % 10 > 4).lower()},{(START + timedelta(hours=6 * i + 5)).isoformat()}"
            for i in range(ROWS)
        ),
    )

    def write(self, folder: Path) -> Path:
        """Write the three files and return the path of the first."""
        (folder / "orders.csv").write_text("\n".join(self.orders) + "\n", encoding="utf-8")
        (folder / "results.csv").write_text("\n".join(self.results) + "\n", encoding="utf-8")
        (folder / "orders.py").write_text(self.system, encoding="utf-8")
        return folder / "orders.py"

    def each_order(self, change: Callable[[list[str]], list[str]]) -> World:
        """Change the cells of every order."""
        head, *rows = self.orders
        return replace(self, orders=(head, *(",".join(change(row.split(","))) for row in rows)))

    def declare(self, old: str, new: str) -> World:
        """Change the declaration."""
        assert old in self.system
        return replace(self, system=self.system.replace(old, new))


GOOD = World()
REFUSED = {
    "a wrong type": (
        GOOD.each_order(lambda row: [row[0], "cheap", row[2]]),
        "CONTRACT_ALL_REJECTED",
        "{file}:4: All 60 rows given for Order break its contract: price cannot be read exactly as a 64-bit number (60).",
    ),
    "a missing column": (
        replace(GOOD, orders=("order_id,prize,at", *GOOD.orders[1:])),
        "CONTRACT_COLUMN_MISSING",
        "{file}:6: The data of Order has no column price.",
    ),
    "only NaN": (
        GOOD.each_order(lambda row: [row[0], "NaN", row[2]]),
        "CONTRACT_ALL_REJECTED",
        "{file}:4: All 60 rows given for Order break its contract: price is NaN or infinite; say missing instead (60).",
    ),
    "naive times": (
        GOOD.each_order(lambda row: [*row[:2], row[2].removesuffix("+00:00")]),
        "CONTRACT_NAIVE_TIME",
        "{file}:7: Order.at holds times without a time zone, such as 2024-01-01T00:00:00, and declares none.",
    ),
    "an unknown time zone": (
        GOOD.declare("at = ms.KnownAt()", 'at = ms.KnownAt(zone="Europe/Berlim")'),
        "DECLARE_LINT",
        "{file}:7: error [unknown-zone] Order.at is declared with the time zone 'Europe/Berlim', which does not exist.",
    ),
    "an empty file": (replace(GOOD, orders=()), "SOURCE_EMPTY", "{file}:23: {folder}/orders.csv is empty."),
    "a header alone": (replace(GOOD, orders=GOOD.orders[:1]), "SOURCE_EMPTY", "{file}:23: The source of Order has no rows."),
    "a table without facts": (
        GOOD.declare(', Result: ms.csv("results.csv")', ""),
        "SOURCE_EMPTY",
        "history in orders.py has nothing for Result.",
    ),
    "a missing file": (
        GOOD.declare("results.csv", "outcomes.csv"), "SOURCE_MISSING", "{file}:23: There is no file outcomes.csv, looked for",
    ),
    "a ragged file": (
        replace(GOOD, orders=(*GOOD.orders, "o60,1,2024-02-01,x")),
        "SOURCE_FORMAT",
        "{file}:23: {folder}/orders.csv is no CSV with the separator ',': line 62 has 4 cells, the header 3.",
    ),
    "one class": (
        replace(GOOD, results=tuple(row.replace("true", "false") for row in GOOD.results)),
        "DATA_ONE_CLASS",
        "{file}:19: Every known label of {name} is False: 60 of them.",
    ),
    "fewer rows than a split needs": (
        replace(GOOD, orders=GOOD.orders[:9], results=GOOD.results[:9]),
        "DATA_TOO_FEW",
        " of 8 decisions have a label that is known at 2024-01-02T",
    ),
    "labels of other rows": (
        replace(GOOD, results=(GOOD.results[0], *(f"x{row}" for row in GOOD.results[1:]))),
        "DATA_NO_LABELS",
        "{file}:19: No label of {name} is known at the end of the history, for 60 decisions.",
    ),
    "a static table that changes": (
        GOOD.declare("class Result(ms.Table)", "class Shop(ms.Table, static=True):\n    order_id = ms.Key()\n"
                     "    price = ms.Float()\n\n\nclass Result(ms.Table)")
        .declare("seen=", 'usual=Shop.price.latest(by="order_id"), seen=')
        .declare("history = {", 'history = {Shop: ms.csv("shops.csv"), '),
        "CONTRACT_STATIC_CHANGES",
        "{file}:10: 1 of 2 rows given for the static table Shop differ from a row with the same key",
    ),
}  # fmt: skip
REFUSED["a header named otherwise"] = (
    replace(GOOD, results=("order_id,good,good", *GOOD.results[1:])),
    "SOURCE_FORMAT",
    "{file}:23: {folder}/results.csv has several columns named good.",
)


@pytest.fixture
def folder(mainspring: Command, tmp_path: Path, made_once: Path) -> Path:
    """A folder with the good world and a workspace that holds one good run of it."""
    shutil.copytree(made_once / ".mainspring", tmp_path / ".mainspring")
    return tmp_path


@pytest.fixture(scope="module")
def shared(made_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of that folder, in which one bad world after the other is tried."""
    return Path(shutil.copytree(made_once, tmp_path_factory.mktemp("shared") / "orders"))


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mainspring.cli import main

    """A folder with the good world and one run of it; not to be written to."""
    place = tmp_path_factory.mktemp("orders")
    (place / "shops.csv").write_text("order_id,price\no1,2\no1,3\n", encoding="utf-8")
    assert main(["run", str(GOOD.write(place)), "--workspace", str(place / ".mainspring")]) == 0
    return place


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_in_one_clear_error(mainspring: Command, shared: Path, what: str) -> None:
    world, code, words = REFUSED[what]
    name = what.replace(" ", "-").lower()  # facts stay: each case has tables of its own
    file = world.declare('name="orders"', f'name="{name}"').write(shared)
    told = mainspring("run", file, "--json", "--workspace", shared / ".mainspring")
    assert told.code == 1
    assert told.document["error"]["code"] == code
    errors = [line for line in told.err.splitlines() if not line.startswith(("facts ", "features ", "warning: "))]
    assert words.format(file=file, folder=shared, name=name) in errors[0]
    assert errors[-1] in (f"  [{code}]", f"[{code}]")
    assert "Traceback" not in told.err


def test_after_all_of_them_nothing_is_lost(mainspring: Command, shared: Path) -> None:
    workspace = shared / ".mainspring"
    runs = mainspring("runs", "--limit", 100, "--workspace", workspace, "--json").document
    assert [run["name"] for run in runs if run["status"] == "finished"] == ["orders-1"]
    again = mainspring("run", GOOD.write(shared), "--workspace", workspace, "--json")
    assert again.code == 0, again.err
    assert again.document["decisions"] == ROWS
    assert again.document["reused"] == ["facts", "features", "training", "evaluation", "bundle"]


def test_a_text_file_that_is_not_utf8(mainspring: Command, folder: Path) -> None:
    file = GOOD.write(folder)
    (folder / "orders.csv").write_bytes("\n".join(GOOD.orders).replace("o7,", "ö7,").encode("latin-1"))
    told = mainspring("run", file)
    assert told.code == 1
    assert told.err == (
        f"{file}:23: {folder}/orders.csv is not UTF-8: line 9 holds the byte 0xf6 (byte 235 of the file).\n"
        "  Save it as UTF-8, for example: iconv -f WINDOWS-1252 -t UTF-8.\n  [SOURCE_ENCODING]\n"
    )


QUARANTINED = {
    "NaN and infinity": (
        [*GOOD.orders, "o90,NaN,2024-01-05T00:00:00Z", "o91,inf,2024-01-05T00:00:00Z"],
        "2 of 62 rows of order are in quarantine: 2 price is NaN or infinite; say missing instead.",
    ),
    "duplicate keys": (
        [*GOOD.orders, GOOD.orders[5].replace(",8,", ",9,")],
        "1 of 61 rows of order are in quarantine: 1 A row with the same order_id and at and different content was there first",
    ),
    "a missing value": (
        [*GOOD.orders, "o90,,2024-01-05T00:00:00Z"],
        "1 of 61 rows of order are in quarantine: 1 price is missing.",
    ),
    "a stray zone": (
        [*GOOD.orders, "o90,1,2024-01-05T00:00:00"],
        "1 of 61 rows of order are in quarantine: 1 at has no time zone.",
    ),
}


@pytest.mark.parametrize("what", QUARANTINED)
def test_single_rows_go_to_quarantine_and_the_run_goes_on(mainspring: Command, folder: Path, what: str) -> None:
    rows, words = QUARANTINED[what]
    ran = mainspring("run", replace(GOOD, orders=tuple(rows)).write(folder), "--json")
    assert ran.code == 0, ran.err
    assert ran.document["decisions"] == ROWS
    assert any(words in line for line in ran.err.splitlines() if line.startswith("warning: ")), ran.err
    assert any(words in note for note in ran.document["notes"])
    kept = mainspring("sql", "select count(*) as n from order_quarantine", "--json").document["rows"]
    assert kept == [{"n": len(rows) - ROWS - 1}]


def test_the_order_of_rows_repeated_rows_and_other_offsets_change_nothing(mainspring: Command, folder: Path) -> None:
    head, *rows = GOOD.orders
    shuffled = replace(GOOD, orders=(head, *rows[::-1], rows[3]))
    moved = GOOD.each_order(lambda row: [*row[:2], datetime.fromisoformat(row[2]).astimezone(tz=None).isoformat()])
    for world in (shuffled, moved):
        ran = mainspring("run", world.write(folder), "--json").document
        assert set(ran["reused"]) >= {"facts", "features", "training", "evaluation", "bundle"}


def test_a_folder_may_have_any_name(mainspring: Command, tmp_path: Path) -> None:
    folder = tmp_path / "a [1] * #ü"
    folder.mkdir()
    ran = mainspring("run", GOOD.write(folder), "--workspace", folder / "w #", "--json")
    assert ran.code == 0, ran.err


def test_equal_times_and_a_column_of_one_value_are_no_error(mainspring: Command, tmp_path: Path) -> None:
    world = GOOD.each_order(lambda row: [row[0], "5", row[2][:10] + "T00:00:00Z"])
    ran = mainspring("run", world.write(tmp_path), "--json")
    assert ran.code == 0, ran.err
    assert "[constant-column] Feature 'price' reads Order.price, which has one value alone." in ran.err


def test_a_window_longer_than_the_history_is_a_warning(mainspring: Command, tmp_path: Path) -> None:
    ran = mainspring("run", GOOD.declare('over="2d"', 'over="90d"').write(tmp_path))
    assert ran.code == 0
    assert "warning: " in ran.err
    assert "[window-beyond-history]" in ran.err


def test_a_workspace_of_a_newer_version_is_left_alone(mainspring: Command, folder: Path) -> None:
    manifest = folder / ".mainspring" / "workspace.json"
    newer = json.loads(manifest.read_text()) | {"format": 99}
    manifest.write_text(json.dumps(newer))
    for command in (["run", GOOD.write(folder)], ["runs"], ["show", "latest"], ["sql", "select 1"]):
        told = mainspring(*command)
        assert told.code == 1
        assert told.err.endswith("[WORKSPACE_NEWER]\n")
    assert json.loads(manifest.read_text()) == newer


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A file system in memory, mounted with given options; needs the superuser."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        if os.geteuid() != 0 or shutil.which("mount") is None:
            pytest.skip("only the superuser may mount a file system")
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True).returncode:
            pytest.skip("this machine lets nobody mount a file system")
        return place

    yield mount
    subprocess.run(["umount", "--lazy", place], capture_output=True)  # the catalog may still be open


@pytest.mark.parametrize("free_kilobytes", [0, 160, 1024])
def test_a_full_disk(mainspring: Command, folder: Path, small_disk: Callable[[str], Path], free_kilobytes: int) -> None:
    disk = small_disk("size=8m")
    workspace = Path(shutil.copytree(folder / ".mainspring", disk / "w"))
    spare = shutil.disk_usage(disk).free - free_kilobytes * 1024
    (disk / "filler").write_bytes(bytes(spare))
    world = GOOD.each_order(lambda row: [row[0], f"{row[1]}.5", row[2]]).declare('name="orders"', 'name="others"')
    told = mainspring("run", world.write(folder), "--workspace", workspace, "--json")
    assert told.code == 1
    assert told.document["error"]["code"] == "WORKSPACE_DISK_FULL", told.err
    (disk / "filler").unlink()
    for each in (world, GOOD):
        again = mainspring("run", each.write(folder), "--workspace", workspace, "--json")
        assert again.code == 0, again.err
        assert again.document["decisions"] == ROWS
    assert again.document["reused"] == ["facts", "features", "training", "evaluation", "bundle"]


@pytest.mark.parametrize("exists", [True, False])
def test_a_read_only_folder(mainspring: Command, folder: Path, small_disk: Callable[[str], Path], exists: bool) -> None:
    disk = small_disk("size=8m")
    workspace = disk / "w"
    if exists:
        shutil.copytree(folder / ".mainspring", workspace)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    told = mainspring("run", GOOD.write(folder), "--workspace", workspace)
    assert told.code == 1
    assert told.err.endswith("[WORKSPACE_READ_ONLY]\n")
