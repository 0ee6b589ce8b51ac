"""A system and its workspace, opened for a command that changes something, and who calls it."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from mainspring.declare import System
    from mainspring.workspace import Workspace

__all__ = ["open_system", "user"]


def open_system(file: str, workspace: Path | None) -> tuple[System, Workspace]:
    """Load the system of a file, or of an example's name, and open its workspace, which must be there."""
    from mainspring.loop import load_system
    from mainspring.loop.example import find_system_file
    from mainspring.workspace import DEFAULT_FOLDER, Workspace

    return load_system(find_system_file(file)).system, Workspace.open(workspace or DEFAULT_FOLDER, create=False)


def user() -> str:
    """Return the name of whoever calls, "" where the machine does not know it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
