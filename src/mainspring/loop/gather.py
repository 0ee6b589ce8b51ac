"""Gather what a run works with: the facts in the lake, pinned, and every decision with its features and label.

Each is a stage, taken from an earlier run where nothing that it depends on has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mainspring
from mainspring.declare import fingerprint
from mainspring.declare.lint import Finding, lint_history
from mainspring.errors import DeclarationError
from mainspring.ledger import Stage
from mainspring.loop.facts import Facts, bring_in, describe
from mainspring.loop.stages import Made, Stages
from mainspring.loop.system_file import LoadedSystem
from mainspring.loop.warm import warming
from mainspring.training import dataset as datasets
from mainspring.workspace import Workspace

__all__ = ["Gathered", "check_findings", "code_fingerprint", "gather", "stage_key"]


@dataclass(frozen=True, eq=False)
class Gathered:
    """The facts of a system, its dataset, and the key and the file of that."""

    facts: Facts
    data: datasets.Dataset
    key: str
    path: Path


def gather(loaded: LoadedSystem, workspace: Workspace, stages: Stages, warn: Callable[[str], None]) -> Gathered:
    """Bring in the history of a system and compute its dataset; the caller holds the workspace's writer lock.

    Raises DeclarationError (DECLARE_LINT) for a history that contradicts the declaration, ContractError, DataError.
    """
    system = loaded.system
    with warming():  # a first run compiles its kernels while it reads
        facts = stages.run("facts", lambda: _facts(loaded, workspace, warn))
    key = stage_key(system.features_fingerprint, facts.snapshots)
    path = workspace.datasets / f"{system.name}-{key}.parquet"

    def load(stage: Stage) -> Made[datasets.Dataset] | None:
        stored = workspace.locate(stage.path or "")
        if not stored.is_file():
            return None
        data = datasets.read_dataset(stored, left_out=stage.output["left_out"], as_of=stage.output["as_of"])
        return Made(data, _about(data))

    def make() -> Made[datasets.Dataset]:
        data = datasets.assemble(system, facts.frames)
        datasets.write_dataset(data, path)
        output = {"left_out": dict(data.left_out), "as_of": data.as_of}
        return Made(data, _about(data), output, workspace.relative(path))

    return Gathered(facts, stages.reuse("features", key, load=load, make=make), key, path)


def _facts(loaded: LoadedSystem, workspace: Workspace, warn: Callable[[str], None]) -> Made[Facts]:
    system = loaded.system
    facts = bring_in(loaded, workspace.lake(system.name))
    for finding in check_findings(lint_history(system, describe(system, facts.frames))):
        warn(str(finding))
    for each in facts.ingested:
        if each.rejected:
            reasons = "; ".join(f"{count:,} {reason}" for reason, count in each.reasons.items())
            warn(
                f"{each.rejected:,} of {each.given:,} rows of {each.table} are in quarantine: {reasons} "
                f'See them: mainspring sql "select * from {each.table}_quarantine"'
            )
    changed = sum(each.accepted + each.withdrawn for each in facts.ingested)
    return Made(
        facts,
        f"{facts.rows:,} rows in {len(facts.frames)} table{'s' if len(facts.frames) > 1 else ''}"
        if changed
        else "unchanged",
    )


def check_findings(findings: list[Finding]) -> list[Finding]:
    """Return the findings that do not stop a run.

    Raises DeclarationError (DECLARE_LINT) with every error among them.
    """
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        raise DeclarationError(
            "DECLARE_LINT",
            "\n".join(map(str, errors)) + "\n" + ("One error" if len(errors) == 1 else f"{len(errors)} errors"),
            exists="in the declaration.",
            fix="Mend what is named above; `mainspring check FILE` lists warnings too.",
        )
    return [finding for finding in findings if finding.severity == "warning"]


def stage_key(*parts: Any) -> str:
    """The fingerprint of a stage's inputs; the code that computes is one of them."""
    return fingerprint([code_fingerprint(), *parts])


@lru_cache(maxsize=1)
def code_fingerprint() -> str:
    """Sixteen hexadecimal digits of everything that computes: Mainspring's own source and the libraries under it."""
    digest = hashlib.sha256()
    for path in sorted(Path(mainspring.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    for library in ("lightgbm", "numpy", "polars", "scikit-learn"):
        digest.update(f"{library} {version(library)}".encode())
    return digest.hexdigest()[:16]


def _about(data: datasets.Dataset) -> str:
    return f"{data.decisions.height:,} decisions, {data.features.width} features, {data.labelled:,} labels"
