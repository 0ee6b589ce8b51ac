"""Friction is held against its own history: it keeps its error rate, finds a rise, and says what it cannot tell."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

import mainspring as ms
from mainspring.clock import DAY, HOUR
from mainspring.monitoring.friction import FrictionCohorts, friction_readings
from mainspring.monitoring.readings import Reading

AGAIN = ms.Friction.asks_again(within="1h")


def counted(rates: np.ndarray, a_day: int, seed: int = 0) -> FrictionCohorts:
    """Days with these rates of friction, straight as counts."""
    met = np.random.default_rng(seed).binomial(a_day, rates)
    return FrictionCohorts(DAY, held={day: (a_day, int(count)) for day, count in enumerate(met)})


def read(cohorts: FrictionCohorts, now: int) -> Reading:
    [found] = friction_readings({"again": cohorts}, {"again": AGAIN}, now=now)
    assert (found.monitor, found.kind) == ("friction again", "outcomes")
    return found


@given(st.lists(st.integers(0, 200), max_size=5), st.lists(st.integers(0, 200), max_size=5), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_however_a_stream_is_cut_the_state_is_the_same(cuts: list[int], other_cuts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    at, met = rng.integers(0, 8 * DAY, 200), rng.choice([0.0, 1.0, np.nan], 200)

    def state(cuts: list[int]) -> FrictionCohorts:
        found = FrictionCohorts(DAY, kept=5)
        for part in np.split(np.arange(200), sorted(cuts)):
            found = found.settled(at[part], met[part])
        return found

    assert msgspec.json.encode(state(cuts)) == msgspec.json.encode(state(other_cuts))
    assert msgspec.json.decode(msgspec.json.encode(state(cuts)), type=FrictionCohorts) == state(cuts)
    there = ~np.isnan(met) & (at >= 3 * DAY)
    assert sum(rows for rows, _ in state(cuts).held.values()) == there.sum()
    assert sum(yes for _, yes in state(cuts).held.values()) == met[there].sum()


@pytest.mark.parametrize("spread", [0.0, 0.3, 0.6])
def test_where_nothing_rose_the_alarms_keep_their_rate(spread: float) -> None:
    """One day in a hundred, where days are alike and where each has a rate of its own."""
    rng, alarms = np.random.default_rng(5), 0
    for seed in range(1000):
        rates = expit(-2.4 + rng.normal(0.0, spread, 29))
        alarms += read(counted(rates, 300, seed), 29 * DAY + HOUR).state == "firing"
    assert alarms <= 17  # 10, and two standard deviations of that


def test_a_rise_is_found_on_its_day_and_not_before_it_is_settled() -> None:
    rates = np.full(29, 0.05)
    rates[28] = 0.12
    cohorts = counted(rates, 500)
    found = read(cohorts, 29 * DAY + HOUR)
    assert found.state == "firing"
    assert found.value is not None
    assert found.limit is not None
    assert found.value > found.limit > 0.05
    assert read(cohorts, 29 * DAY + HOUR - 1).state == "ok"
    begun = cohorts.settled(np.full(400, 29 * DAY), np.ones(400))
    assert read(begun, 30 * DAY) == found  # between two cohorts the answer stays


def test_many_signals_share_the_level() -> None:
    rates = np.full(29, 0.05)
    names = [f"signal {k}" for k in range(50)]
    alone = friction_readings({"a": counted(rates, 500)}, {"a": AGAIN}, now=29 * DAY + HOUR)[0]
    among = friction_readings(
        {name: counted(rates, 500) for name in names}, dict.fromkeys(names, AGAIN), now=29 * DAY + HOUR
    )[0]
    assert alone.limit is not None
    assert among.limit is not None
    assert among.limit > alone.limit


def test_what_cannot_be_told_is_unknown() -> None:
    assert "There are 9 cohort(s)" in read(counted(np.full(10, 0.1), 500), 10 * DAY + HOUR).told
    assert "0 decisions of the newest cohort are too few" in read(counted(np.full(20, 0.1), 500), 21 * DAY + HOUR).told
    assert read(counted(np.full(29, 0.001), 500), 29 * DAY + HOUR).state == "unknown"
    assert read(FrictionCohorts(DAY), 29 * DAY).state == "unknown"
