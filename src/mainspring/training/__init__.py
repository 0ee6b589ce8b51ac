"""From labelled rows to a fitted model: split by time with an embargo, weigh rows, fit LightGBM, any scikit-learn estimator or
the linear baseline, choose a calibration on later rows, and find the threshold that pays. Everything here is given its rows
and its instants; the same inputs give the same model.
"""

from mainspring.cores import available_cores
from mainspring.training.calibrate import CalibrationChoice, choose_calibration, fit_calibration
from mainspring.training.fit import LINEAR, Rows, Trained, Trainer, Wanted, fit, train
from mainspring.training.split import NEVER, Fold, Split, rolling_origin, split_by_time
from mainspring.training.task import Task, encode_labels, task_of
from mainspring.training.threshold import decision_threshold
from mainspring.training.weights import class_weights, decay_weights, row_weights

__all__ = [
    "LINEAR", "NEVER", "CalibrationChoice", "Fold", "Rows", "Split", "Task", "Trained", "Trainer", "Wanted", "available_cores",
    "choose_calibration", "class_weights", "decay_weights", "decision_threshold", "encode_labels", "fit", "fit_calibration",
    "rolling_origin", "row_weights", "split_by_time", "task_of", "train",
]  # fmt: skip
