"""Fingerprints depend on content, on all of it, and on nothing else; documents lead back to what they describe."""

import json
import os
import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import mainspring as ms
from mainspring.declare import StoredObject, decode_system, encode, fingerprint
from mainspring.errors import BundleError, DeclarationError
from tests.declare.generated import Rental, Trip, systems

SOURCE = """
import mainspring as ms
class Trip(ms.Table):
    trip_id = ms.Key()
    station = ms.Category()
    booked = ms.KnownAt()
class Rental(ms.Table):
    trip_id = ms.Key()
    minutes = ms.Float(unit="min", ge=0)
    taken = ms.KnownAt(lag="5m")
class Mean:
    def fit(self): ...
    def get_params(self, deep): return {"within": {"a", "b", "c"}, "how": print, "noise": object()}
system = ms.System(
    name="bikes", decision=ms.Decision(Trip, at=Trip.booked), model=Mean(),
    label=ms.Label(Rental.minutes > 30, by="trip_id", within="1d"),
    features={"hour": Trip.booked.hour("Europe/Berlin"), "known": Trip.station.is_in("a", "b")},
    training=ms.Training(class_weight={True: 2, False: 1}),
)
print(system.fingerprint, system.features_fingerprint, hash(frozenset([1])) and hash("salted"))
"""


def test_fingerprints_are_the_same_in_every_process() -> None:
    lines = []
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", SOURCE], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )  # fmt: skip
        lines.append(run.stdout.split())
    assert lines[0][:2] == lines[1][:2]
    assert lines[0][2] != lines[1][2], "the processes did not hash differently, so this showed nothing"


@settings(deadline=None, max_examples=50)
@given(systems())
def test_a_document_leads_back_to_its_system(system: ms.System) -> None:
    document = system.document
    again = decode_system(json.loads(json.dumps(document, allow_nan=False)))
    assert again.document == document
    assert again.fingerprint == system.fingerprint
    assert again.features_fingerprint == system.features_fingerprint
    assert again == system
    assert repr(again) == repr(system)
    assert [table.__schema__ for table in again.tables] == [table.__schema__ for table in system.tables]


CHANGES: dict[str, Any] = {
    "name": "buses",
    "decision": ms.Decision(Trip, at=Trip.planned - "31m"),
    "label": ms.Label(Rental.minutes >= 31, by="trip_id", within="2d"),
    "features": {"one": Trip.distance},
    "model": ms.LightGBM(learning_rate=0.06),
    "objective": ms.Objective(metric="auc"),
    "training": ms.Training(seed=1),
    "heuristic": Trip.distance > 3,
    "checks": (),
    "groups": {"other": ("feature_0",)},
    "proxies": {"short": ms.Proxy(Rental.minutes < 30, by="trip_id", within="6h")},
    "friction": {"again": ms.Friction.asks_again(within="10m")},
    "retrain": ms.Retrain(when=ms.Every("8d")),
    "rollout": ms.Rollout(ms.Shadow("2d")),
    "alerts": ms.Alerts(per_week=1),
    "slos": (ms.SLO("availability", target=0.999),),
    "brief": ms.Brief(goal="More bikes."),
    "description": "another thing",
}


def test_every_part_of_a_system_is_changed_below() -> None:
    assert set(CHANGES) == {f.name for f in fields(ms.System)} - {"origin"}


