"""ONNX Runtime, the optional package that answers for an estimator: the only place that loads it."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import numpy as np

__all__ = ["OnnxSession", "open_session"]

_log = logging.getLogger("mainspring.model")


class OnnxSession:
    """A model in ONNX, ready to answer matrices. Guarantees: one thread, the caller's; any number of callers at once.

    Memory is given back after each call: no arena keeps what the largest batch once took.

    Raises ImportError without the package onnxruntime, and its own errors for a model that it cannot run.
    """

    def __init__(self, model: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # no pool: the server's threads are enough
        options.enable_cpu_mem_arena = options.enable_mem_pattern = False
        options.log_severity_level = 3  # errors
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        given = self._session.get_inputs()[0]
        self._name, self._dtype = given.name, np.float64 if given.type == "tensor(double)" else np.float32
        self._answer = [self._session.get_outputs()[-1].name]  # a classifier names its label first

    def convert(self, matrix: np.ndarray) -> np.ndarray:
        """Return a matrix as the session takes it; numbers beyond float32 become infinite where it takes float32."""
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(matrix, self._dtype)

    def run(self, given: np.ndarray) -> np.ndarray:
        """Return what the model says of converted rows: a row of numbers for each."""
        said: Any = self._session.run(self._answer, {self._name: given})[0]
        return said


def open_session(model: bytes) -> OnnxSession | None:
    """Open a session to serve with; None, said once in the log, when ONNX Runtime is missing or cannot run the model."""
    try:
        return OnnxSession(model)
    except ImportError:
        _say_once("ONNX Runtime is not installed, so estimators answer themselves: pip install 'mainspring[onnx]'")
    except Exception as error:  # its errors share no class of their own; the estimator answers in any case
        _say_once(f"ONNX Runtime cannot run model.onnx, so the estimator answers itself: {error}")
    return None


@cache
def _say_once(message: str) -> None:
    _log.warning(message)
