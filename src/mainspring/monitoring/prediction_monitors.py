"""Monitors of predictions: whether a model still says what it said when it was let in, and which kind of shift that tells.

Of the predictions of a model only counts are kept: by day, and of the rows by which it was let in; where those are not
given, of the first week that it answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy.special import expit

from mainspring.clock import DAY
from mainspring.monitoring.calibration_check import Unknown
from mainspring.monitoring.feature_monitors import ColumnLimits, feature_readings
from mainspring.monitoring.label_shift import label_shares
from mainspring.monitoring.layout import CategoryValues, Layout, NumberBins
from mainspring.monitoring.readings import Reading
from mainspring.monitoring.shift import kinds_of_shift
from mainspring.monitoring.sketch import Sketch
from mainspring.monitoring.spread import Spread, added
from mainspring.monitoring.weekdays import WEEKS

__all__ = ["PredictedDays", "prediction_readings", "shift_readings"]

Floats = NDArray[np.float64]

_COLUMN = "prediction"
_ODDS = tuple(expit(np.arange(-80, 81) / 10.0).tolist())  # probabilities whose odds are a tenth of a logarithm apart
_FIRST_DAYS = 7
_KEPT = 7 * WEEKS  # days before the newest


class PredictedDays(Struct, frozen=True, kw_only=True):
    """How the predictions of one model are spread by day: plain data, which every method returns anew.

    Guarantee: however predictions are cut into batches and in whatever order they come, the same are left of them. At most 29
    days are held, each as counts.
    """

    layout: Layout
    since: int  # the day from which on the model answers, by number
    reference: Spread | None = None  # of the rows by which it was let in; without them of its first week
    given: bool = False  # whether the reference was given
    days: dict[int, Spread] = {}

    @classmethod
    def begin(
        cls, task: str, now: int, *, classes: Sequence[str] = (), judged_on: Floats | None = None
    ) -> PredictedDays | None:
        """Return the state of a model that begins to answer at an instant (microseconds).

        `judged_on` are its predictions of the rows by which it was let in. What is counted is a probability, the class that
        is predicted (by `classes`), or a value. None for a value without `judged_on`: where to count is not known.
        """
        layout: Layout | None = None
        if task == "multiclass":
            layout = Layout((CategoryValues(_COLUMN, tuple(classes)),))
        elif judged_on is not None and len(judged_on):
            layout = Layout.over(pl.DataFrame({_COLUMN: judged_on}), {_COLUMN: "float"})
        elif task == "binary":
            layout = Layout((NumberBins(_COLUMN, _ODDS, None),))
        if layout is None:
            return None
        given = judged_on is not None and len(judged_on) > 0
        begun = cls(layout=layout, since=now // DAY, given=given)
        return replace(begun, reference=begun._counted(judged_on)) if judged_on is not None and given else begun

    def after(self, decided_at: NDArray[np.int64], predictions: Floats) -> PredictedDays:
        """Take in what the model said, (n,) or (n, classes), of decisions of these times (n,) in microseconds; NaN is nothing."""
        said = ~np.isnan(predictions if predictions.ndim == 1 else predictions[:, 0])
        number = decided_at[said] // DAY
        days, reference = dict(self.days), self.reference
        for day in np.unique(number).tolist():
            spread = self._counted(predictions[said][number == day])
            days[day] = added([days[day], spread]) if day in days else spread
            if not self.given and day < self.since + _FIRST_DAYS:
                reference = spread if reference is None else added([reference, spread])
        oldest = max(days, default=0) - _KEPT
        return replace(self, reference=reference, days={n: days[n] for n in sorted(days) if n >= oldest})

    def _counted(self, predictions: Floats) -> Spread:
        column = self.layout.columns[0]
        if isinstance(column, CategoryValues):
            names = pl.Series(column.values, dtype=pl.String)
            values = names.gather(predictions.argmax(axis=1)).alias(_COLUMN)
        else:
            values = pl.Series(_COLUMN, predictions)
        return Spread.of(Sketch.empty(self.layout).add(values.to_frame()))


def prediction_readings(
    predicted: PredictedDays, now: int, *, over: int = 7 * DAY, limits: ColumnLimits | None = None
) -> list[Reading]:
    """Return what the last days of a model's predictions say, in the words of `feature_readings`; unknown in its first week.

    A constant prediction is one that answers everybody alike: a model that is broken, or inputs that are.
    """
    ready = predicted.given or (now - 1) // DAY >= predicted.since + _FIRST_DAYS
    if predicted.reference is None or not ready:
        why = "What the model usually says is not known yet: it answers for less than a week."
        return [Reading(monitor="drift", kind="predictions", state="unknown", severity="note", told=why)]
    return feature_readings(
        predicted.layout, predicted.reference, predicted.days, now, kind="predictions", over=over, limits=limits
    )


def shift_readings(
    features: Mapping[str, float],
    *,
    reference: tuple[Floats, NDArray],
    newest: tuple[Floats, NDArray],
    days: NDArray | None = None,
    current: Floats | None = None,
    effect: float = 0.03,
    level: float = 0.01,
) -> list[Reading]:
    """Name the kinds of shift of a label of classes: readings "kind of shift", about "covariate", "label" or "concept".

    `features` are p-values that each is what it was (`moved_features`). `reference` are predictions and labels by which the
    model was let in, `newest` those that have settled last, on `days` (numbers); `current` predictions of the same span,
    more of which may be known than labels. Of a yes/no label the three are told apart (`kinds_of_shift`); where there are
    more classes labels alone are judged, and one whose share moved by `effect` and not by chance fires.

    Covariate shift is a note: the model is asked elsewhere, and may be right there. The others are tickets, for its
    probabilities do not hold.
    """
    asked = newest[0] if current is None else current
    if newest[0].ndim == 2:
        return [_label_shift(reference, asked, effect, level)]
    found = kinds_of_shift(features, reference=reference, current=asked, matured=newest, days=days, level=level)
    if isinstance(found, Unknown):
        return [_reading("unknown", found.reason)]
    # Predictions alone differ from day to day, and rows of a day are not independent: some feature must have moved.
    moved = min(features.values(), default=1.0) * (len(features) + 1) <= level / 2
    found = [shift for shift in found if shift.kind != "covariate" or moved]
    if not found:
        return [_reading("ok", "Neither features nor labels nor what they mean have moved.")]
    return [
        Reading(
            monitor="kind of shift",
            kind="predictions",
            about=shift.kind,
            value=shift.p_value,
            limit=level,
            state="firing",
            severity="note" if shift.kind == "covariate" else "ticket",
            told=shift.evidence,
        )
        for shift in found
    ]


def _label_shift(reference: tuple[Floats, NDArray], current: Floats, effect: float, level: float) -> Reading:
    found = label_shares(*reference, current)
    if isinstance(found, Unknown):
        return _reading("unknown", found.reason)
    moved = np.subtract(found.shares, found.before)
    most = int(np.abs(moved).argmax())
    fires = found.p_value <= level and abs(moved[most]) >= effect
    return Reading(
        monitor="kind of shift",
        kind="predictions",
        about="label" if fires else "",
        value=float(abs(moved[most])),
        limit=effect,
        state="firing" if fires else "ok",
        severity="ticket" if fires else "note",
        told=f"Predictions put the share of class {most} at {found.shares[most]:.3g}; it was {found.before[most]:.3g}.",
    )


def _reading(state: Literal["ok", "unknown"], told: str) -> Reading:
    return Reading(monitor="kind of shift", kind="predictions", state=state, severity="note", told=told)
