"""The signals of a loop's state, as triggers ask for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mainspring.monitoring.calibration_check import Unknown, check_calibration
from mainspring.monitoring.drift import compare
from mainspring.monitoring.realised import Cohorts, Figure, Realised
from mainspring.monitoring.spread import added

if TYPE_CHECKING:
    from mainspring.loop.state import LoopState

__all__ = ["StateSignals"]


class StateSignals:
    """What a state tells of the champion. Figures of days are known when a day has just ended, however short steps are."""

    def __init__(self, figures: Mapping[str, Figure], horizon: int, width: int, state: LoopState) -> None:
        self._figures, self._horizon, self._width, self._state = figures, horizon, width, state
        self.now, self.trained_as_of, self.labels_since = state.now, state.trained_as_of, state.labels_since

    def realised(self, metric: str, over: int) -> Realised | None:
        """Return a metric of the champion over the newest decisions of a span whose horizon is over.

        Only whole cohorts count, and none that is waiting for labels: what comes soon is not what comes late. None where
        the champion has not answered for the whole span.
        """
        end = (self.now - self._horizon) // self._width * self._width
        return self._over(self._state.cohorts[self._state.champion], metric, end, over)

    def at_promotion(self, metric: str) -> float | None:
        """Return the metric by which the champion was let in."""
        return self._state.quality.get(self._state.champion, {}).get(metric)

    def worse_by(self, metric: str, found: float, before: float) -> float:
        """Return by how much a value is worse than an earlier one."""
        return before - found if self._figures[metric].greater_is_better else found - before

    def estimated(self, metric: str, over: int) -> Realised | None:
        """Return what is to be expected of a metric over the newest decisions; None where the probabilities do not hold."""
        newest = self._state.newest
        if not newest.labels or not self._state.day_ended:
            return None
        days = np.array(newest.days)
        holds = check_calibration(np.array(newest.predictions), np.array(newest.labels), days=days)
        if isinstance(holds, Unknown):
            return None
        end = self.now // self._width * self._width
        return self._over(self._state.expected[self._state.champion], metric, end, over)

    def drifted(self, effect: float, over: int) -> Sequence[str] | None:
        """Return the features that have moved from those that the champion learned from."""
        state = self._state
        reference = state.reference.get(state.champion)
        first = (self.now - over) // self._width
        days = [each for number, each in sorted(state.days.items()) if number >= first]
        if reference is None or state.layout is None or not days or not state.day_ended:
            return None
        before, now = reference.sketch(state.layout), added(days).sketch(state.layout)
        return [each.name for each in compare(before, now, effect=effect) if each.drifted]

    def _over(self, cohorts: Cohorts, metric: str, end: int, over: int) -> Realised | None:
        """A metric over the whole days of a span; None where the model has not answered for all of it."""
        if not self._state.day_ended or min(cohorts.held, default=end) * self._width > end - over:
            return None
        return cohorts.quality(self._figures[metric], end - over, end)

    @property
    def columns(self) -> int:
        """How many features there are."""
        return 0 if self._state.layout is None else len(self._state.layout.columns)
