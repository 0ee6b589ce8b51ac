from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.errors import WorkspaceError
from mainspring.storage import storage_errors, write_atomically


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(contents=st.lists(st.binary(max_size=50), min_size=1, max_size=3))
def test_the_last_write_is_read_and_nothing_else_is_left(tmp_path: Path, contents: list[bytes]) -> None:
    for content in contents:
        write_atomically(tmp_path / "file", content)
    assert (tmp_path / "file").read_bytes() == contents[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_bytes_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    write_atomically(tmp_path / "file", b"old")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), refuse)
    with pytest.raises(WorkspaceError, match="WORKSPACE_DISK_FULL"):
        write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path / "file", b"old")
    seen: list[bytes] = []
    fsync = os.fsync

    def look(descriptor: int) -> None:
        seen.append((tmp_path / "file").read_bytes())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    write_atomically(tmp_path / "file", b"new")
    assert seen == [b"old", b"new"]  # the bytes are on the disk before the name is, and the name before we return


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_is_said() -> None:
    with pytest.raises(WorkspaceError) as raised, storage_errors("/dev/full"), open("/dev/full", "wb", 0) as file:
        file.write(b"x")
    assert raised.value.code == "WORKSPACE_DISK_FULL"
    assert "/dev/full" in raised.value.problem


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "WORKSPACE_DISK_FULL"),
        (errno.EDQUOT, "WORKSPACE_DISK_FULL"),
        (errno.EROFS, "WORKSPACE_READ_ONLY"),
        (errno.EACCES, "WORKSPACE_READ_ONLY"),
    ],
)
def test_errors_are_known_by_number_also_when_wrapped(number: int, code: str) -> None:
    for error in (OSError(number, "in any language"), RuntimeError("could not commit")):
        if not isinstance(error, OSError):
            error.__cause__ = OSError(number, "in any language")
        with pytest.raises(WorkspaceError, match=code), storage_errors("lake"):
            raise error


def test_a_damaged_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").write_bytes(b"not a database, surely" * 50)
    connection = sqlite3.connect(tmp_path / "catalog.db")
    with pytest.raises(WorkspaceError, match="WORKSPACE_BROKEN"), storage_errors("catalog.db"):
        connection.execute("SELECT * FROM sqlite_master")
    connection.close()


@pytest.mark.parametrize("error", [ValueError("x"), FileNotFoundError(errno.ENOENT, "x"), sqlite3.IntegrityError("x")])
def test_errors_of_another_kind_pass_untouched(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, storage_errors("lake"):
        raise error
    assert raised.value is error


def test_a_workspace_error_is_not_told_twice() -> None:
    inner = WorkspaceError("WORKSPACE_BROKEN", "The catalog is gone.", fix="Restore it.")
    inner.__cause__ = OSError(errno.EACCES, "x")
    with pytest.raises(WorkspaceError) as raised, storage_errors("lake"):
        raise inner
    assert raised.value is inner
