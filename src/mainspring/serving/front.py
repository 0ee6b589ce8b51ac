"""The front of the server: every request passes here. Who asks, may they, how much is read, and what errors become."""

from __future__ import annotations

import base64
import binascii
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from mainspring.answers import Prediction
from mainspring.errors import MainspringError, ServingError
from mainspring.ledger.records import Role
from mainspring.serving.access import Access, Grant
from mainspring.serving.limits import Limits, RateLimiter
from mainspring.serving.metrics import Metrics
from mainspring.serving.problems import EXPECTED, body_of, headers_of, status_of

__all__ = ["Answer", "Front", "encode", "event_of"]

_log = logging.getLogger("mainspring.serving")
_LONGEST_ID = 100
encode = msgspec.json.Encoder().encode


class Answer(NamedTuple):
    """What a handler answers: a status and a document to be sent as JSON; or bytes of the kind that `content_type` names."""

    status: int
    told: Any
    headers: dict[str, str] = {}
    content_type: str = "application/json"


Handler = Callable[[Request], Awaitable[Answer]]


class Front:
    """Lets requests in and counts them. `log_requests` writes a line for each one to the log, not only for failures."""

    def __init__(self, access: Access, limits: Limits, metrics: Metrics, *, log_requests: bool = False) -> None:
        self.access, self.limits, self.metrics, self.log_requests = access, limits, metrics, log_requests
        self.rates = RateLimiter(per_second=limits.requests_per_second, burst=limits.burst)

    def endpoint(self, name: str, handler: Handler, role: Role | None) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint: the key is checked, the handler answers, errors become answers, all is counted."""
        counted = self.metrics.of_route(name)

        async def endpoint(request: Request) -> Response:
            begin = time.perf_counter()
            request_id = _request_id(request)
            headers = {"request-id": request_id}
            content_type = "application/json"
            try:
                if role is not None:
                    request.scope["grant"] = self._admit(request, role)
                status, told, more, content_type = await handler(request)
                headers.update(more)
            except EXPECTED as error:
                status, told = status_of(error), body_of(error)
                headers.update(headers_of(status, page=request.method == "GET"))
            except ClientDisconnect:
                status, told = 499, body_of(ServingError("SERVE_BODY", "The client went away.", fix="Send it again."))
            except Exception:
                _log.exception("a request failed", extra={"request_id": request_id, "route": name})
                status, told = 500, {"error": {"code": "UNEXPECTED", "message": f"Request {request_id} failed."}}
            seconds = time.perf_counter() - begin
            arm = told.arm if type(told) is Prediction else ""
            counted(status, arm, seconds)
            if self.log_requests:
                _log_request(request, request_id, name, status, seconds, arm)
            return Response(told if isinstance(told, bytes) else encode(told), status, headers, content_type)

        return endpoint

    async def body(self, request: Request) -> bytes:
        """Read a body, and no more of it than the limits allow.

        Raises ServingError (SERVE_BODY).
        """
        largest = self.limits.body_bytes
        parts, size = [], 0
        async for part in request.stream():
            parts.append(part)
            size += len(part)
            if size > largest:
                break
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        if size > largest and (refused := self.limits.refuse_body(body)) is not None:
            raise refused
        return body

    def _admit(self, request: Request, role: Role) -> Grant:
        grant = self.access.check(_key_of(request), role)
        if isinstance(grant, ServingError):
            raise grant
        wait = self.rates.admit(grant.key, time.monotonic_ns() // 1000)
        if wait:
            raise self.rates.refusal(wait)
        return grant


def event_of(request: Request) -> str | None:
    """Return the name of a request, apart from those that other keys give; None where it has none.

    Raises ServingError (SERVE_BODY) for a name that cannot be kept.
    """
    name = _name_of(request, "idempotency-key")
    return None if name is None else f"{request.scope['grant'].key} {name}"


def _key_of(request: Request) -> str | None:
    """The key that a request presents. A browser sends one as a password; it may only look, since it would send it along
    wherever a page of a stranger points it to.
    """
    kind, _, text = (request.headers.get("authorization") or "").partition(" ")
    if kind.lower() == "bearer":
        return text.strip()
    if kind.lower() == "basic" and request.method == "GET":
        try:
            return base64.b64decode(text.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return None


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
    except MainspringError:
        return secrets.token_hex(8)


def _log_request(request: Request, request_id: str, route: str, status: int, seconds: float, arm: str) -> None:
    grant = request.scope.get("grant")
    fields = {
        "request_id": request_id,
        "route": route,
        "status": status,
        "milliseconds": round(seconds * 1000, 3),
        "key": grant.key if grant is not None else "",
    }
    _log.info("answered", extra=fields if not arm else {**fields, "arm": arm})
