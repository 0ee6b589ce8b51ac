"""Service objectives as they are written: what can be promised, what is refused, and how one is called."""

from __future__ import annotations

import json
from typing import Any

import pytest

import mainspring as ms
from mainspring.declare import METRIC_NAMES, OPERATIONAL, ROUTES, decode_system
from mainspring.declare.lint import lint
from mainspring.errors import DeclarationError
from mainspring.serving.operations import OPERATIONS
from tests.declare.generated import Rental, Trip

PARTS: dict[str, Any] = dict(
    name="bikes",
    decision=ms.Decision(Trip, at=Trip.booked),
    label=ms.Label(Rental.minutes > 30, by="trip_id", within="1d"),
    features={"distance": Trip.distance},
)
SLOS = [
    ms.SLO("availability", target=0.999),
    ms.SLO("availability", target=0.99, routes=["facts"], window="7d"),
    ms.SLO("latency", target=0.99, within="0.05s"),
    ms.SLO("freshness", target=0.95, within="2h"),
    ms.SLO("log_loss", at_most=0.45),
    ms.SLO("ece", at_most=0.03, window="14d"),
]


def test_a_system_without_slos_is_the_same_as_before_there_were_any() -> None:
    plain = ms.System(**PARTS)
    assert "slos" not in json.dumps(plain.document)
    assert ms.System(**PARTS, slos=[]).fingerprint == plain.fingerprint
    assert ms.System(**PARTS, slos=SLOS).fingerprint != plain.fingerprint
    assert ms.System(**PARTS, slos=SLOS).features_fingerprint == plain.features_fingerprint


def test_a_stored_system_promises_the_same() -> None:
    system = ms.System(**PARTS, slos=SLOS)
    again = decode_system(json.loads(json.dumps(system.document, allow_nan=False)))
    assert again.slos == system.slos == tuple(SLOS)
    assert again.fingerprint == system.fingerprint
    assert [finding.code for finding in lint(again) if finding.severity == "error"] == []


def test_each_has_a_name_and_says_what_it_asks_for() -> None:
    assert [(slo.name, slo.limits) for slo in SLOS] == [
        ("availability", "99.9%"),
        ("availability of facts", "99%"),
        ("latency 0.05s", "99%"),
        ("freshness 2h", "95%"),
        ("log_loss", "at most 0.45"),
        ("ece", "at most 0.03"),
    ]
    assert ms.SLO("latency", target=0.99999, within="1m30s").limits == "99.999%"
    assert repr(SLOS[3]) == "SLO(of='freshness', target=0.95, within='2h')"
    assert ms.SLO("freshness", target=0.95, within="120m", window="720h") == SLOS[3]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(of="availability"), "SLO('availability') was given nothing to promise. Give target."),
        (dict(of="availability", target=1.0), "Give a number at least 0.9 and at most 0.99999."),
        (dict(of="availability", target=0.5), "Give a number at least 0.9"),
        (dict(of="availability", target=0.99, within="1s"), "was given target and within. Give target."),
        (dict(of="latency", target=0.99), "was given target. Give target and within."),
        (dict(of="latency", target=0.99, within="0.0001s"), "too short to be measured"),
        (dict(of="latency", target=0.99, within="soon"), "is not a duration"),
        (dict(of="freshness", target=0.99, within="1h", at_most=3), "Give target and within."),
        (dict(of="freshness", target=0.99, within="1h", routes=["facts"]), "speaks of no request"),
        (dict(of="availability", target=0.99, routes=[]), "speaks of no request"),
        (dict(of="availability", target=0.99, routes=["metrics"]), "There is 'predict', 'infer', 'facts'"),
        (dict(of="log_loss"), "SLO('log_loss') was given nothing to promise"),
        (dict(of="log_loss", target=0.99), "Give at_most or at_least and nothing else"),
        (dict(of="log_loss", at_most=1, window="1d"), "Give between 3d and 90d."),
    ],
)
def test_what_cannot_be_promised_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        ms.SLO(**options)
    assert words in str(refused.value)
    assert refused.value.origin is not None


@pytest.mark.parametrize("slos", [[SLOS[0], ms.SLO("availability", target=0.99)], ["availability"]])
def test_a_system_promises_nothing_twice_and_nothing_else(slos: list[Any]) -> None:
    with pytest.raises(DeclarationError):
        ms.System(**PARTS, slos=slos)


@pytest.mark.parametrize(
    ("metric", "found"), [("rmse", ["unknown-metric"]), ("logloss", ["unknown-metric"]), ("brier", [])]
)
def test_the_lint_knows_the_metrics_that_fit_the_label(metric: str, found: list[str]) -> None:
    findings = lint(ms.System(**PARTS, slos=[ms.SLO(metric, at_most=0.3)], brief=None))
    assert [each.code for each in findings if each.severity == "error"] == found


def test_routes_are_those_of_the_server_and_no_metric_is_called_like_what_is_counted() -> None:
    assert set(ROUTES) <= {operation.name for operation in OPERATIONS}
    assert not set(OPERATIONAL) & {name for names in METRIC_NAMES.values() for name in names}
