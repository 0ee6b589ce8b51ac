"""Retraining: a candidate from what was known at an instant, and its gate: is it to be let in beside the champion?"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mainspring.adaptation.triggers import Why
from mainspring.declare import System
from mainspring.errors import DataError, TrainingError
from mainspring.evaluation.guards import guard_figure, guard_result
from mainspring.evaluation.metric import Metric, objective_metric
from mainspring.features.rows import row_expression
from mainspring.model.model import Model
from mainspring.model.onnx_form import COMPARED, with_onnx
from mainspring.monitoring.realised import Figure
from mainspring.training import Rows, Task, decision_threshold, encode_labels, split_by_time, task_of, train
from mainspring.training.continued import go_on
from mainspring.training.dataset import Dataset, feature_kinds
from mainspring.training.split import NEVER
from mainspring.training.taught import taught, taught_where
from mainspring.training.weights import declared_weights

__all__ = ["Candidate", "Gate", "Past", "continued", "judge_candidate", "trained"]

_GATE_SHARE, _GATE_LEAST, _GATE_MOST = 0.05, 500, 5_000  # of the labels that are known: the newest, to judge on
_FEWEST_LABELS = 40
_FEWEST_ON_A_SLICE = 30
_Z_ONE_SIDED = 2.5758  # 99.5%: a slice is to be surely worse before it stops a candidate


class Past:
    """All decisions of a history as a retraining sees them; what was known at an instant is a part of it.

    A decision may teach and judge from the end of its label's horizon on (`settled`), even where its own label came
    sooner, or outcomes that come quickly would teach while the slow ones wait.
    """

    def __init__(self, system: System, data: Dataset, until: int) -> None:
        """`until` (microseconds): classes of a label are those known by then; one of another class neither teaches nor judges."""
        label = data.labels["label"]
        self.system, self.data, self.kinds = system, data, feature_kinds(system)
        self.settled = data.settled_at(system.label)
        multiclass = system.label.task == "multiclass"
        classes = tuple(label.filter(self.settled <= until).unique().sort()) if multiclass else ()
        self.task: Task = task_of(system.label.task, system.objective, classes)
        self.y = encode_labels(label.to_numpy(), self.task)
        self.settled = np.where(np.isnan(self.y), NEVER, self.settled)

    def rows(self, end: int) -> Rows:
        """Return the first `end` rows."""
        data = self.data
        return Rows(
            features=data.features[:end],
            kinds=self.kinds,
            labels=self.y[:end],
            decided_at=data.decided_at[:end],
            label_known_at=data.label_known_at[:end],
        )

    def made_by(self, now: int) -> int:
        """How many decisions were made by an instant."""
        return int(np.searchsorted(self.data.decided_at, now, side="right"))

    def gate(self, as_of: int) -> NDArray[np.intp]:
        """Return the newest rows whose label was settled at an instant: what a candidate of then is judged on."""
        known = np.flatnonzero(self.settled[: self.made_by(as_of)] <= as_of)
        if len(known) < _FEWEST_LABELS:
            raise TrainingError(
                "TRAIN_SPLIT",
                f"Only {len(known)} labels are known, too few to train on some and to judge on the others.",
                fix="Begin later.",
            )
        rows = min(max(round(_GATE_SHARE * len(known)), _GATE_LEAST), _GATE_MOST, len(known) // 4)
        begin = int(self.data.decided_at[known[-rows]])
        return known[self.data.decided_at[known] >= begin]


@dataclass(frozen=True)
class Candidate:
    """A model, the rows it is to be judged on, which it has not seen, how long it took, and the window it was trained on.

    `windows` holds what each declared window was worth, where one was chosen: the objective's metric on rows that are older
    than those that judge. One that held too few labels to train on is not among them.
    """

    model: Model
    judged_on: NDArray[np.intp]
    seconds: float
    window: str | None = None  # None: all history
    windows: Mapping[str | None, float] = field(default_factory=dict)

    @property
    def evidence(self) -> dict[str, Any]:
        """Which window was taken of which, for the record of the loop; nothing where none was chosen."""
        if not self.windows:
            return {}
        tried = {window or "all history": value for window, value in self.windows.items()}
        return {"window": self.window or "all history", "windows": tried}


def trained(past: Past, as_of: int, window: str | tuple[str | None, ...] | None = None) -> Candidate:
    """Train as declared on what was settled at an instant, less the newest rows, which are to judge.

    What is judged is what answers: no fit follows that nobody has judged. `window` None: as `Training` declares it. Of
    several windows the best is chosen as of the instant from which rows judge: a model of each window is made that could
    have been made then, and judged as its gate would have judged it. Those rows are older than the gate's and newer than
    what these models learned from; the first of equals is taken. That costs one fit more than there are windows.

    Raises DataError (DATA_TOO_FEW, DATA_ONE_CLASS) and TrainingError; of several windows, where none can be trained on.
    """
    begin = time.perf_counter()
    if not isinstance(window, tuple):
        return _trained_on(past, as_of, window)
    metric = objective_metric(past.system.objective, past.task.kind)
    worth = _tried(past, int(past.data.decided_at[past.gate(as_of)[0]]), window, metric)
    best = min(worth, key=lambda each: (np.isnan(worth[each]), metric.loss(worth[each])))
    return replace(_trained_on(past, as_of, best), windows=worth, seconds=time.perf_counter() - begin)


def _tried(past: Past, as_of: int, windows: tuple[str | None, ...], metric: Metric) -> dict[str | None, float]:
    """What a model of each window is worth on the rows that would have judged it at an instant."""
    found: dict[str | None, float] = {}
    for window in dict.fromkeys(each or past.system.training.window for each in windows):
        try:
            tried = _trained_on(past, as_of, window)
        except (DataError, TrainingError) as error:  # a window may be too short for a system's labels, and another not
            refused = error
            continue
        rows = tried.judged_on
        found[window] = metric.value_or_nan(past.y[rows], tried.model.predict(past.data.features[rows]))
    if not found:
        raise refused
    return found


def _trained_on(past: Past, as_of: int, window: str | None) -> Candidate:
    begin = time.perf_counter()
    system, end, judged_on = past.system, past.made_by(as_of), past.gate(as_of)
    options = system.training
    rows = past.rows(end)
    split = split_by_time(
        rows.decided_at,
        past.settled[:end],
        test=int(rows.decided_at[judged_on[0]]),
        calibrate=options.calibrate,
        window=window or options.window,
        as_of=as_of,
    )
    if options.where is not None:
        split = taught_where(options.where, split, past.data.decisions[:end])
    found = train(system.model, rows, past.task, options, as_of=as_of, split=split)
    model = replace(found.model, threshold=decision_threshold(system.objective.payoff))
    return Candidate(model, judged_on, time.perf_counter() - begin, window or options.window)


def continued(past: Past, parent: Model, parent_as_of: int, as_of: int) -> Candidate:
    """Let a model that was trained as of an instant go on learning: from what it has not seen and is settled now, less the
    newest rows, which are to judge.

    The leaves of trees move towards the new labels by their share of all labels; an estimator of scikit-learn takes them in
    the order of their decisions (`go_on`). Calibration stays. Rows teach and weigh as `Training` declares.

    Raises TrainingError (TRAIN_ESTIMATOR) for a model that cannot, and TrainingError (TRAIN_FAILED).
    """
    begin = time.perf_counter()
    judged_on, learned = past.gate(as_of), past.gate(parent_as_of)[0]
    settled, options = past.settled[: judged_on[0]], past.system.training
    unseen = (np.arange(len(settled)) >= learned) | (settled > parent_as_of)
    rows = np.flatnonzero(unseen & (settled <= as_of))
    if options.where is not None:
        rows = rows[taught(options.where, past.data.decisions[rows])]
    known, frame, y = int((settled <= as_of).sum()), past.data.features[rows], past.y[rows]
    weights = declared_weights(options, past.task, y, past.data.decided_at[rows], as_of) if len(rows) else None
    predictor = go_on(parent.predictor, frame, y, keep=1 - len(rows) / max(known, 1), weights=weights)
    model = with_onnx(replace(parent, predictor=predictor), frame[-COMPARED:]) if len(rows) else parent
    return Candidate(model, judged_on, time.perf_counter() - begin)


@dataclass(frozen=True)
class Gate:
    """Whether a candidate is let in, why, and the figures of both on the rows that judged."""

    passed: bool
    why: Why
    candidate: dict[str, float]
    champion: dict[str, float]
    said: NDArray[np.float64]  # what the candidate predicts of these rows


def judge_candidate(
    past: Past, candidate: Model, champion: Model, judged_on: NDArray[np.intp], figures: Mapping[str, Figure]
) -> Gate:
    """Say whether a candidate beats the champion on rows that neither was fitted on, keeps every guard, and is worse on no slice.

    A slice stops it only where the difference of the two is surely (99.5%, paired) for the worse, on 30 rows or more.
    """
    objective = past.system.objective
    metric = objective_metric(objective, past.task.kind)
    name = metric.name
    frame, y = past.data.features[judged_on], past.y[judged_on]
    said, before = candidate.predict(frame), champion.predict(frame)
    found = {each.name: each.mean(y, said) for each in figures.values()}
    held = {each.name: each.mean(y, before) for each in figures.values()}
    ours, theirs = (metric.value_or_nan(y, p) for p in (said, before))
    found[name], held[name] = ours, theirs
    evidence = {"rows": len(judged_on), "metric": name, "candidate": ours, "champion": theirs}
    better = metric.loss(ours) < metric.loss(theirs)
    verb = "beats" if better else "does not beat"
    told = f"{name} {ours:.4f} {verb} the champion's {theirs:.4f} on the newest {len(judged_on):,} labels"
    decisions, worth = past.data.decisions[judged_on], figures["payoff"].row(y, said) if "payoff" in figures else None
    guards = [guard_result(g, guard_figure(g, past.task.kind, y, said, decisions, worth)) for g in objective.guards]
    broken = [
        f"{each.metric} {each.limit} (it is {each.figure:.4f})"
        for each in guards
        if not each.passed and not np.isnan(each.figure)  # where nothing can be said of a guard, it is kept
    ]
    worse = _worse_slices(past, judged_on, figures.get(name), y, said, before) if better and not broken else []
    if broken:
        told += f"; it breaks {', '.join(broken)}"
    if worse:
        told += f"; it is worse where {', '.join(worse)}"
    evidence |= {"broken": broken, "worse_slices": worse}
    return Gate(better and not broken and not worse, Why(told, evidence), found, held, said)


def _worse_slices(
    past: Past, rows: NDArray[np.intp], figure: Figure | None, y: NDArray, said: NDArray, before: NDArray
) -> list[str]:
    if figure is None:
        return []
    sign = -1.0 if figure.greater_is_better else 1.0
    worse = sign * (figure.row(y, said) - figure.row(y, before))
    found = []
    for column in past.system.objective.slices:
        values = past.data.decisions[rows].select(row_expression(column)).to_series()
        table = (
            pl.DataFrame({"value": values, "worse": worse})
            .group_by("value")
            .agg(pl.len().alias("n"), pl.col("worse").mean().alias("mean"), pl.col("worse").std().alias("std"))
            .filter(pl.col("n") >= _FEWEST_ON_A_SLICE)
            .filter(pl.col("mean") > _Z_ONE_SIDED * pl.col("std") / pl.col("n").sqrt())
            .sort("mean", descending=True)
        )
        found += [f"{column.name} is {value}" for value in table["value"].to_list()]
    return found
