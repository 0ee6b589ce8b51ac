from __future__ import annotations

import importlib.util
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mainspring.errors import LedgerError, MissingExtraError
from mainspring.ledger import Ledger, Run, mirror_run

present = all(importlib.util.find_spec(name) for name in ("mlflow", "alembic"))
needs_mlflow = pytest.mark.skipif(not present, reason="needs the extra mlflow")
# MLflow and what it stands on warn about themselves, in words that change with every version.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def tracking_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)  # MLflow puts artifacts in ./mlruns
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@needs_mlflow
def test_a_mirrored_run_says_in_mlflow_what_the_ledger_says(
    ledger: Ledger, write_run: Callable[..., Run], tmp_path: Path, tracking_uri: str
) -> None:
    from mlflow import MlflowClient

    run = write_run(start=1_700_000_000_000_000, auc=0.75)
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "r.html").write_text("a report")
    copies = {mirror_run(ledger, run.name, tracking_uri, "flights", root=tmp_path) for _ in range(2)}
    assert len(copies) == 1  # the second time it was already there
    client: Any = MlflowClient(tracking_uri=tracking_uri)
    [copy] = client.search_runs([client.get_experiment_by_name("flights").experiment_id])
    assert (copy.info.run_name, copy.info.status) == (run.name, "FINISHED")
    assert (copy.info.start_time, copy.info.end_time) == (1_700_000_000_000, 1_700_000_000_000)
    assert copy.data.params == {
        "class": "LightGBM",
        "params.trees": "1700000000000000",
        "params.leaves": "31",
        "calibration": "none",
        "threshold": "0.4",
    }
    assert copy.data.metrics == pytest.approx(
        {
            "auc": 0.75,
            "auc.low": 0.74,
            "auc.high": 0.76,
            "ece": 0.02,
            "slice:carrier_US/auc": 0.75,
            "seconds/ingest": 1.5,
            "seconds/fit": 2.0,
        }
    )
    assert copy.data.tags["mainspring.run"] == run.name
    assert copy.data.tags["mainspring.declaration"] == "d1"
    assert [file.path for file in client.list_artifacts(copy.info.run_id)] == ["r.html"]


@needs_mlflow
def test_more_figures_than_one_call_takes_are_all_mirrored(ledger: Ledger, tmp_path: Path, tracking_uri: str) -> None:
    from mlflow import MlflowClient

    run = ledger.start_run("flights", started_at=0, declaration="d", version="0")
    ledger.finish_run(run.name, ended_at=1, seconds={f"stage {number}": 1.0 for number in range(250)})
    copy = mirror_run(ledger, run.name, tracking_uri, "flights", root=tmp_path)
    client: Any = MlflowClient(tracking_uri=tracking_uri)
    assert len(client.get_run(copy).data.metrics) == 250


@needs_mlflow
def test_a_server_that_does_not_listen_is_said_at_once(
    ledger: Ledger, write_run: Callable[..., Run], tmp_path: Path
) -> None:
    write_run()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: whoever calls is refused
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(LedgerError, match="LEDGER_MIRROR"):
            mirror_run(ledger, "latest", uri, "flights", root=tmp_path)


def test_without_mlflow_the_command_that_installs_it_is_named(
    ledger: Ledger, write_run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run()
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtraError, match=r"'mlflow-skinny'.*pip install 'mainspring\[mlflow\]'"):
        mirror_run(ledger, "latest", "http://localhost:5000", "flights", root=tmp_path)
