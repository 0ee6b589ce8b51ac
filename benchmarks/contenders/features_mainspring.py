"""The same features as anyone would declare them, by the public `mainspring.features.compute`."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

import mainspring as ms
from flights import KEYS, SPANS, WEATHER, Flights
from mainspring.features import compute


class Departure(ms.Table):
    origin = ms.Category()
    carrier = ms.Category()
    tailnum = ms.Category(optional=True)
    dep_delay = ms.Float()
    left_at = ms.KnownAt()


class Arrival(ms.Table):
    tailnum = ms.Category(optional=True)
    arr_delay = ms.Float()
    landed_at = ms.KnownAt()


class Weather(ms.Table):
    origin = ms.Category()
    temp = ms.Float(optional=True)
    wind_speed = ms.Float(optional=True)
    published = ms.KnownAt()


FEATURES: dict[str, ms.Expression] = {
    **{
        f"{by}_{kind}_{span}": expression
        for by in KEYS
        for span in SPANS
        for kind, expression in {
            "count": Departure.count(by=by, over=span),
            "mean": Departure.dep_delay.mean(by=by, over=span),
            "max": Departure.dep_delay.max(by=by, over=span),
        }.items()
    },
    "arr_delay": Arrival.arr_delay.latest(by="tailnum"),
    **{name: getattr(Weather, name).latest(by="origin") for name in WEATHER},
}


def declared(flights: Flights) -> pl.DataFrame:
    """Plan and compute. The frames only take the names under which the lake gives them."""
    facts = {
        "departure": flights.departures.with_columns(left_at="known_at", _visible_at="known_at"),
        "arrival": flights.arrivals.with_columns(landed_at="known_at", _visible_at="known_at"),
        "weather": flights.weather.with_columns(published="known_at", _visible_at="known_at"),
    }
    return compute(FEATURES, flights.decisions.rename({"time": "_at"}), facts)


FORMS: dict[str, Callable[[Flights], pl.DataFrame]] = {"declared": declared}
FASTEST = ("declared",)
