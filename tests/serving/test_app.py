"""HTTP over the service: who is let in, what is answered, and that nothing a stranger sends is ever a 500."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.clock import DAY
from mainspring.ledger import Ledger
from mainspring.ledger.keys import ROLES
from mainspring.serving import Access, Limits
from mainspring.serving.app import make_app
from mainspring.serving.facts_clock import FactsClock
from mainspring.serving.skew import Skew
from mainspring.stream import EmbeddedLog

from .shop import BEGIN, Deployer, deliveries, empty_lake, open_shop, order

Talk = Callable[[httpx.AsyncClient], Awaitable[Any]]


class Site:
    """An application, asked without a network."""

    def __init__(
        self,
        folder: Path,
        limits: Limits | None = None,
        *,
        ledger: Ledger | None = None,
        keys: dict[str, str] | None = None,
    ) -> None:
        """Given the ledger and the keys of another one on the same folder, it is that one after a restart."""
        self.lake = empty_lake(folder)
        self.service, self.log = open_shop(folder / "log", self.lake)
        self.service.wall = FactsClock(BEGIN + 20 * 366 * DAY)  # real time: the facts are old ones
        if limits is not None:
            self.service.limits = limits
        self.ledger = ledger or Ledger(f"sqlite:///{folder / 'ledger.db'}")
        self.keys = keys or {role: self.ledger.keys.add(role, created_at=0)[1] for role in ROLES}
        self.app = make_app(
            self.service,
            Access(self.ledger.keys, self.service.clock),
            lake=self.lake,
            log=self.log,
            deployed=Deployer(self.service),
            clock=FactsClock(BEGIN),
            skew=lambda: Skew(7, {"pace": 2}),
        )

    def ask(self, talk: Talk) -> Any:
        async def run() -> Any:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=True)
            async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
                return await talk(client)

        return asyncio.run(run())

    def send(self, method: str, path: str, role: str | None = "write", **options: Any) -> httpx.Response:
        headers = options.pop("headers", {})
        if role is not None:
            headers = {"authorization": f"Bearer {self.keys.get(role, role)}", **headers}

        async def talk(client: httpx.AsyncClient) -> httpx.Response:
            return await client.request(method, path, headers=headers, **options)

        return self.ask(talk)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.log.close()


def test_facts_and_predictions(site: Site) -> None:
    rows = [*deliveries(8), {**deliveries(1)[0], "order_id": "bad", "minutes": -1}]
    sent = site.send("POST", "/v1/facts/delivery", json=rows)
    assert sent.status_code == 202
    assert sent.json() == {
        "table": "delivery", "given": 9, "accepted": 8, "already_there": 0, "rejected": 1,
        "rejections": [{"row": 8, "reason": "too_small", "message": "minutes is below 0."}],
    }  # fmt: skip
    lines = "\n".join(json.dumps(row) for row in rows)
    again = site.send("POST", "/v1/facts/delivery", content=lines, headers={"content-type": "application/x-ndjson"})
    assert (again.json()["accepted"], again.json()["already_there"]) == (0, 8)
    one = site.send("POST", "/v1/predict", "read", json={"row": order(), "explain": True})
    assert one.status_code == 200
    assert set(one.json()) == {
        "prediction_id", "decided_at", "model", "arm", "probability", "decision", "features", "contributions",
    }  # fmt: skip
    many = site.send("POST", "/v1/predict", "read", json={"rows": [order(), order(items=0)]}).json()["predictions"]
    assert many[0]["probability"] == one.json()["probability"]
    assert many[1]["error"]["code"] == "SERVE_ROW"
    assert len(one.headers["request-id"]) == 16
    state = site.send("GET", "/v1/state", "read").json()
    assert state["groups"]["delivery by shop"] == {"keys": 2, "facts": 8}


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/facts/delivery"), ("POST", "/v1/predict"), ("GET", "/v1/state"), ("GET", "/metrics")],
)
def test_without_a_key_there_is_nothing(site: Site, method: str, path: str) -> None:
    for role in (None, "msk_wrong", site.keys["read"][:-1]):
        refused = site.send(method, path, role, **({"json": []} if method == "POST" else {}))
        assert refused.status_code == 401
        assert refused.json()["error"]["code"] == "SERVE_KEY"


def test_a_reader_cannot_write(site: Site) -> None:
    refused = site.send("POST", "/v1/facts/delivery", "read", json=deliveries(1))
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "SERVE_ROLE")
    assert site.log.topics() == []


def test_a_key_sends_no_more_than_it_may(tmp_path: Path) -> None:
    site = Site(tmp_path, Limits(requests_per_second=1 / 3600, burst=3))
    statuses = [site.send("GET", "/v1/state", "read") for _ in range(4)]
    assert [each.status_code for each in statuses] == [200, 200, 200, 429]
    assert int(statuses[3].headers["retry-after"]) >= 1
    site.log.close()


def test_health_needs_no_key_and_says_nothing(site: Site) -> None:
    for path in ("/healthz", "/readyz"):
        assert site.send("GET", path, None).json() == {"status": "ok"}
    page = site.send("GET", "/", None)
    assert "POST /v1/facts/{table}" in page.text
    assert "deliveries" not in page.text


def test_what_is_counted_can_be_scraped(site: Site) -> None:
    site.send("POST", "/v1/facts/delivery", json=deliveries(8))
    site.send("POST", "/v1/predict", json={"row": order()})
    site.send("POST", "/v1/predict", json={})
    text = site.send("GET", "/metrics").text
    for line in (
        'mainspring_facts_total{outcome="accepted",table="delivery"} 8.0',
        'mainspring_predictions_total{arm="champion",model="m1"} 1.0',
        'mainspring_answers_total{route="predict",status="200"} 1.0',
        'mainspring_answers_total{route="predict",status="400"} 1.0',
    ):
        assert line in text
    for line in (
        'mainspring_request_seconds_count{arm="champion",route="predict"} 1.0',
        'mainspring_request_seconds_count{arm="",route="predict"} 1.0',
        'mainspring_feature_staleness_seconds{feature="pace"} 0.0',
        'mainspring_missing_features_total{feature="items"} 0.0',
        'mainspring_lake_lag_records{topic="facts"} 1.0',
        'mainspring_facts_lag_seconds_total{table="delivery"} 0.0',
        "mainspring_skew_checked_predictions 7.0",
        'mainspring_skewed_values{feature="pace"} 2.0',
    ):
        assert line in text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1/predict", 405),
        ("POST", "/v1/facts/nothing", 404),
        ("POST", "/v1/facts", 404),
    ],
)
def test_a_wrong_address_is_told(site: Site, method: str, path: str, status: int) -> None:
    told = site.send(method, path, json=deliveries(1) if method == "POST" else None)
    assert told.status_code == status
    assert told.json()["error"]["code"].startswith("SERVE_")


def tensors(**columns: list[Any]) -> list[dict[str, Any]]:
    kinds = {str: "BYTES", int: "INT64", float: "FP64", bool: "BOOL"}
    return [
        {"name": name, "shape": [len(values)], "datatype": kinds[type(values[0])], "data": values}
        for name, values in columns.items()
    ]


def test_a_client_of_the_open_inference_protocol_is_answered(site: Site) -> None:
    assert site.send("GET", "/v2/health/ready", None).status_code == 200
    told = site.send("GET", "/v2/models/deliveries", "read").json()
    assert {each["name"]: each["datatype"] for each in told["inputs"]} == {
        "order_id": "BYTES", "shop": "BYTES", "items": "INT64", "weight": "FP64", "gift": "BOOL", "due": "BYTES",
        "placed": "BYTES",
    }  # fmt: skip
    assert site.send("GET", "/v2/models/deliveries/ready", "read").json() == {"name": "deliveries", "ready": True}
    site.send("POST", "/v1/facts/delivery", json=deliveries(8))
    inputs = tensors(order_id=["x", "y"], shop=["a", "b"], items=[1, 2])
    answer = site.send("POST", "/v2/models/deliveries/infer", "read", json={"id": "7", "inputs": inputs}).json()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("7", "deliveries", "m1")
    outputs = {each["name"]: each for each in answer["outputs"]}
    alone = [site.send("POST", "/v1/predict", "read", json={"row": order(shop=shop)}).json() for shop in "ab"]
    assert outputs["probability"]["data"] == [each["probability"] for each in alone]
    assert outputs["decision"] == {"name": "decision", "datatype": "BOOL", "shape": [2], "data": [False, False]}
    assert site.log.end("predictions") == 4


@pytest.mark.parametrize(
    ("inputs", "status"),
    [
        ([], 400),
        (tensors(colour=["red"]), 400),
        (tensors(order_id=["x"], shop=["a", "b"], items=[1]), 400),
        ([{**tensors(items=[1])[0], "shape": [2]}], 400),
        ([{"name": "weight", "shape": [1], "datatype": "FP64", "data": [10**400]}], 400),
        ([{**tensors(items=[1])[0], "datatype": "COMPLEX"}], 400),
        ("none", 400),
        (tensors(order_id=["x"], shop=["a"], items=[0]), 422),
    ],
)
def test_a_wrong_inference_request_is_told(site: Site, inputs: Any, status: int) -> None:
    told = site.send("POST", "/v2/models/deliveries/infer", "read", json={"inputs": inputs})
    assert told.status_code == status
    assert told.json()["error"]["code"].startswith("SERVE_")
    assert site.send("POST", "/v2/models/other/infer", "read", json={"inputs": []}).status_code == 404


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["row", "rows", "explain", "order_id", "shop", "items", "minutes", "arrived", "placed", "inputs", "x"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/facts/delivery", "/v2/models/deliveries/infer"])
def test_whatever_is_sent_is_answered(tmp_path: Path, path: str) -> None:
    site = Site(tmp_path, Limits(requests_per_second=1e6, burst=10**6))

    @given(st.one_of(JSON.map(lambda value: json.dumps(value).encode()), st.binary(max_size=50)))
    @settings(max_examples=150, deadline=None)
    def send(body: bytes) -> None:
        told = site.send("POST", path, content=body)
        assert told.status_code in (200, 202, 400, 422)
        assert told.json()

    send()
    site.log.close()


def test_a_request_id_that_cannot_be_kept_is_replaced(site: Site) -> None:
    told = site.send("GET", "/v1/state", None, headers={"request-id": "x" * 200})
    assert told.status_code == 401
    assert len(told.headers["request-id"]) == 16


def test_a_fault_of_ours_is_a_500_without_a_traceback(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site.service.predictor, "prepare", lambda *_, **__: 1 / 0)
    told = site.send("POST", "/v1/predict", json={"row": order()})
    assert told.status_code == 500
    assert told.json()["error"] == {"code": "UNEXPECTED", "message": f"Request {told.headers['request-id']} failed."}


def test_the_log_is_whole_when_the_server_has_ended(site: Site) -> None:
    async def talk(client: httpx.AsyncClient) -> None:
        headers = {"authorization": f"Bearer {site.keys['write']}"}
        await asyncio.gather(*(client.post("/v1/predict", json={"row": order()}, headers=headers) for _ in range(20)))

    site.ask(talk)
    assert isinstance(site.log, EmbeddedLog)
    assert site.log.end("predictions") == 20
