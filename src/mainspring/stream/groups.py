"""Positions of consumer groups: one small file each, written whole or not at all.

Files instead of rows of the log's database: a consumer in another process commits without ever making the writer wait.
"""

from __future__ import annotations

import os
from pathlib import Path

from mainspring.errors import WorkspaceError
from mainspring.storage import storage_errors, write_atomically

__all__ = ["Groups"]

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_")


class Groups:
    """The groups that read a log and the offset each has committed, in `folder/<topic>/<group>`.

    Guarantees: making one opens nothing; a position is durable when `store` returns, and a reader sees the old one or the
    new one; any number of processes may read and write at once.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def position(self, topic: str, group: str) -> int | None:
        """Return what a group has committed of a topic, None for a group that is not known.

        Raises WorkspaceError (WORKSPACE_BROKEN).
        """
        return _read(self._file(topic, group))

    def store(self, topic: str, group: str, offset: int) -> None:
        """Make the group known, and everything before `offset` done with.

        Raises WorkspaceError (WORKSPACE_DISK_FULL, WORKSPACE_READ_ONLY).
        """
        file = self._file(topic, group)
        with storage_errors(file):
            file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, b"%d\n" % offset)

    def forget(self, topic: str, group: str) -> None:
        """Let retention no longer wait for a group; it may be unknown already.

        Raises WorkspaceError (WORKSPACE_READ_ONLY).
        """
        file = self._file(topic, group)
        with storage_errors(file):
            file.unlink(missing_ok=True)

    def of(self, topic: str) -> dict[str, int]:
        """Return every known group of a topic with what it has committed, in the order of their names.

        Raises WorkspaceError (WORKSPACE_BROKEN).
        """
        folder = self._folder / _file_name(topic)
        names = sorted(_name(file) for file in os.listdir(folder) if file[0] != ".") if folder.is_dir() else []
        found = {name: _read(folder / _file_name(name)) for name in names}
        return {name: offset for name, offset in found.items() if offset is not None}

    def _file(self, topic: str, group: str) -> Path:
        return self._folder / _file_name(topic) / _file_name(group)


def _read(file: Path) -> int | None:
    try:
        with storage_errors(file):
            return int(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as unreadable:
        raise WorkspaceError(
            "WORKSPACE_BROKEN",
            f"{file} does not hold the position of a group.",
            fix="Write the offset to go on from into it, or remove it to begin anew.",
        ) from unreadable


def _file_name(name: str) -> str:
    """Capitals are escaped too: some file systems do not tell them from small letters."""
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in name.encode())


def _name(file: str) -> str:
    first, *escaped = file.encode().split(b"%")
    return (first + b"".join(bytes([int(part[:2], 16)]) + part[2:] for part in escaped)).decode()
