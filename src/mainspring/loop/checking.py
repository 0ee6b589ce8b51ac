"""Check a system before it runs: its declaration, then the declaration against its history."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mainspring.declare.lint import Finding, lint, lint_history
from mainspring.errors import ContractError, SourceError
from mainspring.lake import Lake
from mainspring.loop.facts import bring_in, describe
from mainspring.loop.system_file import LoadedSystem

__all__ = ["check_system"]


def check_system(loaded: LoadedSystem, *, history: bool = True, stored: Lake | None = None) -> list[Finding]:
    """Return what is wrong with a system, in the order of the user's lines; nothing is kept.

    With `history` the facts are brought into a lake of their own, which is thrown away afterwards: what a run would refuse,
    put into quarantine or warn of is found by the code that would. A system whose file has no history is compared with
    the facts that `stored` holds. A declaration with errors is not tried on any.
    """
    findings = lint(loaded.system)
    if not history or any(finding.severity == "error" for finding in findings):
        return findings
    if loaded.history is None:
        return findings if stored is None else findings + _tried(loaded, stored)
    with tempfile.TemporaryDirectory(prefix="mainspring-check-") as folder:
        lake = Lake({"uri": f"sqlite:///{Path(folder) / 'catalog.db'}", "warehouse": folder}, "check")
        try:
            return findings + _tried(loaded, lake)
        finally:
            lake.close()


def _tried(loaded: LoadedSystem, lake: Lake) -> list[Finding]:
    try:
        facts = bring_in(loaded, lake)
    except (SourceError, ContractError) as error:
        return [Finding(error.code, "error", error.problem, error.exists, error.fix, error.origin)]
    quarantined = [
        Finding(
            "CONTRACT_ROW_REJECTED",
            "warning",
            f"{rows:,} of {each.given:,} rows would be put into quarantine: {sentence}",
            "",
            "Correct these rows, or the declaration.",
            loaded.system.table(each.table).__schema__.origin,
        )
        for each in facts.ingested
        for sentence, rows in each.reasons.items()
    ]
    return quarantined + lint_history(loaded.system, describe(loaded.system, facts.frames))
