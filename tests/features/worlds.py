"""Small random worlds: tables with ties, missing values and awkward numbers, and decisions among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
from hypothesis import strategies as st

import mainspring as ms
from mainspring.clock import HOUR
from mainspring.declare import Aggregate, Expression, Latest, Window
from mainspring.features import INSTANT


class Order(ms.Table):
    order_id = ms.Key()
    shop = ms.Category(optional=True)
    city = ms.Category(optional=True)
    amount = ms.Float(optional=True)
    quantity = ms.Int(optional=True)
    urgent = ms.Bool(optional=True)
    note = ms.Text(optional=True)
    due = ms.Time(optional=True)
    placed = ms.KnownAt()


class Event(ms.Table):
    shop = ms.Category(optional=True)
    city = ms.Category(optional=True)
    amount = ms.Float(optional=True)
    quantity = ms.Int(optional=True)
    urgent = ms.Bool(optional=True)
    note = ms.Text(optional=True)
    due = ms.Time(optional=True)
    seen = ms.KnownAt()


class Shop(ms.Table, static=True):
    shop = ms.Key()
    size = ms.Float(optional=True)
    kind = ms.Category(optional=True)


VALUES = {
    "shop": pl.String, "city": pl.String, "amount": pl.Float64, "quantity": pl.Int64, "urgent": pl.Boolean,
    "note": pl.String, "due": INSTANT,
}  # fmt: skip
EPOCH_HOURS = 380_000  # in 2013
times = st.integers(0, 40).map(lambda n: (EPOCH_HOURS * 2 + n) * HOUR // 2)  # half hours: many ties and exact edges
amounts = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 0.1, 1e9, -1e9, 1e-3, 123456789.125]),
    st.floats(-1e6, 1e6, allow_nan=False, width=32),
)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


columns = {
    "shop": maybe(st.sampled_from("abc")),
    "city": maybe(st.sampled_from("xy")),
    "amount": maybe(amounts),
    "quantity": maybe(st.integers(-3, 4)),
    "urgent": maybe(st.booleans()),
    "note": maybe(st.sampled_from(["", "é", "hello", "日本"])),
    "due": maybe(times),
}
# Events are seen when they become visible, so that conditions on the KnownAt column have something to read.
rows = st.fixed_dictionaries({**columns, "_visible_at": times}).map(lambda row: {**row, "seen": row["_visible_at"]})
shop_rows = st.fixed_dictionaries(
    {"shop": st.sampled_from("abc"), "size": maybe(amounts), "kind": maybe(st.sampled_from("pq"))}
)
decision_rows = st.fixed_dictionaries({**columns, "_at": times})


@dataclass
class World:
    """Facts and decisions as plain rows, and the same as frames."""

    events: list[dict[str, Any]]
    decisions: list[dict[str, Any]]
    shops: list[dict[str, Any]]

    @property
    def tables(self) -> dict[str, list[dict[str, Any]]]:
        return {"event": self.events, "shop": self.shops}

    @property
    def frames(self) -> dict[str, pl.DataFrame]:
        return {"event": event_frame(self.events).sort("_visible_at", "_seq"), "shop": shop_frame(self.shops)}

    @property
    def decision_frame(self) -> pl.DataFrame:
        return _frame(self.decisions, {**VALUES, "_at": INSTANT})


def event_frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return _frame(rows, {**VALUES, "seen": INSTANT, "_visible_at": INSTANT, "_seq": pl.Int64})


def shop_frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    schema = {"shop": pl.String, "size": pl.Float64, "kind": pl.String, "_visible_at": INSTANT, "_seq": pl.Int64}
    return _frame(rows, schema)


def _frame(rows: list[dict[str, Any]], schema: dict[str, Any]) -> pl.DataFrame:
    plain = {name: pl.Int64 if kind == INSTANT else kind for name, kind in schema.items()}
    return pl.DataFrame(rows, schema=plain, orient="row").cast(schema)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    events = draw(st.lists(rows, max_size=25))
    shops = [{"shop": s, "size": draw(maybe(amounts)), "kind": draw(maybe(st.sampled_from("pq")))} for s in "ab"]
    return World(
        [{**row, "_seq": i} for i, row in enumerate(events)],
        draw(st.lists(decision_rows, min_size=1, max_size=8)),
        [{**row, "_visible_at": None, "_seq": i} for i, row in enumerate(shops)],
    )


bys = st.sampled_from([(), "shop", ("shop", "city"), {"shop": "city"}, {"city": "shop", "shop": "shop"}])
spans = st.sampled_from(["30m", "1h", "3h", "12h", "7d"])
numbers = st.sampled_from([Event.amount, Event.quantity, Event.amount * 2.0 - Event.quantity])
conditions = st.sampled_from(
    [Event.urgent, Event.amount > 0.5, Event.shop == "a", Event.note.is_missing(), Event.due < Event.seen]
)
anything = st.sampled_from(
    [Event.amount, Event.quantity, Event.urgent, Event.shop, Event.note, Event.due, Event.due - "1h"]
)


@st.composite
def aggregates(draw: st.DrawFn) -> Aggregate:
    by, over = draw(bys), draw(spans)
    where = draw(maybe(conditions))
    statistic = draw(
        st.sampled_from(["latest", "first", "count", "distinct", "share", "sum", "mean", "min", "max", "std"])
    )
    if statistic == "latest":
        return Latest(draw(anything), by=by, within=draw(maybe(spans)), where=where)
    row: Expression
    if statistic in {"first", "count", "distinct"}:
        row = draw(anything)
    elif statistic == "share":
        row = draw(conditions)
    else:
        row = draw(st.one_of(numbers, st.just(Event.due)) if statistic in {"min", "max"} else numbers)
    return Window(row, statistic=statistic, by=by, over=over, where=where)
