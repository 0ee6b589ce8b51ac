"""The lint: every rule has been seen to find something, its words are golden, and a sound system has none."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

import mainspring as ms
from mainspring.clock import DAY, parse_instant
from mainspring.declare import METRIC_NAMES, Expression, Kind, decode_system
from mainspring.declare.lint import TableFacts, finding_codes, lint, lint_history
from mainspring.declare.lint.rule import HISTORY_RULES, SYSTEM_RULES
from mainspring.evaluation.metric import METRICS
from mainspring.loop import load_system
from tests.declare.bad_systems.timetable import CAUSE, DELAY, LATENESS, PARTS, Airport, Arrival, Departure, Flight
from tests.declare.generated import Trip, careless, systems

FOLDER = Path(__file__).parent / "bad_systems"
GOLDEN = FOLDER / "findings.txt"
FLIGHTS = Path(ms.__file__).parent / "examples" / "flights.py"
BAD = sorted(file.stem for file in FOLDER.glob("*.py") if file.stem not in {"timetable", "__init__"})


def findings(name: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(FOLDER)
    return [str(finding) for finding in lint(load_system(f"{name}.py").system)]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_system_is_told_what_is_wrong(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [line for line in GOLDEN.read_text().splitlines() if line.startswith(f"{name}.py:")]
    found = findings(name, monkeypatch)
    assert found == expected
    assert any(f"[{name.replace('_', '-')}]" in line for line in found)


def test_every_rule_has_a_system_that_breaks_it() -> None:
    assert {name.replace("_", "-") for name in BAD} == {rule.code for rule in SYSTEM_RULES}
    codes = [rule.code for rule in (*SYSTEM_RULES, *HISTORY_RULES)]
    assert len(codes) == len(set(codes))


def test_the_flights_are_sound() -> None:
    assert lint(load_system(FLIGHTS).system) == []


def test_findings_come_in_the_order_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    lines = [f.origin.line for f in lint(load_system("wrong_kind.py").system) if f.origin]
    assert lines == sorted(lines)
    assert len(lines) > 2


@settings(deadline=None, max_examples=50)
@given(systems())
def test_the_lint_reads_the_declaration_alone(system: ms.System) -> None:
    """The same findings for the same content, stored or written; well-typed expressions have no error of kind."""
    found = lint(system)
    stored = lint(decode_system(json.loads(json.dumps(system.document))))
    assert sorted((f.code, f.message) for f in found) == sorted((f.code, f.message) for f in stored)
    assert not {"wrong-kind", "window-kind", "where-kind", "unknown-column", "unknown-key"} & {f.code for f in found}


@settings(deadline=None, max_examples=150)
@given(careless(), careless(), careless())
def test_the_lint_has_an_answer_to_everything(feature: Expression, outcome: Expression, at: Expression) -> None:
    """Whatever is declared, the lint says what is wrong and never fails; what it lets pass has a kind."""
    system = ms.System(
        name="careless",
        decision=ms.Decision(Trip, at=at),
        label=ms.Label(outcome, by="trip_id", within="1d"),
        features={"feature": feature},
        heuristic=feature,
        objective=ms.Objective(guards=[ms.Guard("ece", at_most=1, where=feature)]),
    )
    wrong = [finding for finding in lint(system) if finding.severity == "error"]
    assert all(str(finding).count("\n") == 0 and finding.origin for finding in wrong)
    if not any(finding.message.startswith("Feature 'feature'") for finding in wrong):
        assert feature.kind is not None
    if not wrong:
        assert at.kind is Kind.TIME
        assert outcome.kind is not None


def test_metric_names_are_those_that_can_be_computed() -> None:
    assert {
        task: tuple(name for name, metric in METRICS.items() if task in metric.tasks) for task in METRIC_NAMES
    } == METRIC_NAMES


def codes(**parts) -> list[str]:
    return [finding.code for finding in lint(ms.System(**{**PARTS, **parts}))]


# What is right next to what is wrong: the lint must not cry wolf.
@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"label": LATENESS, "heuristic": DELAY, "objective": ms.Objective(metric="pinball@0.9", payoff=ms.ErrorCost(over=1, under=2))},
        {"label": CAUSE, "heuristic": Flight.dest, "objective": ms.Objective(metric="accuracy")},
        {"label": ms.Label(Departure.count(by="origin", over="1h") > 3, within="1h")},
        {"decision": ms.Decision(Flight, every="1h"), "label": ms.Label(Flight.distance, by="flight_id", within="1d")},
        {"features": {"last": Arrival.arr_delay.latest(by="flight_id", within="1d")}, "decision": ms.Decision(Flight, every="1h")},
        {"features": {"others": Arrival.arr_delay.mean(by="dest", over="1d")}},
        {"features": {"height": Flight.distance * 5280 - Airport.altitude.latest(by="origin")}},
        {"features": {"age": (ms.decided_at - Departure.left_at.latest(by="origin", within="1d")).hours()}},
        {"features": {"remark": Flight.remark.length(), "none": Flight.remark.is_missing()}},
        {"features": {"busy": Departure.count(by="origin", over="1h", where=Departure.dep_delay > 0)}},
        {"features": {"flow": Flight.count(by="origin", over="1h")}},
        {"features": {"far": ms.where(Flight.distance > 500, 1).otherwise(0)}},
        {"features": {"worst": Departure.left_at.max(by="origin", over="1h") - ms.decided_at}},
        {"rollout": ms.Rollout(ms.Shadow(), ms.Canary(0.1), ms.AB(), ms.Full()), "alerts": ms.Alerts(to=["log", "https://x.org"])},
        {"checks": [ms.Check.invariance("origin", to=("JFK",)), ms.Check.direction("delay", by=5, expect="up")]},
        {"objective": ms.Objective(slices=[Flight.origin], guards=[ms.Guard("ece", at_most=0.1, where=Flight.origin == "JFK")])},
    ],
)  # fmt: skip
def test_what_is_right_is_left_alone(parts) -> None:
    assert codes(**parts) == []


def test_text_is_welcome_where_the_model_takes_it() -> None:
    class Reader:
        def fit(self): ...

        def get_params(self, deep=True):
            return {}

    features = {"remark": Flight.remark}
    assert codes(features=features, model=ms.Sklearn(Reader(), inputs="frame")) == []
    assert codes(features=features, model=ms.Sklearn(Reader())) == ["text-feature"]


def test_an_unknown_column_is_one_finding_however_deep_it_lies() -> None:
    feature = (Departure.dep_dely.mean(by="origin", over="1h") + 1).sqrt() > 3
    assert codes(features={"x": feature}) == ["unknown-column"]


FIRST, LAST = parse_instant("2024-01-01"), parse_instant("2024-03-01")
FACTS = {
    name: TableFacts(1000, FIRST, LAST, {"origin": 3, "dep_delay": 90}) for name in ("flight", "departure", "arrival")
}
HISTORY = [
    ("empty-table", {}, {"arrival": TableFacts(0)}, "Table Arrival has no facts. Give its rows in history, under Arrival."),
    (
        "window-beyond-history", {"features": {"delay": Departure.dep_delay.mean(by="origin", over="30d")}},
        {"departure": TableFacts(9, LAST - DAY, LAST)},
        "Feature 'delay' looks back 30d, longer than the history of Departure. Departure is known from "
        "2024-02-29T00:00:00Z to 2024-03-01T00:00:00Z (1d). Shorten it, or bring more history.",
    ),
    (
        "horizon-beyond-history", {"label": ms.Label(Arrival.arr_delay >= 15, by="flight_id", within="90d")}, {},
        "The label needs 90d after each decision, and the history is no longer than that. History is known from "
        "2024-01-01T00:00:00Z to 2024-03-01T00:00:00Z (60d). Shorten within, or bring more history.",
    ),
    (
        "label-table-ends-early",
        {"label": ms.Label(Arrival.arr_delay >= 15, by="flight_id", within="36h", otherwise=True)},
        {"arrival": TableFacts(9, LAST - 9 * DAY, LAST - 5 * DAY)},
        "The history goes on after the last row that could decide a label: labels after that are all True. Arrival is known "
        "from 2024-02-21T00:00:00Z to 2024-02-25T00:00:00Z (4d), everything from 2024-01-01T00:00:00Z to "
        "2024-03-01T00:00:00Z (60d). Bring the rest of that table, or end the others with it.",
    ),
    (
        "static-duplicates", {"features": {"height": Airport.altitude.latest(by="origin")}},
        {"airport": TableFacts(3000, duplicate_keys=1200)},
        "Table Airport is static and has 1,200 rows whose key another row has. Its key is origin. Keep one row for each key; "
        "or if its rows change, leave static=True out and say when each was known.",
    ),
    (
        "test-beyond-history", {"training": ms.Training(test="2025-01-01")}, {},
        "The test part begins 2025-01-01T00:00:00Z, outside the history. History is known from 2024-01-01T00:00:00Z to "
        "2024-03-01T00:00:00Z (60d). Choose an instant inside it, or the newest share of the decisions: test=0.25.",
    ),
    (
        "training-beyond-history", {"retrain": ms.Retrain(when=ms.Every("7d"), window="90d")}, {},
        "Retrain(window='90d') is longer than the history, so it cuts nothing off. History is known from "
        "2024-01-01T00:00:00Z to 2024-03-01T00:00:00Z (60d). Shorten it, leave it out, or bring more history.",
    ),
    (
        "constant-column", {}, {"flight": TableFacts(1000, FIRST, LAST, {"origin": 1})},
        "Feature 'origin' reads Flight.origin, which has one value alone. Look at the data, or drop the column.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("code", "parts", "facts", "words"), HISTORY, ids=[case[0] for case in HISTORY])
def test_a_declaration_that_does_not_fit_its_history(code: str, parts, facts, words: str) -> None:
    found = [f for f in lint_history(ms.System(**{**PARTS, **parts}), {**FACTS, **facts}) if f.code == code]
    assert [str(f).partition(f"[{code}] ")[2] for f in found] == [words]
    assert found[0].origin is not None


def test_every_history_rule_is_broken_above_and_a_fitting_history_breaks_none() -> None:
    assert {case[0] for case in HISTORY} == {rule.code for rule in HISTORY_RULES}
    assert lint_history(ms.System(**PARTS), FACTS) == []


def test_every_finding_has_all_its_parts() -> None:
    assert set(finding_codes()) == {rule.code for rule in (*SYSTEM_RULES, *HISTORY_RULES)}
    assert all(meaning.endswith(".") for meaning in finding_codes().values())
    finding = lint(ms.System(**{**PARTS, "brief": None}))[0]
    assert str(replace(finding, origin=None, exists="")).startswith("note [open-question] The system has no brief")
