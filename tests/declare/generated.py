"""Generated declarations: well-typed expressions over three tables, and small systems made of them."""

import datetime
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

import mainspring as ms
from mainspring.declare import Expression
from mainspring.declare.kind import TIME_PARTS


class Trip(ms.Table):
    """A bicycle is wanted."""

    trip_id = ms.Key()
    station = ms.Category()
    member = ms.Bool()
    distance = ms.Float(unit="km", ge=0)
    riders = ms.Int(optional=True)
    planned = ms.Time(zone="Europe/Berlin")
    booked = ms.KnownAt()


class Rental(ms.Table):
    """A bicycle was taken."""

    trip_id = ms.Key()
    station = ms.Category()
    electric = ms.Bool()
    minutes = ms.Float(unit="min")
    stops = ms.Int()
    due = ms.Time()
    taken = ms.KnownAt(lag="5m")


class Station(ms.Table, static=True):
    station = ms.Key(source="station name")
    docks = ms.Int(le=500)


NAMESPACE: Mapping[str, Any] = {
    "Trip": Trip, "Rental": Rental, "Station": Station, "decided_at": ms.decided_at, "where": ms.where, "datetime": datetime,
}  # fmt: skip
SPANS = st.sampled_from(["90s", "15m", "1h30m", "2h", "7d", "0.25s"])
FLOATS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: x + 0.0)
INTS = st.integers(-1000, 1000)
TIMEDELTAS = st.timedeltas(datetime.timedelta(days=-400), datetime.timedelta(days=400))
DATETIMES = st.datetimes(datetime.datetime(1950, 1, 1), datetime.datetime(2090, 1, 1), timezones=st.just(datetime.UTC))  # noqa: DTZ001


