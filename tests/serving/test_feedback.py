"""What somebody says came true: the newest counts, wherever it is looked for, and what is no label is refused in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mainspring.answers import Judged, Outcome, Prediction
from mainspring.clock import HOUR, MINUTE, format_instant, parse_instant
from mainspring.errors import ServingError
from mainspring.serving.feedback import read_labels
from mainspring.serving.limits import Limits
from mainspring.serving.past import find_judged
from mainspring.serving.records import OUTCOMES
from mainspring.serving.sink import OUTCOMES_TABLE, PREDICTIONS_TABLE, Sink

from .shop import deliveries, order, system
from .test_app import Site


def drain(site: Site) -> None:
    sink = Sink(system, site.lake, site.log)
    sink.drain(site.service.clock.now())
    sink.close()


def restarted(site: Site, folder: Path) -> Site:
    site.log.close()
    return Site(folder, ledger=site.ledger, keys=site.keys)


def newest_outcome(site: Site, prediction_id: str, said: list[tuple[int, bool]]) -> dict[str, Any] | None:
    """By what was said, and by the facts as the lake has joined them."""
    stored = site.lake.read(OUTCOMES_TABLE, matching={"prediction_id": prediction_id})
    facts = [
        (known_at, bool(label), "facts")
        for label, source, known_at in stored.select("label", "source", stored["known_at"].to_physical()).iter_rows()
        if source == "facts"
    ]
    every = sorted([*facts, *((at, label, "feedback") for at, label in said)])
    if not every:
        return None
    known_at, label, source = every[-1]
    return {"label": label, "known_at": format_instant(known_at), "source": source}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(0, 1), st.booleans()),
        st.tuples(st.just("repeat"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("deliver"), st.integers(0, 1), st.integers(10, 90)),
        st.tuples(st.just("wait"), st.integers(1, 4), st.just(0)),
        st.tuples(st.sampled_from(["drain", "restart"]), st.just(0), st.just(0)),
    ),
    min_size=3,
    max_size=10,
)


@given(STEPS)
@example([("say", 0, True), ("deliver", 0, 20), ("wait", 1, 0), ("drain", 0, 0)])
@example([("say", 0, True), ("restart", 0, 0), ("say", 0, False), ("drain", 0, 0)])
@example([("say", 0, True), ("say", 0, False), ("repeat", 0, 0), ("drain", 0, 0), ("restart", 0, 0)])
@settings(max_examples=12, deadline=None)
def test_memory_lake_and_a_restarted_server_tell_the_same(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("site")
    site = Site(folder)
    begin = {"row": order(placed=format_instant(site.service.clock.now()))}
    made = [site.send("POST", "/v1/predict", json=begin).json() for _ in range(2)]
    asked = [each["prediction_id"] for each in made]
    said: dict[str, list[tuple[int, bool]]] = {id: [] for id in asked}
    bodies: list[tuple[str, bytes]] = []
    for number, (what, which, value) in enumerate(steps):
        if what == "say":
            body = json.dumps([{"prediction_id": asked[which], "label": value}]).encode()
            bodies.append((f"name{number}", body))
            before = site.service.clock.now()
            told = site.send("POST", "/v1/outcomes", content=body, headers={"idempotency-key": f"name{number}"})
            assert (told.status_code, told.json()["accepted"]) == (202, 1)
            known_at = parse_instant(site.send("GET", f"/v1/predictions/{asked[which]}").json()["outcome"]["known_at"])
            assert known_at > before
            assert all(known_at > at for at, _ in said[asked[which]]), "what is said later is known later"
            said[asked[which]].append((known_at, value))
        elif what == "repeat" and bodies:
            name, body = bodies[which % len(bodies)]
            again = site.send("POST", "/v1/outcomes", content=body, headers={"idempotency-key": name})
            assert (again.status_code, again.json()["accepted"]) == (202, 1)
        elif what == "deliver":
            now = format_instant(site.service.clock.now() + MINUTE)
            row = {"order_id": "n1", "shop": "a", "minutes": float(value), "arrived": now}
            site.send("POST", "/v1/facts/delivery", json=[row])
        elif what == "wait":
            later = deliveries(1, begin=site.service.clock.now() + which * HOUR, first=100 + number)
            site.send("POST", "/v1/facts/delivery", json=later)
        elif what == "drain":
            drain(site)
        else:
            site = restarted(site, folder)
        for id, prediction in zip(asked, made, strict=True):
            told = site.send("GET", f"/v1/predictions/{id}", "read")
            assert told.status_code == 200
            expected = newest_outcome(site, id, said[id])
            assert told.json() == {"prediction": prediction, "outcome": expected}
    drain(site)
    assert site.lake.quarantine(OUTCOMES_TABLE).height == 0
    for id, prediction in zip(asked, made, strict=True):
        found = find_judged(site.lake, id, "binary")
        assert found is not None
        assert json.loads(json.dumps(newest_outcome(site, id, said[id]))) == (
            None
            if found.outcome is None
            else {"label": found.outcome.label, "known_at": found.outcome.known_at, "source": found.outcome.source}
        )
        site.service.remembered._answers.clear()
        assert site.send("GET", f"/v1/predictions/{id}").json()["prediction"] == prediction
    site.log.close()


@pytest.mark.parametrize(
    ("task", "right", "wrong"),
    [
        ("binary", [True, False, 1, 0, 1.0], ["true", "", 2, -1, 0.5, None, [], {}, [True], 1e300, 10**400]),
        ("regression", [0, -1.5, 2**60, 1e308], ["1", True, None, [], {"a": 1}, 10**400]),
        ("multiclass", ["a", "日本", "x" * 200], ["", "x" * 201, 1, True, None, ["a"]]),
    ],
)
def test_a_wrong_label_is_refused_with_the_reason_and_the_others_are_taken(
    task: str, right: list[Any], wrong: list[Any]
) -> None:
    rows = [{"prediction_id": f"p{n}", "label": label} for n, label in enumerate([*right, *wrong])]
    given_, labels, rejections = read_labels(json.dumps(rows).encode(), task, Limits())
    assert given_ == len(rows)
    assert labels == {f"p{n}": (label if task == "multiclass" else float(label)) for n, label in enumerate(right)}
    assert [each.row for each in rejections] == list(range(len(right), len(rows)))
    assert {each.reason for each in rejections} == {"label"}
    assert all(each.message.startswith("The label ") for each in rejections)


@pytest.mark.parametrize("name", [None, "", 5, "x" * 201, "a\nb", ["p"], "\0"])
def test_what_names_no_prediction_is_refused(name: Any) -> None:
    _, labels, rejections = read_labels(
        json.dumps([{"prediction_id": name, "label": True}]).encode(), "binary", Limits()
    )
    assert (labels, [each.reason for each in rejections]) == ({}, ["prediction_id"])


@pytest.mark.parametrize(
    "body", [b"", b"5", b"[5]", b'[{"prediction_id": "a", "label": NaN}]', b"\xff", b"[" * 50, b'"x"', b"null"]
)
def test_a_body_that_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(ServingError, match="SERVE_BODY"):
        read_labels(body, "binary", Limits())


def test_of_two_rows_for_one_prediction_the_later_counts() -> None:
    rows = [{"prediction_id": "p", "label": True}, {"prediction_id": "q", "label": True}]
    rows += [{"prediction_id": "p", "label": False}]
    given_, labels, rejections = read_labels(json.dumps(rows).encode(), "binary", Limits())
    assert (given_, labels, rejections) == (3, {"q": 1.0, "p": 0.0}, [])


def test_the_whole_lot_is_told_of_and_a_contradiction_in_the_lake_holds_up_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path)
    made = site.send("POST", "/v1/predict", json={"row": order()}).json()["prediction_id"]
    rows = [{"prediction_id": made, "label": True}, {"prediction_id": made, "label": False}, {"label": True}]
    told = site.send("POST", "/v1/outcomes", json=rows).json()
    assert (told["table"], told["given"], told["accepted"], told["already_there"], told["rejected"]) == (
        OUTCOMES, 3, 1, 1, 1,
    )  # fmt: skip
    drain(site)
    stored = site.lake.read(OUTCOMES_TABLE)
    assert stored["label"].to_list() == [0.0]
    contradicting = stored.select("prediction_id", "known_at", "source", label=1.0 - stored["label"])
    sink = Sink(system, site.lake, site.log)
    sink._ingest(OUTCOMES_TABLE, contradicting)  # of another life of the server
    sink.drain(site.service.clock.now())
    sink.close()
    assert site.lake.read(OUTCOMES_TABLE)["label"].to_list() == [0.0]
    assert site.lake.quarantine(OUTCOMES_TABLE).height == 1
    site.log.close()


@pytest.mark.parametrize(
    ("task", "answered", "label", "told"),
    [
        ("binary", {"probability": 0.25, "decision": False}, {"label": 1.0}, True),
        ("regression", {"value": -2.5, "decision": -2.5, "interval": (-3.0, -1.0)}, {"label": 3.5}, 3.5),
        ("multiclass", {"classes": {"a": 0.75, "b": 0.25}, "decision": "a"}, {"label_class": "b"}, "b"),
    ],
)
def test_a_prediction_of_any_task_is_read_back_as_it_was_told(
    tmp_path: Path, task: str, answered: dict[str, Any], label: dict[str, Any], told: Any
) -> None:
    import polars as pl

    from mainspring.serving.records import PredictionMade
    from mainspring.serving.sink import _stored

    from .shop import BEGIN, empty_lake

    lake = empty_lake(tmp_path)
    prediction = Prediction(
        prediction_id="p", decided_at=format_instant(BEGIN + 1), model="m", arm="champion", **answered
    )
    made = PredictionMade(prediction=prediction, answered_at=BEGIN, row={"_at": BEGIN + 1}, features={})
    lake.ingest(PREDICTIONS_TABLE, _stored([made]))
    assert find_judged(lake, "p", task) == Judged(prediction=prediction)
    row = {"prediction_id": "p", "source": "feedback", "known_at": format_instant(BEGIN + 2), **label}
    lake.ingest(OUTCOMES_TABLE, pl.DataFrame([row]))
    found = find_judged(lake, "p", task)
    assert found == Judged(
        prediction=prediction, outcome=Outcome(label=told, known_at=format_instant(BEGIN + 2), source="feedback")
    )
    assert find_judged(lake, "q", task) is None
