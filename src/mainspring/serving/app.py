"""HTTP: from requests to the service and from its answers to responses. The routes:

    POST /v1/facts/{table}   rows of a table: a JSON array, one object a line, or an Arrow stream    role write
    POST /v1/predict         {"row": {…}} or {"rows": [{…}, …]}, with "explain": true if wanted      role read
    GET  /v1/state           what the online state holds, and what time it is                        role read
    POST /v2/models/{system}/infer    Open Inference Protocol; GET /v2, /v2/models/{system}     role read
    GET  /metrics            Prometheus                                                              role read
    GET  /healthz, /readyz, /v2/health/live, /v2/health/ready                                        no key

An `Idempotency-Key` names a request: sent again under the same name it is the same request. Every answer carries a
`Request-Id`. An error is `{"error": {"code", "message", "exists", "fix"}}`; a request that fails changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

import mainspring
from mainspring.clock import SECOND, format_instant
from mainspring.errors import BundleError, ContractError, DataError, MainspringError, ServingError, WorkspaceError
from mainspring.ledger.records import Role
from mainspring.serving import open_inference
from mainspring.serving.access import Access, Grant
from mainspring.serving.limits import RateLimiter
from mainspring.serving.metrics import Metrics
from mainspring.serving.predictor import Prediction
from mainspring.serving.service import Service

__all__ = ["make_app"]

_log = logging.getLogger("mainspring.serving")
_STATUS = {
    "SERVE_KEY": 401, "SERVE_ROLE": 403, "SERVE_RATE": 429, "SERVE_BODY": 400, "SERVE_TABLE": 404, "SERVE_UNKNOWN": 404,
    "SERVE_UNAVAILABLE": 503,
}  # fmt: skip
_RETRY_AFTER = {"SERVE_UNAVAILABLE": "2", "SERVE_RATE": "1"}
_EXPECTED = (ServingError, ContractError, DataError, BundleError)
_LONGEST_ID = 100
_KEYS_SECONDS = 0.5  # a key that was revoked stops working within a second


_FIRST_PAGE = (
    """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Mainspring</title><style>
