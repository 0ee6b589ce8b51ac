"""What a client asks of each route, and how it reads what comes back; said once for every kind of client.

Each method returns a conversation (see `exchange`). Whatever changes something carries an `Idempotency-Key`, made once and
kept over all attempts, so that it counts once however often it had to be sent.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from mainspring.answers import Arm, Arms, Failure, Judged, Kept, Pending, Prediction
from mainspring.client.bodies import JSON, Part, json_parts, parts_of, plain, plain_row
from mainspring.client.exchange import Attempt, Call, Conversation, exchange, reading, retry_after
from mainspring.client.patience import Patience
from mainspring.clock import format_instant, parse_instant
from mainspring.errors import ClientError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DecisionKey", "Label", "Routes", "Row"]

T = TypeVar("T")
Row = Mapping[str, Any]
DecisionKey = Mapping[str, Any] | str | int
Label = bool | int | float | str
_LONGEST_NAME = 80  # a server takes 100 characters, and a part adds its number
_REJECTIONS_TOLD = 100
_POLL_SECONDS = 0.2
_encode = msgspec.json.Encoder().encode


class _Predictions(msgspec.Struct, frozen=True):
    predictions: list[dict[str, Any]]


class _Now(msgspec.Struct, frozen=True):
    now: str


_kept, _prediction, _predictions = reading(Kept), reading(Prediction), reading(_Predictions)
_judged, _pending, _arms = reading(Judged), reading(Pending), reading(Arms)


class Routes:
    """The conversations that a client can have. Nothing in it changes: threads may share one."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience

    def push(self, table: str, rows: Sequence[Row] | pl.DataFrame, idempotency_key: str | None) -> Conversation[Kept]:
        path = f"/v1/facts/{_in_path(table)}"
        return self._in_parts(path, parts_of(rows), _kept, 202, _sum_of_kept, _name(idempotency_key))

    def send_outcomes(self, labels: Iterable[tuple[str, Label]]) -> Conversation[Kept]:
        told = [{"prediction_id": id, "label": plain(label, f"the label of {id}")} for id, label in labels]
        return self._in_parts("/v1/outcomes", json_parts(told), _kept, 202, _sum_of_kept, _name())

    def predict(self, row: Row, explain: bool) -> Conversation[Prediction]:
        return self._predict("row", plain_row(row), explain)

    def predict_key(self, key: DecisionKey, explain: bool) -> Conversation[Prediction]:
        return self._predict("key", _plain_key(key), explain)

    def predict_later(self, row: Row) -> Conversation[Pending]:
        call = _changing("/v1/predict", {"row": plain_row(row)}, {202: _pending})
        return self._exchange(replace(call, headers={**call.headers, "prefer": "respond-async"}))

    def predict_many(
        self, rows: Sequence[Row] | None, keys: Sequence[DecisionKey] | None, explain: bool
    ) -> Conversation[list[Prediction | Failure]]:
        if (rows is None) == (keys is None):
            raise ClientError("CLIENT_VALUE", "Neither or both of rows and keys were given.", fix="Give one of them.")
        kind = "rows" if keys is None else "keys"
        asked = [plain_row(row, at) for at, row in enumerate(rows or ())] + [_plain_key(key) for key in keys or ()]
        before, after = f'{{"{kind}":'.encode(), b',"explain":true}' if explain else b"}"
        parts = (replace(part, body=before + part.body + after) for part in json_parts(asked))
        return self._in_parts("/v1/predict", parts, _read_many, 200, _all_of, _name())

    def prediction(self, id: str) -> Conversation[Judged | Pending]:
        call: Call[Judged | Pending] = Call("GET", f"/v1/predictions/{_in_path(id)}", {200: _judged, 202: _pending})
        return self._exchange(call)

    def wait(self, id: str, timeout_seconds: float) -> Conversation[Judged]:
        call: Call[Judged | float] = Call("GET", f"/v1/predictions/{_in_path(id)}", {200: _judged, 202: retry_after})
        seconds, pause = self._patience.pace.seconds, 0.0
        deadline = seconds() + timeout_seconds
        while True:
            limit = min(deadline - seconds(), self._patience.timeout_seconds + pause)
            answer = yield from exchange(call, replace(self._patience, timeout_seconds=limit), pause)
            if isinstance(answer, Judged):
                return answer
            pause = max(answer, _POLL_SECONDS)
            if seconds() + pause >= deadline:
                raise ClientError(
                    "CLIENT_PENDING",
                    f"The prediction {id} was not there within {timeout_seconds:g} s.",
                    fix="Wait for it longer, or ask again later: prediction(id).",
                )

    def arms(self) -> Conversation[Arms]:
        return self._exchange(Call("GET", "/v1/arms", {200: _arms}))

    def set_arms(self, arms: Iterable[Arm], reason: str) -> Conversation[Arms]:
        call = _changing("/v1/arms", {"arms": list(arms), "reason": reason}, {200: _arms})
        return self._exchange(replace(call, method="PUT"))

    def rewind(self, to: str | datetime) -> Conversation[str]:
        call = _changing("/v1/rewind", {"to": format_instant(parse_instant(to))}, {200: reading(_Now)})
        return (yield from self._exchange(call)).now

    def state(self) -> Conversation[dict[str, Any]]:
        return self._exchange(Call("GET", "/v1/state", {200: reading(dict[str, Any])}))

    def ready(self) -> Conversation[bool]:
        """Ask once: whoever asks this does not want to wait for a better answer."""
        answer = yield Attempt(Call("GET", "/readyz", {}), 0.0, self._patience.timeout_seconds)
        return isinstance(answer, httpx.Response) and answer.status_code == 200

    def _predict(self, kind: str, asked: Any, explain: bool) -> Conversation[Prediction]:
        told = {kind: asked, "explain": True} if explain else {kind: asked}
        return self._exchange(_changing("/v1/predict", told, {200: _prediction}))

    def _exchange(self, call: Call[T]) -> Conversation[T]:
        return exchange(call, self._patience)

    def _in_parts(
        self,
        path: str,
        parts: Iterable[Part],
        read: Callable[[httpx.Response], T],
        status: int,
        joined: Callable[[Sequence[tuple[int, T]]], T],
        name: str,
    ) -> Conversation[T]:
        """Send one part after the other, under one name and their numbers, and join what was answered."""
        answers: list[tuple[int, T]] = []
        for number, part in enumerate(parts):
            headers = {"content-type": part.content_type, "idempotency-key": f"{name}/{number}" if number else name}
            call = Call("POST", path, {status: read}, part.body, headers)
            answers.append((part.first, (yield from self._exchange(call))))
        return joined(answers)


