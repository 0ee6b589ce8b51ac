"""Both kinds of client behind one face, and a time in which nobody waits: each law is held by either."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import httpx

from mainspring.client import AsyncClient, Client
from mainspring.client.patience import Pace

ADDRESS, KEY = "http://server", "msk_k2m9x4qz_secret"
Handler = Callable[[httpx.Request], httpx.Response]


class Time:
    """Seconds that pass only when somebody waits; `luck` is what is drawn for every pause."""

    def __init__(self, luck: Callable[[], float] = lambda: 0.5) -> None:
        self.now = 0.0
        self.waits: list[float] = []
        self.pace = Pace(lambda: self.now, self.sleep, self.sleep_async, luck)

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.waits.append(seconds)
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


class Bridge(httpx.BaseTransport):
    """A transport for coroutines, as one for ordinary programs."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def ask() -> httpx.Response:
            answer = await self.inner.handle_async_request(request)
            return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())

        return asyncio.run(ask())


class Caller:
    """A client whose methods return what they find, whether or not they are to be awaited."""

    def __init__(self, kind: type[Client] | type[AsyncClient], transport: Any, time: Time, **options: Any) -> None:
        given = options.pop("address", ADDRESS), options.pop("key", KEY)
        self.client = kind(*given, transport=transport, pace=time.pace, **options)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*given: Any, **options: Any) -> Any:
            found = getattr(self.client, name)(*given, **options)
            return asyncio.run(found) if inspect.iscoroutine(found) else found

        return call


KINDS = (Client, AsyncClient)


def caller(
    kind: type[Client] | type[AsyncClient], handler: Handler, time: Time | None = None, **options: Any
) -> Caller:
    """A client that a function answers."""
    return Caller(kind, httpx.MockTransport(handler), time or Time(), **options)
