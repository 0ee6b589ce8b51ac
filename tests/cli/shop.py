"""Will an order be sent back? A shop of four weeks, as small as a system can be."""

import polars as pl

import mainspring as ms


class Order(ms.Table):
    """A customer ordered."""

    order_id = ms.Key()
    customer = ms.Category()
    article = ms.Category()
    price = ms.Float(unit="EUR", ge=0)
    ordered_at = ms.KnownAt()


class Return(ms.Table):
    """A parcel was opened again in the warehouse."""

    order_id = ms.Key()
    customer = ms.Category()
    sent_back = ms.Bool()
    known_at = ms.KnownAt()


system = ms.System(
    name="shop",
    decision=ms.Decision(Order, at=Order.ordered_at),
    label=ms.Label(Return.sent_back, by="order_id", within="3d"),
    features=dict(
        price=Order.price,
        article=Order.article,
        hour=Order.ordered_at.hour(),
        returned_7d=Return.sent_back.share(by="customer", over="7d"),
    ),
    model=ms.LightGBM(rounds=8, min_data_in_leaf=10),
    objective=ms.Objective(payoff=ms.Payoff(hit=3, miss=-4, false_alarm=-1, unit="EUR"), slices=[Order.article]),
)


def history() -> dict[type[ms.Table], pl.DataFrame]:
    """Every order of four weeks; dear shoes come back."""
    number = pl.int_range(0, 300, eager=True)
    start = pl.datetime(2024, 1, 1, time_zone="UTC", time_unit="us")
    orders = pl.DataFrame({"number": number}).select(
        pl.format("o{}", "number").alias("order_id"),
        pl.format("c{}", pl.col("number") * 7 % 23).alias("customer"),
        pl.when(pl.col("number") % 3 == 0).then(pl.lit("shoes")).otherwise(pl.lit("socks")).alias("article"),
        (pl.col("number") * 37 % 100 + 0.5).alias("price"),
        (start + pl.duration(minutes=pl.col("number") * 130)).alias("ordered_at"),
    )
    returns = orders.select(
        "order_id",
        "customer",
        ((pl.col("article") == "shoes") & (pl.col("price") > 30)).alias("sent_back"),
        (pl.col("ordered_at") + pl.duration(hours=30)).alias("known_at"),
    )
    return {Order: orders, Return: returns}
