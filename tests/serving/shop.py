"""A small system to serve, a model that can be read off, and facts to send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

import mainspring as ms
from mainspring.clock import HOUR
from mainspring.features import INSTANT, plan
from mainspring.features.online import OnlineState
from mainspring.serving.facts_clock import FactsClock
from mainspring.serving.intake import Intake
from mainspring.serving.journal import Journal
from mainspring.serving.predictor import Predictor
from mainspring.serving.service import FACTS, Service
from mainspring.stream import EmbeddedLog

BEGIN = 400_000 * HOUR


class Order(ms.Table):
    order_id = ms.Key()
    shop = ms.Category()
    items = ms.Int(ge=1)
    weight = ms.Float(optional=True, le=100)
    gift = ms.Bool(optional=True)
    due = ms.Time(optional=True)
    placed = ms.KnownAt()


class Delivery(ms.Table):
    order_id = ms.Key()
    shop = ms.Category()
    minutes = ms.Float(ge=0)
    arrived = ms.KnownAt(lag="5m")


system = ms.System(
    name="deliveries",
    decision=ms.Decision(Order, at=Order.placed, where=Order.items < 100),
    label=ms.Label(Delivery.minutes > 40, by="order_id", within="3h", otherwise=True),
    features=dict(
        items=Order.items,
        pace=Delivery.minutes.mean(by="shop", over="2h"),
        flow=Delivery.count(by="shop", over="1h"),
        slowest=Delivery.minutes.max(over="12h"),
    ),
)


class ReadableModel:
    """A fake: its probability is the number of deliveries in a hundred."""

    class model:  # noqa: N801
        task = "binary"
        classes = ()

    def predict_one(self, values: Mapping[str, Any]) -> float:
        return values["flow"] / 100

    def decide_one(self, prediction: float) -> bool:
        return prediction >= 0.5

    def contributions_one(self, values: Mapping[str, Any]) -> dict[str, float]:
        return {"flow": values["flow"] / 100, "": 0.0}


def deliveries(count: int, begin: int = BEGIN, first: int = 0) -> list[dict[str, Any]]:
    """Deliveries ten minutes apart, as a client would send them."""
    frame = pl.DataFrame({"at": [begin + i * HOUR // 6 for i in range(count)]}).select(pl.col("at").cast(INSTANT))
    times = frame["at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ").to_list()
    return [
        {"order_id": f"o{first + i}", "shop": "ab"[i % 2], "minutes": 10.0 + i % 50, "arrived": time}
        for i, time in enumerate(times)
    ]


def order(**values: Any) -> dict[str, Any]:
    return {"order_id": "n1", "shop": "a", "items": 2, **values}


def empty_history() -> dict[str, pl.DataFrame]:
    return {
        "order": pl.DataFrame(
            schema={
                "order_id": pl.String, "shop": pl.String, "items": pl.Int64, "weight": pl.Float64, "gift": pl.Boolean,
                "due": INSTANT, "placed": INSTANT, "_visible_at": INSTANT,
            }
        ),
        "delivery": pl.DataFrame(
            schema={
                "order_id": pl.String, "shop": pl.String, "minutes": pl.Float64, "arrived": INSTANT,
                "_visible_at": INSTANT,
            }
        ),
    }  # fmt: skip


def open_shop(folder: Path) -> tuple[Service, EmbeddedLog]:
    """Open the service in a folder, and put into its state what the folder's log has."""
    clock = FactsClock(BEGIN)
    log = EmbeddedLog(folder, clock)
    predictor = Predictor(system, OnlineState(plan(system.features), grace=HOUR), ReadableModel(), "m1")  # type: ignore[arg-type]
    service = Service(predictor, Intake(system, empty_history()), Journal(log), clock)
    consumer = log.consumer(FACTS, "lake")
    while records := consumer.poll():
        for record in records:
            service.replay(record)
    consumer.close()
    return service, log


def answers(service: Service, at: int, shops: Sequence[str] = "abc") -> list[dict[str, Any]]:
    """What the state answers, to compare two of them."""
    return [service.predictor.state.answer({"shop": shop, "items": 1, "_at": at}) for shop in shops]
