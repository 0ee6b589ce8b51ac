from __future__ import annotations

import errno
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mainspring.errors import WorkspaceError
from mainspring.workspace import Workspace

HOLDER = """
import sys
from mainspring.workspace import Workspace
with Workspace.open(sys.argv[1]).writing():
    if len(sys.argv) > 2:
        Workspace.open(sys.argv[1]).ledger.start_run("flights", started_at=0, declaration="d", version="0")
    print("writing", flush=True)
    sys.stdin.read()
"""


def holder(root: Path, *options: str) -> subprocess.Popen[str]:
    """Start a process that writes to the workspace until it is told to end or killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(root), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


def test_opening_again_gives_the_same(tmp_path: Path) -> None:
    first = Workspace.open(tmp_path / "a" / "workspace")
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    for create in (True, False):
        assert Workspace.open(first.root, create=create) == first
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == files
    assert Workspace.open(tmp_path / "other").id != first.id


def test_what_is_missing_of_a_workspace_is_made_again(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    workspace.cache.rmdir()
    assert Workspace.open(tmp_path).cache.is_dir()


def test_a_workspace_has_one_writer_which_readers_see_and_kill_9_frees(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    assert not workspace.is_written()
    with holder(tmp_path, "and start a run") as process:
        assert workspace.is_written()
        assert Workspace.open(tmp_path) == workspace
        assert workspace.ledger.run("latest").status == "running"
        with pytest.raises(WorkspaceError, match=f"pid {process.pid}.*WORKSPACE_BUSY"), workspace.writing():
            pass
        process.kill()
        process.wait()
        assert workspace.ledger.run("latest").status == "interrupted"
        with workspace.writing():
            assert workspace.is_written()
    assert not workspace.is_written()


def test_the_lock_is_free_after_an_error_and_closed_to_the_same_process(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    with pytest.raises(ZeroDivisionError), workspace.writing():
        raise ZeroDivisionError
    with workspace.writing(), pytest.raises(WorkspaceError, match="WORKSPACE_BUSY"), workspace.writing():
        pass
    assert not workspace.is_written()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # other tests' threads
def test_a_worker_left_behind_does_not_keep_the_lock(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    fork = multiprocessing.get_context("fork")
    with workspace.writing():
        worker = fork.Process(target=time.sleep, args=(60,))
        worker.start()
    with workspace.writing():
        pass
    worker.kill()
    worker.join()


def test_paths_are_kept_from_the_root_so_that_a_workspace_can_be_moved(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "here")
    kept = workspace.relative(workspace.reports / "r.html")
    assert kept == "reports/r.html"
    (tmp_path / "here").rename(tmp_path / "there")
    moved = Workspace.open(tmp_path / "there")
    assert moved.id == workspace.id
    assert moved.locate(kept) == tmp_path / "there" / "reports" / "r.html"
    outside = moved.relative(tmp_path / "elsewhere.html")
    assert moved.locate(outside) == tmp_path / "elsewhere.html"


def test_addresses_are_configuration(tmp_path: Path) -> None:
    local = Workspace.open(tmp_path)
    assert local.catalog_properties() == {
        "uri": f"sqlite:///{tmp_path}/catalog.db",
        "warehouse": f"{tmp_path}/lake",
    }
    assert local.ledger_url == f"sqlite:///{tmp_path}/ledger.db"
    (tmp_path / "workspace.toml").write_text(
        '[catalog]\nuri = "https://catalog"\ntoken = "t"\n[ledger]\nurl = "postgresql://db/l"\n'
    )
    far = Workspace.open(tmp_path)
    assert far.catalog_properties() == {"uri": "https://catalog", "token": "t"}
    assert far.ledger_url == "postgresql://db/l"
    told = Workspace.open(tmp_path, catalog_uri="sqlite:///c.db", ledger_url="sqlite:///l.db")
    assert told.catalog_properties()["uri"] == "sqlite:///c.db"
    assert told.ledger_url == "sqlite:///l.db"


def test_secrets_of_a_catalog_are_not_printed(tmp_path: Path) -> None:
    (tmp_path / "workspace.toml").write_text(
        '[catalog]\ntoken = "hush"\n[ledger]\nurl = "postgresql+psycopg://u:hush@db/l"\n'
    )
    workspace = Workspace.open(tmp_path)
    assert "hush" not in repr(workspace)
    assert "hush" not in repr(workspace.ledger)


def test_a_folder_with_blanks_and_signs_holds_a_working_ledger(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "my work 100% #1 é")
    assert workspace.ledger.runs() == []
    assert (workspace.root / "ledger.db").exists()


def test_a_reader_finds_no_workspace_where_none_was_made(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="WORKSPACE_MISSING"):
        Workspace.open(tmp_path / "typo", create=False)
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_file_in_place_of_the_folder_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(WorkspaceError, match="WORKSPACE_READ_ONLY"):
        Workspace.open(tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind the superuser")
def test_a_folder_without_permission_is_said(tmp_path: Path) -> None:
    Workspace.open(tmp_path)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(WorkspaceError, match="WORKSPACE_READ_ONLY"):
            Workspace.open(tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_a_workspace_that_can_no_longer_be_written_is_said_on_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace.open(tmp_path)

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(WorkspaceError, match="WORKSPACE_READ_ONLY"):
        Workspace.open(tmp_path)
    assert Workspace.open(tmp_path, create=False) == workspace


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs a file system that even the superuser cannot write")
def test_a_file_system_that_takes_no_file_is_said() -> None:
    with pytest.raises(WorkspaceError, match="WORKSPACE_READ_ONLY"):
        Workspace.open("/sys/kernel")


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("workspace.json", '{"format": 2, "shape": "unknown"}', "WORKSPACE_NEWER"),
        ("workspace.json", "", "WORKSPACE_BROKEN"),
        ("workspace.json", "[]", "WORKSPACE_BROKEN"),
        ("workspace.json", '{"format": 1}', "WORKSPACE_BROKEN"),
        ("workspace.toml", "[ledger", "WORKSPACE_BROKEN"),
        ("workspace.toml", "[leger]\nurl = 'x'", "WORKSPACE_BROKEN"),
        ("workspace.toml", "[ledger]\nurl = 5", "WORKSPACE_BROKEN"),
    ],
)
def test_a_file_of_a_newer_version_or_a_damaged_one_is_said_and_kept(
    tmp_path: Path, name: str, text: str, code: str
) -> None:
    Workspace.open(tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(WorkspaceError, match=code):
        Workspace.open(tmp_path)
    assert (tmp_path / name).read_text() == text


def test_opening_a_workspace_imports_no_database() -> None:
    code = "import sys, mainspring.workspace; sys.exit(any(m in sys.modules for m in ('sqlalchemy', 'pyiceberg')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
