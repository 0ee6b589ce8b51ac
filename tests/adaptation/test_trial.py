"""A candidate on trial: one error rate over all stages, looks and guards."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.adaptation import guard_tests
from mainspring.adaptation.comparison import bounds_of, improvement_bounds
from mainspring.adaptation.guard_tests import CalibrationTest
from mainspring.adaptation.sequential import MeanTest, evidence_along
from mainspring.adaptation.trial import Trial
from mainspring.clock import DAY
from mainspring.declare import ErrorCost, Guard, Objective, Payoff
from tests.adaptation.streams import NEEDED, allowed, brier_improvements

UNIT = (0.0, 1.0)
losses = st.floats(0, 1)
decisions = st.lists(st.tuples(st.integers(0, 3 * DAY), losses, losses, st.booleans()), max_size=40)


def begun(share: float | None = None, **options) -> Trial:
    guards = {"ece": CalibrationTest.of(0.03)}
    return Trial.begin(alpha=0.05, bounds=UNIT, share=share, guards=guards, complete=0.5, **options)


@given(decisions, st.sampled_from([None, 0.1]), st.data())
@settings(deadline=None)
def test_the_same_bits_however_the_stream_is_cut(drawn: list, share: float | None, data: st.DataObject) -> None:
    at, one, other, ours = (
        np.array([each[k] for each in drawn], kind) for k, kind in enumerate((int, float, float, bool))
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(drawn)), max_size=4)))

    def fed(trial: Trial, rows: slice) -> Trial:
        which = trial.pairs if share is None else trial.arms
        trial = which(at[rows], one[rows], other[rows] if share is None else ours[rows])
        return trial.labelled("ece", ours[rows].astype(float), other[rows])

    whole, parts = fed(begun(share).predicted(at), slice(None)), begun(share).predicted(at)
    for a, b in zip([0, *cuts], [*cuts, len(drawn)], strict=True):
        parts = fed(parts, slice(a, b))
    assert parts == whole
    assert parts.verdict(2 * DAY) == whole.verdict(2 * DAY)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(parts), type=Trial) == parts


@given(decisions)
@settings(deadline=None)
def test_exchanging_the_models_turns_the_verdict_round(drawn: list) -> None:
    at, one, other = (np.array([each[k] for each in drawn * 20], kind) for k, kind in enumerate((int, float, float)))
    blank = Trial.begin(alpha=0.05, bounds=UNIT)
    here, there = blank.pairs(at, one, other).verdict(0), blank.pairs(at, other, one).verdict(0)
    assert there.what == {"better": "worse", "worse": "better", "undecided": "undecided"}[here.what]
    assert (here.better, here.worse) == pytest.approx((there.worse, there.better), abs=1e-9)
    upward = Trial.begin(alpha=0.05, bounds=UNIT, greater_is_better=True).pairs(at, other, one).verdict(0)
    assert upward.what == here.what


def test_the_error_rate_holds_over_stages() -> None:
    """Ten stages, looked at after every batch. A test of its own for each would be ten throws of the dice."""
    random, streams, looks = np.random.default_rng(1), 2000, np.arange(10, 201, 10)
    test, carried = MeanTest(at=0.0, low=-1.0, high=1.0), np.zeros((streams, 1))
    promoted = by_a_test_each = np.zeros(streams, bool)
    for _ in range(10):
        above = evidence_along(test, random.choice([-1.0, 1.0], (streams, 200)), looks)[0]
        promoted = promoted | (carried + above >= NEEDED).any(axis=1)
        by_a_test_each = by_a_test_each | (above >= NEEDED).any(axis=1)
        carried = carried + above[:, -1:]
    assert promoted.mean() <= allowed(0.05, streams)
    assert by_a_test_each.mean() > 0.1


def test_evidence_of_a_stage_goes_on_in_the_next() -> None:
    random = np.random.default_rng(1)
    shadow = brier_improvements(random, (1, 400), 0.6, 0.0)[0]
    trial = Trial.begin(alpha=0.05, bounds=UNIT).pairs(np.zeros(400, int), 0.5 + shadow / 2, 0.5 - shadow / 2)
    before = trial.verdict(DAY)
    after = trial.next_stage(DAY, 0.1).verdict(2 * DAY)
    assert (after.better, after.worse) == pytest.approx((before.better, before.worse))
    assert (after.labels, after.estimate) == (0, None)
    assert after.low is not None
    assert -10.1 < after.low < -9.9  # the weight of one decision of a share of a tenth


def test_guards_and_the_test_of_the_improvement_share_the_error_rate() -> None:
    """Forty guards at their limits: a candidate is rolled back by mistake in 30 of 100 rollouts at most, where that is alpha."""
    random, streams, alpha = np.random.default_rng(2), 100, 0.3
    (test,) = guard_tests.tests_of(Guard("brier", at_most=0.25), "binary", Objective())
    blank = Trial.begin(alpha=alpha, bounds=UNIT, guards={str(k): test for k in range(40)})
    wrong = each_alone = 0
    for _ in range(streams):
        trial, undecided, kept = blank, True, True
        for _ in range(3):
            for name in blank.guards:
                trial = trial.guarded(name, (random.random(50) < 0.25).astype(float))
            undecided &= trial.verdict(0).what == "undecided"
            kept &= all(guard.log_broken < -math.log(alpha) for guard in trial.guards.values())
        wrong, each_alone = wrong + (not undecided), each_alone + (not kept)
    assert wrong / streams <= allowed(alpha, streams)
    assert each_alone / streams > 0.5


@pytest.mark.parametrize(("effect", "margin", "what"), [
    (0.05, 0.0, "better"), (-0.05, 0.0, "worse"), (0.0, 0.03, "better"), (-0.05, 0.03, "worse"), (0.0, 0.0, "undecided"),
])  # fmt: skip
def test_verdicts(effect: float, margin: float, what: str) -> None:
    champion = np.random.default_rng(3).uniform(0.2, 0.8, 4000)
    candidate = champion + np.random.default_rng(4).uniform(-0.1, 0.1, 4000) - effect
    verdict = (
        Trial.begin(alpha=0.05, bounds=UNIT, margin=margin).pairs(np.zeros(4000, int), champion, candidate).verdict(0)
    )
    assert verdict.what == what
    assert verdict.low is not None
    assert verdict.high is not None
    assert verdict.low < effect < verdict.high
    assert verdict.labels == 4000
    assert (verdict.low > -margin) is (what == "better")
    assert (verdict.high < -margin) is (what == "worse")


def test_a_broken_guard_weighs_more_than_an_improvement() -> None:
    random = np.random.default_rng(5)
    p = random.uniform(0.1, 0.6, 3000)
    labels = (random.random(3000) < p + 0.2).astype(float)
    trial = begun().predicted(np.zeros(3000, int)).pairs(np.zeros(3000, int), np.full(3000, 0.6), np.full(3000, 0.2))
    assert trial.verdict(DAY).what == "better"
    assert trial.verdict(DAY - 1).what == "undecided"  # the day is not over
    verdict = trial.labelled("ece", labels, p).verdict(DAY)
    assert (verdict.what, verdict.broken) == ("worse", ("ece",))


def test_the_bounds_of_figures() -> None:
    objective = Objective(payoff=Payoff(hit=4, miss=-6, false_alarm=-1))
    assert bounds_of("payoff", "binary", objective) == (-6.0, 4.0)
    assert bounds_of("payoff", "regression", Objective(payoff=ErrorCost(over=1, under=2))) == (None, 0.0)
    assert bounds_of("brier", "binary", objective) == UNIT
    assert bounds_of("brier", "multiclass", objective) == (0.0, 2.0)
    assert bounds_of("log_loss", "binary", objective) == (0.0, None)
    assert improvement_bounds((0.0, None)) == (None, None)
    assert improvement_bounds(UNIT) == (-1.0, 1.0)
    assert improvement_bounds((-6.0, 4.0), 0.1) == pytest.approx((-100.0, 100.0))


def test_what_cannot_be_tried_is_refused() -> None:
    for wrong in (
        dict(alpha=0.0),
        dict(alpha=0.05, margin=-0.1),
        dict(alpha=0.05, complete=1.1),
        dict(alpha=0.05, share=1.0),
    ):
        with pytest.raises(ValueError, match=r"cannot be kept|without decisions"):
            Trial.begin(bounds=UNIT, **wrong)
    nothing = np.zeros(0)
    with pytest.raises(ValueError, match="give it `arms`"):
        begun(0.1).pairs(np.zeros(0, int), nothing, nothing)
    with pytest.raises(ValueError, match="give it `pairs`"):
        begun().arms(np.zeros(0, int), nothing, np.zeros(0, bool))
    with pytest.raises(ValueError, match="tests no mean"):
        begun().guarded("ece", nothing)
    assert math.exp(begun().verdict(0).better) == pytest.approx(1.0)
