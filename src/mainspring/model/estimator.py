"""A fitted scikit-learn estimator, stored with skops: data about known classes, never code.

Beside it may lie the same function in ONNX, which answers single rows many times faster. skops stays the meaning.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import polars as pl

from mainspring.errors import BundleError
from mainspring.model.calibration import expit
from mainspring.model.encoding import LinearEncoder
from mainspring.model.skops_archive import canonical

__all__ = ["EstimatorPredictor", "load_estimator"]


@dataclass(frozen=True, eq=False)
class EstimatorPredictor:
    """An estimator and the encoder of its inputs; without an encoder it is given the frame of features itself.

    With `scores` the estimator has no probabilities: its decision_function is squeezed into (0, 1) by the logistic
    function, and calibration makes it a probability.

    `onnx` is the estimator in ONNX, found to answer alike when it was made (`onnx_form`); `onnx_note` says how nearly alike,
    or why there is none.
    """

    estimator: Any
    task: str
    names: tuple[str, ...]
    encoder: LinearEncoder | None = None
    scores: bool = False
    classes: int = 0
    onnx: bytes | None = field(default=None, repr=False)
    onnx_note: str = ""

    def predict(self, frame: pl.DataFrame) -> np.ndarray:
        """Return P(yes) (rows,), the probability of each class (rows, classes), or the number (rows,)."""
        return self.answer(frame.select(self.names) if self.encoder is None else self.encoder.encode(frame))

    def answer(self, rows: Any) -> np.ndarray:
        """Return what `predict` returns for rows as the estimator takes them."""
        if not len(rows):  # scikit-learn refuses to predict no rows
            return np.empty((0, self.classes) if self.task == "multiclass" else 0)
        if self.task == "regression":
            return self.read(self.estimator.predict(rows))
        return self.read(self.estimator.decision_function(rows) if self.scores else self.estimator.predict_proba(rows))

    def read(self, raw: Any) -> np.ndarray:
        """Return as an answer what the estimator says: numbers, margins, or a probability for each class it has met."""
        said = np.asarray(raw, dtype=np.float64)
        if self.task == "regression":
            return said.reshape(len(said))
        if self.scores:
            return expit(said)
        if self.task == "binary":
            return said[:, 1]
        every = np.zeros((len(said), self.classes))  # a class that no row taught has no column of its own
        every[:, self.estimator.classes_.astype(np.intp)] = said
        return every

    def files(self) -> dict[str, bytes]:
        """Return what a bundle stores: the estimator, its inputs, and its form in ONNX where there is one.

        Raises BundleError (BUNDLE_UNTRUSTED) when the estimator holds objects that no bundle could load again.
        """
        import skops.io

        stored = canonical(skops.io.dumps(self.estimator))
        _trusted_types(stored)
        rest = {
            "task": self.task,
            "names": self.names,
            "encoder": self.encoder,
            "scores": self.scores,
            "classes": self.classes,
            "onnx_note": self.onnx_note,
        }
        onnx = {} if self.onnx is None else {"model.onnx": self.onnx}
        return {"model.skops": stored, "inputs.json": msgspec.json.encode(rest), **onnx}


def load_estimator(files: dict[str, bytes]) -> EstimatorPredictor:
    """Read what `EstimatorPredictor.files` gave.

    Raises BundleError (BUNDLE_UNTRUSTED) when the estimator holds types of other packages than scikit-learn, NumPy and
    SciPy: such types could run code of their own while they are loaded.
    """
    import skops.io

    stored = files["model.skops"]
    estimator = skops.io.loads(stored, trusted=_trusted_types(stored))
    rest = msgspec.json.decode(files["inputs.json"], type=_Inputs)
    return EstimatorPredictor(
        estimator,
        rest.task,
        rest.names,
        rest.encoder,
        rest.scores,
        rest.classes,
        files.get("model.onnx"),
        rest.onnx_note,
    )


class _Inputs(msgspec.Struct, frozen=True):
    task: str
    names: tuple[str, ...]
    encoder: LinearEncoder | None
    scores: bool
    classes: int = 0
    onnx_note: str = ""


def _trusted_types(stored: bytes) -> list[str]:
    """Return the types of the archive that skops does not trust by itself and we do: scikit-learn's own classes."""
    import skops.io

    unknown = skops.io.get_untrusted_types(data=stored)
    foreign = [name for name in unknown if not _is_class_of_sklearn(name)]
    if foreign:
        raise BundleError(
            "BUNDLE_UNTRUSTED",
            f"The estimator holds {', '.join(foreign)}.",
            exists="A bundle holds types of scikit-learn, NumPy and SciPy only; anything else could run code when loaded.",
            fix="Build the pipeline from scikit-learn's own parts, or compute that step as a feature.",
        )
    return unknown


def _is_class_of_sklearn(name: str) -> bool:
    """Say whether a dotted name is a class that scikit-learn itself defines, not a function or something it imported."""
    if not name.startswith("sklearn."):
        return False
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return False
    return isinstance(found, type) and found.__module__.startswith("sklearn.")
