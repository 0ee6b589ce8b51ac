"""The quality of a model over its settled decisions: what objectives on a metric are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mainspring.clock import DAY, parse_span
from mainspring.declare import SLO
from mainspring.evaluation.bootstrap import intervals
from mainspring.evaluation.metric import METRICS
from mainspring.monitoring.calibration_check import Unknown
from mainspring.monitoring.readings import Reading
from mainspring.monitoring.realised import Cohorts, Figure, Realised

__all__ = ["Settled", "held_to", "metric_reading"]

State = Literal["ok", "firing", "unknown"]

_FEWEST = 200
_REPLICATES = 200


@dataclass(frozen=True, eq=False)
class Settled:
    """What is known of the decisions of one model whose labels are settled.

    `cohorts` holds the figures that are means over decisions; `until` (microseconds) is the instant before which every decision
    is settled. The newest decisions, row by row, tell the figures that are no such means: `days` (n,) the day of each,
    `predictions` (n,) or (n, classes), `labels` (n,) as numbers.
    """

    cohorts: Cohorts
    figures: Mapping[str, Figure]
    until: int
    days: NDArray[np.int64]
    predictions: NDArray[np.float64]
    labels: NDArray[np.float64]

    def over(self, metric: str, window: int) -> Realised | Unknown:
        """Return a metric over the settled decisions of the last `window` microseconds, with its 95% interval, or why not.

        A figure that is no mean over decisions (auc, pr_auc, ece) is that of the newest decisions in the window, as many of
        them as are kept, with an interval by days drawn again (evaluation/bootstrap.py). It equals the same on the same rows.
        """
        if metric in self.figures:
            found = self.cohorts.quality(self.figures[metric], self.until - window, self.until)
            return found if found is not None else Unknown("no decision of the window is settled yet")
        if metric not in METRICS:
            return Unknown(f"{metric} is not followed after a model is let in")
        mine = self.days >= (self.until - window) // DAY
        if mine.sum() < _FEWEST:
            return Unknown(f"{mine.sum()} settled decisions are kept, and {_FEWEST} are needed for {metric}")
        told = intervals(
            [METRICS[metric]], self.labels[mine], self.predictions[mine], self.days[mine], replicates=_REPLICATES
        ).get(metric)
        if told is None:
            return Unknown(f"{metric} is undefined on the settled decisions of the window")
        rows = int(mine.sum())
        return Realised(told.value, told.low, told.high, rows, rows)


def held_to(found: Realised, at_most: float | None, at_least: float | None) -> tuple[State, float | None]:
    """Return the state of a figure that has limits, and the limit that it breaks, or else the first.

    "firing": all of its interval breaks the limit. "unknown": the value does, which may be chance. "ok": it does not.
    """
    if at_most is not None and found.value > at_most:
        return ("firing" if found.low > at_most else "unknown"), at_most
    if at_least is not None and found.value < at_least:
        return ("firing" if found.high < at_least else "unknown"), at_least
    return "ok", at_most if at_most is not None else at_least


def metric_reading(slo: SLO, settled: Settled) -> Reading:
    """Return what an SLO on a metric says: it fires when the whole 95% interval of the metric breaks its limit."""
    found = settled.over(slo.of, parse_span(slo.window))
    name = f"slo {slo.name}"
    if isinstance(found, Unknown):
        told = f"{slo.name} is unknown: {found.reason}."
        return Reading(monitor=name, kind="outcomes", state="unknown", severity="note", told=told)
    state, limit = held_to(found, slo.at_most, slo.at_least)
    told = (
        f"{slo.name} is {found.value:.4g} ({found.low:.4g} to {found.high:.4g}) over {found.known:,} settled decisions of "
        f"{slo.window}, and must be {slo.limits}"
    )
    told += {"ok": ".", "firing": ": it is not.", "unknown": ": it may be so by chance."}[state]
    return Reading(monitor=name, kind="outcomes", value=found.value, limit=limit, state=state, told=told)
