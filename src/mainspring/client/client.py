"""A client for ordinary programs and for threads."""

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

__all__ = ["Client"]

T = TypeVar("T")


class Client:
    """Sends facts to a server and asks it for predictions.

    `address` and `key` are those that `mainspring serve` prints; left out, they are read from MAINSPRING_ADDRESS and
    MAINSPRING_KEY. Making a client opens no connection; `close`, or leaving its `with` block, closes those it opened.

    Guarantees: threads may share one. A request that meets a broken connection or an answer of 429, 502, 503 or 504 is sent
    again, at most `retries` times and for at most `timeout_seconds` in all, no sooner than the server asks; what it changes
    counts once however often it was sent. An attempt that is under way when the time is over ends at the next silence of
    the network. The key is in no text that a client makes.

    `transport` takes the place of the network, `pace` that of time.

    Every method raises ClientError: CLIENT_VALUE before anything is sent, CLIENT_REFUSED when the server says no,
    CLIENT_UNREACHABLE when nothing answers, CLIENT_ANSWER when what answers is no Mainspring. Making one: CLIENT_OPTION.

    >>> client = Client("http://127.0.0.1:8000", "msk_…")  # doctest: +SKIP
    >>> client.predict({"order_id": "n1", "shop": "harbour", "items": 5}).probability  # doctest: +SKIP
    0.31
    """

    def __init__(
        self,
        address: str | None = None,
        key: str | None = None,
        *,
        timeout_seconds: float = 30.0,
        retries: int = 10,
        transport: httpx.BaseTransport | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._pace = pace or Pace()
        self._routes = Routes(Patience(timeout_seconds, retries, self._pace))
        self._address = address_of(address)
        self._http = httpx.Client(base_url=self._address, headers=headers_of(key), transport=transport)

    def push(self, table: str, rows: Sequence[Row] | pl.DataFrame, *, idempotency_key: str | None = None) -> Kept:
        """Send facts of a table, as a list of rows or a Polars frame; what returns is durable at the server.

        Instants are aware datetimes or ISO text; NaN is a missing value. More rows than one request takes go in several, in
        their order. If one of those fails, the ones before it are kept: push all again, and they count as `already_there`.

        `idempotency_key` names the request, 1 to 80 characters; the same name with the same rows is the same request.
        """
        return self._run(self._routes.push(table, rows, idempotency_key))

    def predict(self, row: Row, *, explain: bool = False) -> Prediction:
        """Ask for the prediction of the decision that a row is; with what it was made from, and by how much, if explained."""
        return self._run(self._routes.predict(row, explain))

    def predict_key(self, key: DecisionKey, *, explain: bool = False) -> Prediction:
        """Ask for the prediction of a decision whose row the server has, by its key: a value, or values by column."""
        return self._run(self._routes.predict_key(key, explain))

    def predict_many(
        self, rows: Sequence[Row] | None = None, *, keys: Sequence[DecisionKey] | None = None, explain: bool = False
    ) -> list[Prediction | Failure]:
        """Ask for many predictions at once, by rows or by keys; in their order, and where there is none, why."""
        return self._run(self._routes.predict_many(rows, keys, explain))

    def predict_later(self, row: Row) -> Pending:
        """Hand a decision in and do not wait for its prediction: `wait` and `prediction` ask for it by its id."""
        return self._run(self._routes.predict_later(row))

    def prediction(self, id: str) -> Judged | Pending:
        """Return a prediction and what came true of it, as far as it is known; Pending while it is being made."""
        return self._run(self._routes.prediction(id))

    def wait(self, id: str, timeout_seconds: float = 30.0) -> Judged:
        """Return a prediction as soon as it was made; its outcome is not waited for.

        Raises ClientError (CLIENT_PENDING) when it was not made in time.
        """
        return self._run(self._routes.wait(id, timeout_seconds))

    def send_outcomes(self, labels: Iterable[tuple[str, Label]]) -> Kept:
        """Say what came true of predictions, as pairs of their id and the label."""
        return self._run(self._routes.send_outcomes(labels))

    def arms(self) -> Arms:
        """Return which models answer, and for which share of the keys."""
        return self._run(self._routes.arms())

    def set_arms(self, arms: Iterable[Arm], *, reason: str) -> Arms:
        """Say which models answer from now on, and why; needs an admin's key."""
        return self._run(self._routes.set_arms(arms, reason))

    def rewind(self, to: str | datetime) -> str:
        """Set a server whose time is told by its facts back to an instant, and return its new time; needs an admin's key.

        Raises DeclarationError (DECLARE_SPAN) for what is no instant with a time zone.
        """
        return self._run(self._routes.rewind(to))

    def state(self) -> dict[str, Any]:
        """Return the system, the model, the server's time, and what its memory holds: its bytes, and keys and facts by group."""
        return self._run(self._routes.state())

    def ready(self) -> bool:
        """Return whether the server answers that it is ready; asked once, and False where nothing answers."""
        return self._run(self._routes.ready())

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({str(self._address)!r})"

    def _run(self, conversation: Conversation[T]) -> T:
        try:
            attempt = next(conversation)
            while True:
                if attempt.after_seconds:
                    self._pace.sleep(attempt.after_seconds)
                call, limit = attempt.call, attempt.timeout_seconds
                result: Result
                try:
                    result = self._http.request(
                        call.method, call.path, content=call.body, headers=call.headers, timeout=limit
                    )
                except httpx.RequestError as error:
                    result = error
                attempt = conversation.send(result)
        except StopIteration as end:
            return end.value
