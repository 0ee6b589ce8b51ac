"""Shadows: models that are asked what the arms were asked and never answer. They read the journal, so they slow nobody."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from mainspring.answers import Prediction
from mainspring.errors import WorkspaceError
from mainspring.model import Model
from mainspring.model.plain_values import frame_of
from mainspring.serving.predictor import answer_field
from mainspring.serving.records import PredictionMade

__all__ = ["Shadows"]

_log = logging.getLogger("mainspring.serving")


class Shadows:
    """Asks shadows in batch, with the features that the answering arm saw."""

    def __init__(self, load: Callable[[str], Model]) -> None:
        """`load` makes a model by its name, and raises MainspringError where there is none."""
        self._load = load
        self._models: dict[str, Model | None] = {}

    def predictions(self, made: Sequence[PredictionMade]) -> Iterator[PredictionMade]:
        """Yield what the shadows of these predictions would have answered; the id is the answered one's with the arm's name.

        A model that cannot be loaded, or not asked with these features, is told in the log and left out: from then on, or
        for now where only the workspace cannot be read.
        """
        asked: dict[tuple[str, str], list[PredictionMade]] = {}
        for each in made:
            for arm, name in each.shadows.items():
                asked.setdefault((arm, name), []).append(each)
        for (arm, name), each_made in asked.items():
            model = self._model(name)
            if model is None:
                continue
            try:
                answers = model.predict(frame_of([each.features for each in each_made], model.schema))
                decisions = model.decide(answers).tolist()
                found = model.interval(answers) if model.task == "regression" else None
            except Exception as error:  # of whatever kind: a shadow must not keep predictions out of the lake
                _log.warning("the shadow %s cannot be asked: %s", name, error)
                self._models[name] = None
                continue
            intervals = [None] * len(decisions) if found is None else [tuple(ends) for ends in found.tolist()]
            for each, answer, decision, interval in zip(each_made, answers.tolist(), decisions, intervals, strict=True):
                yield PredictionMade(
                    prediction=Prediction(
                        prediction_id=f"{each.prediction.prediction_id}.{arm}",
                        decided_at=each.prediction.decided_at,
                        model=name,
                        arm=arm,
                        decision=decision,
                        interval=interval,
                        **answer_field(model, answer),
                    ),
                    answered_at=each.answered_at,
                    row=each.row,
                    features=each.features,
                )

    def _model(self, name: str) -> Model | None:
        if name not in self._models:
            try:
                self._models[name] = self._load(name)
            except Exception as error:  # of whatever kind, as above
                _log.warning("the shadow %s cannot be loaded: %s", name, error)
                if isinstance(error, WorkspaceError):
                    return None
                self._models[name] = None
        return self._models[name]
