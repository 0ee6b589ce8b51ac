"""Prove, on a system's own facts, that features are the same one decision at a time as all at once."""

from __future__ import annotations

from collections.abc import Callable

from mainspring.features import compute, find_decisions, plan
from mainspring.features.online.verify import Verification, verify_online
from mainspring.loop.system_file import LoadedSystem
from mainspring.training.dataset import history_bounds
from mainspring.workspace import Workspace

__all__ = ["verify_system"]


def verify_system(
    loaded: LoadedSystem, workspace: Workspace, progress: Callable[[int, int], None] = lambda done, of: None
) -> Verification:
    """Compute every feature of every decision of the lake's facts in batch, and again online in order of time; compare.

    Raises DataError (DATA_NO_DECISIONS), WorkspaceError.
    """
    system = loaded.system
    lake = workspace.lake(system.name)
    facts = {table.__schema__.name: lake.read(table) for table in system.tables}
    start, until = history_bounds(facts)
    table = system.decision.table.__schema__.name
    decisions = find_decisions(system.decision, facts[table], start=start, until=until).frame
    work = plan(system.features)
    return verify_online(work, decisions, compute(work, decisions, facts), facts, progress)
