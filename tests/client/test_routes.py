"""What is asked of every route and what its answers are read as; whatever a stranger answers is told as such."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mainspring as ms
from mainspring.client import Arm, Arms, AsyncClient, Client, Failure, Judged, Kept, Outcome, Pending, Prediction
from mainspring.errors import ClientError, DeclarationError, MainspringError

from .kinds import ADDRESS, KEY, KINDS, Caller, Time, caller

Kind = type[Client] | type[AsyncClient]
MADE = {
    "prediction_id": "p1",
    "decided_at": "2025-01-01T00:00:00Z",
    "model": "m1",
    "arm": "champion",
    "probability": 0.5,
}
PREDICTION = Prediction(**MADE)
REFUSED = {"code": "SERVE_ROW", "message": "No.", "exists": "There is a.", "fix": "Send a."}
KEPT = {"table": "outcomes", "given": 1, "accepted": 1, "already_there": 0, "rejected": 0, "rejections": []}
CHAMPION = {"name": "champion", "role": "champion", "model": "m1", "share": 1.0}
ARMS = {"arms": [CHAMPION], "since": "2025-01-01T00:00:00Z", "by": "msk_a", "reason": "better"}


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


class Answering:
    """A server with one answer after the other."""

    def __init__(self, *answers: tuple[int, Any], headers: dict[str, str] | None = None) -> None:
        self.answers, self.headers = list(answers), headers or {}
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        status, told = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return httpx.Response(status, headers=self.headers, json=told)

    @property
    def asked(self) -> tuple[str, str, Any]:
        """Method, path and body of the latest request."""
        last = self.seen[-1]
        return last.method, last.url.raw_path.decode(), json.loads(last.content) if last.content else None


# Laws


def test_both_kinds_have_the_same_methods() -> None:
    def methods(kind: Kind) -> dict[str, inspect.Signature]:
        found = inspect.getmembers(kind, inspect.isfunction)
        return {name: inspect.signature(each) for name, each in found if not name.startswith("_")}

    assert methods(Client) == methods(AsyncClient)
    awaited = {name for name, each in inspect.getmembers(AsyncClient, inspect.iscoroutinefunction)}
    assert awaited >= set(methods(Client))


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_a_stranger_answers_is_an_answer_or_an_error_of_ours(kind: Kind) -> None:
    answers: list[httpx.Response] = []
    codes: set[str] = set()
    client = caller(kind, lambda request: answers[-1], retries=0)
    asks = [
        lambda: client.predict({}), lambda: client.predict_many([{}]), lambda: client.predict_later({}),
        lambda: client.prediction("p"), lambda: client.wait("p", 1.0), lambda: client.push("t", [{}]), client.arms,
        client.state, client.ready, lambda: client.rewind("2025-01-01"), lambda: client.send_outcomes([]),
    ]  # fmt: skip
    names = st.sampled_from(["error", "code", "message", "predictions", "prediction_id", "now", "arms", "rejections"])
    told = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
        max_leaves=8,
    )

    pending = encoded({"prediction_id": "p", "location": "/", "status": "pending"})

    @settings(max_examples=300, deadline=None)
    @example(asks[4], 202, pending, {"retry-after": "9"})  # seldom found by chance
    @given(
        st.sampled_from(asks),
        st.sampled_from([200, 202, 204, 301, 400, 404, 422, 500, 503]),
        st.binary(max_size=20)
        | st.sampled_from([{"error": REFUSED}, MADE, {"prediction_id": "p", "location": "/", "status": "pending"}]).map(
            encoded
        )
        | told.map(encoded),
        st.dictionaries(
            st.sampled_from(["retry-after", "location", "content-encoding"]), st.sampled_from(["9", "gzip"])
        ),
    )
    def asked(ask: Any, status: int, body: bytes, headers: dict[str, str]) -> None:
        body_of: Any = {"stream": _Raw(body)} if "content-encoding" in headers else {"content": body}
        answers.append(httpx.Response(status, headers=headers, **body_of))
        try:
            ask()
        except ClientError as error:
            codes.add(error.code)

    asked()
    assert codes == {"CLIENT_ANSWER", "CLIENT_REFUSED", "CLIENT_PENDING"}


class _Raw(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body as it stands on the wire: what it claims to be encoded as, it may not be."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def __iter__(self) -> Any:
        yield self.body

    async def __aiter__(self) -> Any:
        yield self.body


def test_the_key_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    shown: list[str] = []
    for kind in KINDS:
        server = Answering((422, {"error": REFUSED}))
        client = caller(kind, server)
        shown += [repr(client.client), str(client.client)]
        with pytest.raises(ClientError) as raised:
            client.state()
        shown += [repr(raised.value), str(raised.value), repr(vars(raised.value))]
        assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"
    for wrong in (KEY + "\n" + KEY, KEY + "ü", KEY + "\x00"):
        with pytest.raises(ClientError, match="CLIENT_OPTION") as raised:
            Client(ADDRESS, wrong)
        shown += [repr(raised.value), str(raised.value)]
    assert not any("secret" in text for text in [*shown, caplog.text])


# Cases: the routes


@pytest.mark.parametrize("kind", KINDS)
def test_predictions(kind: Kind) -> None:
    server = Answering((200, {**MADE, "of_a_newer_server": 1}))
    client = caller(kind, server)
    at = datetime(2025, 1, 1, tzinfo=UTC)
    assert client.predict({"a": 1, "at": at}) == PREDICTION
    assert server.asked == ("POST", "/v1/predict", {"row": {"a": 1, "at": "2025-01-01T00:00:00Z"}})
    assert client.predict({"a": 1}, explain=True) == PREDICTION
    assert server.asked[2] == {"row": {"a": 1}, "explain": True}
    assert client.predict_key("n1") == PREDICTION
    assert server.asked[2] == {"key": "n1"}
    assert client.predict_key({"order_id": "n1"}, explain=True) == PREDICTION
    assert server.asked[2] == {"key": {"order_id": "n1"}, "explain": True}


@pytest.mark.parametrize("kind", KINDS)
def test_many_predictions(kind: Kind) -> None:
    server = Answering((200, {"predictions": [MADE, {"error": REFUSED}]}))
    client = caller(kind, server)
    assert client.predict_many([{"a": 1}, {"a": 2}]) == [PREDICTION, Failure(**REFUSED)]
    assert server.asked == ("POST", "/v1/predict", {"rows": [{"a": 1}, {"a": 2}]})
    assert client.predict_many(keys=["n1", {"order_id": 2}], explain=True) == [PREDICTION, Failure(**REFUSED)]
    assert server.asked[2] == {"keys": ["n1", {"order_id": 2}], "explain": True}
    assert len(client.predict_many([{}] * 10_001)) == 4
    for wrong in ({}, {"rows": [], "keys": []}):
        with pytest.raises(ClientError, match="Neither or both"):
            client.predict_many(**wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_a_prediction_that_is_made_later(kind: Kind) -> None:
    pending = {"prediction_id": "p 1/2", "location": "/v1/predictions/p", "status": "pending"}
    judged = {"prediction": MADE, "outcome": {"label": True, "known_at": "2025-01-02T00:00:00Z", "source": "facts"}}
    server, time = Answering((202, pending), (202, pending), (200, judged), headers={"retry-after": "3"}), Time()
    client = caller(kind, server, time)
    assert client.predict_later({"a": 1}) == Pending(**pending)
    assert server.seen[0].headers["prefer"] == "respond-async"
    assert client.prediction("p 1/2") == Pending(**pending)
    assert server.asked == ("GET", "/v1/predictions/p%201%2F2", None)
    assert "idempotency-key" not in server.seen[-1].headers
    outcome = Outcome(label=True, known_at="2025-01-02T00:00:00Z", source="facts")
    assert client.prediction("p") == Judged(prediction=PREDICTION, outcome=outcome)
    server.answers = [(202, pending), (503, {}), (202, pending), (200, {"prediction": MADE})]
    assert client.wait("p", timeout_seconds=20) == Judged(prediction=PREDICTION)
    assert time.waits == [3.0, 3.05, 3.0]


@pytest.mark.parametrize("kind", KINDS)
def test_who_waits_no_longer_than_they_said(kind: Kind) -> None:
    pending = {"prediction_id": "p", "location": "/", "status": "pending"}
    time = Time()
    with pytest.raises(ClientError, match=r"not there within 2 s.*CLIENT_PENDING"):
        caller(kind, Answering((202, pending)), time).wait("p", 2)
    assert 1.5 < time.now < 2
    hasty, time = Answering((202, pending), (202, pending), (200, {"prediction": MADE})), Time()
    assert caller(kind, hasty, time, timeout_seconds=0.01).wait("p", 60).prediction == PREDICTION
    refused = Answering((422, {"error": REFUSED}))
    with pytest.raises(ClientError) as raised:
        caller(kind, refused).wait("p")
    assert raised.value.refusal == "SERVE_ROW"
    with pytest.raises(ClientError, match="CLIENT_OPTION"):
        caller(kind, refused).wait("p", 0)


@pytest.mark.parametrize("kind", KINDS)
def test_outcomes_arms_time_and_state(kind: Kind) -> None:
    server = Answering(
        (202, KEPT), (200, ARMS), (200, ARMS), (200, {"now": "2025-01-01T00:00:00Z"}), (200, {"bytes": 1})
    )
    client = caller(kind, server)
    assert client.send_outcomes([("p1", True), ("p2", 1.5)]) == Kept(**{**KEPT, "rejections": ()})
    told = [{"prediction_id": "p1", "label": True}, {"prediction_id": "p2", "label": 1.5}]
    assert server.asked == ("POST", "/v1/outcomes", told)
    arms = Arms(**{**ARMS, "arms": (Arm(**CHAMPION),)})
    assert client.arms() == arms
    assert server.asked == ("GET", "/v1/arms", None)
    assert client.set_arms(arms.arms, reason="better") == arms
    assert server.asked == ("PUT", "/v1/arms", {"arms": [CHAMPION], "reason": "better"})
    assert client.rewind(datetime(2025, 1, 1, tzinfo=UTC)) == "2025-01-01T00:00:00Z"
    assert server.asked == ("POST", "/v1/rewind", {"to": "2025-01-01T00:00:00Z"})
    assert client.state() == {"bytes": 1}
    assert server.asked == ("GET", "/v1/state", None)
    with pytest.raises(DeclarationError, match="DECLARE_SPAN"):
        client.rewind("2025-01-01T12:00:00")


@pytest.mark.parametrize("kind", KINDS)
def test_ready_is_asked_once(kind: Kind) -> None:
    for status, ready in ((200, True), (503, False), (404, False)):
        server = Answering((status, {}))
        assert caller(kind, server).ready() is ready
        assert (len(server.seen), server.asked[:2]) == (1, ("GET", "/readyz"))


# Cases: what goes wrong


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_says_what_the_server_said(kind: Kind) -> None:
    server = Answering((422, {"error": REFUSED}), (500, {"error": {"code": "UNEXPECTED", "message": "Request r1 failed."}}),
                       headers={"request-id": "r1"})  # fmt: skip
    client = caller(kind, server)
    with pytest.raises(MainspringError) as raised:
        client.push("a/b?c", [{}])
    assert str(raised.value) == (
        "POST /v1/facts/a%2Fb%3Fc was refused with 422 SERVE_ROW: No. There is a. Send a. [CLIENT_REFUSED]"
    )
    error = raised.value
    assert isinstance(error, ClientError)
    assert (error.status, error.refusal, error.request_id) == (422, "SERVE_ROW", "r1")
    with pytest.raises(ClientError, match="Ask whoever runs the server, and name the request r1"):
        client.state()


def test_an_answer_of_something_else_is_none() -> None:
    for status, told in ((200, "<html>"), (200, {"x": 1}), (502, "<html>"), (301, {"error": REFUSED})):
        with pytest.raises(ClientError, match="CLIENT_ANSWER") as raised:
            caller(Client, Answering((status, told))).predict({})
        assert raised.value.status == status


def test_address_and_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAINSPRING_ADDRESS", "MAINSPRING_KEY"):
        monkeypatch.delenv(name, raising=False)
    for options, told in (
        ((), "There is no address"),
        ((ADDRESS,), "There is no key"),
        ((ADDRESS, " "), "There is no key"),
    ):
        with pytest.raises(ClientError, match=f"{told}.*CLIENT_OPTION"):
            Client(*options)
    monkeypatch.setenv("MAINSPRING_ADDRESS", "http://server:8000/behind/")
    monkeypatch.setenv("MAINSPRING_KEY", KEY)
    for kind in KINDS:
        server = Answering((200, {}))
        Caller(kind, httpx.MockTransport(server), Time(), address=None, key=None).state()
        assert str(server.seen[0].url) == "http://server:8000/behind/v1/state"
        assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "wrong",
    ["server:8000", "ftp://server", "http://", "http://a:b@server", "http://server?x=1", "http://server#x", "x", "\n"],
)
def test_an_address_that_is_none(wrong: str) -> None:
    with pytest.raises(ClientError, match="is no address such as http"):
        Client(wrong, KEY)


def test_clients_close_what_they_opened() -> None:
    with ms.Client(ADDRESS, KEY, transport=httpx.MockTransport(Answering((200, {})))) as client:
        assert client.state() == {}
    with pytest.raises(RuntimeError, match="closed"):
        client.state()
    assert (repr(client), ms.AsyncClient.__name__) == ("Client('http://server')", "AsyncClient")
