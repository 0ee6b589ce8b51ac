"""The ASGI application: the operations behind their routes, and what runs beside them as long as the server lives.

An `Idempotency-Key` names a request: sent again under the same name it is the same request. Every answer carries a
`Request-Id`. An error is `{"error": {"code", "message", "exists", "fix"}}`; a request that fails changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mainspring.clock import Clock
from mainspring.errors import MainspringError, ServingError
from mainspring.lake import Lake
from mainspring.serving.access import Access
from mainspring.serving.ahead import Ahead
from mainspring.serving.alerts import OpenAlerts
from mainspring.serving.checkpoint import Checkpoint
from mainspring.serving.front import Answer, Call, Front
from mainspring.serving.handlers import Deploys, Site
from mainspring.serving.lane import Lane
from mainspring.serving.measured import Measured
from mainspring.serving.metrics import Metrics
from mainspring.serving.operations import OPERATIONS, Operation
from mainspring.serving.problems import body_of
from mainspring.serving.records import DECISIONS
from mainspring.serving.service import Service
from mainspring.serving.skew import Skew
from mainspring.serving.streaming import ANSWERING_GROUP, DecisionStream
from mainspring.stream import Consumer, EmbeddedLog

__all__ = ["App", "Pages", "make_app"]

_log = logging.getLogger("mainspring.serving")
_REFRESH_SECONDS = 0.5  # a key that was revoked stops working within a second, and arms change
_ALERTS_SECONDS = 3.0  # a scraper comes less often


def make_app(
    service: Service,
    access: Access,
    *,
    lake: Lake,
    log: EmbeddedLog,
    deployed: Deploys,
    clock: Clock,
    ahead: Ahead | None = None,
    decisions: Consumer | None = None,
    log_requests: bool = False,
    problems: list[Callable[[], str]] | None = None,
    skew: Callable[[], Skew] = lambda: Skew(0, {}),
    checkpoint: Checkpoint | None = None,
    alerts: OpenAlerts | None = None,
    pages: Callable[[Site], Pages] | None = None,
) -> App:
    """Return the ASGI application of a service. Its lifespan ends when everything accepted is durable.

    `clock` is real time; `decisions` are asked for on a topic of another broker; each of `problems` tells what keeps the
    server from its work, or nothing; `skew` what the last check of its features found; `checkpoint` keeps the state now and then;
    of `alerts` the metrics tell; `pages` makes what people look at.
    """
    metrics = Metrics()
    metrics.watch(service, log, skew, alerts)
    front = Front(access, service.limits, metrics, log_requests=log_requests)
    site = Site(service, lake, log, deployed, front, clock, ahead, problems or [], skew)
    shown = None if pages is None else pages(site)
    if shown is not None:
        site.pages = shown.root
    routed = Starlette(
        routes=[_route(site, operation) for operation in OPERATIONS],
        exception_handlers={404: _no_such_route(site), 405: _no_such_route(site)},
        lifespan=partial(_living, site, decisions, checkpoint, alerts, shown),
    )
    predict = _endpoint(site, next(each for each in OPERATIONS if each.name == "predict"))
    return App(routed, predict, Lane(site), Measured(service.predictor.system.slos, metrics, service), shown)


class Pages(Protocol):
    """Pages for people: an ASGI application of everything at `root` and below."""

    root: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...
    async def live(self) -> None:
        """What goes on beside the requests, as long as the server lives."""
        ...


class App:
    """The ASGI application, the lane beside it (a server that knows of lanes asks there first), and what it has counted."""

    def __init__(
        self, routed: ASGIApp, predict: ASGIApp, lane: Lane, measured: Measured, pages: Pages | None = None
    ) -> None:
        self._routed, self._predict, self.lane, self.measured, self._pages = routed, predict, lane, measured, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The route that most requests take goes past middleware and routing.
        if scope["type"] == "http" and scope["path"] == "/v1/predict" and scope["method"] == "POST":
            await self._predict(scope, receive, send)
        elif scope["type"] == "http" and self._pages is not None and _is_below(scope["path"], self._pages.root):
            await self._pages(scope, receive, send)
        else:
            await self._routed(scope, receive, send)


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(f"{root}/")


def _endpoint(site: Site, operation: Operation) -> ASGIApp:
    return site.front.endpoint(operation.name, partial(operation.handler, site), operation.role)


def _route(site: Site, operation: Operation) -> Route:
    return Route(operation.path, _endpoint(site, operation), methods=[operation.method])


@asynccontextmanager
async def _living(
    site: Site,
    decisions: Consumer | None,
    checkpoint: Checkpoint | None,
    alerts: OpenAlerts | None,
    pages: Pages | None,
    app: Starlette,
) -> AsyncIterator[None]:
    """Keep keys and arms fresh and answer what is asked on topics; end when what was accepted is durable."""
    service = site.service
    own = DecisionStream(service, site.log.consumer(DECISIONS, ANSWERING_GROUP), wake=service.asked_to_answer)
    work = [_refresh(site), own.run()]
    if decisions is not None:
        work.append(DecisionStream(service, decisions).run())
    if site.ahead is not None:
        work.append(site.ahead.run())
    if checkpoint is not None:
        work.append(checkpoint.run(service))
    if alerts is not None:
        work.append(_refresh_alerts(alerts))
    if pages is not None:
        work.append(pages.live())
    tasks = [asyncio.create_task(each) for each in work]
    for task in tasks:
        task.add_done_callback(_tell_of_end)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await service.journal.drained()


def _tell_of_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("work beside the requests has ended", exc_info=error)


async def _refresh(site: Site) -> None:
    while True:
        try:
            await asyncio.to_thread(site.front.access.refresh)
            if await asyncio.to_thread(site.deployed.refresh):
                site.service.predictor.router = site.deployed.router
                _log.info("arms changed")
        except MainspringError as error:
            _log.warning("keys or arms cannot be read: %s", error)
        await asyncio.sleep(_REFRESH_SECONDS)


async def _refresh_alerts(alerts: OpenAlerts) -> None:
    while True:
        try:
            await asyncio.to_thread(alerts.refresh)
        except MainspringError as error:
            _log.warning("alerts cannot be read: %s", error)
        await asyncio.sleep(_ALERTS_SECONDS)


def _no_such_route(site: Site) -> Callable[[Request, Exception], Awaitable[Any]]:
    """Return what answers where there is no route, or none of that method."""

    async def told(method: str, path: str, allowed: list[str], call: Call) -> Answer:
        refused = ServingError(
            "SERVE_UNKNOWN",
            f"There is no {method} {path:.100}.",
            exists="There are " + ", ".join(dict.fromkeys(each.path for each in OPERATIONS)) + ".",
            fix="GET / lists the routes.",
        )
        return Answer(405 if allowed else 404, body_of(refused), {"allow": ", ".join(allowed)} if allowed else {})

    async def answer(request: Request, error: Exception) -> ASGIApp:
        path, routes = request.url.path, request.app.routes
        allowed = sorted({method for route in routes if route.path_regex.match(path) for method in route.methods})
        return site.front.endpoint("none", partial(told, request.method, path, allowed), None)

    return answer
