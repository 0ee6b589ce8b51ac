"""The interface and its document say the same: whatever the document allows or forbids is answered as it says, never by a 5xx."""

from __future__ import annotations

import base64
import copy
import gc
import json
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from mainspring.clock import HOUR, format_instant
from mainspring.declare.kind import NUMBERS
from mainspring.serving import Limits
from mainspring.serving.openapi import openapi_document
from mainspring.serving.operations import OPERATIONS

from .shop import BEGIN, deliveries, order, system
from .test_app import Site

DOCUMENT = json.loads(msgspec.json.encode(openapi_document(system)))
PLACES = [(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods]
CONFORMANCE = (
    "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "unsupported_method",
)  # fmt: skip
load_all_checks()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mainspring.serving.rewinding._PATIENCE_SECONDS", 0.0)  # no sink drains here
        site = Site(tmp_path_factory.mktemp("site"), Limits(requests_per_second=1e6, burst=10**6))
        site.send("POST", "/v1/facts/delivery", json=deliveries(8))
        site.send("POST", "/v1/facts/order", json=[order(placed=format_instant(BEGIN + HOUR))])
        yield site
        site.log.close()


@pytest.fixture(scope="module")
def interface(site: Site) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", site.app, headers=authorized(site))


def authorized(site: Site) -> dict[str, str]:
    return {"authorization": f"Bearer {site.keys['admin']}"}


def test_the_document_is_openapi_3_1_and_tells_of_every_operation(interface: Any) -> None:
    assert interface.specification.version == "3.1.0"
    interface.validate()
    broken = copy.deepcopy(DOCUMENT)
    broken["paths"]["/v1/arms"]["get"]["responses"] = 5
    with pytest.raises(Exception, match="5 is not"):
        schemathesis.openapi.from_dict(broken).validate()
    told = {(method.upper(), path) for method, path in PLACES}
    tables = [table.__schema__.name for table in system.tables]
    assert told == {(each.method, each.path.replace("{table}", table)) for each in OPERATIONS for table in tables}
    names = [operation["operationId"] for methods in DOCUMENT["paths"].values() for operation in methods.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("method", "path"), PLACES, ids=[f"{method} {path}" for method, path in PLACES])
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
def test_every_answer_is_one_that_the_document_tells(
    site: Site, interface: Any, method: str, path: str, mode: GenerationMode
) -> None:
    if path == "/openapi.json":  # left out by the tool, which reads it
        assert site.send("GET", path, "read").json() == DOCUMENT
        return
    checks = [check for check in CHECKS.get_all() if check.__name__ in CONFORMANCE]
    assert len(checks) == len(CONFORMANCE)

    @given(case=interface[path][method].as_strategy(generation_mode=mode))
    @settings(max_examples=15, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def ask(case: Any) -> None:
        answer = case.call(headers=authorized(site))
        assert answer.status_code < 500 or (answer.status_code == 503 and "503" in answer_statuses(path, method))
        assert b"Traceback" not in answer.content
        assert answer.headers["request-id"]
        case.validate_response(answer, checks=checks, headers=authorized(site))

    try:
        ask()
    except Unsatisfiable:  # nothing can be wrong about a request that takes nothing
        assert mode is GenerationMode.NEGATIVE
        assert "parameters" not in DOCUMENT["paths"][path][method]


def answer_statuses(path: str, method: str) -> set[str]:
    return set(DOCUMENT["paths"][path][method]["responses"])


def test_what_may_become_of_a_prediction_is_told() -> None:
    assert answer_statuses("/v1/predictions/{prediction_id}", "get") == {
        "200", "202", "401", "403", "404", "422", "429", "503",
    }  # fmt: skip
    assert answer_statuses("/v1/predict", "post") >= {"200", "202", "400", "404", "422"}


TENSORS = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["order_id", "shop", "items", "weight", "gift", "due", "placed"]),
            "shape": st.lists(st.integers(-1, 3), max_size=2),
            "datatype": st.sampled_from(["BOOL", "INT64", "FP64", "BYTES", "UINT8"]),
            "data": st.lists(
                st.sampled_from([None, True, 1, 2**70, 10**400, 0.5, -1e308, "a", "1", "", [], [1], ["a", 2]]),
                max_size=3,
            ),
        }
    ),
    max_size=4,
)


