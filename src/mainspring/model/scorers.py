"""What answers rows of plain values before calibration: one scorer for each kind of predictor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from mainspring.model.calibration import expit
from mainspring.model.encoding import CategoryColumns, NumberColumns
from mainspring.model.forest import Forest, read_forest
from mainspring.model.linear import LinearPredictor
from mainspring.model.model import Model
from mainspring.model.plain_values import RowReader, frame_of
from mainspring.model.schema import Feature, FeatureSchema
from mainspring.model.single_value import expit_one
from mainspring.model.trees import TreePredictor

__all__ = ["Scorer", "scorer_of"]

Answer = float | tuple[float, ...]


class Scorer(Protocol):
    """Answers rows. Guarantees: keeps no state, so any number of threads may ask at once.

    Both methods raise BundleError (BUNDLE_INPUT) for a value that its feature cannot have.
    """

    def score_one(self, values: Mapping[str, Any]) -> Answer:
        """Return P(yes), the probability of each class, or the number, to the last bit as for a frame of this row alone."""
        ...

    def score_many(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Return what `Model.predict_uncalibrated` returns for a frame of the rows, to the last bit."""
        ...


def scorer_of(model: Model) -> Scorer:
    """Return the fastest scorer that answers exactly as the model does."""
    predictor = model.predictor
    if isinstance(predictor, TreePredictor):
        reader = RowReader(predictor.schema)
        forest = read_forest(predictor.text, [reader.order.index(name) for name in predictor.schema.names])
        if forest is not None:
            return ForestScorer(reader, forest)
    if isinstance(predictor, LinearPredictor):
        return LinearScorer(model.schema, predictor)
    return FrameScorer(model)


class ForestScorer:
    """Trees as arrays. Loads no LightGBM, and so neither its threads nor what it keeps for the whole process."""

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
    """A linear model: one row is encoded by hand and weighed by the same product of matrices as a frame."""

    def __init__(self, schema: FeatureSchema, predictor: LinearPredictor) -> None:
        columns = predictor.encoder.columns
        kinds = {feature.name: feature.kind for feature in schema.features}
        # The levels of a category stand for its vocabulary: a position among them says which column is 1.
        levels = {column.name: column.levels for column in columns if isinstance(column, CategoryColumns)}
        self._reader = RowReader(
            FeatureSchema(tuple(Feature(c.name, kinds[c.name], levels.get(c.name, ())) for c in columns))
        )
        by_name = {column.name: column for column in columns}
        first = {name: predictor.encoder.sources.index(name) for name in predictor.encoder.sources}
        self._columns = [(by_name[name], first.get(name, -1)) for name in self._reader.order]
        self._blank = np.zeros((1, len(predictor.encoder.sources)), order="F")
        self._weights, self._intercepts = np.array(predictor.weights).T, np.array(predictor.intercepts)
        self._task = predictor.task
        self._frames = FrameScorer(Model(schema=schema, predictor=predictor, task=predictor.task))

    def score_one(self, values: Mapping[str, Any]) -> Answer:
        scores = self._encode(values) @ self._weights + self._intercepts
        if self._task == "regression":
            return scores.item(0)
        if self._task == "binary":
            return expit_one(scores.item(0))
        chances = expit(scores)
        return tuple((chances / np.maximum(chances.sum(axis=1, keepdims=True), 1e-300))[0].tolist())

    def score_many(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        return self._frames.score_many(rows)

    def _encode(self, values: Mapping[str, Any]) -> np.ndarray:
        matrix = self._blank.copy("F")
        for value, (column, first) in zip(self._reader.read(values), self._columns, strict=True):
            if isinstance(column, NumberColumns):
                missing = not -np.inf < value < np.inf
                matrix[0, first] = ((column.median if missing else value) - column.mean) / column.scale
                if missing and column.marks_missing:
                    matrix[0, first + 1] = 1.0
            elif value == value:
                matrix[0, first + int(value)] = 1.0
        return matrix


class FrameScorer:
    """Any model, by way of a frame."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def score_one(self, values: Mapping[str, Any]) -> Answer:
        answer = self.score_many([values])[0].tolist()
        return tuple(answer) if isinstance(answer, list) else answer

    def score_many(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        return self._model.predict_uncalibrated(frame_of(rows, self._model.schema))
