"""A proxy tells of labels to come what it told of those that came, says how sure that is, and is refused where it broke."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import mainspring as ms
from mainspring.clock import DAY, HOUR
from mainspring.declare.expression import Literal
from mainspring.declare.kind import Kind
from mainspring.monitoring.calibration_check import Unknown
from mainspring.monitoring.estimated import Estimate, expected_rows
from mainspring.monitoring.proxies import ProxyCohorts, proxy_readings
from mainspring.monitoring.proxy_map import CELLS, ProxyMap, cells
from mainspring.monitoring.realised import figures_of

FIGURES = figures_of("binary", ms.Objective(payoff=ms.Payoff(hit=3, miss=-4, false_alarm=-1)))
EMPTY = ProxyCohorts(DAY, tuple(FIGURES))
PROXY = ms.Proxy(Literal(True, Kind.BOOL), by="key", within="2h")

Floats = NDArray[np.float64]


class Days:
    """Simulated decisions: predictions, labels whose log odds move from day to day, and a proxy that tells them."""

    def __init__(
        self, days: int, a_day: int = 400, *, seed: int = 0, moved: Floats | float = 0.0, hit: float = 0.8,
        false: float = 0.1, spread: float = 0.0, broken_from: int | None = None,
    ) -> None:  # fmt: skip
        rng = np.random.default_rng(seed)
        self.day = np.repeat(np.arange(days), a_day)
        self.at = self.day * DAY + rng.integers(0, DAY, len(self.day))
        odds = rng.normal(-1.0, 1.0, len(self.day))
        self.p = 1 / (1 + np.exp(-odds))
        shift = np.broadcast_to(moved, days) + rng.normal(0, spread, days)
        self.y = (rng.uniform(size=len(odds)) < 1 / (1 + np.exp(-odds - shift[self.day]))).astype(float)
        told = np.where(self.y > 0, hit, false)
        if broken_from is not None:
            told = np.where(self.day >= broken_from, np.where(self.y > 0, 0.4, 0.4), told)
        self.proxy = (rng.uniform(size=len(odds)) < told).astype(float)

    def cohorts(self, told: int, known: int, of: ProxyCohorts = EMPTY) -> ProxyCohorts:
        """Proxies of the first days, and labels of fewer."""
        a, b = self.day < told, self.day < known
        of = of.told(self.at[a], self.p[a], self.proxy[a], FIGURES)
        return of.matured(self.at[b], self.p[b], self.proxy[b], self.y[b])

    def realised(self, name: str, day: int) -> float:
        mine = self.day == day
        return FIGURES[name].mean(self.y[mine], self.p[mine])

    def cbpe(self, name: str, day: int) -> float:
        return float(expected_rows(FIGURES[name], self.p[self.day == day]).mean())


def estimate(cohorts: ProxyCohorts, name: str, day: int) -> Estimate:
    learned = cohorts.learn()
    assert isinstance(learned, ProxyMap), learned
    found = cohorts.estimate(name, learned, day * DAY, (day + 1) * DAY)
    assert isinstance(found, Estimate), found
    return found


# -- laws ----------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 300), max_size=6), st.lists(st.integers(0, 300), max_size=6), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_however_a_stream_is_cut_the_state_is_the_same_to_the_last_bit(
    cuts: list[int], other_cuts: list[int], seed: int
) -> None:
    days = Days(6, 50, seed=seed)
    order = np.random.default_rng(seed).permutation(300)
    start = ProxyCohorts(DAY, tuple(FIGURES), kept=4)

    def state(cuts: list[int]) -> ProxyCohorts:
        found = start
        for part in np.split(order, sorted(cuts)):
            found = found.told(days.at[part], days.p[part], days.proxy[part], FIGURES)
            found = found.matured(days.at[part], days.p[part], days.proxy[part], days.y[part])
        return found

    assert msgspec.json.encode(state(cuts)) == msgspec.json.encode(state(other_cuts))
    assert sorted(state(cuts).held) == [2, 3, 4, 5]


@given(st.integers(0, 9), st.integers(0, 2))
@settings(max_examples=10, deadline=None)
def test_rows_that_lack_something_count_nothing(seed: int, missing: int) -> None:
    days, other = Days(3, 40, seed=seed), Days(3, 40, seed=seed)
    lost = np.random.default_rng(seed).uniform(size=120) < 0.3
    (other.p, other.proxy, other.y)[missing][lost] = np.nan
    told, kept = other.cohorts(3, 3), ~lost
    expected = EMPTY
    seen = kept if missing < 2 else np.ones(120, bool)
    expected = expected.told(days.at[seen], days.p[seen], days.proxy[seen], FIGURES)
    expected = expected.matured(days.at[kept], days.p[kept], days.proxy[kept], days.y[kept])
    assert told == expected


def test_the_state_survives_its_encoding() -> None:
    found = Days(3, 20).cohorts(3, 2)
    assert msgspec.json.decode(msgspec.json.encode(found), type=ProxyCohorts) == found


def test_the_map_is_the_share_of_yes_in_each_cell_within_its_error() -> None:
    days = Days(40, 2000, spread=0.3)
    found = days.cohorts(40, 40).learn()
    assert isinstance(found, ProxyMap)
    cell = cells(days.p, days.proxy)
    rows = np.bincount(cell, minlength=CELLS)
    share = np.bincount(cell, days.y, CELLS) / np.maximum(rows, 1)
    often = rows > 200
    np.testing.assert_allclose(np.array(found.chance)[often], share[often], atol=0.05)
    assert found.agreement == pytest.approx((days.y == days.proxy).mean())
    assert found.labels == len(days.y)
    # Of Bayes: P(yes | proxy) from the odds of the bin, times 8 where the proxy said yes and 2/9 where it said no.
    odds = (days.p / (1 - days.p)) * np.where(days.proxy > 0, 8.0, 2 / 9)
    truth = np.bincount(cell, odds / (1 + odds), CELLS) / np.maximum(rows, 1)
    off = (np.array(found.chance) - truth)[often] / np.array(found.error)[often]
    assert np.abs(off).max() < 4.0


@pytest.mark.parametrize("spread", [0.0, 0.6])
@pytest.mark.parametrize("name", ["log_loss", "payoff"])
def test_intervals_hold_what_the_labels_then_say(name: str, spread: float) -> None:
    """95% of days, where days are all alike and where they are not: there rows of a day are far from independent."""
    inside, refused, days = 0, 0, Days(171, 300, seed=3, spread=spread)
    cohorts = days.cohorts(21, 20)
    for day in range(21, 171):
        today, labelled = days.day == day, days.day == day - 1
        cohorts = cohorts.told(days.at[today], days.p[today], days.proxy[today], FIGURES)
        cohorts = cohorts.matured(days.at[labelled], days.p[labelled], days.proxy[labelled], days.y[labelled])
        if isinstance(cohorts.learn(), Unknown):
            refused += 1
            continue
        found = estimate(cohorts, name, day)
        inside += found.low <= days.realised(name, day) <= found.high
    assert refused <= 3
    assert 0.90 <= inside / (150 - refused) <= 0.995


def test_on_days_of_sudden_trouble_a_proxy_is_nearer_than_the_probabilities() -> None:
    moved = np.zeros(60)
    moved[30::5] = 1.5  # the odds of yes are four times what they were
    days = Days(60, 400, moved=moved)
    by_proxy, by_cbpe = [], []
    for day in range(30, 60, 5):
        found, true = estimate(days.cohorts(day + 1, day), "log_loss", day), days.realised("log_loss", day)
        by_proxy.append(abs(found.value - true))
        by_cbpe.append(abs(days.cbpe("log_loss", day) - true))
    assert np.mean(by_proxy) < 0.5 * np.mean(by_cbpe)
    assert all(np.array(by_proxy) < np.array(by_cbpe))


# -- refusals ------------------------------------------------------------------------------------------------------------


def refused(found: ProxyMap | Unknown) -> str:
    assert isinstance(found, Unknown), found
    return found.reason


def test_a_map_that_was_never_learned_is_unknown() -> None:
    assert "0 cohort(s)" in refused(EMPTY.learn())
    assert "16 cohort(s) only; 17 are needed" in refused(Days(30).cohorts(30, 16).learn())
    assert "The proxy said yes for" in refused(Days(30, 40, hit=0.01, false=0.01).cohorts(30, 30).learn())
    found = Days(30).cohorts(20, 20)
    learned = found.learn()
    assert isinstance(learned, ProxyMap)
    assert found.estimate("log_loss", learned, 25 * DAY, 26 * DAY) == Unknown(
        "No decision of that time has a proxy yet."
    )


def test_a_proxy_that_no_longer_tells_the_label_is_refused() -> None:
    days = Days(40, broken_from=30)
    assert isinstance(days.cohorts(31, 30).learn(), ProxyMap)
    assert "does not tell them as it did" in refused(days.cohorts(40, 37).learn())


def test_a_proxy_that_holds_is_seldom_refused() -> None:
    """Days of their own weather, and a level that moves slowly: in 1 of 100 checks at most."""
    checks = [Days(30, 200, seed=seed, spread=0.4).cohorts(30, 30).learn() for seed in range(150)]
    assert sum(isinstance(each, Unknown) for each in checks) <= 4


# -- readings ------------------------------------------------------------------------------------------------------------


def test_a_reading_fires_where_the_whole_interval_is_worse_than_the_limit() -> None:
    moved = np.zeros(31)
    moved[30] = 2.0
    days = Days(31, 400, moved=moved)
    counted = {"left late": days.cohorts(31, 30)}

    def read(name: str, limit: float | None, now: int = 31 * DAY + 2 * HOUR) -> str:
        [found] = proxy_readings(counted, {"left late": PROXY}, FIGURES[name], now=now, limit=limit)
        assert (found.monitor, found.kind, found.about) == ("proxy left late", "outcomes", name)
        return found.state

    usual = days.realised("log_loss", 29)
    assert read("log_loss", usual + 0.05) == "firing"
    assert read("log_loss", None) == "ok"
    assert read("log_loss", 5.0) == "ok"
    assert read("payoff", 3.0) == "firing"  # more is better
    assert read("payoff", -4.0) == "ok"
    # A minute earlier the last proxies of the day are not settled, and the day before was a usual one.
    assert read("log_loss", usual + 0.05, now=31 * DAY + 2 * HOUR - 1) == "ok"


def test_a_refusal_is_a_reading_too() -> None:
    [found] = proxy_readings({"left late": EMPTY}, {"left late": PROXY}, FIGURES["log_loss"], now=9 * DAY, limit=0.5)
    assert (found.state, found.value, found.limit) == ("unknown", None, 0.5)
    assert "17 are needed" in found.told
