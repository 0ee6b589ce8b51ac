"""A small system to serve, a model that can be read off, and facts to send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import polars as pl
from starlette.types import ASGIApp

import mainspring as ms
from mainspring.answers import Arm, Arms
from mainspring.clock import HOUR, Clock, format_instant
from mainspring.errors import WorkspaceError
from mainspring.features import INSTANT
from mainspring.lake import Lake
from mainspring.serving.facts_clock import FactsClock
from mainspring.serving.opening import open_on
from mainspring.serving.predictor import Asked
from mainspring.serving.router import LoadedArm, Router, only
from mainspring.serving.service import Service
from mainspring.stream import EmbeddedLog, Message
from tests.lake.conftest import properties

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


def ask(*, explain: bool = False, **values: Any) -> Asked:
    return Asked(order(**values), explain=explain)


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


def open_shop(folder: Path, lake: Lake | None = None) -> tuple[Service, EmbeddedLog]:
    """Open the service on the log in a folder and on a lake, an empty one if none is given, as `mainspring serve` does."""
    begin = FactsClock(BEGIN)
    log = EmbeddedLog(folder, begin)
    service, _ = open_on(system, readable("m1"), log, lake or empty_lake(folder), begin, follow_facts=True, grace=HOUR)
    return service, log


def empty_lake(folder: Path) -> Lake:
    """A lake in a folder of its own, without facts at first."""
    (folder / "lake").mkdir(parents=True, exist_ok=True)
    return Lake(properties(folder / "lake"), "deliveries")


class Full:
    """A broker whose disk is full."""

    prompt = False

    def submit(self, messages: Sequence[Message]) -> Future[list[int]]:
        refused: Future[list[int]] = Future()
        refused.set_exception(WorkspaceError("WORKSPACE_DISK_FULL", "No space.", fix="Free some."))
        return refused


class Deployer:
    """A fake of `serving.deployed.Deployed`: every model name is that of a model that can be read off."""

    def __init__(self, service: Service) -> None:
        self.router = service.predictor.router
        self.deployment: Arms | None = None

    def refresh(self) -> bool:
        return False

    def deploy(self, arms: Sequence[Arm], *, clock: Clock, by: str = "", reason: str = "") -> Arms:
        model: Any = ReadableModel()
        self.router = Router("deliveries", ["order_id"], [LoadedArm(arm, model) for arm in arms])
        self.deployment = Arms(arms=self.router.arms, since=format_instant(clock.now()), by=by, reason=reason)
        return self.deployment

    def told(self) -> Arms:
        return self.deployment or Arms(arms=self.router.arms)


def readable(version: str) -> Router:
    """A router with one arm, whose model can be read off."""
    model: Any = ReadableModel()
    return only("deliveries", ["order_id"], model, version)


@asynccontextmanager
async def living(app: ASGIApp) -> AsyncIterator[None]:
    """Let an application live as a server does: what runs beside its requests runs inside of this."""
    told: asyncio.Queue[Any] = asyncio.Queue()
    heard: asyncio.Queue[Any] = asyncio.Queue()
    life = asyncio.create_task(app({"type": "lifespan", "asgi": {"version": "3.0"}}, told.get, heard.put))
    try:
        await told.put({"type": "lifespan.startup"})
        assert (await heard.get())["type"] == "lifespan.startup.complete"
        yield
        await told.put({"type": "lifespan.shutdown"})
        assert (await heard.get())["type"] == "lifespan.shutdown.complete"
    finally:
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)


async def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.002)


def answers(service: Service, at: int, shops: Sequence[str] = "abc") -> list[dict[str, Any]]:
    """What the state answers, to compare two of them."""
    return [service.predictor.state.answer({"shop": shop, "items": 1, "_at": at}) for shop in shops]
