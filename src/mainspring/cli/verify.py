"""mainspring verify: the proof that features are the same live as in training."""

from __future__ import annotations

import time

import typer

from mainspring.cli.options import Debug, Json, SystemFile, WorkspaceFolder
from mainspring.cli.output import reporting

__all__ = ["verify"]


def verify(file: SystemFile, workspace: WorkspaceFolder = None, json: Json = False, debug: Debug = False) -> None:
    """Prove that features are the same live as in training.

    All facts of the workspace go through the online state in order of time, one decision at a time; every
    feature of every decision is compared with the one computed for all at once. Exit code 1 if any differs.
    Told as well is the memory that the state takes in the end, as in a server after so much history.

    Example: mainspring verify flights
    """
    with reporting(as_json=json, debug=debug) as output:
        from mainspring.features.online.verify import TOLERANCE
        from mainspring.loop import load_system
        from mainspring.loop.example import find_system_file
        from mainspring.loop.verify import verify_system
        from mainspring.workspace import DEFAULT_FOLDER, Workspace

        begin = time.perf_counter()

        def progress(done: int, of: int) -> None:
            output.stderr.print(f"{done:>12,} of {of:,} decisions  {time.perf_counter() - begin:>7.1f} s")

        loaded = load_system(find_system_file(file))
        found = verify_system(loaded, Workspace.open(workspace or DEFAULT_FOLDER, create=False), progress)
        values, keys = found.decisions * found.features, sum(found.size.keys.values())
        output.text(
            f"{values:,} values: {found.decisions:,} decisions, {found.features} features",
            f"{values - sum(found.inexact.values()):,} have the same bits online and in batch",
        )
        for name, count in found.inexact.items():
            output.text(f"  {name}: {count:,} differ in their last bits")
        for name, row in found.wrong.items():
            output.text(f"  {name} DIFFERS, first in decision {row:,}")
        output.text(
            f"{found.different:,} differ by more than {TOLERANCE:g}; the largest relative error is "
            f"{found.max_relative_error:.2g}",
            f"after the last decision the online state held {found.size.bytes / 1e6:,.1f} MB: {keys:,} keys, "
            f"{found.size.n_facts:,} facts",
        )
        output.document(
            {
                "system": loaded.system.name,
                "seconds": time.perf_counter() - begin,
                "inexact": found.inexact,
                "wrong": found.wrong,
                "decisions": found.decisions,
                "features": found.features,
                "different": found.different,
                "max_relative_error": found.max_relative_error,
                "state_bytes": found.size.bytes,
                "state_keys": found.size.keys,
                "state_facts": found.size.facts,
            }
        )
        if found.different:
            raise typer.Exit(1)
