"""From rows to a model: fit, calibrate on later rows, fit again on all that was known."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from mainspring.declare.estimator import LightGBM, Sklearn, Training
from mainspring.errors import TrainingError
from mainspring.model.calibration import Calibration
from mainspring.model.model import Model
from mainspring.model.onnx_form import COMPARED, with_onnx
from mainspring.model.schema import FeatureSchema
from mainspring.training.calibrate import CalibrationChoice, choose_calibration, fit_interval
from mainspring.training.fitter import Fitter
from mainspring.training.gbdt import TreeFitter
from mainspring.training.linear import LinearFitter
from mainspring.training.sklearn_adapter import SklearnFitter
from mainspring.training.split import NEVER, Split, split_by_time
from mainspring.training.task import Task, encode_labels
from mainspring.training.weights import declared_weights

__all__ = ["LINEAR", "Rows", "Trained", "Trainer", "Wanted", "fit", "fitter", "train"]

LINEAR = "linear"  # the baseline, where a declared estimator could stand


_NOT_CALIBRATED = CalibrationChoice(calibration=Calibration(), scores={}, rows=0, reason="none was declared")


@dataclass(frozen=True, eq=False, kw_only=True)
class Rows:
    """Decisions with their features and labels: all of equal length and in the same order.

    `kinds` names the features and says what each is; `labels` are 0 and 1, numbers, or names of classes, missing as NaN
    or None; `decided_at` and `label_known_at` are int64 microseconds, `NEVER` for a label that is not known.
    """

    features: pl.DataFrame
    kinds: Mapping[str, str]
    labels: Any
    decided_at: np.ndarray
    label_known_at: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class Trained:
    """A model with what was decided on the way, and the seconds of each stage."""

    model: Model
    split: Split
    calibration: CalibrationChoice
    y: np.ndarray  # labels (rows,) as numbers: 0 and 1, positions of classes, or values
    trainer: Trainer
    seconds: dict[str, float] = field(default_factory=dict)


def fitter(
    spec: LightGBM | Sklearn | str,
    frame: pl.DataFrame,
    schema: FeatureSchema,
    y: np.ndarray,
    task: Task,
    *,
    seed: int = 0,
    threads: int | None = None,
) -> Fitter:
    """Return the fitter of a declared estimator (or `LINEAR`) over rows that were known before the test part."""
    if isinstance(spec, LightGBM):
        return TreeFitter(spec, frame, schema, y, task, seed=seed, threads=threads)
    if isinstance(spec, Sklearn):
        return SklearnFitter(spec, frame, schema, y, task, seed=seed)
    if spec == LINEAR:
        return LinearFitter(frame, schema, y, task, seed=seed)
    raise TrainingError(
        "TRAIN_ESTIMATOR",
        f"{spec!r} cannot be fitted.",
        fix="Give ms.LightGBM(...) or a scikit-learn estimator.",
    )


def fit(
    spec: LightGBM | Sklearn | str,
    features: pl.DataFrame,
    kinds: Mapping[str, str],
    labels: Any,
    task: Task,
    *,
    weights: np.ndarray | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> Model:
    """Fit one uncalibrated model on all rows given; every label must be known.

    Raises DataError (DATA_ONE_CLASS, DATA_TOO_FEW) and TrainingError (TRAIN_ESTIMATOR, TRAIN_FAILED).
    """
    schema = FeatureSchema.learn(features, kinds)
    y = encode_labels(labels, task)
    predictor = fitter(spec, features, schema, y, task, seed=seed, threads=threads).fit(weights=weights)
    return Model(schema=schema, predictor=predictor, task=task.kind, classes=task.classes)


@dataclass(frozen=True, eq=False)
class Wanted:
    """A fit that is asked for: on a part of the split (row numbers), as it would have been made at an instant.

    `without` and `effort` are for ablations: a model without some features, at a fraction of the cost, that is to be
    compared with one of the same effort that has them all.
    """

    part: np.ndarray
    as_of: int
    without: Collection[str] = ()
    effort: float = 1.0


class Trainer:
    """Fits models on parts of the rows known before the test part, on features that were prepared once.

    Row numbers are those of the whole history; every row must belong to the split's train, calibrate or refit part.
    """

    def __init__(
        self,
        spec: LightGBM | Sklearn | str,
        rows: Rows,
        y: np.ndarray,
        split: Split,
        task: Task,
        options: Training,
        *,
        threads: int | None = None,
    ) -> None:
        self.task, self._options, self._y, self._decided_at = task, options, y, rows.decided_at
        self._known = np.union1d(split.refit, split.train)  # a window can start later for the refit than for train
        frame = rows.features[self._known]
        self.schema = FeatureSchema.learn(frame, rows.kinds)
        self._fitter = fitter(spec, frame, self.schema, y[self._known], task, seed=options.seed, threads=threads)

    def fit(self, wanted: Wanted) -> Model:
        """Fit an uncalibrated model."""
        position = None if len(wanted.part) == len(self._known) else np.searchsorted(self._known, wanted.part)
        part = wanted.part
        weights = declared_weights(self._options, self.task, self._y[part], self._decided_at[part], wanted.as_of)
        predictor = self._fitter.fit(position, weights=weights, without=wanted.without, effort=wanted.effort)
        return Model(schema=self.schema, predictor=predictor, task=self.task.kind, classes=self.task.classes)


def train(
    spec: LightGBM | Sklearn | str,
    rows: Rows,
    task: Task,
    options: Training,
    *,
    as_of: int,
    threshold: float = 0.5,
    split: Split | None = None,
    threads: int | None = None,
) -> Trained:
    """Train as declared: split by time, fit on train, choose the calibration on calibrate, fit again on both.

    Where nothing is to be calibrated (a declared "none") the first fit is left out, unless it is the only one.

    The calibration learned from the first fit serves the second one too: it corrects the algorithm's habit on later
    rows, which no row that a model was fitted on can show. So does the interval of a numeric label; its coverage is proved
    for the first fit, and carries over as far as more rows make the model no worse. An estimator of scikit-learn is given
    its form in ONNX where that answers alike. The test part is not touched. The same inputs give the same
    model, whatever the number of threads.

    Raises DataError (DATA_NO_LABELS, DATA_TOO_FEW, DATA_ONE_CLASS) and TrainingError (TRAIN_SPLIT, TRAIN_ESTIMATOR,
    TRAIN_FAILED).
    """
    watch = _Stopwatch()
    y = encode_labels(rows.labels, task)
    if split is None:
        split = split_by_time(
            rows.decided_at,
            np.where(np.isnan(y), NEVER, rows.label_known_at),
            test=options.test,
            calibrate=options.calibrate,
            window=options.window,
            as_of=as_of,
        )
    trainer = Trainer(spec, rows, y, split, task, options, threads=threads)
    watch.lap("prepare")
    first, last = Wanted(split.train, split.calibrate_from), Wanted(split.refit, split.test_from)
    calibrated = _needs_calibration(spec, task, options)
    models = [
        trainer.fit(each)
        for each in (*([first] if calibrated or not options.refit else []), *([last] if options.refit else []))
    ]
    watch.lap("fit")
    choice = _calibrate(models[0], rows, y, split, options) if calibrated else _NOT_CALIBRATED
    watch.lap("calibrate")
    model = replace(models[-1], calibration=choice.calibration, threshold=threshold)
    model = with_onnx(model, rows.features[_spread(last.part if options.refit else first.part, COMPARED)])
    return Trained(model=model, split=split, calibration=choice, y=y, trainer=trainer, seconds=watch.seconds)


def _needs_calibration(spec: LightGBM | Sklearn | str, task: Task, options: Training) -> bool:
    """Say whether a first fit must be judged on later rows: an estimator may turn out to have margins only."""
    return options.calibration != "none" or (isinstance(spec, Sklearn) and task.kind != "regression")


def _spread(part: np.ndarray, rows: int) -> np.ndarray:
    """Return about as many row numbers, spread evenly over a part."""
    return part[:: max(1, len(part) // rows)]


def _calibrate(model: Model, rows: Rows, y: np.ndarray, split: Split, options: Training) -> CalibrationChoice:
    part, method = split.calibrate, options.calibration
    if getattr(model.predictor, "scores", False) and method in ("auto", "none"):
        method = "platt"  # such an estimator has margins, which only a calibration makes probabilities
    scores = model.predict_uncalibrated(rows.features[part])
    if model.task == "regression":
        interval = Calibration(interval=fit_interval(scores, y[part]))
        return CalibrationChoice(calibration=interval, scores={}, rows=len(part), reason="a number needs none")
    return choose_calibration(scores, y[part], rows.decided_at[part], method)


class _Stopwatch:
    """Seconds since the last lap, by name; a duration, so no instant is asked for."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = now - self._last
        self._last = now
