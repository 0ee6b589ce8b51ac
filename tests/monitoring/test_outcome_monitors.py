"""Monitors of outcomes: a figure fires as its trigger would ask, a refusal is unknown, a broken limit is told."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mainspring as ms
from mainspring.clock import DAY
from mainspring.declare import Guard, Objective, Payoff
from mainspring.monitoring.calibration_check import Calibrated, Miscalibrated, Unknown, check_calibration
from mainspring.monitoring.degradation import degraded, over_whole, worse_by
from mainspring.monitoring.outcome_monitors import (
    calibration_reading,
    estimated_readings,
    guard_readings,
    realised_readings,
)
from mainspring.monitoring.realised import Cohorts, Figure, Realised, figures_of

PAYOFF = Payoff(hit=4, miss=-6, false_alarm=-1)
FIGURES = figures_of("binary", Objective(payoff=PAYOFF))
LOSS = {"log_loss": FIGURES["log_loss"]}
finite = st.floats(-10, 10)


def cohorts(days: int, rows: dict[str, np.ndarray]) -> Cohorts:
    n = len(next(iter(rows.values())))
    at = np.arange(n) * days // n * DAY
    return Cohorts(DAY, tuple(rows)).predicted(at).matured(at, rows)


@given(value=finite, half=st.floats(0, 5), before=finite, by=st.floats(0, 3), greater=st.booleans())
def test_what_is_worse_is_worse_by_so_much_and_its_whole_interval_is(
    value: float, half: float, before: float, by: float, greater: bool
) -> None:
    figure = Figure("f", lambda y, p: y, greater_is_better=greater)
    found = Realised(value, value - half, value + half, 10, 10)
    worse = degraded(found, before, by, lambda a, b: worse_by(figure, a, b))
    sign = -1.0 if greater else 1.0
    expected = sign * (value - before) >= by and all(sign * (each - before) > 0 for each in (found.low, found.high))
    assert (worse is not None) == expected
    assert worse is None or worse == pytest.approx(abs(value - before))


@pytest.mark.parametrize(("shift", "state"), [(0.0, "ok"), (0.2, "firing"), (-0.2, "ok")])
def test_realised_quality_is_held_against_promotion(shift: float, state: str) -> None:
    rows = {"log_loss": np.random.default_rng(0).normal(0.5 + shift, 0.1, 2_000)}
    (told,) = realised_readings(LOSS, cohorts(10, rows), {"log_loss": 0.5}, 12 * DAY, horizon=2 * DAY)
    assert (told.monitor, told.state) == ("realised log_loss", state)
    assert told.limit == pytest.approx(0.525)


def test_decisions_whose_horizon_is_not_over_do_not_count_yet() -> None:
    bad_lately = np.where(np.arange(2_000) < 1_600, 0.5, 0.9) + np.random.default_rng(0).normal(0.0, 0.1, 2_000)
    held, promoted = cohorts(10, {"log_loss": bad_lately}), {"log_loss": 0.5}
    states = [
        realised_readings(LOSS, held, promoted, 10 * DAY, horizon=wait, over=5 * DAY)[0].state for wait in (0, 2 * DAY)
    ]
    assert states == ["firing", "ok"]


def test_quality_of_a_span_that_is_not_whole_is_unknown() -> None:
    held = cohorts(5, {"log_loss": np.full(500, 0.9)})
    assert over_whole(held, FIGURES["log_loss"], 5 * DAY, 7 * DAY) is None
    (early,) = realised_readings(LOSS, held, {"log_loss": 0.5}, 5 * DAY, horizon=0)
    (nothing,) = realised_readings(LOSS, held, {}, 5 * DAY, horizon=0)
    assert (early.state, nothing.state) == ("unknown", "unknown")


def test_figures_that_are_better_when_greater_fall() -> None:
    rows = {"payoff": np.random.default_rng(0).normal(0.5, 0.1, 2_000)}
    figure = {"payoff": FIGURES["payoff"]}
    (told,) = realised_readings(figure, cohorts(10, rows), {"payoff": 1.0}, 10 * DAY, horizon=0, by={"payoff": 0.3})
    assert (told.state, told.limit) == ("firing", pytest.approx(0.7))


def test_no_quality_is_estimated_where_probabilities_do_not_hold() -> None:
    held = cohorts(10, {"log_loss": np.full(1_000, 0.9)})
    refused = Unknown("They do not hold.")
    (unknown,) = estimated_readings(LOSS, held, {"log_loss": 0.5}, 10 * DAY, refused)
    assert (unknown.state, unknown.told) == ("unknown", "They do not hold.")
    (worse,) = estimated_readings(LOSS, held, {"log_loss": 0.5}, 10 * DAY, Calibrated(1_000, 0.5, 0.01))
    assert (worse.monitor, worse.state) == ("estimated log_loss", "firing")


def test_calibration_is_ok_fires_or_is_unknown() -> None:
    random = np.random.default_rng(1)
    p, days = random.uniform(0.1, 0.6, 6_000), np.arange(6_000) // 300
    y = (random.random(6_000) < p) * 1.0
    right, wrong = check_calibration(p, y, days=days), check_calibration(p, 1.0 - y, days=days)
    assert isinstance(wrong, Miscalibrated)
    assert calibration_reading(right).state == "ok"
    assert calibration_reading(wrong).state == "firing"
    assert calibration_reading(wrong, level=0.0).state == "ok"
    assert calibration_reading(check_calibration(p[:600], y[:600], days=days[:600])).state == "unknown"


class Visit(ms.Table):
    """A visit."""

    visit = ms.Key()
    ward = ms.Category()
    seen = ms.KnownAt()


def test_guards_are_held_on_the_newest_decisions() -> None:
    random = np.random.default_rng(2)
    p, days = random.uniform(0.05, 0.6, 3_000), np.arange(3_000) // 150
    y = (random.random(3_000) < p) * 1.0
    guards = [
        Guard("ece", at_most=0.05),
        Guard("log_loss", at_most=0.3),
        Guard("auc", at_least=0.95),
        Guard("payoff", at_least=-5.0),
        Guard("brier", at_most=0.1, where=Visit.ward == "B"),
    ]
    objective = Objective(payoff=PAYOFF, guards=guards)
    told = guard_readings(objective, "binary", y, p, days)
    assert [each.state for each in told] == ["ok", "firing", "firing", "ok", "unknown"]
    assert [each.limit for each in told] == [0.05, 0.3, 0.95, -5.0, None]
    wards = pl.DataFrame({"ward": ["A", "B"] * 1_500})
    assert guard_readings(objective, "binary", y, p, days, decisions=wards)[-1].state == "firing"
    early = guard_readings(objective, "binary", y[:900], p[:900], days[:900])
    assert {each.state for each in early} == {"unknown"}
    one_class = guard_readings(objective, "binary", np.zeros(3_000), p, days)
    assert one_class[2].state == "unknown"


def test_what_may_be_chance_breaks_no_guard() -> None:
    random = np.random.default_rng(3)
    p, days = random.uniform(0.05, 0.6, 600), np.arange(600) // 40
    y = (random.random(600) < p) * 1.0
    mean = float(FIGURES["log_loss"].row(y, p).mean())
    near = Objective(guards=[Guard("log_loss", at_most=mean - 0.005)])
    assert guard_readings(near, "binary", y, p, days)[0].state == "ok"
