"""Two runs side by side: what was changed, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import Struct

from mainspring.ledger.records import Dataset, Metric, Model, Run

__all__ = ["Change", "Comparison", "MetricChange", "compare", "parameters_of"]

Side: TypeAlias = tuple[Run, Sequence[Dataset], Sequence[Model], Sequence[Metric]]


class Change(Struct, frozen=True):
    """A value in the first and in the second run; None where a run has none."""

    first: Any
    second: Any


class MetricChange(Struct, frozen=True, kw_only=True):
    """A figure in both runs; `difference` is second minus first, None unless both could be computed.

    `apart` says that the two 95% intervals do not touch. Runs judged on the same rows can differ beyond chance with
    intervals that do touch: this compares records, it is no paired test.
    """

    scope: str
    name: str
    first: Metric | None
    second: Metric | None
    difference: float | None
    apart: bool | None  # None where an interval is missing


class Comparison(Struct, frozen=True, kw_only=True):
    """Everything in which two runs differ, and all figures and seconds of both."""

    first: Run
    second: Run
    metrics: list[MetricChange]
    features_added: list[str]
    features_removed: list[str]
    features_changed: dict[str, Change]  # definitions
    parameters: dict[str, Change]  # of the model, nested ones by dotted path; only those that differ
    snapshots: dict[str, Change]  # by table; only those that differ
    settings: dict[str, Change]  # declaration, code version, as_of, decisions, labelled; only those that differ
    seconds: dict[str, Change]  # by stage, all


def compare(first: Side, second: Side) -> Comparison:
    """Compare two runs, each given with its datasets, models and metrics.

    Of several datasets or models in one run their features, snapshots and parameters are taken together; of figures
    with the same scope and name the one recorded last counts.
    """
    features = [_merged(dataset.features for dataset in side[1]) for side in (first, second)]
    snapshots = [_merged(dataset.snapshots for dataset in side[1]) for side in (first, second)]
    parameters = [_merged(dict(parameters_of(model)) for model in side[2]) for side in (first, second)]
    return Comparison(
        first=first[0],
        second=second[0],
        metrics=_metric_changes(first[3], second[3]),
        features_added=[name for name in features[1] if name not in features[0]],
        features_removed=[name for name in features[0] if name not in features[1]],
        features_changed={
            name: change for name, change in _changes(*features).items() if name in features[0] and name in features[1]
        },
        parameters=_changes(*parameters),
        snapshots=_changes(*snapshots),
        settings=_changes(_settings(first), _settings(second)),
        seconds={
            stage: Change(first[0].seconds.get(stage), second[0].seconds.get(stage))
            for stage in first[0].seconds | second[0].seconds
        },
    )


def _merged(mappings: Iterator[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: value for mapping in mappings for name, value in mapping.items()}


def _changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Change]:
    return {
        name: Change(first.get(name), second.get(name))
        for name in {**first, **second}
        if first.get(name) != second.get(name)
    }


def _settings(side: Side) -> dict[str, Any]:
    run, datasets, _, _ = side
    settings: dict[str, Any] = {
        "system": run.system,
        "declaration": run.declaration,
        "version": run.version,
        "as_of": run.as_of,
    }
    for dataset in datasets:
        settings |= {"decisions": dataset.decisions, "labelled": dataset.labelled}
    return settings


def parameters_of(model: Model) -> Iterator[tuple[str, Any]]:
    """Yield everything a model was made with, nested parameters by dotted path."""
    yield from _flattened(model.estimator, "")
    yield "calibration", model.calibration
    yield "threshold", model.threshold


def _flattened(tree: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _flattened(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def _metric_changes(first: Sequence[Metric], second: Sequence[Metric]) -> list[MetricChange]:
    sides = [{(metric.scope, metric.name): metric for metric in metrics} for metrics in (first, second)]
    return [_metric_change(key, sides[0].get(key), sides[1].get(key)) for key in sides[0] | sides[1]]


def _metric_change(key: tuple[str, str], first: Metric | None, second: Metric | None) -> MetricChange:
    difference, apart = None, None
    if first is not None and second is not None:
        if first.value is not None and second.value is not None:
            difference = second.value - first.value
        if first.low is not None and first.high is not None and second.low is not None and second.high is not None:
            apart = first.high < second.low or second.high < first.low
    return MetricChange(scope=key[0], name=key[1], first=first, second=second, difference=difference, apart=apart)
