"""A served system that lives through the deliveries again, step by step: facts and decisions as they came, then the loop."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

import mainspring as ms
from mainspring.answers import Prediction
from mainspring.clock import HOUR, MINUTE, SECOND
from mainspring.declare import Canary, Every, Retrain, Rollout, Shadow, Table
from mainspring.loop.build import build
from mainspring.loop.live import Live
from mainspring.loop.live_state import Asked
from mainspring.loop.play import read_score
from mainspring.loop.system_file import LoadedSystem
from mainspring.loop.teaching import Taught, teach
from mainspring.serving.deployed import load_model
from mainspring.serving.opening import open_service
from mainspring.serving.predictor import Asked as Question
from mainspring.serving.rewinding import rewind_service
from mainspring.serving.shadows import Shadows
from mainspring.serving.sink import Sink
from mainspring.workspace import Workspace

from .deliveries import Delivery, Order, history, instant, system

DAYS = 36
BEGIN, END, STEP = instant(20), instant(33), 12 * HOUR
TURNING = dataclasses.replace(
    system,
    objective=dataclasses.replace(
        system.objective, slices=[Order.shop], guards=[ms.Guard("brier", at_most=0.6, where=Order.size > 0)]
    ),
    proxies={"slow": ms.Proxy(Delivery.minutes > 30, by="order_id", within="50m", otherwise=True)},
    friction={"asks again": ms.Friction.asks_again(within="10m")},
    retrain=Retrain(when=Every("3d"), window="6d", delay="2h"),
    rollout=Rollout(Shadow("1d"), Canary(0.3, "1d")),
)
_CHUNK = 30 * MINUTE  # the server answers late questions up to an hour
WALL = 1_900_000_000 * SECOND


class Silent:
    """Progress that nobody looks at."""

    def __getattr__(self, name: str) -> Any:
        return lambda *told, **more: None


class Ticking:
    """Real time that goes on by a millisecond whenever it is asked for."""

    def __init__(self) -> None:
        self._now = WALL

    def now(self) -> int:
        self._now += 1000
        return self._now


class AtOnce:
    """Trains within the step that asks what became of it."""

    def __init__(self, system: ms.System, workspace: Workspace) -> None:
        self._system, self._workspace, self.clock = system, workspace, Ticking()
        self.trained: list[str] = []

    def poll(self, asked: Asked, wall: int) -> Taught | None:
        self.trained.append(asked.train.model)
        return teach(self._system, self._workspace, asked, self.clock)


def facts(days: int) -> dict[type[Table], pl.DataFrame]:
    """The history of some days as a user gives it."""
    frames = history(days)
    return {table: frames[table.__schema__.name].drop("_visible_at", "_seq") for table in (Order, Delivery)}


def made(folder: Path, system: ms.System, days: int) -> Workspace:
    """A workspace with the facts of some days and a model that was made with all of them."""
    workspace = Workspace.open(folder)
    loaded = LoadedSystem(system, Path(__file__), "", lambda: facts(days), "")
    build(loaded, workspace, clock=Ticking(), progress=Silent())
    return workspace


def live_through(
    system: ms.System,
    workspace: Workspace,
    begin: int,
    end: int,
    every: int = HOUR,
    *,
    before_each: Callable[[Live], Live] = lambda live: live,
) -> Live:
    """Rewind a server to an instant and let what came then come again, the loop stepping each `every`."""
    return asyncio.run(_live_through(system, workspace, begin, end, every, before_each))


async def _live_through(
    system: ms.System, workspace: Workspace, begin: int, end: int, every: int, before_each: Callable[[Live], Live]
) -> Live:
    lake, wall = workspace.lake(system.name), Ticking()
    opened = open_service(system, workspace, lake, wall, follow_facts=True, grace=HOUR, durability="relaxed")
    service, shadows = opened.service, Shadows(lambda name: load_model(system, workspace, name).model)
    sink = Sink(system, lake, opened.log, shadows=shadows)
    live = Live(system, workspace, AtOnce(system, workspace), every)
    try:
        await rewind_service(service, lake, opened.log, begin)
        score = read_score(system, lake, begin, end)
        known, due = list(score.facts), list(score.decisions)
        for at in range(begin, end + 1, every):
            for until in range(at - every + _CHUNK, at + 1, _CHUNK):
                came: dict[str, list[dict[str, Any]]] = {}
                while known and known[0][0] <= until:
                    _, table, row = known.pop(0)
                    came.setdefault(table, []).append(row)
                for table, rows in came.items():
                    await service.push(table, _json(rows), "application/json")
                asked = []
                while due and due[0][0] <= until:
                    asked.append(Question(_plain(due.pop(0)[1])))
                answers = await service.predict_many(asked)
                assert all(isinstance(answer, Prediction) for answer in answers), answers
            with workspace.writing():
                sink.drain(at)
            live = before_each(live)
            live.advance(at, wall.now())
            if opened.deployed.refresh():
                service.predictor.router = opened.deployed.router
        await service.journal.drained()
    finally:
        sink.close()
        opened.log.close()
    return live


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in row.items()}


def _json(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps([_plain(row) for row in rows]).encode()
