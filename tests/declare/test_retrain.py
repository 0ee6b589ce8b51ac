"""What a retraining may declare: windows to choose from, and how long it takes; and what the lint says of it."""

import json

import pytest
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import BernoulliNB
from sklearn.neural_network import MLPClassifier

import mainspring as ms
from mainspring.clock import DAY
from mainspring.declare import decode_system
from mainspring.declare.lint import TableFacts, lint, lint_history
from mainspring.declare.policy import MEASURED
from mainspring.errors import DeclarationError
from tests.declare.bad_systems.timetable import PARTS, Departure

WEEKLY = ms.Every("7d")


def retrain(**options: object) -> ms.Retrain:
    return ms.Retrain(when=WEEKLY, **options)


def codes(model: object = None, **options: object) -> list[str]:
    parts = {**PARTS, "retrain": retrain(**options)} | ({} if model is None else {"model": model})
    return [finding.code for finding in lint(ms.System(**parts))]


def test_windows_are_kept_the_shortest_first_and_each_once() -> None:
    declared = retrain(window=["90d", None, "720h", "30d"])
    assert declared.window == declared.windows == ("30d", "90d", None)
    assert declared == retrain(window=("30d", "90d", None))
    assert declared != retrain(window=["30d", "90d"])
    assert repr(declared) == f"Retrain(when=({WEEKLY!r},), window=('30d', '90d', None))"


def test_one_window_is_one_window() -> None:
    assert retrain(window=["1w"]) == retrain(window="7d")
    assert retrain(window=[None]) == retrain()
    assert (retrain(window="7d").windows, retrain().windows) == (("7d",), (None,))


@pytest.mark.parametrize(("window", "words"), [([], "no window to train on"), (["7x"], "'7x' is not a duration")])
def test_windows_that_are_none_are_refused(window: object, words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        retrain(window=window)


def test_a_delay_is_a_span_or_measured() -> None:
    assert retrain(delay="measured").delay == MEASURED
    assert retrain(delay="60m") == retrain()
    with pytest.raises(DeclarationError, match="not a duration"):
        retrain(delay="mesured")


def test_what_was_declared_is_stored_and_read_again() -> None:
    system = ms.System(**{**PARTS, "retrain": retrain(window=["30d", None], delay="measured")})
    again = decode_system(json.loads(json.dumps(system.document)))
    assert again.retrain == system.retrain
    assert again.fingerprint == system.fingerprint
    assert again.retrain.windows == ("30d", None)


def test_the_lint_looks_at_each_window() -> None:
    looks_back = {"features": {"delay": Departure.dep_delay.mean(by="origin", over="60d")}}
    system = ms.System(**{**PARTS, **looks_back, "retrain": retrain(window=["30d", "90d", None])})
    assert [finding.code for finding in lint(system)] == ["long-window"]
    facts = {name: TableFacts(9, 0, 70 * DAY) for name in ("flight", "departure", "arrival")}
    words = [finding.message for finding in lint_history(system, facts) if finding.code == "training-beyond-history"]
    assert words == ["Retrain(window='90d') is longer than the history, so it cuts nothing off."]


def test_what_can_go_on_is_left_alone() -> None:
    for model in (ms.LightGBM(), SGDClassifier(), BernoulliNB(), MLPClassifier()):
        assert codes(model, how="continue") == []
    for model in (LogisticRegression(), SGDClassifier(early_stopping=True)):
        assert codes(model, how="fresh") == []


class Ours(SGDClassifier):
    """An estimator that is not scikit-learn's own."""


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (MLPClassifier(solver="lbfgs"), "MLPClassifier has no partial_fit"),
        (SGDClassifier(early_stopping=True), "cannot stop early"),
        (SGDClassifier(class_weight="balanced"), 'Training(class_weight="balanced") can'),
        (Ours(), "no bundle can hold it"),
    ],
    ids=["lbfgs", "early stopping", "balanced", "foreign"],
)
def test_what_cannot_go_on_is_told_before_anything_runs(model: object, words: str) -> None:
    (finding,) = lint(ms.System(**{**PARTS, "model": model, "retrain": retrain(how="continue")}))
    assert (finding.code, finding.severity) == ("continue-estimator", "error")
    assert words in finding.message


def test_a_stored_estimator_is_not_asked() -> None:
    system = ms.System(**{**PARTS, "model": SGDClassifier(), "retrain": retrain(how="continue")})
    assert lint(decode_system(json.loads(json.dumps(system.document)))) == []


def test_a_delay_that_is_measured_is_not_too_long() -> None:
    assert codes(delay="8d") == ["slow-retraining"]
    assert codes(delay="7d") == codes(delay="measured") == []
