"""The same client for coroutines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from mainspring.answers import Arm, Arms, Failure, Judged, Kept, Pending, Prediction
from mainspring.client.access import address_of, headers_of
from mainspring.client.exchange import Conversation, Result
from mainspring.client.patience import Pace, Patience
from mainspring.client.routes import DecisionKey, Label, Routes, Row

if TYPE_CHECKING:
    import polars as pl

__all__ = ["AsyncClient"]

T = TypeVar("T")


class AsyncClient:
    """`Client`, awaited: the same methods with the same guarantees, for the coroutines of one event loop."""

    def __init__(
        self,
        address: str | None = None,
        key: str | None = None,
        *,
        timeout_seconds: float = 30.0,
        retries: int = 10,
        transport: httpx.AsyncBaseTransport | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._pace = pace or Pace()
        self._routes = Routes(Patience(timeout_seconds, retries, self._pace))
        self._address = address_of(address)
        self._http = httpx.AsyncClient(base_url=self._address, headers=headers_of(key), transport=transport)

    async def push(self, table: str, rows: Sequence[Row] | pl.DataFrame, *, idempotency_key: str | None = None) -> Kept:
        """Send facts of a table; see `Client.push`."""
        return await self._run(self._routes.push(table, rows, idempotency_key))

    async def predict(self, row: Row, *, explain: bool = False) -> Prediction:
        """Ask for the prediction of a row; see `Client.predict`."""
        return await self._run(self._routes.predict(row, explain))

    async def predict_key(self, key: DecisionKey, *, explain: bool = False) -> Prediction:
        """Ask for the prediction of a row that the server has; see `Client.predict_key`."""
        return await self._run(self._routes.predict_key(key, explain))

    async def predict_many(
        self, rows: Sequence[Row] | None = None, *, keys: Sequence[DecisionKey] | None = None, explain: bool = False
    ) -> list[Prediction | Failure]:
        """Ask for many predictions at once; see `Client.predict_many`."""
        return await self._run(self._routes.predict_many(rows, keys, explain))

    async def predict_later(self, row: Row) -> Pending:
        """Hand a decision in; see `Client.predict_later`."""
        return await self._run(self._routes.predict_later(row))

    async def prediction(self, id: str) -> Judged | Pending:
        """Return a prediction and what came true of it; see `Client.prediction`."""
        return await self._run(self._routes.prediction(id))

    async def wait(self, id: str, timeout_seconds: float = 30.0) -> Judged:
        """Return a prediction as soon as it was made; see `Client.wait`."""
        return await self._run(self._routes.wait(id, timeout_seconds))

    async def send_outcomes(self, labels: Iterable[tuple[str, Label]]) -> Kept:
        """Say what came true of predictions; see `Client.send_outcomes`."""
        return await self._run(self._routes.send_outcomes(labels))

    async def arms(self) -> Arms:
        """Return which models answer; see `Client.arms`."""
        return await self._run(self._routes.arms())

    async def set_arms(self, arms: Iterable[Arm], *, reason: str) -> Arms:
        """Say which models answer from now on; see `Client.set_arms`."""
        return await self._run(self._routes.set_arms(arms, reason))

    async def rewind(self, to: str | datetime) -> str:
        """Set the server back to an instant; see `Client.rewind`."""
        return await self._run(self._routes.rewind(to))

    async def state(self) -> dict[str, Any]:
        """Return what the server holds; see `Client.state`."""
        return await self._run(self._routes.state())

    async def ready(self) -> bool:
        """Return whether the server is ready; see `Client.ready`."""
        return await self._run(self._routes.ready())

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({str(self._address)!r})"

    async def _run(self, conversation: Conversation[T]) -> T:
        try:
            attempt = next(conversation)
            while True:
                if attempt.after_seconds:
                    await self._pace.sleep_async(attempt.after_seconds)
                call, limit = attempt.call, attempt.timeout_seconds
                result: Result
                try:
                    result = await self._http.request(
                        call.method, call.path, content=call.body, headers=call.headers, timeout=limit
                    )
                except httpx.RequestError as error:
                    result = error
                attempt = conversation.send(result)
        except StopIteration as end:
            return end.value
