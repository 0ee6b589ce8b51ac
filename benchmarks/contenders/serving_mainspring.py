"""The system that `benchmarks/serving.py` serves: will a card's payment be disputed? 30 features, 25 of them from state.

A checkout brings its card, shop, channel and amount; all else comes from what the card and the shop did before. The history
is made here from a fixed seed: 60 days of 300 cards in 40 shops. The model is LightGBM with 200 trees of 63 leaves.
"""

from __future__ import annotations

import numpy as np
import polars as pl

import mainspring as ms

CARDS, SHOPS, DAYS = 300, 40, 60
BEGIN = 1_735_689_600_000_000  # 2025-01-01, in microseconds
HOUR, DAY = 3_600_000_000, 86_400_000_000


class Checkout(ms.Table):
    """A card is about to pay."""

    checkout_id = ms.Key()
    card = ms.Category()
    shop = ms.Category()
    channel = ms.Category()
    amount = ms.Float(unit="EUR", ge=0)
    asked = ms.KnownAt()


class Payment(ms.Table):
    """A payment went through."""

    payment_id = ms.Key()
    card = ms.Category()
    shop = ms.Category()
    amount = ms.Float(unit="EUR", ge=0)
    paid = ms.KnownAt()


class Visit(ms.Table):
    """The holder of a card looked at a shop."""

    visit_id = ms.Key()
    card = ms.Category()
    shop = ms.Category()
    pages = ms.Int(ge=1)
    left = ms.KnownAt()


class Dispute(ms.Table):
    """The holder of a card says: that was not me."""

    checkout_id = ms.Key()
    card = ms.Category()
    shop = ms.Category()
    amount = ms.Float(unit="EUR", ge=0)
    disputed = ms.KnownAt()


asked = dict(
    amount=Checkout.amount,
    channel=Checkout.channel,
    shop=Checkout.shop,
    hour=Checkout.asked.hour(),
    weekday=Checkout.asked.weekday(),
)
windows = {
    f"{by}_{name}_{span}": aggregate
    for by, spans in (("card", ("2d", "7d", "28d")), ("shop", ("6h", "1d", "7d")))
    for span in spans
    for name, aggregate in {
        "payments": Payment.count(by=by, over=span),
        "mean": Payment.amount.mean(by=by, over=span),
        "most": Payment.amount.max(by=by, over=span),
    }.items()
}
rest = dict(
    last_amount=Payment.amount.latest(by="card"),
    card_visits_2d=Visit.count(by="card", over="2d"),
    card_pages_7d=Visit.pages.mean(by="card", over="7d"),
    shop_visits_6h=Visit.count(by="shop", over="6h"),
    shop_pages_1d=Visit.pages.mean(by="shop", over="1d"),
    card_disputes_28d=Dispute.count(by="card", over="28d"),
    shop_disputes_7d=Dispute.count(by="shop", over="7d"),
)

system = ms.System(
    name="served",
    decision=ms.Decision(Checkout, at=Checkout.asked),
    label=ms.Label(Dispute.amount >= 0, by="checkout_id", within="3d", otherwise=False),
    features=asked | windows | rest,
    model=ms.LightGBM(rounds=200, num_leaves=63, min_data_in_leaf=20),
    objective=ms.Objective(
        metric="log_loss", payoff=ms.Payoff(hit=20, miss=-40, false_alarm=-2, unit="EUR"), slices=[Checkout.channel]
    ),
)


def history() -> dict[type[ms.Table], pl.DataFrame]:
    random = np.random.default_rng(20250101)
    payments, visits, checkouts = (_rows(random, count) for count in (90_000, 60_000, 20_000))
    amount = checkouts["amount"].to_numpy()
    stolen = random.random(CARDS) * (random.random(CARDS) < 0.3)
    shady = random.random(SHOPS)
    card, shop = (checkouts[name].str.slice(1).cast(pl.Int64).to_numpy() for name in ("card", "shop"))
    risk = 1 / (1 + np.exp(3.5 - 3 * stolen[card] - 1.5 * shady[shop] - amount / 60))
    disputed = random.random(checkouts.height) < risk
    delay = random.integers(HOUR, 2 * DAY, checkouts.height)
    told = (
        checkouts["at"].to_physical().to_numpy() + delay < BEGIN + DAYS * DAY
    )  # a history ends at one instant for all
    channel = pl.Series("channel", random.choice(["web", "app", "phone"], checkouts.height))
    return {
        Checkout: checkouts.select(_numbered("checkout_id"), "card", "shop", channel, "amount", asked="at"),
        Payment: payments.select(_numbered("payment_id"), "card", "shop", "amount", paid="at"),
        Visit: visits.select(
            _numbered("visit_id"), "card", "shop", pl.Series("pages", random.integers(1, 20, visits.height)), left="at"
        ),
        Dispute: checkouts.with_columns(pl.Series("delay", delay).cast(pl.Duration("us")))
        .select(_numbered("checkout_id"), "card", "shop", "amount", disputed=pl.col("at") + pl.col("delay"))
        .filter(pl.Series(disputed & told)),
    }


def _rows(random: np.random.Generator, count: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "card": np.char.add("c", random.integers(0, CARDS, count).astype(str)),
            "shop": np.char.add("s", random.integers(0, SHOPS, count).astype(str)),
            "amount": random.gamma(2.0, 25.0, count).round(2),
            "at": pl.Series(BEGIN + np.sort(random.integers(0, DAYS * DAY, count))).cast(pl.Datetime("us", "UTC")),
        }
    )


def _numbered(name: str) -> pl.Expr:
    return pl.format("{}", pl.int_range(pl.len())).alias(name)
