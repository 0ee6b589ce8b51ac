"""Monitors of outcomes: quality by labels, quality expected before them, whether probabilities hold, and declared limits."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mainspring.clock import DAY
from mainspring.declare import Guard, Objective
from mainspring.evaluation.bootstrap import FEWEST_DAYS, intervals
from mainspring.evaluation.guards import guard_result
from mainspring.evaluation.metric import metric_named
from mainspring.evaluation.results import Interval
from mainspring.features.rows import row_expression
from mainspring.monitoring.calibration_check import Calibrated, Miscalibrated, Unknown
from mainspring.monitoring.degradation import degraded, over_whole, worse_by
from mainspring.monitoring.readings import Reading, Severity
from mainspring.monitoring.realised import Cohorts, Figure, Realised, figures_of

__all__ = ["calibration_reading", "estimated_readings", "guard_readings", "realised_readings"]

Floats = NDArray[np.float64]

_WORSE = 0.05  # of the figure at promotion: what counts as worse where nothing is declared


def realised_readings(
    figures: Mapping[str, Figure],
    cohorts: Cohorts,
    promoted: Mapping[str, float],
    now: int,
    *,
    horizon: int,
    over: int = 7 * DAY,
    by: Mapping[str, float] | None = None,
) -> list[Reading]:
    """Return "realised <figure>" of each of some figures: over the newest decisions whose horizon (microseconds) is over.

    It fires as `Degraded` does: when the figure is worse than `promoted` by `by`, and its interval says that it is worse at
    all. Without `by` that is a twentieth of the figure at promotion. Unknown until the model has answered for all of `over`.
    """
    end = (now - horizon) // cohorts.width * cohorts.width
    return [
        _against_promotion("realised", figure, over_whole(cohorts, figure, end, over), promoted, by)
        for figure in figures.values()
    ]


def estimated_readings(
    figures: Mapping[str, Figure],
    expected: Cohorts,
    promoted: Mapping[str, float],
    now: int,
    holds: Calibrated | Unknown,
    *,
    over: int = 7 * DAY,
    by: Mapping[str, float] | None = None,
) -> list[Reading]:
    """Return "estimated <figure>" of each of some figures: what probabilities let one expect of the newest decisions.

    `expected` are the cohorts of what rows are expected to add (`expected_rows`), `holds` is what `check_calibration` says of
    the newest labels: where probabilities do not hold, or that is not known, so is every estimate, for that reason.
    """
    if isinstance(holds, Unknown):
        return [_unknown(f"estimated {name}", holds.reason) for name in figures]
    end = now // expected.width * expected.width
    return [
        _against_promotion("estimated", figure, over_whole(expected, figure, end, over), promoted, by)
        for figure in figures.values()
    ]


def calibration_reading(holds: Calibrated | Unknown, *, level: float = 0.01) -> Reading:
    """Return "calibration": whether the probabilities hold on the newest labels, by `check_calibration`; its value is p.

    `level` may be less than that of the check, which is made for estimates and not for alarms.
    """
    if isinstance(holds, Unknown) and not isinstance(holds, Miscalibrated):
        return _unknown("calibration", holds.reason)
    fires = isinstance(holds, Miscalibrated) and holds.p_value <= level
    told = (
        holds.reason if isinstance(holds, Miscalibrated) else f"Nothing speaks against {holds.labels:,} probabilities."
    )
    return Reading(
        monitor="calibration",
        kind="outcomes",
        value=holds.p_value,
        limit=level,
        state="firing" if fires else "ok",
        severity="ticket" if fires else "note",
        told=told,
    )


def guard_readings(
    objective: Objective,
    task: str,
    labels: NDArray,
    predictions: Floats,
    days: NDArray,
    *,
    decisions: pl.DataFrame | None = None,
    level: float = 0.98,
) -> list[Reading]:
    """Return "guard <metric>" of each guard of an objective, on the newest decisions whose labels have settled.

    `labels` (n,), `predictions` (n,) or (n, classes) and `days` (n,), their numbers, are those of the decisions; `decisions`
    their rows, which a guard on a part of them needs. A guard fires when the whole interval of its metric (whole days drawn
    again, two-sided `level`) lies beyond its limit: such a model would not be let in. Unknown on fewer than ten days.
    """
    return [_guarded(guard, objective, task, labels, predictions, days, decisions, level) for guard in objective.guards]


def _guarded(
    guard: Guard,
    objective: Objective,
    task: str,
    y: NDArray,
    p: Floats,
    days: NDArray,
    decisions: pl.DataFrame | None,
    level: float,
) -> Reading:
    monitor, about = f"guard {guard.metric}", "" if guard.where is None else repr(guard.where)
    if guard.where is not None:
        if decisions is None:
            return _unknown(monitor, "The rows of decisions, which this guard asks about, are not known here.", about)
        chosen = decisions.select(row_expression(guard.where).fill_null(False)).to_series().to_numpy()
        y, p, days = y[chosen], p[chosen], days[chosen]
    number = len(np.unique(days))
    if number < FEWEST_DAYS:
        return _unknown(monitor, f"Labels have settled of {number} day(s) only; {FEWEST_DAYS} are needed.", about)
    found = _interval(guard.metric, objective, task, y, p, days, level)
    if found is None:
        return _unknown(monitor, f"{guard.metric} is undefined on the newest {len(y):,} decisions.", about)
    too_much = guard.at_most is not None and found.low > guard.at_most
    fires = too_much or (guard.at_least is not None and found.high < guard.at_least)
    told = guard_result(guard, found.value)
    return Reading(
        monitor=monitor,
        kind="outcomes",
        about=about,
        value=found.value,
        limit=guard.at_most if too_much or guard.at_least is None else guard.at_least,
        state="firing" if fires else "ok",
        severity="ticket" if fires else "note",
        told=f"{told.metric} is {found.value:.4g}, in [{found.low:.4g}, {found.high:.4g}], on the newest {len(y):,} "
        f"decisions; {told.limit} is declared.",
    )


def _interval(
    metric: str, objective: Objective, task: str, y: NDArray, p: Floats, days: NDArray, level: float
) -> Interval | None:
    if metric == "payoff":
        worth = figures_of(task, objective).get("payoff")
        return None if worth is None else intervals([], y, p, days, worth.row(y, p), level=level).get("payoff")
    return intervals([metric_named(metric, task)], y, p, days, level=level).get(metric)


def _against_promotion(
    what: str, figure: Figure, found: Realised | None, promoted: Mapping[str, float], by: Mapping[str, float] | None
) -> Reading:
    monitor, before = f"{what} {figure.name}", promoted.get(figure.name)
    if before is None:
        return _unknown(monitor, f"{figure.name} at promotion is not known.")
    if found is None:
        return _unknown(monitor, "The model has not answered for the whole span yet, or no label of it is known.")
    least = (by or {}).get(figure.name, _WORSE * abs(before))
    worse = degraded(found, before, least, partial(worse_by, figure))
    severity: Severity = "note" if worse is None else "ticket"
    return Reading(
        monitor=monitor,
        kind="outcomes",
        value=found.value,
        limit=before - least if figure.greater_is_better else before + least,
        state="ok" if worse is None else "firing",
        severity=severity,
        told=f"{figure.name} is {found.value:.4f}, in [{found.low:.4f}, {found.high:.4f}], over {found.known:,} decisions; "
        f"at promotion it was {before:.4f}.",
    )


def _unknown(monitor: str, why: str, about: str = "") -> Reading:
    return Reading(monitor=monitor, kind="outcomes", about=about, state="unknown", severity="note", told=why)
