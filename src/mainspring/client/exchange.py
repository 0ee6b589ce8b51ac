"""One request and its answer, over as many attempts as it takes; nothing here sends, waits or knows what a thread is.

A conversation with a server is a generator. It yields an `Attempt`, is sent what came of it, and returns the answer as a
typed record. `Client` and `AsyncClient` differ in nothing but how they carry an attempt out.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import httpx
import msgspec

from mainspring.answers import Failure
from mainspring.client.patience import Patience
from mainspring.errors import ClientError

__all__ = ["Attempt", "Call", "Conversation", "Result", "exchange", "reading", "retry_after"]

T = TypeVar("T")
_RETRIED = frozenset({429, 502, 503, 504})
_HOPELESS = (httpx.LocalProtocolError, httpx.UnsupportedProtocol)  # transport errors that are the same each time


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, the same in every attempt, and how an answer of each status that is none of failure is read."""

    method: str
    path: str
    readers: Mapping[int, Callable[[httpx.Response], T]]
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Attempt:
    """Wait, then send the call, and be sent what came of it; give up waiting for the network after the timeout."""

    call: Call[Any]
    after_seconds: float
    timeout_seconds: float


Result = httpx.Response | httpx.RequestError
Conversation = Generator[Attempt, Result, T]


class _Refused(msgspec.Struct, frozen=True):
    error: Failure


_decode_refused = msgspec.json.Decoder(_Refused).decode


def exchange(call: Call[T], patience: Patience, after_seconds: float = 0.0) -> Conversation[T]:
    """Send a call, the first time after a wait, until an answer is no passing failure or patience is at its end.

    Tried again are answers of 429, 502, 503 and 504 and connections that broke; never sooner than Retry-After says. Where
    that would be beyond the time that is left, it is not waited for.

    Raises ClientError (CLIENT_REFUSED, CLIENT_UNREACHABLE, CLIENT_ANSWER).
    """
    deadline = patience.pace.seconds() + patience.timeout_seconds
    pause, failed = after_seconds, 0
    while True:
        left = deadline - patience.pace.seconds()
        result = yield Attempt(call, pause, max(left - pause, 0.001))
        if isinstance(result, httpx.Response) and result.status_code in call.readers:
            return _read(call, result)
        pause = patience.pause(failed, retry_after(result))
        failed += 1
        if not _passing(result) or failed > patience.retries or patience.pace.seconds() + pause >= deadline:
            raise _failure(call, result, failed) from (result if isinstance(result, httpx.RequestError) else None)


def retry_after(result: Result) -> float:
    """Return the seconds that an answer asks to wait, 0 where it names none.

    A date, which HTTP allows and Mainspring never sends, counts as none: it would need the wall clock of both sides.
    """
    named = result.headers.get("retry-after", "") if isinstance(result, httpx.Response) else ""
    return float(named) if named.isascii() and named.isdigit() else 0.0


def reading(record: type[T]) -> Callable[[httpx.Response], T]:
    """Return a reader of JSON answers as a record; fields that a newer server adds are passed over."""
    decode = msgspec.json.Decoder(record).decode
    return lambda response: decode(response.content)


def _passing(result: Result) -> bool:
    if isinstance(result, httpx.Response):
        return result.status_code in _RETRIED
    return isinstance(result, httpx.TransportError) and not isinstance(result, _HOPELESS)


def _read(call: Call[T], response: httpx.Response) -> T:
    try:
        return call.readers[response.status_code](response)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _no_answer(call, response, str(error)) from error


def _failure(call: Call[Any], result: Result, attempts: int) -> ClientError:
    if isinstance(result, httpx.Response):
        return _refusal(call, result)
    if isinstance(result, httpx.DecodingError):
        return _no_answer(call, None, str(result))
    reason = str(result) or type(result).__name__
    return ClientError(
        "CLIENT_UNREACHABLE",
        f"{call.method} {call.path} was not answered in {attempts} attempt{'s' * (attempts > 1)}: {reason}.",
        fix="See whether the server runs at that address (GET /healthz), or give a longer timeout_seconds.",
    )


def _refusal(call: Call[Any], response: httpx.Response) -> ClientError:
    try:
        told = _decode_refused(response.content).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _no_answer(call, response, "it does not say what is wrong as a server does")
    if response.status_code < 400:
        return _no_answer(call, response, "no route answers so")
    request_id = response.headers.get("request-id", "")
    return ClientError(
        "CLIENT_REFUSED",
        f"{call.method} {call.path} was refused with {response.status_code} {told.code}: {told.message}",
        exists=told.exists,
        fix=told.fix or f"Ask whoever runs the server, and name the request {request_id}.",
        status=response.status_code,
        refusal=told.code,
        request_id=request_id,
    )


def _no_answer(call: Call[Any], response: httpx.Response | None, why: str) -> ClientError:
    """`response` is None where not even its encoding could be read."""
    status = None if response is None else response.status_code
    return ClientError(
        "CLIENT_ANSWER",
        f"{call.method} {call.path} was answered{f' {status}' if status else ''}, by what is no Mainspring server: {why}.",
        fix="See whether the address is that of a Mainspring server, and not of a proxy or of another service.",
        status=status,
        request_id="" if response is None else response.headers.get("request-id", ""),
    )
