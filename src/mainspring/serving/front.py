"""The front of the server: every request passes here. Who asks, may they, how much is read, and what errors become."""

from __future__ import annotations

import base64
import binascii
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, NamedTuple

import msgspec
from starlette.types import Receive, Scope, Send

from mainspring.answers import Prediction
from mainspring.errors import MainspringError, ServingError
from mainspring.ledger.records import Role
from mainspring.serving.access import Access, Grant
from mainspring.serving.limits import Limits, RateLimiter
from mainspring.serving.metrics import Metrics
from mainspring.serving.problems import EXPECTED, body_of, headers_of, status_of

__all__ = ["Answer", "Call", "Front", "encode", "event_of", "new_request_id"]

_log = logging.getLogger("mainspring.serving")
_LONGEST_ID = 100
_NOBODY = Grant("", "", "read")
_ids, _numbers = secrets.token_hex(4), count(1)
encode = msgspec.json.Encoder().encode


class Answer(NamedTuple):
    """What a handler answers: a status and a document to be sent as JSON; or bytes of the kind that `content_type` names."""

    status: int
    told: Any
    headers: dict[str, str] = {}
    content_type: str = "application/json"


class Call:
    """One request, as far as it was read: no more is made of it than the handlers need."""

    __slots__ = ("_body", "_limits", "_receive", "grant", "headers", "method", "path_params", "request_id")

    def __init__(self, scope: Scope, receive: Receive, limits: Limits) -> None:
        self._receive, self._limits, self._body = receive, limits, b""
        self.method: str = scope["method"]
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        self.path_params: dict[str, str] = scope.get("path_params", {})
        self.grant = _NOBODY
        self.request_id = _request_id(self)

    async def body(self) -> bytes:
        """Read the body, and no more of it than the limits allow.

        Raises ServingError (SERVE_BODY), ClientGoneError.
        """
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            body: bytes = message.get("body", b"")  # nearly always it comes in one piece
        else:
            parts, size = [], 0
            while True:
                if message["type"] == "http.disconnect":
                    raise ClientGoneError
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > self._limits.body_bytes or not message.get("more_body", False):
                    break
                message = await self._receive()
            body = b"".join(parts)
        if len(body) > self._limits.body_bytes and (refused := self._limits.refuse_body(body)) is not None:
            raise refused
        return body


class ClientGoneError(Exception):
    """The client went away before its request was whole."""


Handler = Callable[[Call], Awaitable[Answer]]


class Front:
    """Lets requests in and counts them. `log_requests` writes a line for each one to the log, not only for failures."""

    def __init__(self, access: Access, limits: Limits, metrics: Metrics, *, log_requests: bool = False) -> None:
        self.access, self.limits, self.metrics, self.log_requests = access, limits, metrics, log_requests
        self.rates = RateLimiter(per_second=limits.requests_per_second, burst=limits.burst)

    def endpoint(self, name: str, handler: Handler, role: Role | None) -> Endpoint:
        """Return an ASGI application: the key is checked, the handler answers, errors become answers, all is counted."""
        return Endpoint(self, name, handler, role)

    def admit(self, call: Call, role: Role) -> Grant:
        """Return whose request it is.

        Raises ServingError (SERVE_KEY, SERVE_ROLE, SERVE_RATE).
        """
        grant = self.access.check(_key_of(call), role)
        if isinstance(grant, ServingError):
            raise grant
        wait = self.rates.admit(grant.key, time.monotonic_ns() // 1000)
        if wait:
            raise self.rates.refusal(wait)
        return grant


class Endpoint:
    """One operation behind its route."""

    def __init__(self, front: Front, name: str, handler: Handler, role: Role | None) -> None:
        self._front, self._name, self._handler, self._role = front, name, handler, role
        self._counted = front.metrics.of_route(name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begin = time.perf_counter()
        call = Call(scope, receive, self._front.limits)
        more: dict[str, str] = {}
        content_type = "application/json"
        try:
            if self._role is not None:
                call.grant = self._front.admit(call, self._role)
            status, told, more, content_type = await self._handler(call)
        except EXPECTED as error:
            status, told = status_of(error), body_of(error)
            more = headers_of(status, page=call.method == "GET")
        except ClientGoneError:
            return
        except Exception:
            _log.exception("a request failed", extra={"request_id": call.request_id, "route": self._name})
            status, told = 500, {"error": {"code": "UNEXPECTED", "message": f"Request {call.request_id} failed."}}
        body = told if isinstance(told, bytes) else encode(told)
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"request-id", call.request_id.encode()),
            *[(name.encode(), value.encode("latin-1")) for name, value in more.items()],
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        seconds = time.perf_counter() - begin
        arm = told.arm if type(told) is Prediction else ""
        self._counted(status, arm, seconds)
        if self._front.log_requests:
            _log_request(call, self._name, status, seconds, arm)


def event_of(call: Call) -> str | None:
    """Return the name of a request, apart from those that other keys give; None where it has none.

    Raises ServingError (SERVE_BODY) for a name that cannot be kept.
    """
    name = _name_of(call, "idempotency-key")
    return None if name is None else f"{call.grant.key} {name}"


def _key_of(call: Call) -> str | None:
    """The key that a request presents. A browser sends one as a password; it may only look, since it would send it along
    wherever a page of a stranger points it to.
    """
    kind, _, text = call.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return text.strip()
    if kind.lower() == "basic" and call.method == "GET":
        try:
            return base64.b64decode(text.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return None


def _name_of(call: Call, header: str) -> str | None:
    """The name that a client gave a request, where it is one that can be kept."""
    name = call.headers.get(header)
    if not name:
        return None
    if len(name) > _LONGEST_ID or not name.isascii() or not name.isprintable():
        raise ServingError(
            "SERVE_BODY",
            f"The header {header} is longer than {_LONGEST_ID} characters, or not plain text.",
            fix="Send a short name, such as a UUID.",
        )
    return name


def new_request_id() -> str:
    """Return a name for a request that its client did not name."""
    return f"{_ids}{next(_numbers):08x}"


def _request_id(call: Call) -> str:
    try:
        return _name_of(call, "request-id") or new_request_id()
    except MainspringError:
        return new_request_id()


def _log_request(call: Call, route: str, status: int, seconds: float, arm: str) -> None:
    fields = {
        "request_id": call.request_id,
        "route": route,
        "status": status,
        "milliseconds": round(seconds * 1000, 3),
        "key": call.grant.key,
    }
    _log.info("answered", extra=fields if not arm else {**fields, "arm": arm})
