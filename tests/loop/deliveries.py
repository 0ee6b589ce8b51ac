"""A small system to replay: what makes a delivery late turns round in the middle of its history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
import polars as pl

import mainspring as ms
from mainspring.adaptation.retraining import Past
from mainspring.clock import DAY
from mainspring.features import INSTANT
from mainspring.training.dataset import Dataset, assemble

DAYS, A_DAY, TURN = 60, 60, 29  # days of history, orders a day, the day on which it turns
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)


class Order(ms.Table):
    order_id = ms.Key()
    shop = ms.Category()
    size = ms.Float()
    placed = ms.KnownAt()


class Delivery(ms.Table):
    order_id = ms.Key()
    shop = ms.Category()
    minutes = ms.Float()
    arrived = ms.KnownAt()


system = ms.System(
    name="deliveries",
    decision=ms.Decision(Order, at=Order.placed),
    label=ms.Label(Delivery.minutes > 40, by="order_id", within="6h", otherwise=True),
    features=dict(size=Order.size, shop=Order.shop, late=(Delivery.minutes > 40).share(by="shop", over="1d")),
    model=ms.LightGBM(rounds=20, num_leaves=7, min_data_in_leaf=10),
    objective=ms.Objective(metric="log_loss", payoff=ms.Payoff(hit=2, miss=-2, false_alarm=-4, unit="EUR")),
    training=ms.Training(calibration="none"),
    retrain=ms.Retrain(when=ms.Every("2d"), window="6d"),
)


def history(days: int = DAYS) -> dict[str, pl.DataFrame]:
    """The facts of the first days; a longer history begins with the same facts."""
    rng = np.random.default_rng(7)
    count = DAYS * A_DAY
    at = np.arange(count) * (DAY // A_DAY)
    size = rng.uniform(-1, 1, count)
    turned = np.where(at < TURN * DAY, 1.0, -1.0)
    late = rng.uniform(size=count) < 1 / (1 + np.exp(-4 * turned * size))
    minutes = np.where(late, 55.0, 25.0)
    placed = pl.Series([BEGIN + timedelta(microseconds=int(each)) for each in at]).cast(INSTANT)
    names = [f"o{k}" for k in range(count)]
    shop = rng.choice(["a", "b", "c"], count)
    orders = pl.DataFrame({"order_id": names, "shop": shop, "size": size, "placed": placed, "_visible_at": placed})
    arrived = placed + pl.Series(minutes * 60_000_000).cast(pl.Int64).cast(pl.Duration("us"))
    delivered = pl.DataFrame(
        {"order_id": names, "shop": shop, "minutes": minutes, "arrived": arrived, "_visible_at": arrived}
    ).filter(pl.Series(rng.uniform(size=count) > 0.02))
    end = BEGIN + timedelta(days=days)
    frames = {"order": orders, "delivery": delivered}
    return {
        name: frame.filter(pl.col("_visible_at") <= end).sort("_visible_at", maintain_order=True).with_row_index("_seq")
        for name, frame in frames.items()
    }


@lru_cache
def dataset(days: int = DAYS) -> Dataset:
    return assemble(system, history(days))


def instant(day: float) -> int:
    """The beginning of a day of the history, microseconds."""
    return int(BEGIN.timestamp() * 1_000_000) + int(day * DAY)


def past(days: int = DAYS, of: ms.System = system) -> Past:
    return Past(of, dataset(days), instant(20))
