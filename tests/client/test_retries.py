"""Whatever fails between a client and its server: what was asked for counts once, and nobody waits longer than they said."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.client import AsyncClient, Client
from mainspring.errors import ClientError

from .kinds import KINDS, Time, caller

PREDICTION = {"prediction_id": "p1", "decided_at": "2025-01-01T00:00:00Z", "model": "m1", "arm": "champion"}
KEPT = {"table": "delivery", "given": 1, "accepted": 1, "already_there": 0, "rejected": 0, "rejections": []}
ASKED: list[tuple[Callable[..., Any], int, dict[str, Any]]] = [
    (lambda client: client.predict({"a": 1}), 200, PREDICTION),
    (lambda client: client.predict_key("k"), 200, PREDICTION),
    (lambda client: client.predict_many([{"a": 1}]), 200, {"predictions": [PREDICTION]}),
    (lambda client: client.predict_later({"a": 1}), 202, {"prediction_id": "p", "location": "/"}),
    (lambda client: client.push("delivery", [{"a": 1}]), 202, KEPT),
    (lambda client: client.send_outcomes([("p1", True)]), 202, KEPT),
    (lambda client: client.set_arms([], reason="why"), 200, {"arms": []}),
    (lambda client: client.rewind("2025-01-01"), 200, {"now": "2025-01-01T00:00:00Z"}),
]

statuses = st.sampled_from([429, 502, 503, 504])
breaks = st.sampled_from([httpx.ConnectError, httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError])
failures = st.tuples(statuses | breaks, st.none() | st.integers(0, 60), st.sampled_from([0.0, 0.01, 1.0]))


@dataclass
class Flaky:
    """A server that fails in given ways, each of which takes a time, and then answers."""

    failures: list[tuple[Any, int | None, float]]
    answer: tuple[int, Any]
    time: Time
    seen: list[httpx.Request] = field(default_factory=list)
    begins: list[float] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)  # Retry-After, by attempt

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        self.begins.append(self.time.now)
        if len(self.seen) > len(self.failures):
            return httpx.Response(self.answer[0], json=self.answer[1])
        kind, retry_after, seconds = self.failures[len(self.seen) - 1]
        self.time.now += seconds
        self.asked.append(retry_after or 0 if isinstance(kind, int) else 0)
        if not isinstance(kind, int):
            raise kind("broken", request=request)
        headers = {} if retry_after is None else {"retry-after": str(retry_after)}
        return httpx.Response(kind, headers=headers, json={"error": {"code": "SERVE_RATE", "message": "later"}})


# Laws


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(
    asked=st.sampled_from(ASKED),
    failing=st.lists(failures, max_size=8),
    timeout=st.sampled_from([0.5, 5.0, 30.0, 600.0]),
    retries=st.integers(0, 8),
    luck=st.floats(0.001, 1),
)
def test_over_any_failures_it_is_one_request_inside_its_time(
    kind: type[Client] | type[AsyncClient],
    asked: tuple[Callable[..., Any], int, dict[str, Any]],
    failing: list[Any],
    timeout: float,
    retries: int,
    luck: float,
) -> None:
    time = Time(lambda: luck)
    ask, *answer = asked
    server = Flaky(failing, (answer[0], answer[1]), time)
    refused: ClientError | None = None
    try:
        ask(caller(kind, server, time, timeout_seconds=timeout, retries=retries))
    except ClientError as error:
        refused = error
    if refused is None:
        assert len(server.seen) == len(failing) + 1
    else:
        last = failing[len(server.seen) - 1][0]
        told = ("CLIENT_REFUSED", last) if isinstance(last, int) else ("CLIENT_UNREACHABLE", None)
        assert (refused.code, refused.status) == told
        gave_up_early = len(server.seen) <= retries
        assert not gave_up_early or time.now + server.asked[-1] + 5 >= timeout
    assert len({request.headers["idempotency-key"] for request in server.seen}) == 1
    assert len({(request.method, request.url, request.content) for request in server.seen}) == 1
    assert len(server.seen) <= retries + 1
    assert all(begin < timeout for begin in server.begins)
    assert sum(time.waits) < timeout
    for number, (waited, asked) in enumerate(zip(time.waits, server.asked, strict=False)):
        assert 0 <= waited - asked <= min(5, 0.1 * 2**number) + 1e-9
    left = [request.extensions["timeout"]["read"] for request in server.seen]
    assert all(0 < limit <= timeout - begin + 0.001 for limit, begin in zip(left, server.begins, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_passing_failure_is_asked_once(kind: type[Client] | type[AsyncClient]) -> None:
    for status in (201, 204, 301, 302, 307, 400, 401, 403, 404, 405, 408, 409, 413, 422, 499, 500, 501, 505):
        time = Time()
        server = Flaky([(status, 1, 0.0)], (200, PREDICTION), time)
        with pytest.raises(ClientError) as raised:
            caller(kind, server, time).predict({})
        assert (len(server.seen), time.waits, raised.value.status) == (1, [], status)


def test_names_are_new_for_every_request_and_kept_where_given() -> None:
    time, names = Time(), []

    def server(request: httpx.Request) -> httpx.Response:
        names.append(request.headers["idempotency-key"])
        return httpx.Response(202, json=KEPT)

    client = caller(Client, server, time)
    for _ in range(50):
        client.push("delivery", [{"a": 1}])
    assert len(set(names)) == 50
    client.push("delivery", [{"a": 1}], idempotency_key="mine")
    assert names[-1] == "mine"
    client.push("delivery", [{"a": 1}] * 10_001, idempotency_key="mine")
    assert names[-2:] == ["mine", "mine/1"]
    for wrong in ("", "x" * 81, "ü", "a\nb", " a"):
        with pytest.raises(ClientError, match="idempotency_key"):
            client.push("delivery", [], idempotency_key=wrong)


# Cases


def test_pauses_are_drawn_from_a_range_that_doubles_up_to_five_seconds() -> None:
    time = Time(lambda: 1.0)
    server = Flaky([(503, None, 0.0)] * 9, (200, PREDICTION), time)
    caller(Client, server, time).predict({})
    assert time.waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5])


@pytest.mark.parametrize("named", ["soon", "-1", "Fri, 31 Dec 1999 23:59:59 GMT", "²", ""])
def test_a_wait_that_is_no_number_of_seconds_counts_as_none(named: str) -> None:
    time, answers = Time(), iter([503, 200])

    def server(request: httpx.Request) -> httpx.Response:
        return httpx.Response(next(answers), headers=[(b"retry-after", named.encode())], json=PREDICTION)

    caller(Client, server, time).predict({})
    assert time.waits == [0.05]


def test_what_can_never_work_is_tried_once() -> None:
    time, tries = Time(), []

    def server(request: httpx.Request) -> httpx.Response:
        tries.append(1)
        raise httpx.LocalProtocolError("no such header", request=request)

    with pytest.raises(ClientError, match=r"not answered in 1 attempt: no such header.*CLIENT_UNREACHABLE"):
        caller(Client, server, time).predict({})
    assert len(tries) == 1


def test_nothing_listens() -> None:
    client = Client("http://127.0.0.1:9", "msk_x", retries=2, pace=Time().pace)
    with pytest.raises(ClientError, match=r"not answered in 3 attempts.*CLIENT_UNREACHABLE") as raised:
        client.state()
    assert isinstance(raised.value.__cause__, httpx.ConnectError)
    assert client.ready() is False


@pytest.mark.parametrize("options", [{"timeout_seconds": 0}, {"timeout_seconds": float("nan")}, {"retries": -1}])
def test_limits_that_cannot_be_kept(options: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="CLIENT_OPTION"):
        Client("http://server", "msk_x", **options)


def test_threads_share_one_client() -> None:
    names, lock = [], threading.Lock()

    def server(request: httpx.Request) -> httpx.Response:
        with lock:
            names.append(request.headers["idempotency-key"])
            passing = len(names) % 3 == 0
        return httpx.Response(503) if passing else httpx.Response(200, json=PREDICTION)

    client = Client("http://server", "msk_x", transport=httpx.MockTransport(server), pace=Time().pace, retries=50)
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.extend(client.predict({}) for _ in range(25))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(set(names)) == 200