@settings(deadline=None, max_examples=50)
@given(systems(), st.sampled_from(sorted(CHANGES)))
def test_changing_anything_changes_the_fingerprint(system: ms.System, part: str) -> None:
    changed = replace(system, **{part: CHANGES[part]})
    assert changed.fingerprint != system.fingerprint
    assert changed != system
    assert replace(system).fingerprint == system.fingerprint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Rental.minutes.mean(by="station", over="1h"), Rental.minutes.mean(by="station", over="2h")),
        (Rental.minutes.mean(by="station", over="1h"), Rental.minutes.sum(by="station", over="1h")),
        (Rental.minutes.mean(by="station", over="1h"), Rental.minutes.mean(by={"station": "trip_id"}, over="1h")),
        (Rental.minutes.mean(over="1h"), Rental.minutes.mean(over="1h", where=Rental.electric)),
        (Rental.minutes.latest(by="station"), Rental.minutes.latest(by="station", within="1h")),
        (Trip.distance + 1, Trip.distance + 1.0),
        (Trip.distance == 1, Trip.member == True),  # noqa: E712
        (Trip.planned.hour(), Trip.planned.hour("Europe/Berlin")),
        (Trip.distance - Trip.riders, Trip.riders - Trip.distance),
        (ms.Float(unit="km"), ms.Float(unit="mile")),
        (ms.KnownAt(), ms.KnownAt(lag="1s")),
        (ms.Key(), ms.Category()),
        (ms.Label(Rental.electric, by="trip_id", within="1h"), ms.Proxy(Rental.electric, by="trip_id", within="1h")),
        (ms.Friction(Rental, by="trip_id", within="1h"), ms.Friction(Rental.electric, by="trip_id", within="1h")),
        (ms.Friction.asks_again(within="1h"), ms.Friction.asks_again(within="2h")),
    ],
)
def test_different_declarations_have_different_fingerprints(one, other) -> None:
    assert one.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Rental.minutes.mean(by="station", over="60m"), Rental.minutes.mean(by=["station"], over="1h")),
        (ms.Label(Rental.minutes, within="24h"), ms.Label(Rental.minutes, within="1d")),
        (ms.Training(test="2024-05-01"), ms.Training(test="2024-05-01T02:00:00+02:00")),
        (ms.LightGBM(), ms.LightGBM(rounds=400)),
        (ms.Alerts(), ms.Alerts(owners={})),
        (ms.Retrain(when=ms.Every("7d")), ms.Retrain(when=[ms.Every("1w")])),
        (ms.Friction.asks_again(within="60m"), ms.Friction.asks_again(within="1h")),
    ],
)
def test_the_same_said_differently_is_the_same(one, other) -> None:
    assert one.fingerprint == other.fingerprint
    assert one == other
    assert hash(one) == hash(other)
    assert repr(one) == repr(other)


def test_an_estimator_is_remembered_by_name_and_parameters_and_cannot_run() -> None:
    pipeline = make_pipeline(SimpleImputer(), FunctionTransformer(abs), LogisticRegression(C=0.5))
    system = ms.System(
        name="bikes",
        decision=ms.Decision(Trip, at=Trip.booked),
        label=ms.Label(Rental.minutes > 30, by="trip_id", within="1d"),
        features={"distance": Trip.distance},
        model=ms.Sklearn(pipeline, inputs="frame"),
    )
    document = json.loads(json.dumps(system.document, allow_nan=False))
    again = decode_system(document)
    assert again.document == document
    assert again.fingerprint == system.fingerprint
    stored = again.model.estimator
    assert isinstance(stored, StoredObject)
    assert stored.path == "sklearn.pipeline.Pipeline"
    assert set(stored.parameters) >= {"steps", "memory"}
    assert not hasattr(stored, "fit")


def test_an_estimator_class_is_refused_where_an_object_is_needed() -> None:
    with pytest.raises(DeclarationError, match="not its class"):
        ms.Sklearn(LogisticRegression)


def test_an_address_takes_no_part() -> None:
    class Plain:
        pass

    assert fingerprint({"x": Plain()}) == fingerprint({"x": Plain()})
    assert encode({"x": float("nan")}) == {"$map": [["x", {"$float": "nan"}]]}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.pop("tables"),
        lambda d: d["tables"].pop(),
        lambda d: d["system"].update({"$": "Spaceship"}),
        lambda d: d["system"].update({"colour": "red"}),
        lambda d: d["system"].pop("label"),
        lambda d: d["tables"][0]["columns"].pop(),
        lambda d: d["tables"][1]["columns"].pop(3),
        lambda d: d.update(system={"$": "Every", "span": "1d"}),
    ],
)
def test_a_document_that_cannot_be_read_is_refused(spoil) -> None:
    system = ms.System(
        name="bikes",
        decision=ms.Decision(Trip, at=Trip.booked),
        label=ms.Label(Rental.minutes > 30, by="trip_id", within="1d"),
        features={"distance": Trip.distance},
    )
    document = json.loads(json.dumps(system.document))
    spoil(document)
    with pytest.raises(BundleError, match="BUNDLE_FORMAT"):
        decode_system(document)


def test_mappings_cannot_be_changed_and_print_plainly() -> None:
    model = ms.LightGBM(parameters={"extra_trees": True})
    with pytest.raises(TypeError):
        model.parameters["extra_trees"] = False  # type: ignore[index]
    assert repr(model) == "LightGBM(parameters={'extra_trees': True})"


def test_a_system_without_proxies_keeps_its_fingerprint() -> None:
    parts = dict(
        name="bikes",
        decision=ms.Decision(Trip, at=Trip.booked),
        label=ms.Label(Rental.minutes > 30, by="trip_id", within="1d"),
        features={"distance": Trip.distance},
    )
    plain = ms.System(**parts)
    assert not {"proxies", "friction"} & set(plain.document["system"])
    assert ms.System(**parts, proxies={}, friction={}).fingerprint == plain.fingerprint
    with_proxy = ms.System(**parts, proxies={"short": CHANGES["proxies"]["short"]})
    assert with_proxy.features_fingerprint == plain.features_fingerprint
