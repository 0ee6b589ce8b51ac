"""Replays that were made before: each left a document in the workspace, and the ledger knows where."""

from __future__ import annotations

import msgspec

from mainspring.ledger import Run
from mainspring.loop.compared import Compared
from mainspring.workspace import Workspace

__all__ = ["REPLAY", "read_replay", "replay_runs"]

REPLAY = "replay"
"""The kind of a run that is a replay."""


def replay_runs(workspace: Workspace, system: str) -> list[Run]:
    """Return the replays of a system, the newest first, those that failed as well. Raises WorkspaceError."""
    return [run for run in workspace.ledger.runs(system=system) if run.kind == REPLAY]


def read_replay(workspace: Workspace, run: str) -> Compared | None:
    """Return what a replay found; None where its document is gone, or was written by a version that kept other things.

    Raises WorkspaceError.
    """
    path = next((each.path for each in workspace.ledger.artifacts(run) if each.kind == "json"), None)
    if path is None:
        return None
    try:
        return msgspec.json.decode(workspace.locate(path).read_bytes(), type=Compared)
    except (OSError, msgspec.DecodeError):
        return None