def numbers(table: Any, depth: int) -> st.SearchStrategy[Expression]:
    leaves = st.sampled_from([table.distance, table.riders] if table is Trip else [table.minutes, table.stops])
    if depth == 0:
        return leaves
    inner, operand = numbers(table, depth - 1), numbers(table, depth - 1) | FLOATS | INTS
    return st.one_of(
        leaves,
        st.builds(lambda a, b: a + b, inner, operand),
        st.builds(lambda a, b: b - a, inner, operand),
        st.builds(lambda a, b: a * b, inner, operand),
        st.builds(lambda a, b: b / a, inner, operand),
        st.builds(lambda a, b: a // b, inner, operand),
        st.builds(lambda a, b: a % b, inner, operand),
        st.builds(lambda a: -a, inner),
        inner.map(lambda a: a.abs()),
        inner.map(lambda a: a.sqrt().log1p().sin().cos()),
        st.builds(lambda a, b: a.clip(b, b + 10), inner, INTS),
        st.builds(lambda a, b: a.fill_missing(b), inner, operand),
        st.builds(lambda c, a, b: ms.where(c, a).otherwise(b), conditions(table, depth - 1), inner, operand),
        st.builds(lambda c, a: ms.where(c, a), conditions(table, depth - 1), operand),
        st.builds(lambda t, part: getattr(t, part)(), times(table, depth - 1), st.sampled_from(TIME_PARTS)),
        times(table, depth - 1).map(lambda t: t.hour("Asia/Tokyo")),
        spans(table, depth - 1).map(lambda s: s.minutes()),
        st.just(table.station.length()),
    )


def times(table: Any, depth: int) -> st.SearchStrategy[Expression]:
    leaves = st.sampled_from([table.planned, table.booked] if table is Trip else [table.due, table.taken])
    if depth == 0:
        return leaves
    inner = times(table, depth - 1)
    return st.one_of(
        leaves,
        st.builds(lambda t, s: t - s, inner, SPANS | TIMEDELTAS),
        st.builds(lambda t, s: s + t, inner, SPANS | TIMEDELTAS),
        st.builds(lambda t, d: t.fill_missing(d), inner, DATETIMES),
        st.builds(lambda c, d, t: ms.where(c, d).otherwise(t), conditions(table, depth - 1), DATETIMES, inner),
    )


def spans(table: Any, depth: int) -> st.SearchStrategy[Expression]:
    other = times(table, depth)
    return st.one_of(
        st.builds(lambda a, b: a - b, other, other | DATETIMES),
        st.builds(lambda a, b, s: (a - b) + s, other, other, SPANS),
        st.builds(lambda c, s: ms.where(c, s), conditions(table, 0), TIMEDELTAS),
    )


def conditions(table: Any, depth: int) -> st.SearchStrategy[Expression]:
    leaves = st.sampled_from([table.member] if table is Trip else [table.electric])
    if depth == 0:
        return leaves
    number, inner = numbers(table, depth - 1), conditions(table, depth - 1)
    return st.one_of(
        leaves,
        st.builds(lambda a, b: a < b, number, FLOATS),
        st.builds(lambda a, b: a <= b, number, INTS),
        st.builds(lambda a, b: a > b, number, number),
        st.builds(lambda a, b: a >= b, number, INTS),
        st.builds(lambda a, b: a == b, number, INTS),
        st.builds(lambda a, b: a != b, number, number),
        st.builds(lambda t, d: t > d, times(table, depth - 1), DATETIMES),
        st.builds(lambda s, d: s <= d, spans(table, depth - 1), SPANS | TIMEDELTAS),
        st.builds(lambda a, b: table.station.is_in(a, b), st.text(max_size=3), st.sampled_from(["North", "O'Hare"])),
        st.builds(lambda a, b: a & b, inner, inner),
        st.builds(lambda a, b: a | ~b, inner, inner),
        number.map(lambda a: a.is_missing()),
    )


BY = st.sampled_from(
    ["station", ("station", "trip_id"), {"station": "station", "trip_id": "trip_id"}, {"trip_id": "station"}]
)


@st.composite
def aggregates(draw: st.DrawFn) -> Expression:
    by, over = draw(BY), draw(SPANS)
    where = draw(st.none() | conditions(Rental, 1))
    number, condition = draw(numbers(Rental, 1)), draw(conditions(Rental, 1))
    return draw(
        st.sampled_from([
            number.latest(by=by, within=over, where=where),
            number.latest(by=by, where=where),
            *(getattr(number, how)(by=by, over=over, where=where) for how in ("sum", "mean", "min", "max", "std", "first")),
            number.distinct(by=by, over=over),
            number.count(by=by, over=over),
            condition.share(by=by, over=over, where=where),
            Rental.count(by=by, over=over, where=where),
            Station.docks.latest(by="station"),
        ])
    )  # fmt: skip


FEATURES = st.one_of(
    numbers(Trip, 2),
    conditions(Trip, 2),
    aggregates(),
    st.builds(lambda a, b: a - b, numbers(Trip, 1), aggregates()),
    st.builds(lambda t: (ms.decided_at - t).hours(), times(Trip, 1)),
    st.sampled_from([Trip.station, Trip.member]),
)

LABELS = st.sampled_from([
    ms.Label(Rental.minutes >= 30, by="trip_id", within="2d", otherwise=False),
    ms.Label(Rental.minutes, by="trip_id", within="1d"),
    ms.Label(Rental.count(by="station", over="1h"), within="1h"),
])  # fmt: skip


@st.composite
def systems(draw: st.DrawFn) -> ms.System:
    expressions = draw(st.lists(FEATURES, min_size=1, max_size=4))
    return ms.System(
        name="bikes",
        decision=draw(st.sampled_from([ms.Decision(Trip, at=Trip.planned - "30m"), ms.Decision(Trip, every="1h", offset="5m")])),
        label=draw(LABELS),
        features={f"feature_{i}": e for i, e in enumerate([*expressions, Station.docks.latest(by="station")])},
        model=ms.LightGBM(rounds=draw(st.integers(1, 500)), parameters={"extra_trees": True, "metric": ("auc", "l1")}),
        objective=ms.Objective(slices=[Trip.station], guards=[ms.Guard("ece", at_most=0.1, where=Trip.distance > 2)]),
        training=ms.Training(test=draw(st.sampled_from(["2024-05-01", 0.2])), class_weight={True: 2.0, False: 1.0}),
        heuristic=draw(st.none() | numbers(Trip, 1)),
        checks=[ms.Check.noise("feature_0"), ms.Check.invariance("feature_0", to=(1.0, 2.0))],
        groups={"first": ("feature_0",)},
        proxies={"short": ms.Proxy(Rental.minutes < 10, by="trip_id", within="6h", otherwise=False)},
        friction={"again": ms.Friction.asks_again(within="10m"), "rented": ms.Friction(Rental, by="trip_id", within="1h")},
        retrain=ms.Retrain(when=ms.AnyOf(ms.Every("7d"), ms.AllOf(ms.Volume(9), ms.Drifted())), window="90d"),
        rollout=ms.Rollout(ms.Shadow(), ms.Canary(0.1), alpha=0.01),
        alerts=ms.Alerts(owners={"data": "us"}),
        brief=ms.Brief(goal="Bikes where they are wanted."),
        description=draw(st.text(max_size=5)),
    )  # fmt: skip


def careless(depth: int = 3) -> st.SearchStrategy[Expression]:
    """Expressions of whatever goes through Python: kinds, tables and aggregates mixed at will, columns misspelt."""
    leaves = st.sampled_from([
        Trip.station, Trip.member, Trip.distance, Trip.planned, Trip.dsitance, Rental.minutes, Rental.taken, Rental.sttaion,
        Station.docks, ms.decided_at,
    ])  # fmt: skip
    if depth == 0:
        return leaves
    inner, by = careless(depth - 1), st.sampled_from(["station", "sttaion", (), {"docks": "distance"}])
    statistics = st.sampled_from(["sum", "mean", "min", "max", "std", "share", "distinct", "first", "count"])
    return st.one_of(
        leaves,
        st.builds(lambda a, b: a + b, inner, inner | INTS),
        st.builds(lambda a, b: a > b, inner, inner),
        st.builds(lambda a, b: a & b, inner, inner),
        st.builds(lambda a, b: ms.where(a, b).otherwise(b), inner, inner),
        st.builds(lambda a, zone: a.hour(zone), inner, st.sampled_from(["UTC", "Europe/Berln", ""])),
        inner.map(lambda a: a.days()),
        st.builds(lambda a, how, b: getattr(a, how)(by=b, over="1h"), inner, statistics, by),
        st.builds(lambda a, b, where: a.latest(by=b, where=where), inner, by, st.none() | inner),
    )
