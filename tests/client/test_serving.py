"""The clients against the real application, without a network, and the document's example against a server with one."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep

import httpx
import polars as pl
import pytest
import uvicorn

from mainspring.client import AsyncClient, Client, Failure, Prediction
from mainspring.errors import ClientError
from mainspring.serving import Limits
from mainspring.serving.http import listen
from tests.serving.shop import BEGIN, deliveries, order
from tests.serving.test_app import Site
from tests.test_guide import ROOT, executed

from .kinds import KINDS, Bridge, Caller, Time

Kind = type[Client] | type[AsyncClient]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.log.close()


def caller(kind: Kind, site: Site, role: str = "write", time: Time | None = None) -> Caller:
    inner = httpx.ASGITransport(site.app)
    key = site.keys.get(role, role)
    return Caller(kind, Bridge(inner) if kind is Client else inner, time or Time(), key=key)


@pytest.mark.parametrize("kind", KINDS)
def test_facts_and_predictions(kind: Kind, site: Site) -> None:
    client = caller(kind, site)
    assert client.ready() is True
    rows = [*deliveries(8), {**deliveries(1)[0], "order_id": "bad", "minutes": -1}]
    kept = client.push("delivery", rows)
    assert (kept.table, kept.given, kept.accepted, kept.already_there, kept.rejected) == ("delivery", 9, 8, 0, 1)
    assert (kept.rejections[0].row, kept.rejections[0].reason) == (8, "too_small")
    one = client.predict(order(), explain=True)
    assert isinstance(one, Prediction)
    assert (one.model, one.arm, one.probability) == ("m1", "champion", one.features["flow"] / 100)  # type: ignore[index]
    many = client.predict_many([order(), order(items=0)])
    assert many[0].probability == one.probability
    assert isinstance(many[1], Failure)
    assert many[1].code == "SERVE_ROW"
    assert client.state()["groups"]["delivery by shop"] == {"keys": 2, "facts": 8}


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_of_instants_and_a_frame_are_the_same_facts(kind: Kind, site: Site) -> None:
    client = caller(kind, site)
    begin = datetime.fromtimestamp(BEGIN // 1_000_000, UTC)
    rows = [{**row, "arrived": begin + timedelta(minutes=10 * n)} for n, row in enumerate(deliveries(12))]
    assert client.push("delivery", rows).accepted == 12
    again = client.push("delivery", pl.DataFrame(rows))
    assert (again.accepted, again.already_there) == (0, 12)
    assert client.push("delivery", deliveries(12)).already_there == 12
    assert client.push("delivery", []).given == client.push("delivery", pl.DataFrame()).given == 0


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_server_refuses(kind: Kind, site: Site) -> None:
    asked = [
        (401, "SERVE_KEY", lambda: caller(kind, site, "msk_wrong").predict(order())),
        (403, "SERVE_ROLE", lambda: caller(kind, site, "read").push("delivery", deliveries(1))),
        (404, "SERVE_TABLE", lambda: caller(kind, site).push("nothing", deliveries(1))),
        (422, "SERVE_ROW", lambda: caller(kind, site).predict(order(items=0))),
    ]
    for status, code, ask in asked:
        with pytest.raises(ClientError, match=r"\[CLIENT_REFUSED\]") as raised:
            ask()
        assert (raised.value.status, raised.value.refusal) == (status, code)
        assert raised.value.fix
        assert len(raised.value.request_id) == 16


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_was_lost_on_its_way_is_the_same_when_asked_again(kind: Kind, site: Site) -> None:
    class Losing(httpx.AsyncBaseTransport):
        """Every first answer is lost, after the server has done what it was asked."""

        def __init__(self) -> None:
            self.inner, self.requests = httpx.ASGITransport(site.app), 0

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            answer = await self.inner.handle_async_request(request)
            self.requests += 1
            if self.requests % 2:
                raise httpx.ReadError("connection reset", request=request)
            return answer

    losing = Losing()
    client = Caller(kind, Bridge(losing) if kind is Client else losing, Time(), key=site.keys["write"])
    assert client.push("delivery", deliveries(8)).already_there == 8, "they were kept, and the answer was lost"
    client.predict(order())
    client.predict_many([order(), order(shop="b")])
    assert losing.requests == 6
    assert (site.log.end("facts"), site.log.end("predictions")) == (1, 3)


def test_who_may_send_less_than_they_do_is_slowed_down_and_loses_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path, Limits(requests_per_second=20, burst=1))
    client = caller(Client, site, time=_Real())
    begin = datetime.now(UTC)
    assert sum(client.push("delivery", [row]).accepted for row in deliveries(3)) == 3
    assert datetime.now(UTC) - begin >= timedelta(seconds=0.1)
    site.log.close()


class _Real(Time):
    """Time as it is, except that the whole seconds that a server names are a twentieth of that."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        sleep(seconds / 20)


# The document


@contextmanager
def listening(site: Site) -> Iterator[str]:
    """The application behind a port of this machine."""
    socket = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(site.app, log_level="warning", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        socket.close()


def test_the_example_of_the_document_runs(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with listening(site) as address:
        monkeypatch.setenv("MAINSPRING_ADDRESS", address)
        monkeypatch.setenv("MAINSPRING_KEY", site.keys["write"])
        executed("docs/client.md")
    assert capsys.readouterr().out.startswith("minutes is below 0.\n0.0")


def test_the_document_names_every_method() -> None:
    text = (ROOT / "docs/client.md").read_text(encoding="utf-8")
    methods = [name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")]
    assert [name for name in methods if f"`{name}(" not in text] == []
