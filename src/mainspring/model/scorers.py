"""What answers rows of plain values before calibration: one scorer for each kind of predictor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from mainspring.model.calibration import expit
from mainspring.model.estimator import EstimatorPredictor
from mainspring.model.forest import Forest, read_forest
from mainspring.model.linear import LinearPredictor
from mainspring.model.model import Model
from mainspring.model.onnx_session import OnnxSession, open_session
from mainspring.model.plain_values import RowReader, frame_of
from mainspring.model.row_encoder import RowEncoder
from mainspring.model.single_value import expit_one
from mainspring.model.trees import TreePredictor

__all__ = ["Scorer", "scorer_of"]

Answer = float | tuple[float, ...]


class Scorer(Protocol):
    """Answers rows. Guarantees: keeps no state, so any number of threads may ask at once.

    Answers are those of `Model.predict_uncalibrated`, to the last bit; those from ONNX are as near as `onnx_form` says.
    Both methods raise BundleError (BUNDLE_INPUT) for a value that its feature cannot have.
    """

    batches: bool  # whether many rows at once cost much less than one after the other

    def score_one(self, values: Mapping[str, Any]) -> Answer:
        """Return P(yes), the probability of each class, or the number, as for a frame of this row alone."""
        ...

    def score_many(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Return what `Model.predict_uncalibrated` returns for a frame of the rows."""
        ...


def scorer_of(model: Model) -> Scorer:
    """Return the fastest scorer that answers as the model does."""
    predictor = model.predictor
    if isinstance(predictor, TreePredictor):
        reader = RowReader(predictor.schema)
        forest = read_forest(predictor.text, [reader.order.index(name) for name in predictor.schema.names])
        if forest is not None:
            return ForestScorer(reader, forest)
    if isinstance(predictor, LinearPredictor):
        return LinearScorer(model, predictor)
    if isinstance(predictor, EstimatorPredictor) and predictor.encoder is not None:
        session = open_session(predictor.onnx) if predictor.onnx is not None else None
        answer = predictor.answer if session is None else onnx_answer(predictor, session)
        return EncodedScorer(RowEncoder(model.schema, predictor.encoder).encode, answer)
    return FrameScorer(model)


def onnx_answer(predictor: EstimatorPredictor, session: OnnxSession) -> Callable[[np.ndarray], np.ndarray]:
    """Return what answers encoded rows by ONNX, in the form of `EstimatorPredictor.answer`.

    Rows that hold numbers beyond what the session takes go to the estimator, which may refuse them.
    """

    def answer(matrix: np.ndarray) -> np.ndarray:
        given = session.convert(matrix)
        if not len(given) or not np.isfinite(given).all():
            return predictor.answer(matrix)
        said = session.run(given)
        return predictor.read(said[:, -1] if predictor.scores else said)

    return answer


class ForestScorer:
    """Trees as arrays. Loads no LightGBM, and so neither its threads nor what it keeps for the whole process."""

    batches = False

    def __init__(self, reader: RowReader, forest: Forest) -> None:
        from mainspring.model import forest_kernels  # brings Numba, which only those need who compile trees

        self._reader = reader
        self._forest = (forest.nodes, forest.words, forest.roots, forest.cells, forest.link, forest.scale)
        self._outputs = len(forest.roots)
        self._score_row, self._score_rows = forest_kernels.score_row, forest_kernels.score_rows
        self.score_one({})  # the first call of a kernel compiles it: better here than while a request waits
        self.score_many([{}])

    def score_one(self, values: Mapping[str, Any]) -> Answer:
        if self._outputs > 1:
            return tuple(self.score_many([values])[0].tolist())
        row = np.frombuffer(self._reader.pack(values), np.float64)
        return self._score_row(*self._forest, row)

    def score_many(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        out = np.empty((len(rows), self._outputs))
        if len(rows):
            self._score_rows(*self._forest, self._reader.matrix(rows), out)
        return out if self._outputs > 1 else out[:, 0]


class LinearScorer:
    """A linear model: rows are encoded by hand and weighed by the same product of matrices as a frame."""

    batches = False

    def __init__(self, model: Model, predictor: LinearPredictor) -> None:
        self._encode = RowEncoder(model.schema, predictor.encoder).encode
        self._weights, self._intercepts = np.array(predictor.weights).T, np.array(predictor.intercepts)
        self._task, self._answer = predictor.task, predictor.answer

    def score_one(self, values: Mapping[str, Any]) -> Answer:
        scores = self._encode([values]) @ self._weights + self._intercepts
        if self._task == "regression":
            return scores.item(0)
        if self._task == "binary":
            return expit_one(scores.item(0))
        chances = expit(scores)
        return tuple((chances / np.maximum(chances.sum(axis=1, keepdims=True), 1e-300))[0].tolist())

    def score_many(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        return self._answer(self._encode(rows))


class EncodedScorer:
    """What answers encoded rows all at once: an estimator, or its form in ONNX."""

    batches = True

    def __init__(
        self, encode: Callable[[Sequence[Mapping[str, Any]]], Any], answer: Callable[[Any], np.ndarray]
    ) -> None:
        self._encode, self._answer = encode, answer

    def score_one(self, values: Mapping[str, Any]) -> Answer:
        answer = self.score_many([values])[0].tolist()
        return tuple(answer) if isinstance(answer, list) else answer

    def score_many(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        return self._answer(self._encode(rows))


class FrameScorer(EncodedScorer):
    """Any model, by way of a frame."""

    def __init__(self, model: Model) -> None:
        super().__init__(lambda rows: frame_of(rows, model.schema), model.predict_uncalibrated)
