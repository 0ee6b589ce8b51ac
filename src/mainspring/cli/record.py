"""A run as the ledger has it: a document for programs, a page for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mainspring.cli.tables import grid

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mainspring.ledger import Metric, Run
    from mainspring.workspace import Workspace

__all__ = ["document", "record"]


def document(run: Run, workspace: Workspace) -> dict[str, Any]:
    """Return the run with everything that it made."""
    ledger = workspace.ledger
    return {
        "run": run,
        "datasets": ledger.datasets(run.name),
        "models": ledger.models(run.name),
        "metrics": ledger.metrics(run.name),
        "artifacts": ledger.artifacts(run.name),
        "workspace": str(workspace.root),
    }


def record(run: Run, workspace: Workspace) -> Iterator[RenderableType]:
    """Yield the run for people."""
    from mainspring.clock import format_instant
    from mainspring.page.wording import instant, number

    ledger = workspace.ledger
    yield f"{run.name}: {run.status}, started {instant(format_instant(run.started_at))}, Mainspring {run.version}"
    if run.error_code is not None:
        yield f"  {run.error_message} [{run.error_code}]"
    yield f"declaration  {run.declaration}"
    for dataset in ledger.datasets(run.name):
        yield (
            f"dataset      {dataset.decisions:,} decisions, {dataset.labelled:,} with a known label, "
            f"{len(dataset.features)} features"
        )
        yield f"  snapshots  {', '.join(f'{table} {snapshot}' for table, snapshot in dataset.snapshots.items())}"
    for model in ledger.models(run.name):
        threshold = "" if model.threshold is None else f", threshold {number(model.threshold)}"
        yield f"model        {_estimator(model.estimator)}, calibration {model.calibration}{threshold}"
    metrics = ledger.metrics(run.name)
    if metrics:
        yield ""
        yield _tested(metrics)
        yield ""
        yield _compared(metrics)
    if run.seconds:
        yield ""
        rows = [
            [stage, f"{spent:.2f}", "reused" if stage in run.reused else ""] for stage, spent in run.seconds.items()
        ]
        yield grid(["stage", "seconds", ""], rows, numeric=[False, True])
    artifacts = ledger.artifacts(run.name)
    if artifacts:
        yield ""
        yield grid(["file", "path"], [[each.kind, str(workspace.locate(each.path))] for each in artifacts])


def _estimator(description: dict[str, Any]) -> str:
    """An encoded estimator as it was written, no more."""
    description = description.get("model", description)
    inner = description.get("estimator")
    if isinstance(inner, dict) and "$object" in inner:
        return str(inner["$object"]).rpartition(".")[2]
    given = ", ".join(f"{name}={value!r}" for name, value in description.items() if name != "$")
    return f"{description.get('$', 'model')}({given})"


def _tested(metrics: list[Metric]) -> RenderableType:
    from mainspring.page.wording import metric_title, number

    rows = [[metric_title(m.name), *map(number, (m.value, m.low, m.high))] for m in metrics if m.scope == "test"]
    return grid(["quality", "value", "from", "to"], rows, numeric=[False, True, True, True])


def _compared(metrics: list[Metric]) -> RenderableType:
    """The model and its baselines, one row each."""
    from mainspring.page.wording import metric_title, number

    names = [metric.name for metric in metrics if metric.scope == "test"]
    scopes = dict.fromkeys(m.scope for m in metrics if m.scope == "test" or m.scope.startswith("baseline:"))
    values = {(metric.scope, metric.name): metric.value for metric in metrics}
    rows = [
        ["the model" if scope == "test" else scope.removeprefix("baseline:")]
        + [number(values.get((scope, name))) for name in names]
        for scope in scopes
    ]
    return grid(["", *map(metric_title, names)], rows, numeric=[False, *[True] * len(names)])
