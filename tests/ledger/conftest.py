from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mainspring.ledger import Artifact, Dataset, Ledger, Metric, Model, Run


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", owner="here")


@pytest.fixture
def write_run(ledger: Ledger) -> Callable[..., Run]:
    """Write a whole run: dataset, model, figures, report."""

    def write(
        *, start: int = 1_000_000, auc: float = 0.7, system: str = "flights", carrier: str = "Flight.carrier"
    ) -> Run:
        run = ledger.start_run(system, started_at=start, declaration="d1", version="0.1.0", as_of=start - 1)
        features = {"carrier": carrier, f"hour_{start}": "Flight.sched_dep.hour()"}
        ledger.record_dataset(
            Dataset(
                run=run.name,
                fingerprint="f1",
                snapshots={"Flight": 2**62 + start, "Weather": 7},
                decisions=10,
                labelled=8,
                features=features,
            )
        )
        estimator = {"class": "LightGBM", "params": {"trees": start, "leaves": 31}}
        ledger.record_model(Model(run=run.name, id="m1", dataset="f1", estimator=estimator, threshold=0.4))
        ledger.record_metrics(
            [
                Metric(run=run.name, model="m1", scope="test", name="auc", value=auc, low=auc - 0.01, high=auc + 0.01),
                Metric(run=run.name, model="m1", scope="test", name="ece", value=0.02),
                Metric(run=run.name, model="m1", scope="slice:carrier=US", name="auc", value=auc),
            ]
        )
        ledger.record_artifact(Artifact(run=run.name, kind="report", path="reports/r.html", sha256="00"))
        return ledger.finish_run(run.name, ended_at=start + 5, seconds={"ingest": 1.5, "fit": 2.0}, reused=["ingest"])

    return write
