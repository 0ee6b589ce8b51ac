"""What the ledger keeps of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mainspring.declare import System, encode
from mainspring.evaluation.results import Evaluation
from mainspring.ledger import Artifact, Dataset, Metric
from mainspring.ledger import Model as ModelRecord
from mainspring.loop.facts import Facts
from mainspring.model import Model
from mainspring.training import dataset as datasets
from mainspring.workspace import Workspace

__all__ = ["record_run"]


def record_run(
    workspace: Workspace,
    run: str,
    system: System,
    facts: Facts,
    data: datasets.Dataset,
    model: Model,
    evaluation: Evaluation,
    keys: Mapping[str, str],
    files: Mapping[str, Path],
) -> None:
    """Write a run's results into the ledger; `keys` has those of dataset and model, `files` dataset, bundle, report and json."""
    ledger = workspace.ledger
    ledger.record_dataset(
        Dataset(
            run=run,
            fingerprint=keys["dataset"],
            snapshots=dict(facts.snapshots),
            decisions=data.decisions.height,
            labelled=data.labelled,
            features={feature: repr(expression) for feature, expression in system.features.items()},
            path=workspace.relative(files["dataset"]),
        )
    )
    ledger.record_model(
        ModelRecord(
            run=run,
            id=keys["model"],
            dataset=keys["dataset"],
            estimator={
                "model": encode(system.model),
                "training": encode(system.training),
                "label": repr(system.label),
                "objective": repr(system.objective),
            },
            calibration=model.calibration.method,
            threshold=model.threshold if model.task == "binary" else None,
            bundle=workspace.relative(files["bundle"]),
        )
    )
    ledger.record_metrics(_metrics(run, keys["model"], evaluation))
    for kind in ("report", "json", "card", "bundle"):
        hashed = {"card": files["bundle"] / "card.md", "bundle": files["bundle"] / "manifest.json"}.get(
            kind, files.get(kind)
        )
        if hashed is not None:
            path = files["bundle"] if kind == "bundle" else hashed
            digest = hashlib.sha256(hashed.read_bytes()).hexdigest()
            ledger.record_artifact(Artifact(run=run, kind=kind, path=workspace.relative(path), sha256=digest))


def _metrics(run: str, model: str, evaluation: Evaluation) -> list[Metric]:
    """All figures of an evaluation as the ledger keeps them, the objective's metric first."""

    def of(scope: str, figures: Mapping[str, Any], payoff: Any) -> list[Metric]:
        everything = {**figures, **({"payoff": payoff} if payoff is not None else {})}
        first = {evaluation.metric: everything[evaluation.metric]} if evaluation.metric in everything else {}
        return [
            Metric(run=run, model=model, scope=scope, name=name, value=f.value, low=f.low, high=f.high)
            for name, f in {**first, **everything}.items()
        ]

    records = of("test", evaluation.metrics, evaluation.payoff)
    for baseline in evaluation.baselines:
        records += of(f"baseline:{baseline.name}", baseline.metrics, baseline.payoff)
    for each in evaluation.slices:
        records += of(f"slice:{each.column}={each.value}", each.metrics, each.payoff)
    return records
