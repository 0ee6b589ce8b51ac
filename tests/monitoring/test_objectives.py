"""One table of all that is promised: it says what the readings say, and nothing of what nobody knows."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mainspring as ms
from mainspring.clock import DAY, HOUR
from mainspring.evaluation.metric import METRICS
from mainspring.monitoring.calibration_check import Unknown
from mainspring.monitoring.counted import Counted
from mainspring.monitoring.objectives import ObjectiveRow, objective_rows
from mainspring.monitoring.realised import Cohorts, Realised, figures_of
from mainspring.monitoring.settled import Settled, held_to, metric_reading
from mainspring.monitoring.slo import slo_reading
from tests.declare.generated import Rental, Trip
from tests.test_guide import executed

NOW = 20_000 * DAY
PAYOFF = ms.Payoff(hit=3, miss=-4, false_alarm=-1)
system = ms.System(
    name="bikes",
    decision=ms.Decision(Trip, at=Trip.booked),
    label=ms.Label(Rental.minutes > 30, by="trip_id", within="1d"),
    features={"distance": Trip.distance},
    objective=ms.Objective(
        metric="brier", payoff=PAYOFF,
        guards=[ms.Guard("ece", at_most=0.1), ms.Guard("ece", at_most=0.1, where=Trip.distance > 2), ms.Guard("auc", at_least=0.9)],
    ),
    slos=[
        ms.SLO("availability", target=0.999), ms.SLO("freshness", target=0.99, within="2h"),
        ms.SLO("log_loss", at_most=0.3), ms.SLO("payoff", at_least=-2, window="14d"),
    ],
)  # fmt: skip


def settled(rows: int = 3_000, seed: int = 0, days: int = 40) -> Settled:
    """Calibrated probabilities of the last days, an even number each."""
    rng = np.random.default_rng(seed)
    at = NOW - 1 - (np.arange(rows) * days * DAY // max(rows, 1))
    p = rng.uniform(0.05, 0.95, rows)
    y = (rng.uniform(size=rows) < p).astype(float)
    figures = figures_of("binary", system.objective)
    cohorts = Cohorts(DAY, tuple(figures)).predicted(at)
    cohorts = cohorts.matured(at, {name: figure.row(y, p) for name, figure in figures.items()})
    return Settled(cohorts, figures, NOW, at // DAY, p, y)


def rows_of(state: Settled | None, kept: dict[str, Counted] | None = None) -> dict[str, ObjectiveRow]:
    return {row.name: row for row in objective_rows(system, kept or {}, state, NOW)}


# Laws


def test_every_promise_has_one_row_in_order() -> None:
    names = [row.name for row in objective_rows(system, {}, None, NOW)]
    slice_ = "guard ece where Trip.distance > 2"
    assert names == [
        "availability", "freshness 2h", "log_loss", "payoff", "brier", "guard ece", slice_, "guard auc",
    ]  # fmt: skip
    without = replace(system, slos=(ms.SLO("brier", at_most=0.2),))
    assert [row.name for row in objective_rows(without, {}, None, NOW)][:2] == ["brier", "guard ece"]


def test_what_nobody_knows_is_unknown_and_says_why() -> None:
    for row in objective_rows(system, {}, None, NOW):
        assert (row.state, row.value, row.budget_left, row.burn) == ("unknown", None, None, None)
        assert row.told.endswith(".")
    assert rows_of(None)["brier"].told == "brier is unknown: no decision is settled yet."


def test_a_row_is_the_reading_in_a_table() -> None:
    counted = Counted()
    for k in range(48):
        counted = counted.told(NOW - (48 - k) * HOUR, NOW - (47 - k) * HOUR, 999, 1)
    row = rows_of(None, {"availability": counted})["availability"]
    reading = slo_reading(system.slos[0], counted, NOW)
    assert (row.state, row.told) == (reading.state, reading.told)
    assert row.value == pytest.approx(0.999)
    assert row.burn == pytest.approx(1)
    assert row.budget_left == pytest.approx(0)


@pytest.mark.parametrize("metric", ["auc", "pr_auc", "ece", "log_loss", "brier", "payoff"])
def test_a_metric_is_that_of_the_settled_rows_of_its_window(metric: str) -> None:
    state, window = settled(), 30 * DAY
    found = state.over(metric, window)
    mine = state.days >= (NOW - window) // DAY
    y, p = state.labels[mine], state.predictions[mine]
    expected = METRICS[metric](y, p) if metric in METRICS else state.figures[metric].mean(y, p)
    assert isinstance(found, Realised)
    assert found.value == pytest.approx(expected)
    assert found.low <= found.value <= found.high
    assert found.known == mine.sum()


@given(
    st.floats(-2, 2), st.floats(0, 1), st.floats(0, 1), st.none() | st.floats(-2, 2), st.none() | st.floats(-2, 2)
)  # fmt: skip
def test_it_fires_only_where_the_whole_interval_breaks_a_limit(
    value: float, below: float, above: float, at_most: float | None, at_least: float | None
) -> None:
    found = Realised(value, value - below, value + above, 10, 10)
    state, limit = held_to(found, at_most, at_least)
    breaks = [at_most] if at_most is not None and value > at_most else []
    breaks += [at_least] if at_least is not None and value < at_least else []
    assert (state == "ok") == (not breaks)
    if state == "firing":
        assert limit in breaks
        assert found.low > limit or found.high < limit
    assert limit in (at_most, at_least)


# Cases


def test_a_metric_that_is_surely_beyond_its_limit_fires() -> None:
    rows = rows_of(settled())
    assert rows["log_loss"].state == "firing"
    assert rows["log_loss"].told.startswith("log_loss is 0.5")
    assert rows["log_loss"].told.endswith("and must be at most 0.3: it is not.")
    assert rows["guard ece"].state == "ok"
    assert rows["guard auc"].state == "firing"
    assert (rows["brier"].state, rows["brier"].target) == ("ok", "")
    assert rows["payoff"].window == "14d"
    assert rows["guard ece where Trip.distance > 2"].state == "unknown"


def test_what_may_be_chance_is_unknown() -> None:
    state = settled(250)
    value = state.over("log_loss", 30 * DAY)
    assert isinstance(value, Realised)
    slo = ms.SLO("log_loss", at_most=value.value - 0.001)
    reading = metric_reading(slo, state)
    assert (reading.state, reading.kind) == ("unknown", "outcomes")
    assert reading.told.endswith(": it may be so by chance.")


def test_too_few_decisions_and_metrics_that_nobody_follows_are_unknown() -> None:
    assert isinstance(settled(100).over("auc", 30 * DAY), Unknown)
    assert isinstance(settled(0).over("log_loss", 30 * DAY), Unknown)
    assert isinstance(settled().over("pinball@0.9", 30 * DAY), Unknown)
    assert metric_reading(ms.SLO("auc", at_least=0.6), settled(100)).severity == "note"


def test_rows_are_plain() -> None:
    rows = objective_rows(system, {}, settled(), NOW)
    assert msgspec.json.decode(msgspec.json.encode(rows), type=list[ObjectiveRow]) == rows


def test_the_examples_of_the_page_hold() -> None:
    assert executed("docs/objectives.md")["page"].severity == "page"