def test_whatever_tensors_are_sent_are_answered(site: Site) -> None:
    right = {"name": "order_id", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]}

    @given(TENSORS)
    @settings(max_examples=150, deadline=None)
    def send(tensors: list[dict[str, Any]]) -> None:
        told = site.send("POST", "/v2/models/deliveries/infer", json={"inputs": [right, *tensors]})
        assert told.status_code in (200, 400, 422), told.text

    send()


def test_who_may_not_gets_what_the_document_tells(site: Site) -> None:
    for method, path in PLACES:
        operation = DOCUMENT["paths"][path][method]
        place = path.replace("{prediction_id}", "x").replace("{model}", "deliveries")
        refused = site.send(method.upper(), place, None)
        if "security" in operation:
            assert refused.status_code == 401
            assert refused.json()["error"]["code"] == "SERVE_KEY"
            assert "401" in operation["responses"]
        else:
            assert refused.status_code == 200


def test_a_row_of_the_document_is_a_row_that_is_taken(site: Site) -> None:
    """What the page shows as an example is taken as it is."""
    from mainspring.serving.pages import _example

    schemas = DOCUMENT["components"]["schemas"]
    for table in system.tables:
        schema = DOCUMENT["paths"][f"/v1/facts/{table.__schema__.name}"]["post"]["requestBody"]["content"]
        rows = _example(schema["application/json"]["schema"], schemas)
        told = site.send("POST", f"/v1/facts/{table.__schema__.name}", json=rows)
        assert told.json()["rejected"] == told.json()["given"] - told.json()["accepted"] - told.json()["already_there"]
        assert {each["reason"] for each in told.json()["rejections"]} <= {"too_far_ahead"}, "its time is of this year"
        properties = schemas[table.__name__.join(["RowOf", ""])]["properties"]
        for column in table.__schema__.columns:
            if column.of in NUMBERS and column.ge is not None:
                assert properties[column.name]["minimum"] == column.ge


# The page


def test_the_page_asks_a_browser_for_the_key_and_takes_it_for_looking_only(site: Site) -> None:
    closed = site.send("GET", "/docs", None)
    assert closed.status_code == 401
    assert closed.headers["www-authenticate"].startswith("Basic ")
    browser = "Basic " + base64.b64encode(f"anybody:{site.keys['admin']}".encode()).decode()
    page = site.send("GET", "/docs", None, headers={"authorization": browser})
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for method, path in PLACES:
        assert f"{method.upper()} {path}" in page.text
    assert "<script" not in page.text
    assert site.keys["admin"] not in page.text
    refused = site.send("POST", "/v1/predict", None, headers={"authorization": browser}, json={"row": order()})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert site.send("PUT", "/v1/arms", None, headers={"authorization": browser}, json={}).status_code == 401
    for wrong in ("Basic", "Basic !", "Basic " + base64.b64encode(b"a:msk_wrong").decode(), "Basic /w=="):
        assert site.send("GET", "/docs", None, headers={"authorization": wrong}).status_code == 401


def test_where_nothing_is_is_told_with_what_there_is(site: Site) -> None:
    nothing = site.send("GET", "/nothing", None)
    assert (nothing.status_code, nothing.json()["error"]["code"]) == (404, "SERVE_UNKNOWN")
    assert nothing.headers["request-id"]
    other = site.send("DELETE", "/v1/arms", None)
    assert (other.status_code, other.headers["allow"]) == (405, "GET, HEAD, PUT")
    assert 'mainspring_answers_total{route="none",status="404"}' in site.send("GET", "/metrics").text


# Raw bodies

PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True), st.text(max_size=6),
    st.sampled_from([
        "1677-01-01T00:00:00Z", "2262-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2200-01-01T00:00:00Z",
        "2015-08-19T16:00:00Z", "2015-08-19T16:00:00", "", "\0", "n1", "a", 2**63, -(2**63) - 1, 10**400, 1e308, -0.0, 5e-324,
    ]),
)  # fmt: skip
NAMES = st.sampled_from(
    ["order_id", "shop", "items", "minutes", "arrived", "placed", "due", "weight", "prediction_id", "label", "x", ""]
)
ROW = st.dictionaries(NAMES, PLAIN, max_size=7) | st.builds(
    lambda some: {**order(placed="2015-08-19T16:00:00Z"), **some}, st.dictionaries(NAMES, PLAIN, max_size=2)
)
ANYTHING = st.recursive(
    PLAIN | ROW, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)
)
BODIES = {
    "/v1/facts/order": st.lists(ROW, max_size=4),
    "/v1/facts/delivery": st.lists(ROW, max_size=4),
    "/v1/outcomes": st.lists(ROW, max_size=4),
    "/v1/predict": st.one_of(
        st.fixed_dictionaries({"row": ROW}), st.fixed_dictionaries({"rows": st.lists(ROW, max_size=3)}),
        st.fixed_dictionaries({"key": PLAIN | ROW}), st.fixed_dictionaries({"keys": st.lists(PLAIN | ROW, max_size=3)}),
        st.fixed_dictionaries({"row": ROW, "explain": PLAIN}),
    ),
}  # fmt: skip
TYPES = st.sampled_from(
    ["application/json", "application/x-ndjson", "text/plain", "application/vnd.apache.arrow.stream"]
)


@pytest.mark.parametrize("path", BODIES)
def test_whatever_is_sent_is_answered_and_never_by_a_500(site: Site, path: str) -> None:
    @given(
        st.one_of(BODIES[path], ANYTHING).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40),
        TYPES,
        st.none() | st.text("abc -~", max_size=5),
    )
    @settings(max_examples=120, deadline=None)
    def send(body: bytes, content_type: str, name: str | None) -> None:
        headers = {"content-type": content_type} | ({} if name is None else {"idempotency-key": name})
        told = site.send("POST", path, content=body, headers=headers)
        assert told.status_code in (200, 202, 400, 422, 404), told.text
        assert "Traceback" not in told.text
        if told.status_code == 202 and "given" in told.json():
            kept = told.json()
            assert kept["accepted"] + kept["already_there"] + kept["rejected"] == kept["given"]
        elif told.status_code >= 400:
            assert told.json()["error"]["message"]
            assert told.json()["error"]["fix"]

    send()


HUGE = [
    b"[" + b"{}," * 1_000_000 + b"{}]",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"[" + b'{"order_id":"a"},' * 20_000 + b'{"order_id":"a"}]',
    b'[{"minutes": ' + b"9" * 1_000_000 + b"}]",
    b"{" + b",".join(b'"%d":1' % n for n in range(5000)) + b"}",
    b"[{" + b",".join(b'"%d":1' % n for n in range(5000)) + b"}]",
    b"x" * (Limits().body_bytes + 1),
    b'"' + b"\\u0000" * 100_000 + b'"',
    b'{"row":{"shop":"' + b"x" * 3_000_000 + b'"}}',
    b'[{"order_id":"\\ud800","shop":"a"}]',
]


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("body", HUGE, ids=range(len(HUGE)))
def test_huge_deep_and_odd_bodies_are_refused_in_words(site: Site, path: str, body: bytes) -> None:
    told = site.send("POST", path, content=body, headers={"content-type": "application/json"})
    assert told.status_code in (200, 202, 400, 422), told.text[:200]
    assert len(told.content) < 50_000


def test_thousands_of_wrong_requests_leave_nothing_behind(site: Site) -> None:
    wrong = [
        ("/v1/facts/delivery", b'[{"x%d": 1}]'),  # a request with rejected rows is kept, and its id with it
        ("/v1/facts/nothing%d", b"[]"),
        ("/v1/predict", b'{"row": {"order_id": "%d"}}'),
        ("/v1/predict", b'{"key": "nobody%d"}'),
        ("/v1/outcomes", b'[{"prediction_id": "%d", "label": 7}]'),
        ("/v1/predictions%d", b""),
        ("/v1/predict", b'{"%d": 1}'),
    ]

    async def talk(client: Any) -> list[int]:
        sizes = []
        for turn in range(5):
            for number in range(25):
                for path, body in wrong:
                    filled = (body % (turn * 1000 + number)) if b"%d" in body else body
                    place = path.replace("%d", f"/{turn}-{number}")
                    told = await client.post(place, content=filled, headers=authorized(site))
                    assert told.status_code in (400, 404, 405, 422, 202)
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
        return sizes

    tracemalloc.start()
    try:
        sizes = site.ask(talk)
    finally:
        tracemalloc.stop()
    # What is kept of each request would show in every turn; what a cache or a thread takes shows in one.
    assert min(after - before for before, after in pairwise(sizes)) < 60 * 25 * len(wrong), sizes
