"""How long a rollout that goes on will take to see an effect: labels and days, from what is known of it so far."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from mainspring.adaptation.comparison import bounds_of
from mainspring.adaptation.forecast import Forecast, forecast
from mainspring.adaptation.sequential import MeanTest
from mainspring.adaptation.trial import Trial
from mainspring.clock import DAY, HOUR, parse_span
from mainspring.declare import AB
from mainspring.loop.state import Candidate, LoopState, Policy
from mainspring.monitoring.realised import Cohorts

__all__ = ["Expected", "StageForecast", "forecast_stage"]

_SIZES = (0.02, 0.05, 0.1, 0.25)  # of the champion's figure
_LOOKS, _ROLLOUTS = 60, 300
_LEAST = 30  # labels from which a spread is known
_LATELY, _SPREAD_DAYS = 7, 28
_POINTS = 200


class Expected(Struct, frozen=True, kw_only=True):
    """What becomes of candidates whose figure differs by `effect` a decision: `share` of them are found out within the stage.

    `labels` and `days` are those after which half of them are, `labels_90` and `days_90` nine of ten; None: not in this stage.
    """

    size: float  # the effect as a share of the champion's figure
    effect: float
    share: float
    labels: int | None
    days: float | None
    labels_90: int | None
    days_90: float | None


class StageForecast(Struct, frozen=True, kw_only=True):
    """What a stage can see, counted from its beginning. `looks_for` is what ends it early: "better" in an A/B, else "worse".

    `unknown` says why nothing can be told; then there is nothing in `expected`.
    """

    model: str
    looks_for: str
    metric: str
    level: float | None = None  # the champion's figure lately
    per_day: float = 0.0
    span: int = 0
    horizon: int = 0
    expected: list[Expected] = []
    unknown: str = ""


def forecast_stage(policy: Policy, state: LoopState) -> StageForecast | None:
    """Return what the stage of a rollout that goes on can see; None where no candidate is tried.

    How decisions spread is taken from the labels of this stage, and of two arms from the champion's figures. Decisions come as
    they did in the last seven days, and each label counts at the end of its horizon.
    """
    candidate = state.candidate
    if candidate is None:
        return None
    stage, figure = policy.rollout.stages[candidate.stage], policy.judged
    looks_for = "better" if isinstance(stage, AB) else "worse"
    told = StageForecast(model=candidate.model, looks_for=looks_for, metric=figure.name)
    if candidate.counted:
        why = "of a key that decides again and again one decision counts, and how many keys are new cannot be known"
        return replace(told, unknown=why)
    share = None if candidate.trial.baseline is None else candidate.trial.baseline.share
    cohorts = state.leading.cohorts
    level, spread, rows = _lately(cohorts, figure.name, state.now)
    per_day = _per_day(cohorts, candidate, share or 0.0, state.now)
    if rows < _LEAST or not level or not per_day:
        return replace(told, unknown="too few labels are known of the champion's decisions of the last days")
    if share is not None:
        history = _two_points(spread, 0.0) + (-level if figure.greater_is_better else level)
    else:
        history = _improvements(candidate.trial.improvement.counted(state.now))
    if not np.ptp(history):
        return replace(told, unknown=f"how much decisions differ is told by the first {_LEAST} labels of this stage")
    span = parse_span(stage.span)  # type: ignore[attr-defined]
    bounds = bounds_of(figure.name, policy.system.label.task, policy.system.objective)
    expected = []
    for size in _SIZES:
        effect = abs(level) * (1.0 - (1.0 - size) ** 2 if figure.root else size)  # in the unit of the figure's rows
        found = forecast(
            history,
            effect=effect if looks_for == "better" else -effect,
            alpha=_alpha(candidate.trial, looks_for),
            per_day=per_day,
            span=span,
            delays=np.array([policy.horizon]),
            bounds=bounds,
            share=share,
            every=max(HOUR, (span + policy.horizon) // _LOOKS),
            rollouts=_ROLLOUTS,
        )
        shown = size * math.sqrt(level) if figure.root else effect
        expected.append(_expected(size, shown, found, looks_for))
    level = math.sqrt(level) if figure.root else level
    return replace(told, level=level, per_day=per_day, span=span, horizon=policy.horizon, expected=expected)


def _expected(size: float, effect: float, found: Forecast, looks_for: str) -> Expected:
    return Expected(
        size=size,
        effect=effect,
        share=found.power if looks_for == "better" else found.worse,
        labels=found.labels_median,
        days=found.days_median,
        labels_90=found.labels_90,
        days_90=found.days_90,
    )


def _alpha(trial: Trial, looks_for: str) -> float:
    """The error rate at which the trial says it."""
    if looks_for == "better":
        return trial.alpha if trial.level is None else trial.level
    return trial.alpha / (1 + len(trial.guards))


def _lately(cohorts: Cohorts, figure: str, now: int) -> tuple[float, float, int]:
    """The mean and the standard deviation of what a decision adds to a figure, and of how many that is known."""
    first, place = now // cohorts.width - _SPREAD_DAYS, cohorts.figures.index(figure)
    held = [each for number, each in cohorts.held.items() if number >= first]
    known = sum(each.known for each in held)
    if not known:
        return 0.0, 0.0, 0
    mean = math.fsum(each.sums[place] for each in held) / known
    square = math.fsum(each.squares[place] for each in held) / known
    return mean, math.sqrt(max(square - mean * mean, 0.0)), known


def _per_day(cohorts: Cohorts, candidate: Candidate, share: float, now: int) -> float:
    """How many decisions a whole day had lately, of both arms together: the champion's, who answered a part since the stage began."""
    end, begun = now // cohorts.width, candidate.since // cohorts.width
    found = [
        each.predicted / (1.0 - share if number > begun else 1.0)
        for number, each in cohorts.held.items()
        if end - _LATELY <= number < end and (number != begun or not share)
    ]
    return sum(found) / len(found) * DAY / cohorts.width if found else 0.0


def _improvements(test: MeanTest) -> NDArray[np.float64]:
    """Numbers that spread as those of a test do, by their second and third moment; no spread where few have come."""
    n = test.count
    if n < _LEAST:
        return np.zeros(1)
    mean, square, cube = test.total / n, test.square / n, test.cube / n
    variance = max(square - mean * mean, 0.0)
    third = cube - 3.0 * mean * square + 2.0 * mean**3
    return _two_points(math.sqrt(variance), third / variance**1.5 if variance > 0.0 else 0.0)


def _two_points(spread: float, skewness: float) -> NDArray[np.float64]:
    """Numbers of two values around 0 with a standard deviation and about a skewness."""
    above = 0.5 * (1.0 - skewness / math.sqrt(4.0 + skewness * skewness))
    many = min(max(round(_POINTS * above), 1), _POINTS - 1)
    above = many / _POINTS
    high, low = spread * math.sqrt((1.0 - above) / above), -spread * math.sqrt(above / (1.0 - above))
    return np.repeat([high, low], [many, _POINTS - many])
