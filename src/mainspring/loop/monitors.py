"""What is heard at a tick, as monitors keep it, and what they say: the cheapest first, and most of them once a day.

Inputs, features, predictions, outcomes, operations: all is plain data of the loop's state and goes through one function, so
that a replay raises the alerts that a live system would have raised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from mainspring.adaptation.rollout import said_by
from mainspring.adaptation.triggers import leaves
from mainspring.clock import DAY
from mainspring.declare import Degraded, EstimatedDegraded
from mainspring.loop.newest import Settled
from mainspring.loop.state import Alerted, Followed, LoopState, Policy, Rows, Tick
from mainspring.monitoring.alerts import look
from mainspring.monitoring.calibration_check import check_calibration
from mainspring.monitoring.domain_monitor import domain_reading
from mainspring.monitoring.estimated import expected_rows
from mainspring.monitoring.feature_monitors import feature_readings, moved_features
from mainspring.monitoring.friction import FrictionCohorts, friction_readings
from mainspring.monitoring.input_monitors import input_readings
from mainspring.monitoring.inputs import heard
from mainspring.monitoring.outcome_monitors import (
    calibration_reading,
    estimated_readings,
    guard_readings,
    realised_readings,
)
from mainspring.monitoring.prediction_monitors import prediction_readings, shift_readings
from mainspring.monitoring.proxies import proxy_readings
from mainspring.monitoring.readings import Reading
from mainspring.monitoring.settled import Settled as SettledOf
from mainspring.monitoring.settled import metric_reading
from mainspring.monitoring.slices import excess_of, slice_readings
from mainspring.monitoring.slo import counts_told, slo_readings
from mainspring.monitoring.spread import added
from mainspring.monitoring.worst_slice import worst_slice, worst_slice_reading
from mainspring.training.dataset import feature_kinds

__all__ = ["alerts_of", "followed_on", "readings_of", "settled_of", "taken_in"]

_WORSE = 0.1  # of the figure at promotion: by how much a slice is to be worse than the others
_DOMAIN_WEEKS = 4  # one in so many weeks rows are told apart: it takes a while


# -- what is kept --------------------------------------------------------------------------------------------------------


def followed_on(policy: Policy, models: Mapping[str, Followed], tick: Tick) -> dict[str, Followed]:
    """Return what is known of each model after a tick."""
    found = dict(models)
    for model, each in models.items():
        for take in (_predicted, _labelled, _hinted):
            each = take(policy, each, model, tick)
        found[model] = each
    return found


def taken_in(policy: Policy, state: LoopState, tick: Tick) -> LoopState:
    """Return a state that has heard of inputs, operations, frictions and of what has settled, and knows its models on."""
    system = policy.system
    operations = state.operations
    for told in tick.operations:
        operations = counts_told(operations, system.slos, told.begin, told.end, told.counts)
    frictions = dict(state.frictions)
    for name, (decided_at, met) in tick.frictions.items():
        frictions[name] = frictions.get(name, FrictionCohorts(policy.width)).settled(decided_at, met)
    newest, first = state.newest, state.first
    said = tick.settled.predictions.get(state.champion)
    if said is not None and (by := said_by(said)).any():
        newest = newest.after(tick.settled.decided_at[by], said[by], tick.settled.labels[by])
        first = newest if first is None and newest.is_full else first
    return replace(
        state,
        models=followed_on(policy, state.models, tick),
        inputs=state.inputs if tick.inputs is None else heard(state.inputs, tick.inputs, tick.now),
        operations=operations,
        frictions=frictions,
        newest=newest,
        first=first,
    )


def _predicted(policy: Policy, followed: Followed, model: str, tick: Tick) -> Followed:
    said = tick.answered.predictions.get(model)
    if said is None or not (by := said_by(said)).any():
        return followed
    decided_at, predictions = tick.answered.decided_at[by], said[by]
    expected = followed.expected
    if policy.system.label.task != "regression":
        rows = {name: expected_rows(figure, predictions) for name, figure in policy.figures.items()}
        expected = expected.matured(decided_at, rows)
    return replace(
        followed,
        cohorts=followed.cohorts.predicted(decided_at),
        expected=expected,
        predicted=None if followed.predicted is None else followed.predicted.after(decided_at, predictions),
    )


def _labelled(policy: Policy, followed: Followed, model: str, tick: Tick) -> Followed:
    matured = tick.matured
    said = matured.predictions.get(model)
    if said is not None and (by := said_by(said)).any():
        y, p = matured.labels[by], said[by]
        rows = {name: figure.row(y, p) for name, figure in policy.figures.items()}
        followed = replace(followed, cohorts=followed.cohorts.matured(matured.decided_at[by], rows))
    settled = tick.settled
    said = settled.predictions.get(model)
    if said is None or not (by := said_by(said)).any():
        return followed
    y, p, decided_at = settled.labels[by], said[by], settled.decided_at[by]
    slices = followed.slices
    if slices is not None and settled.slices is not None:
        excess = excess_of(policy.judged, y, p, task=policy.system.label.task)
        slices = slices.matured(decided_at, settled.slices.filter(by), *excess)
    proxies = dict(followed.proxies)
    for name, told in settled.proxies.items():
        proxies[name] = proxies[name].matured(decided_at, p, told[by], y)
    return replace(followed, slices=slices, proxies=proxies)


def _hinted(policy: Policy, followed: Followed, model: str, tick: Tick) -> Followed:
    proxies = dict(followed.proxies)
    for name, hinted in tick.proxies.items():
        said = hinted.predictions.get(model)
        if said is not None:
            proxies[name] = proxies[name].told(hinted.decided_at, said, hinted.labels, policy.figures)
    return replace(followed, proxies=proxies) if proxies else followed


# -- what they say -------------------------------------------------------------------------------------------------------


def readings_of(policy: Policy, state: LoopState, tick: Tick) -> list[Reading]:
    """Return what every monitor says that looks at this tick: inputs and operations at each, the others once a day has ended."""
    readings = [] if tick.inputs is None else input_readings(state.inputs, state.now)
    if tick.operations:
        readings += slo_readings(policy.system.slos, state.operations, state.now)
    if state.day_ended:
        newest = state.newest.settled()
        for speak in _DAILY:
            readings += speak(policy, state, newest)
    if tick.rows is not None:
        readings += _of_rows(policy, state, tick.rows)
    return readings


def _features(policy: Policy, state: LoopState, newest: Settled) -> list[Reading]:
    reference = state.leading.reference
    if reference is None or state.layout is None:
        return []
    return feature_readings(state.layout, reference, state.days, state.now)


def _predictions(policy: Policy, state: LoopState, newest: Settled) -> list[Reading]:
    predicted = state.leading.predicted
    said = [] if predicted is None else prediction_readings(predicted, state.now)
    return [replace(each, monitor=f"{each.monitor} of predictions") for each in said]  # features have their own alert


def _outcomes(policy: Policy, state: LoopState, newest: Settled) -> list[Reading]:
    leading, judged = state.leading, {policy.judged.name: policy.judged}
    readings = realised_readings(
        judged, leading.cohorts, leading.quality, state.now, horizon=policy.horizon, by=_declared(policy, Degraded)
    )
    if len(newest.labels) and policy.system.label.task != "regression":
        holds = check_calibration(newest.predictions, newest.labels, days=newest.days)
        readings.append(calibration_reading(holds))
        by = _declared(policy, EstimatedDegraded)
        readings += estimated_readings(judged, leading.expected, leading.quality, state.now, holds, by=by)
    return readings


def _guards(policy: Policy, state: LoopState, newest: Settled) -> list[Reading]:
    objective = policy.system.objective
    if not objective.guards or not len(newest.labels):
        return []
    return guard_readings(objective, policy.system.label.task, newest.labels, newest.predictions, newest.days)


def _slos(policy: Policy, state: LoopState, newest: Settled) -> list[Reading]:
    on_metrics = [slo for slo in policy.system.slos if not slo.is_operational]
    if not on_metrics:
        return []
    settled = _settled_of(policy, state, newest)
    return [metric_reading(slo, settled) for slo in on_metrics]


def _slices(policy: Policy, state: LoopState, newest: Settled) -> list[Reading]:
    leading = state.leading
    if leading.slices is None:
        return []
    return slice_readings(
        leading.slices,
        policy.judged,
        state.now,
        task=policy.system.label.task,
        horizon=policy.horizon,
        by=_WORSE * abs(leading.quality.get(policy.judged.name, 1.0)),
    )


def _proxies(policy: Policy, state: LoopState, newest: Settled) -> list[Reading]:
    leading, figure = state.leading, policy.judged
    before = leading.quality.get(figure.name)
    limit = None
    if before is not None:
        least = _declared(policy, EstimatedDegraded).get(figure.name, _WORSE * abs(before))
        limit = before - least if figure.greater_is_better else before + least
    found = proxy_readings(leading.proxies, policy.system.proxies, figure, now=state.now, limit=limit)
    told = {name: state.frictions[name] for name in policy.system.friction if name in state.frictions}
    return found + friction_readings(told, {name: policy.system.friction[name] for name in told}, now=state.now)


def _shift(policy: Policy, state: LoopState, newest: Settled) -> list[Reading]:
    """Which kind of shift there is between the champion's first two weeks and its newest, once those do not overlap."""
    first, reference = state.first, state.leading.reference
    if first is None or reference is None or state.layout is None or policy.system.label.task == "regression":
        return []
    if min(state.newest.days) <= max(first.days):
        return []
    days = [each for day, each in sorted(state.days.items()) if day >= min(state.newest.days)]
    if not days:
        return []
    then = first.settled()
    return shift_readings(
        moved_features(state.layout, reference, added(days)),
        reference=(then.predictions, then.labels),
        newest=(newest.predictions, newest.labels),
        days=newest.days,
    )


