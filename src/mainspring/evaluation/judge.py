"""Judge a model on the test part, once: every question of the report, answered in one place and in the report's order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mainspring.clock import DAY, format_instant
from mainspring.declare import ErrorCost, Guard, Kind, Payoff, System
from mainspring.evaluation.baselines import Competitor
from mainspring.evaluation.bootstrap import Resamples, intervals, paired_difference, resample
from mainspring.evaluation.guards import guard_figure, guard_result
from mainspring.evaluation.importance import permutation_importance
from mainspring.evaluation.leakage import NO_FACT, known_close_to_label, shared_groups, shared_rows, too_good_alone
from mainspring.evaluation.metric import Metric, metric_named, metrics_for, objective_metric
from mainspring.evaluation.payoff import error_payoff, payoff
from mainspring.evaluation.periods import period_results
from mainspring.evaluation.reliability import histogram, reliability
from mainspring.evaluation.results import (
    Baseline,
    ConfusionCell,
    Evaluation,
    GuardResult,
    Interval,
    LeakageFinding,
    PartSummary,
    ReliabilityBin,
    Reversal,
    ThresholdPoint,
)
from mainspring.evaluation.robustness import run_checks
from mainspring.evaluation.simpson import reversals
from mainspring.evaluation.slices import slice_results
from mainspring.features import plan
from mainspring.model import Model
from mainspring.training import Split
from mainspring.training.dataset import Dataset

__all__ = ["judge"]

Floats = NDArray[np.float64]
_IMPORTANCE_ROWS = 4_000  # each feature asks for a prediction of as many rows


def judge(
    system: System,
    dataset: Dataset,
    y: Floats,
    split: Split,
    model: Model,
    baselines: Iterable[Competitor],
    *,
    gain: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Evaluation:
    """Return everything there is to say about a model on the test rows of a split.

    `y` (rows,) holds all labels as numbers, NaN where unknown; `gain` is the model's own split gain per feature. All
    intervals come from the same resampled days, so that figures can be compared.
    """
    return _Judgement(system, dataset, y, split, model, seed).evaluation(baselines, gain)


class _Judgement:
    """The test rows and what was predicted for them, while they are being judged."""

    def __init__(self, system: System, dataset: Dataset, y: Floats, split: Split, model: Model, seed: int) -> None:
        self.system, self.dataset, self.split, self.model, self.seed = system, dataset, split, model, seed
        self.y_all = y
        self.y = y[split.test]
        self.rows = dataset.decisions[split.test]
        self.features = dataset.features[split.test]
        self.days = dataset.decided_at[split.test] // DAY
        self.resamples: Resamples = resample(self.days, seed=seed)
        self.raw = model.predict_uncalibrated(self.features)
        self.p = model.calibration.apply(self.raw)
        self.metrics = _metrics(system, model.task)
        self.metric = self.metrics[0]
        self.worth = self.payoffs(self.p)

    def payoffs(self, p: Floats) -> Floats | None:
        """What each decision was worth under a prediction; None when the objective names no payoff for this task."""
        values = self.system.objective.payoff
        if isinstance(values, Payoff) and self.model.task == "binary":
            return payoff(self.y, p >= self.model.threshold, values)
        if isinstance(values, ErrorCost) and self.model.task == "regression":
            return error_payoff(self.y, p, values)
        return None

    def evaluation(self, baselines: Iterable[Competitor], gain: Mapping[str, float] | None) -> Evaluation:
        found = intervals(self.metrics, self.y, self.p, self.resamples, self.worth)
        binary = self.model.task == "binary"
        columns = [column.name for column in self.system.objective.slices]
        return Evaluation(
            system=self.system.name,
            task=self.model.task,
            label=repr(self.system.label.outcome),
            metric=self.metric.name,
            parts=self.parts(),
            metrics={name: interval for name, interval in found.items() if name != "payoff"},
            payoff=found.get("payoff"),
            payoff_unit=self.system.objective.payoff.unit if self.system.objective.payoff is not None else None,
            baselines=[self.baseline(competitor) for competitor in baselines],
            threshold=self.model.threshold if binary else None,
            payoff_curve=self.payoff_curve(),
            confusion=self.confusion(),
            calibration=self.model.calibration.method,
            slices=slice_results(
                self.rows,
                self.y,
                self.p,
                self.resamples,
                self.metrics[:1] + self.metrics[1:4],
                columns=columns,
                payoff=self.worth,
            ),
            simpson=self.simpson(),
            reliability=reliability(self.y, self.p, self.resamples) if binary else [],
            reliability_before=self.before_calibration(),
            histogram=histogram(self.p if self.p.ndim == 1 else self.p.max(axis=1)),
            periods=period_results(self.days, self.y, self.p, self.metric),
            importance=permutation_importance(
                self.features,
                self.y,
                self.model.predict,
                self.metric,
                self.days,
                gain=gain,
                groups={name: self.system.group_of(name) for name in self.system.features},
                repeats=1,
                at_most_rows=_IMPORTANCE_ROWS,
                seed=self.seed,
            ),
            leakage=self.leakage(),
            checks=run_checks(self.system.checks, self.features, self.answer, seed=self.seed),
            guards=[self.guard(guard, found) for guard in self.system.objective.guards],
            left_out={**self.dataset.left_out, **self.split.left_out},
            notes=[self.resamples.note] if self.resamples.note else [],
        )

    def answer(self, features: pl.DataFrame) -> Floats:
        """The prediction as one number for each row: for several classes the probability of the most frequent one."""
        p = self.model.predict(features)
        return p if p.ndim == 1 else p[:, int(np.bincount(self.y.astype(np.intp)).argmax())]

    def parts(self) -> list[PartSummary]:
        summaries = []
        for name in ("train", "calibrate", "test"):
            rows: NDArray[np.intp] = getattr(self.split, name)
            at, y = self.dataset.decided_at[rows], self.y_all[rows]
            mean = (
                float(y.mean())
                if self.model.task != "multiclass"
                else float(np.bincount(y.astype(np.intp)).max() / len(y))
            )
            summaries.append(
                PartSummary(
                    name=name,
                    rows=len(rows),
                    first=format_instant(int(at[0])),
                    last=format_instant(int(at[-1])),
                    label_mean=mean,
                )
            )
        return summaries

    def baseline(self, competitor: Competitor) -> Baseline:
        p = competitor.prediction
        worth = self.payoffs(p)
        found = intervals(self.metrics, self.y, p, self.resamples, worth)
        both = None if self.worth is None or worth is None else (self.worth, worth)
        ahead = paired_difference([self.metric], self.y, self.p, p, self.resamples, both)
        return Baseline(
            name=competitor.name,
            description=competitor.description,
            kind=competitor.kind,
            metrics={name: interval for name, interval in found.items() if name != "payoff"},
            payoff=found.get("payoff"),
            difference=ahead.get(self.metric.name),
            payoff_difference=ahead.get("payoff"),
        )

    def before_calibration(self) -> list[ReliabilityBin]:
        if self.model.task != "binary" or self.model.calibration.method == "none":
            return []
        return reliability(self.y, self.raw, self.resamples)

    def payoff_curve(self) -> list[ThresholdPoint]:
        values = self.system.objective.payoff
        if not isinstance(values, Payoff) or self.model.task != "binary":
            return []
        thresholds = [*(n / 50 for n in range(51)), self.model.threshold]
        return [
            ThresholdPoint(
                threshold=threshold,
                payoff=float(payoff(self.y, self.p >= threshold, values).mean()),
                share=float((self.p >= threshold).mean()),
            )
            for threshold in sorted(set(thresholds))
        ]

    def confusion(self) -> list[ConfusionCell]:
        if self.model.task == "regression":
            return []
        names = list(self.model.classes) or ["no", "yes"]
        given = (self.p >= self.model.threshold).astype(np.intp) if self.p.ndim == 1 else self.p.argmax(axis=1)
        cells = np.bincount(self.y.astype(np.intp) * len(names) + given, minlength=len(names) ** 2)
        return [
            ConfusionCell(actual=names[i // len(names)], predicted=names[i % len(names)], rows=int(rows))
            for i, rows in enumerate(cells)
        ]

    def simpson(self) -> list[Reversal]:
        """Reversals of the label's own rate over the whole history, among the categories of the decision's row."""
        if self.model.task != "binary":
            return []
        known = ~np.isnan(self.y_all)
        categories = [c.name for c in self.system.decision.table.__schema__.columns if c.kind is Kind.CATEGORY]
        return reversals(self.dataset.decisions.filter(pl.Series(known)), self.y_all[known], columns=categories)

    def leakage(self) -> list[LeakageFinding]:
        split, dataset = self.split, self.dataset
        labelled = np.concatenate([split.refit, split.test])
        times = {
            name: dataset.newest[name][labelled].to_physical().fill_null(NO_FACT).to_numpy()
            for name in dataset.newest.columns
        }
        work = plan(self.system.features)
        read = {name: [times[scan.name] for scan in work.scans_of(name)] for name in self.system.features}
        newest = {name: np.max(columns, axis=0) for name, columns in read.items() if columns}
        keys = [c.name for c in self.system.decision.table.__schema__.columns if c.kind in {Kind.KEY, Kind.CATEGORY}]
        audit = metric_named("auc", "binary") if self.model.task == "binary" else self.metric
        figure = audit.value_or_nan(self.y, self.p) if self.model.task == "binary" else None
        shared = shared_rows(dataset.features[split.refit], self.features)
        return [
            *too_good_alone(dataset.features[split.refit], self.y_all[split.refit], self.model.task, figure),
            *known_close_to_label(dataset.decided_at[labelled], dataset.label_known_at[labelled], newest),
            *([shared] if shared is not None else []),
            *shared_groups(
                dataset.decisions[split.refit], self.rows, keys, self.y, self.p, self.metric, self.resamples
            ),
        ]

    def guard(self, guard: Guard, found: Mapping[str, Interval]) -> GuardResult:
        if guard.where is None and guard.metric in found:
            return guard_result(guard, found[guard.metric].value)
        return guard_result(guard, guard_figure(guard, self.model.task, self.y, self.p, self.rows, self.worth))


def _metrics(system: System, task: str) -> list[Metric]:
    """The metrics of a task, the objective's first."""
    first = objective_metric(system.objective, task)
    return [first, *(metric for metric in metrics_for(task) if metric.name != first.name)]