:root { color-scheme: light dark } body { font: 1rem/1.6 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem }
pre { white-space: pre-wrap; overflow-wrap: anywhere }
</style><h1>A Mainspring server</h1><p>It answers decisions over HTTP; every route but the first two needs a key.</p><pre>"""
    + "\n".join(line.strip() for line in (__doc__ or "").split("routes:")[1].strip().splitlines())
    + "</pre></html>"
).encode()


class _PredictRequest(msgspec.Struct, forbid_unknown_fields=True):
    row: dict[str, bool | int | float | str | None] | None = None
    rows: list[dict[str, bool | int | float | str | None]] | None = None
    explain: bool = False


_decode_predict = msgspec.json.Decoder(_PredictRequest).decode
_encode = msgspec.json.Encoder().encode

Answer = tuple[int, Any]
Handler = Callable[["_Server", Request], Awaitable[Answer]]


def make_app(service: Service, access: Access, *, metrics: Metrics | None = None) -> ASGIApp:
    """Return the ASGI application of a service. Its lifespan ends when everything accepted is durable."""
    server = _Server(service, access, metrics or Metrics())
    predict = server.route("predict", _predict, "read")
    routed = Starlette(
        routes=[
            Route("/v1/facts/{table}", server.route("facts", _push, "write"), methods=["POST"]),
            Route("/v1/predict", predict, methods=["POST"]),
            Route("/v1/state", server.route("state", _state, "read")),
            Route("/v2", server.route("v2", _server_metadata, "read")),
            Route("/v2/health/live", _alive),
            Route("/v2/health/ready", _alive),
            Route("/v2/models/{model}", server.route("v2", _model_metadata, "read")),
            Route("/v2/models/{model}/ready", server.route("v2", _model_ready, "read")),
            Route("/v2/models/{model}/infer", server.route("infer", _infer, "read"), methods=["POST"]),
            Route("/metrics", server.metrics_page),
            Route("/", server.first_page),
            Route("/healthz", _alive),
            Route("/readyz", _alive),
        ],
        exception_handlers={404: _no_such_route, 405: _no_such_route},
        lifespan=server.living,
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # The route that nearly all requests take goes past middleware and routing: a third of its time.
        if scope["type"] == "http" and scope["path"] == "/v1/predict" and scope["method"] == "POST":
            response = await predict(Request(scope, receive))
            await response(scope, receive, send)
        else:
            await routed(scope, receive, send)

    return app


class _Server:
    def __init__(self, service: Service, access: Access, metrics: Metrics) -> None:
        self.service, self.access, self.metrics = service, access, metrics
        limits = service.limits
        self.rates = RateLimiter(per_second=limits.requests_per_second, burst=limits.burst)

    @asynccontextmanager
    async def living(self, app: Starlette) -> AsyncIterator[None]:
        """Keep the keys fresh while the server lives, and end when what it accepted is durable."""
        refreshing = asyncio.create_task(self._refresh_keys())
        try:
            yield
        finally:
            refreshing.cancel()
            await self.service.journal.drained()

    async def _refresh_keys(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.access.refresh)
            except MainspringError as error:
                _log.warning("the keys cannot be read: %s", error)
            await asyncio.sleep(_KEYS_SECONDS)

    def route(self, name: str, handler: Handler, role: Role) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint: the key is checked, the handler answers, errors become answers, all is counted."""
        latency = self.metrics.latency.labels(name)
        counts: dict[int, Any] = {}

        async def endpoint(request: Request) -> Response:
            begin = time.perf_counter()
            request_id = _request_id(request)
            headers = {"request-id": request_id}
            try:
                self.admit(request, role)
                status, told = await handler(self, request)
            except _EXPECTED as error:
                status, told = _status_of(error), _error(error)
                if error.code in _RETRY_AFTER:
                    headers["retry-after"] = _RETRY_AFTER[error.code]
            except WorkspaceError as error:  # of the ledger, before any key was read
                status, told, headers["retry-after"] = 503, _error(error), "2"
            except ClientDisconnect:
                status, told = 499, {"error": {"code": "SERVE_BODY", "message": "The client went away."}}
            except Exception:
                _log.exception("request %s to %s failed", request_id, name)
                status, told = 500, {"error": {"code": "UNEXPECTED", "message": f"Request {request_id} failed."}}
            count = counts.get(status)
            if count is None:
                count = counts[status] = self.metrics.answers.labels(name, str(status))
            count.inc()
            latency.observe(time.perf_counter() - begin)
            return Response(_encode(told), status, headers, "application/json")

        return endpoint

    def admit(self, request: Request, role: Role) -> Grant:
        """Return whose request it is.

        Raises ServingError (SERVE_KEY, SERVE_ROLE, SERVE_RATE).
        """
        grant = self.access.check(_key_of(request), role)
        if isinstance(grant, ServingError):
            raise grant
        wait = self.rates.admit(grant.key, time.monotonic_ns() // 1000)
        if wait:
            raise self.rates.refusal(wait)
        return grant

    async def body(self, request: Request) -> bytes:
        """Read a body, and no more of it than the limits allow."""
        largest = self.service.limits.body_bytes
        parts, size = [], 0
        async for part in request.stream():
            parts.append(part)
            size += len(part)
            if size > largest:
                break
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        if size > largest and (refused := self.service.limits.refuse_body(body)) is not None:
            raise refused
        return body

    async def metrics_page(self, request: Request) -> Response:
        try:
            self.admit(request, "read")
        except (ServingError, WorkspaceError) as error:
            status = 503 if isinstance(error, WorkspaceError) else _status_of(error)
            return Response(_encode(_error(error)), status, media_type="application/json")
        self.metrics.state_bytes.set(self.service.predictor.state.size().bytes)
        self.metrics.state_time.set(self.service.clock.now() / SECOND)
        return Response(self.metrics.text(), headers={"content-type": Metrics.content_type})

    async def first_page(self, request: Request) -> Response:
        """Say what this is, without anything that a key protects."""
        return Response(_FIRST_PAGE, media_type="text/html")


async def _push(server: _Server, request: Request) -> Answer:
    table = request.path_params["table"]
    kind = request.headers.get("content-type", "application/json")
    body = await server.body(request)
    taken = await server.service.push(table, body, kind, _event_of(request))
    counts = {"accepted": taken.accepted, "already_there": taken.already_there, "rejected": taken.rejected}
    for outcome, rows in counts.items():
        server.metrics.facts.labels(table, outcome).inc(rows)
    rejections = [{"row": each.row, "reason": each.reason, "message": each.sentence} for each in taken.rejections]
    return 202, {"table": table, "given": taken.given, **counts, "rejections": rejections}


async def _predict(server: _Server, request: Request) -> Answer:
    body = await server.body(request)
    if refused := server.service.limits.refuse_body(body):
        raise refused
    try:
        asked = _decode_predict(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _unreadable(str(error)) from error
    name = _event_of(request)
    if asked.row is not None and asked.rows is None:
        return 200, _counted(server, await server.service.predict(asked.row, explain=asked.explain, event_id=name))
    if asked.rows is None or asked.row is not None:
        raise _unreadable("it has neither or both of row and rows")
    if refused := server.service.limits.refuse_rows(len(asked.rows)):
        raise refused
    found = await server.service.predict_many(asked.rows, explain=asked.explain, event_id=name)
    answers = [_error(each) if isinstance(each, MainspringError) else _counted(server, each) for each in found]
    return 200, {"predictions": answers}


def _counted(server: _Server, prediction: Prediction) -> Prediction:
    server.metrics.predictions.labels(prediction.arm, prediction.model).inc()
    return prediction


async def _state(server: _Server, request: Request) -> Answer:
    size = server.service.predictor.state.size()
    return 200, {
        "system": server.service.predictor.system.name,
        "model": server.service.predictor.version,
        "now": format_instant(server.service.clock.now()),
        "bytes": size.bytes,
        "groups": {name: {"keys": size.keys[name], "facts": size.facts[name]} for name in size.keys},
    }


async def _server_metadata(server: _Server, request: Request) -> Answer:
    return 200, {"name": "mainspring", "version": mainspring.__version__, "extensions": []}


async def _model_metadata(server: _Server, request: Request) -> Answer:
    _check_model(server, request)
    return 200, open_inference.metadata(server.service)


async def _model_ready(server: _Server, request: Request) -> Answer:
    _check_model(server, request)
    return 200, {"name": server.service.predictor.system.name, "ready": True}


async def _infer(server: _Server, request: Request) -> Answer:
    _check_model(server, request)
    body = await server.body(request)
    if refused := server.service.limits.refuse_body(body):
        raise refused
    rows, request_id = open_inference.read_inference(body, server.service.predictor.system)
    if refused := server.service.limits.refuse_rows(len(rows)):
        raise refused
    answer = await open_inference.infer(server.service, rows, request_id)
    server.metrics.predictions.labels("champion", server.service.predictor.version).inc(len(rows))
    return 200, answer


def _check_model(server: _Server, request: Request) -> None:
    """Only the system that is served has a model here.

    Raises ServingError (SERVE_UNKNOWN).
    """
    served, asked = server.service.predictor.system.name, request.path_params["model"]
    if asked != served:
        raise ServingError(
            "SERVE_UNKNOWN", f"There is no model {asked!r}.", exists=f"There is {served}.", fix="Name it in the path."
        )


async def _alive(request: Request) -> Response:
    return Response(b'{"status":"ok"}', media_type="application/json")


async def _no_such_route(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    told = ServingError(
        "SERVE_UNKNOWN",
        f"There is no {request.method} {request.url.path}.",
        exists="There are POST /v1/facts/{table}, POST /v1/predict, GET /v1/state, /metrics, /healthz, /readyz and /v2.",
        fix="GET / lists the routes.",
    )
    return Response(_encode(_error(told)), status, media_type="application/json")


def _unreadable(why: str) -> ServingError:
    return ServingError(
        "SERVE_BODY",
        f"The body cannot be read: {why}.",
        fix='Send {"row": {…}} or {"rows": [{…}, …]}, with plain values by column.',
    )


def _event_of(request: Request) -> str | None:
    """The name of a request, apart from those that other keys give."""
    name = _name_of(request, "idempotency-key")
    return None if name is None else f"{(_key_of(request) or '')[:12]} {name}"


def _key_of(request: Request) -> str | None:
    header = request.headers.get("authorization")
    return header[7:].strip() if header is not None and header[:7].lower() == "bearer " else None


def _name_of(request: Request, header: str) -> str | None:
    """The name that a client gave a request, where it is one that can be kept."""
    name = request.headers.get(header)
    if not name:
        return None
    if len(name) > _LONGEST_ID or not name.isascii() or not name.isprintable():
        raise ServingError(
            "SERVE_BODY",
            f"The header {header} is longer than {_LONGEST_ID} characters, or not plain text.",
            fix="Send a short name, such as a UUID.",
        )
    return name


def _request_id(request: Request) -> str:
    try:
        return _name_of(request, "request-id") or secrets.token_hex(8)
    except ServingError:
        return secrets.token_hex(8)


def _status_of(error: MainspringError) -> int:
    return _STATUS.get(error.code, 422)


def _error(error: MainspringError) -> dict[str, Any]:
    told = {"code": error.code, "message": error.problem, "exists": error.exists, "fix": error.fix}
    return {"error": told}