_DAILY: tuple[Callable[[Policy, LoopState, Settled], list[Reading]], ...] = (
    _features,
    _predictions,
    _outcomes,
    _guards,
    _slos,
    _slices,
    _proxies,
    _shift,
)


def _of_rows(policy: Policy, state: LoopState, rows: Rows) -> list[Reading]:
    """What the rows of some weeks say: where the model is worst, and now and then whether they can be told apart by their weeks."""
    kinds, days = feature_kinds(policy.system), rows.decided_at // DAY
    readings = []
    said = rows.predictions.get(state.champion)
    if said is not None and (by := said_by(said)).any():
        figure, leading = policy.judged, state.leading
        sign = -1.0 if figure.greater_is_better else 1.0
        ours, excess = excess_of(figure, rows.labels[by], said[by], task=policy.system.label.task)
        found = worst_slice(rows.features.filter(by), kinds, sign * ours, sign * excess, days[by])
        least = _WORSE * abs(leading.quality.get(figure.name, 1.0))
        readings.append(worst_slice_reading(found, figure, by=least))
    if (state.now // (7 * DAY)) % _DOMAIN_WEEKS == 0 and len(days):
        week = (days.max() - days) // 7
        parts = [rows.features.filter(each) for each in (week >= 2, week == 1, week == 0)]
        readings.append(domain_reading(parts[0], parts[2], kinds, before=parts[1]))
    return readings


def _declared(policy: Policy, kind: type[Degraded]) -> dict[str, float]:
    """By how much figures are to be worse, as triggers of a kind say."""
    asked = () if policy.retrain is None else leaves(policy.retrain.when)
    return {each.metric: each.by for each in asked if type(each) is kind}


def settled_of(policy: Policy, state: LoopState) -> SettledOf:
    """Return what is known of the champion's settled decisions, as objectives are held against it."""
    return _settled_of(policy, state, state.newest.settled())


def _settled_of(policy: Policy, state: LoopState, newest: Settled) -> SettledOf:
    return SettledOf(
        cohorts=state.leading.cohorts,
        figures=policy.figures,
        until=(state.now - policy.horizon) // policy.width * policy.width,
        days=newest.days,
        predictions=newest.predictions,
        labels=newest.labels,
    )


# -- whom it concerns ----------------------------------------------------------------------------------------------------


def alerts_of(policy: Policy, state: LoopState, tick: Tick) -> tuple[LoopState, list[Alerted]]:
    """Let the monitors speak, and say which alerts have changed by that."""
    readings = readings_of(policy, state, tick)
    if not readings:
        return state, []
    brief = policy.system.brief
    book, changes = look(
        policy.alerts, state.alerts, readings, state.now, tick.silences, owner=brief.owner if brief is not None else ""
    )
    return replace(state, alerts=book), [Alerted(change, state.champion) for change in changes]
