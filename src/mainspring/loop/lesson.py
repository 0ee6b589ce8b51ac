"""A dataset as training sees it: who may teach and who is judged, labels as numbers, the rows prepared for fitting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mainspring.declare import System
from mainspring.training import LINEAR, Rows, Split, Task, Trainer, encode_labels, split_by_time, task_of
from mainspring.training.dataset import Dataset, feature_kinds
from mainspring.training.taught import taught_where

__all__ = ["Lesson"]


class Lesson:
    """One dataset, split.

    A decision takes part from the end of its label's horizon on, even when its own label came sooner: or else, near every
    boundary, the outcomes that come quickly would teach and be judged while the slow ones wait. `before_test` numbers all
    rows that a model for the test part may know, `split` leaves out those that `Training(where=…)` does not want learned.
    """

    def __init__(self, system: System, data: Dataset) -> None:
        self.system, self.data = system, data
        self.kinds = feature_kinds(system)
        options, label = system.training, data.labels["label"]
        settled = data.settled_at(system.label)
        self.split: Split = split_by_time(
            data.decided_at,
            settled,
            test=options.test,
            calibrate=options.calibrate,
            window=options.window,
            as_of=data.as_of,
        )
        waiting = int(((settled > data.as_of) & label.is_not_null().to_numpy()).sum())
        left_out = {reason: rows for reason, rows in self.split.left_out.items() if reason != "label not known"}
        if waiting:
            left_out["horizon not over"] = waiting
        self.split = replace(self.split, left_out=left_out)  # labels that are not known were counted as they matured
        self.before_test = self.split.refit
        if options.where is not None:
            self.split = taught_where(options.where, self.split, data.decisions)
        known = np.union1d(self.split.refit, self.split.train)
        classes = tuple(label[known].unique().sort()) if system.label.task == "multiclass" else ()
        self.task: Task = task_of(system.label.task, system.objective, classes)
        self.rows = Rows(
            features=data.features,
            kinds=self.kinds,
            labels=label.to_numpy(),
            decided_at=data.decided_at,
            label_known_at=data.label_known_at,
        )
        self.y = encode_labels(self.rows.labels, self.task)
        self.split = _with_known_classes(self.split, self.y)
        self.trainer: Trainer | None = None

    def prepared(self) -> Trainer:
        """The trainer of the declared model, made when it is first needed."""
        if self.trainer is None:
            self.trainer = Trainer(self.system.model, self.rows, self.y, self.split, self.task, self.system.training)
        return self.trainer

    def linear(self) -> Trainer:
        """The trainer of the linear baseline."""
        return Trainer(LINEAR, self.rows, self.y, self.split, self.task, self.system.training)


def _with_known_classes(split: Split, y: np.ndarray) -> Split:
    """Return the split without test rows of a class that no row to learn from has: no model could have named it."""
    unseen = np.isnan(y[split.test])
    if not unseen.any():
        return split
    left_out = {**split.left_out, "class not seen before the test part": int(unseen.sum())}
    return replace(split, test=split.test[~unseen], left_out=left_out)
