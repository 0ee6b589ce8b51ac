"""The mirror: show a finished run in MLflow as well. The only file that knows MLflow, which is imported on use."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from mainspring.errors import LedgerError, MissingExtraError
from mainspring.ledger.comparison import parameters_of
from mainspring.ledger.ledger import Ledger
from mainspring.ledger.records import Metric, Run

__all__ = ["mirror_run"]

_STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED", "running": "RUNNING"}
_MIRRORED_ARTIFACTS = {"report", "json", "card"}  # a bundle is large and is served from the workspace
_LONGEST_PARAMETER = 500  # what every version of the MLflow server takes
_PER_CALL = 100
_PATIENCE_SECONDS = 5.0
_Item = TypeVar("_Item")


def mirror_run(ledger: Ledger, run: str, tracking_uri: str, experiment: str, *, root: Path) -> str:
    """Copy a run's parameters, figures, tags, report and card to an MLflow server or database; return MLflow's run id.

    `run` is named as for `Ledger.run`, `root` is the folder to which the paths of its artifacts are relative. Figures of
    scope "test" keep their names, others are called "<scope>/<name>"; bounds of intervals end in ".low" and ".high".
    A run that is already there is left as it is. The ledger stays the record: call this after the run has ended, and
    turn what it raises into a warning.

    Raises MissingExtraError when MLflow or a part of it is missing, LedgerError (LEDGER_MIRROR) when MLflow refuses or
    does not answer, and what `Ledger.run` raises.
    """
    found = ledger.run(run)
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ModuleNotFoundError as missing:
        raise _missing(missing) from missing
    try:
        _knock(tracking_uri)
        return _copy(MlflowClient(tracking_uri=tracking_uri), ledger, found, experiment, root)
    except ModuleNotFoundError as missing:  # a database or a store of artifacts needs packages of its own
        raise _missing(missing) from missing
    except (MlflowException, OSError) as error:
        raise LedgerError(
            "LEDGER_MIRROR",
            f"The run {found.name} could not be mirrored to {tracking_uri}: {error}",
            exists="The ledger has it.",
            fix="Check MLFLOW_TRACKING_URI and that the server runs, or unset it.",
        ) from error


def _missing(error: ModuleNotFoundError) -> MissingExtraError:
    package = "mlflow-skinny" if error.name in (None, "mlflow") else error.name
    return MissingExtraError(str(package), "mlflow", "Mirroring a run to MLflow")


def _knock(tracking_uri: str) -> None:
    """See that a server listens: MLflow itself would try again for minutes before it says so."""
    address = urlsplit(tracking_uri)
    if address.scheme in ("http", "https") and address.hostname:
        port = address.port or (443 if address.scheme == "https" else 80)
        socket.create_connection((address.hostname, port), timeout=_PATIENCE_SECONDS).close()


def _copy(client: Any, ledger: Ledger, run: Run, experiment: str, root: Path) -> str:
    from mlflow.entities import Metric as Figure
    from mlflow.entities import Param, RunTag

    known = client.get_experiment_by_name(experiment)
    place = known.experiment_id if known else client.create_experiment(experiment)
    identity = {"mainspring.run": run.name, "mainspring.owner": run.owner}
    there = client.search_runs([place], " and ".join(f"tags.`{tag}` = '{value}'" for tag, value in identity.items()))
    if there:
        return str(there[0].info.run_id)

    copy = client.create_run(place, start_time=run.started_at // 1000, run_name=run.name).info.run_id
    ended = (run.ended_at if run.ended_at is not None else run.started_at) // 1000
    parameters = [pair for model in ledger.models(run.name) for pair in parameters_of(model)]
    for some in _calls(dict(parameters).items()):
        client.log_batch(copy, params=[Param(_key(name), str(value)[:_LONGEST_PARAMETER]) for name, value in some])
    for figures in _calls(_figures(ledger.metrics(run.name), run)):
        client.log_batch(copy, metrics=[Figure(name, value, ended, 0) for name, value in figures])
    for artifact in ledger.artifacts(run.name):
        if artifact.kind in _MIRRORED_ARTIFACTS and (root / artifact.path).exists():
            client.log_artifact(copy, str(root / artifact.path))
    tags = {"system": run.system, "kind": run.kind, "declaration": run.declaration, "version": run.version}
    # The identity comes last: a copy that broke off has none, and the next attempt begins anew.
    client.log_batch(copy, tags=[RunTag(f"mainspring.{tag}", value) for tag, value in tags.items()])
    client.set_terminated(copy, status=_STATUS[run.status], end_time=ended)
    client.log_batch(copy, tags=[RunTag(tag, value) for tag, value in identity.items()])
    return str(copy)


def _figures(metrics: list[Metric], run: Run) -> Iterator[tuple[str, float]]:
    for stage, seconds in run.seconds.items():
        yield _key(f"seconds/{stage}"), seconds
    for metric in metrics:
        name = _key(metric.name if metric.scope == "test" else f"{metric.scope}/{metric.name}")
        for suffix, figure in (("", metric.value), (".low", metric.low), (".high", metric.high)):
            if figure is not None:
                yield name + suffix, figure


def _calls(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """Cut items into as many lists as MLflow needs calls."""
    rest = iter(items)
    while some := list(islice(rest, _PER_CALL)):
        yield some


def _key(name: str) -> str:
    """Write a name in the letters that MLflow allows, at its greatest length."""
    return re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)[:240]