def _plain_key(key: DecisionKey) -> Any:
    return plain_row(key) if isinstance(key, Mapping) else plain(key, "the key")


def _changing(path: str, told: dict[str, Any], readers: Mapping[int, Callable[[httpx.Response], T]]) -> Call[T]:
    (part,) = json_parts([told])  # an array of one: without its brackets it is the object
    return Call("POST", path, readers, part.body[1:-1], {"content-type": JSON, "idempotency-key": _name()})


def _name(given: str | None = None) -> str:
    """Return the name of a request: the one given, or one that no other has."""
    if given is None:
        return secrets.token_hex(16)
    if not 0 < len(given) <= _LONGEST_NAME or not given.isascii() or not given.isprintable() or given != given.strip():
        raise ClientError(
            "CLIENT_VALUE",
            "An idempotency_key is empty, too long, or not plain text.",
            fix=f"Give 1 to {_LONGEST_NAME} printable ASCII characters, such as a UUID.",
        )
    return given


def _in_path(name: str) -> str:
    return quote(name, safe="", errors="replace")


def _read_many(response: httpx.Response) -> list[Prediction | Failure]:
    return [
        msgspec.convert(each["error"], Failure) if "error" in each else msgspec.convert(each, Prediction)
        for each in _predictions(response).predictions
    ]


def _all_of(answers: Sequence[tuple[int, list[T]]]) -> list[T]:
    return [each for _, some in answers for each in some]


def _sum_of_kept(answers: Sequence[tuple[int, Kept]]) -> Kept:
    every = [kept for _, kept in answers]
    told = [msgspec.structs.replace(each, row=first + each.row) for first, kept in answers for each in kept.rejections]
    return Kept(
        table=every[0].table,
        given=sum(kept.given for kept in every),
        accepted=sum(kept.accepted for kept in every),
        already_there=sum(kept.already_there for kept in every),
        rejected=sum(kept.rejected for kept in every),
        rejections=tuple(told[:_REJECTIONS_TOLD]),
    )
