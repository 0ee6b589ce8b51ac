"""The signals of a loop's state, as triggers ask for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mainspring.monitoring.calibration_check import Unknown, check_calibration
from mainspring.monitoring.column_counts import Places, counts_of, moved_columns
from mainspring.monitoring.degradation import over_whole, worse_by
from mainspring.monitoring.drift import corrected
from mainspring.monitoring.layout import Layout
from mainspring.monitoring.realised import Cohorts, Figure, Realised
from mainspring.monitoring.spread import Spread, added

if TYPE_CHECKING:
    from mainspring.loop.state import LoopState

__all__ = ["StateSignals"]

_ALPHA = 0.05


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
        return self._over(self._state.leading.cohorts, metric, end, over)

    def at_promotion(self, metric: str) -> float | None:
        """Return the metric by which the champion was let in."""
        return self._state.leading.quality.get(metric)

    def worse_by(self, metric: str, found: float, before: float) -> float:
        """Return by how much a value is worse than an earlier one."""
        return worse_by(self._figures[metric], found, before)

    def estimated(self, metric: str, over: int) -> Realised | None:
        """Return what is to be expected of a metric over the newest decisions; None where the probabilities do not hold."""
        if not self._state.newest.days or not self._state.day_ended:
            return None
        newest = self._state.newest.settled()
        if isinstance(check_calibration(newest.predictions, newest.labels, days=newest.days), Unknown):
            return None
        end = self.now // self._width * self._width
        return self._over(self._state.leading.expected, metric, end, over)

    def drifted(self, effect: float, over: int) -> Sequence[str] | None:
        """Return the features that have moved from those that the champion learned from, and its predictions where they have."""
        state, reference = self._state, self._state.leading.reference
        first = (self.now - over) // self._width
        days = [each for number, each in sorted(state.days.items()) if number >= first]
        if reference is None or state.layout is None or not days or not state.day_ended or min(state.days) > first:
            return None  # a day or two are unlike any longer span
        moved = _moved(state.layout, reference, added(days), effect)
        predicted = state.leading.predicted
        if predicted is not None and predicted.reference is not None:
            lately = [each for number, each in predicted.days.items() if number >= first]
            if lately and _moved(predicted.layout, predicted.reference, added(lately), effect):
                moved.append("what is predicted")
        return moved

    def _over(self, cohorts: Cohorts, metric: str, end: int, over: int) -> Realised | None:
        """A metric over the whole days of a span; None where the model has not answered for all of it."""
        return over_whole(cohorts, self._figures[metric], end, over) if self._state.day_ended else None

    @property
    def columns(self) -> int:
        """How many features there are."""
        return 0 if self._state.layout is None else len(self._state.layout.columns)


def _moved(layout: Layout, reference: Spread, current: Spread, effect: float) -> list[str]:
    """The columns that lie an effect (PSI) from a reference, and not by chance (Holm)."""
    places = Places.of(layout)
    found = moved_columns(places, counts_of(reference), counts_of(current))
    p = corrected([None if each != each else each for each in found.p.tolist()])
    return [
        name
        for name, psi, each in zip(places.names, found.psi.tolist(), p, strict=True)
        if each is not None and each <= _ALPHA and psi >= effect
    ]
