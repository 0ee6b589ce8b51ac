"""Rollout: which decisions a guard sees, and what becomes of a candidate that breaks one."""

import numpy as np
import pytest

import mainspring as ms
from mainspring.adaptation.guard_tests import selection_name, selections
from mainspring.adaptation.lifetime import Lifetime
from mainspring.adaptation.rollout import Begun, Judged, begin_stage, decided, observed
from mainspring.adaptation.trial import Trial
from mainspring.clock import DAY
from mainspring.monitoring.realised import figures_of


class Order(ms.Table):
    order_id = ms.Key()
    shop = ms.Category()
    placed = ms.KnownAt()


SHOP = Order.shop == "a"
NAME = selection_name(SHOP)
OBJECTIVE = ms.Objective(
    metric="brier",
    guards=[
        ms.Guard("auc", at_least=0.7),
        ms.Guard("auc", at_least=0.7, where=SHOP),
        ms.Guard("brier", at_most=0.3, at_least=0.01, where=SHOP),
        ms.Guard("ece", at_most=0.1),
    ],
)
FIGURES = figures_of("binary", OBJECTIVE)
ROLLOUT = ms.Rollout(ms.Shadow("1d"), ms.AB(0.5, "1d"))
LABELS = 6_000


def begun(stage: int = 0, level: float | None = None) -> Begun:
    return begin_stage(ROLLOUT, ROLLOUT.stages[stage], None, 0, OBJECTIVE, "binary", FIGURES["brier"], level=level)


def judged(selected: dict[str, np.ndarray] | None, spoilt: np.ndarray) -> Judged:
    """A candidate that ranks well, but where it is spoilt, where it says the opposite."""
    random = np.random.default_rng(1)
    chance = random.uniform(0.05, 0.95, LABELS)
    y = (random.random(LABELS) < chance).astype(float)
    candidate = np.where(spoilt, 1 - chance, chance)
    return Judged(np.zeros(LABELS, np.int64), y, np.full(LABELS, 0.5), candidate, selected)


def fed(given: Judged, trial: Trial | None = None) -> Trial:
    return observed(trial or begun().trial, given, FIGURES["brier"], FIGURES)


MINE = np.arange(LABELS) % 10 == 0


def test_guards_are_named_by_what_they_say() -> None:
    assert list(begun().trial.guards) == [
        "auc at least 0.7",
        f"auc at least 0.7 where {NAME}",
        f"brier at most 0.3 where {NAME}",
        f"brier at least 0.01 where {NAME}",
        "ece at most 0.1",
    ]
    assert selections(OBJECTIVE) == {NAME: SHOP}


def test_a_guard_with_a_condition_sees_the_decisions_that_it_selects() -> None:
    """The rank of a few decisions is turned round: the guard on those finds it, the one on all does not."""
    trial = fed(judged({NAME: MINE}, spoilt=MINE))
    broken = trial.verdict(0).broken
    assert broken == (f"auc at least 0.7 where {NAME}", f"brier at most 0.3 where {NAME}")
    found = decided(ROLLOUT.stages[0], trial, 0, DAY, DAY)
    assert found.what == "roll back"
    assert NAME in found.why.told
    elsewhere = fed(judged({NAME: ~MINE}, spoilt=MINE))
    assert elsewhere.verdict(0).broken == ()


def test_it_is_the_test_of_those_decisions_alone() -> None:
    given = judged({NAME: MINE}, spoilt=np.zeros(LABELS, bool))
    part = given._replace(
        **{name: getattr(given, name)[MINE] for name in ("decided_at", "labels", "champion", "candidate")}
    )
    alone = fed(part._replace(selected={NAME: np.ones(int(MINE.sum()), bool)}))
    for name, guard in fed(given).guards.items():
        assert (guard == alone.guards[name]) is (guard.where is not None)


def test_where_nobody_says_which_decisions_they_are_it_learns_nothing() -> None:
    trial = fed(judged(None, spoilt=MINE))
    blank = begun().trial
    assert all((guard == blank.guards[name]) is (guard.where is not None) for name, guard in trial.guards.items())
    with pytest.raises(ValueError, match="nothing says which decisions"):
        fed(judged({}, spoilt=MINE))


def test_in_an_a_b_only_what_the_candidate_answered_counts() -> None:
    given = judged({NAME: MINE}, spoilt=MINE)
    ours = np.arange(LABELS) // 10 % 2 == 0
    split = given._replace(
        champion=np.where(ours, np.nan, given.champion), candidate=np.where(ours, given.candidate, np.nan)
    )
    trial = fed(split, begun(stage=1).trial)
    assert trial.verdict(0).broken[0] == f"auc at least 0.7 where {NAME}"
    limit = trial.guards[f"brier at most 0.3 where {NAME}"]
    assert limit.test.count == int((MINE & ours).sum())


def test_a_candidate_of_many_is_judged_at_its_level() -> None:
    life, level = Lifetime(9, 1).with_candidate(ROLLOUT.alpha)
    trial = begun(level=level).trial
    assert (trial.alpha, trial.level) == (ROLLOUT.alpha, level)
    assert begun().trial.level is None
    assert (life.tried, level < ROLLOUT.alpha / 10) == (10, True)
    again = begin_stage(ROLLOUT, ROLLOUT.stages[1], trial, DAY, OBJECTIVE, "binary", FIGURES["brier"])
    assert again.trial.level == level
