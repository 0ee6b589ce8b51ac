"""Candidate after candidate: of all promotions of a system's life few are false."""

import math

import msgspec
import numpy as np
import pytest

from mainspring.adaptation.lifetime import Lifetime, level_of_candidate
from mainspring.adaptation.sequential import MeanTest, evidence_along
from mainspring.adaptation.trial import Trial
from tests.adaptation.streams import allowed, brier_improvements

LIVES, CANDIDATES, LABELS, ALPHA = 1000, 20, 300, 0.05
LOOKS = np.arange(25, LABELS + 1, 25)
TEST = MeanTest(at=0.0, low=-1.0, high=1.0)


def test_candidates_that_are_no_better_are_not_promoted_sooner_or_later() -> None:
    """Each is looked at after every batch. At 5% each, a false promotion is in one of six lives of 20."""
    random = np.random.default_rng(1)
    lives, promoted_each_at_alpha = [Lifetime()] * LIVES, np.zeros(LIVES, bool)
    for _ in range(CANDIDATES):
        begun = [life.with_candidate(ALPHA) for life in lives]
        better = np.where(random.random((LIVES, LABELS)) < 0.5, 0.9, -0.9)
        most = evidence_along(TEST, better, LOOKS)[0].max(axis=1)
        promoted = most >= np.array([-math.log(level) for _, level in begun])
        lives = [
            life.with_promotion() if yes else life
            for (life, _), yes in zip(begun, promoted.tolist(), strict=True)
        ]  # fmt: skip
        promoted_each_at_alpha |= most >= -math.log(ALPHA)
    assert {life.tried for life in lives} == {CANDIDATES}
    assert np.mean([life.promoted > 0 for life in lives]) <= ALPHA  # all promotions are false, so this is their share
    assert promoted_each_at_alpha.mean() > 2 * ALPHA


@pytest.mark.parametrize("rule", ["e-LOND", "the same alpha each"])
def test_few_promotions_of_a_systems_life_are_false(rule: str) -> None:
    """Sixty candidates, six of them good; evidence of the others is as large as chance allows at any level."""
    random, shares = np.random.default_rng(6), []
    for _ in range(400):
        life, false = Lifetime(), 0
        for number in range(1, 61):
            good = number % 10 == 0
            evidence = 1e9 if good else 1 / random.random()
            life, level = life.with_candidate(ALPHA)
            if evidence >= 1 / (level if rule == "e-LOND" else ALPHA):
                life, false = life.with_promotion(), false + (not good)
        shares.append(false / max(life.promoted, 1))
    if rule == "e-LOND":
        assert np.mean(shares) <= ALPHA
    else:
        assert np.mean(shares) > 0.2
    assert sum(level_of_candidate(ALPHA, number, 0) for number in range(1, 100_000)) <= ALPHA


def test_numbering_only_those_that_looked_good_promotes_too_many() -> None:
    """Why a candidate has its number from the first: the best of ten by a short shadow is no fresh candidate."""
    random, false = np.random.default_rng(7), 0
    for _ in range(LIVES):
        found = 1 / random.random(60)
        came_far = found >= 10  # as their evidence so far says
        false += any(e >= 1 / level_of_candidate(ALPHA, k, 0) for k, e in enumerate(found[came_far].tolist(), 1))
    assert false / LIVES > allowed(ALPHA, LIVES)


def test_the_level_is_of_better_alone() -> None:
    random = np.random.default_rng(8)
    good = brier_improvements(random, (1, 1000), 0.6, 0.2)[0]
    at, half = np.zeros(len(good), int), np.full(len(good), 0.5)
    first, late = (
        Trial.begin(alpha=ALPHA, level=level, bounds=(0.0, 1.0)).pairs(at, half + good / 2, half - good / 2)
        for level in (None, 1e-4)
    )
    assert (first.verdict(0).what, late.verdict(0).what) == ("better", "undecided")
    assert first.verdict(0).better == late.verdict(0).better
    low = late.verdict(0).low
    assert low is not None
    assert low < 0.0
    assert first.verdict(0).high == late.verdict(0).high
    bad = [
        Trial.begin(alpha=ALPHA, level=level, bounds=(0.0, 1.0)).pairs(at, half, half + 0.2) for level in (None, 1e-4)
    ]
    assert [each.verdict(0).what for each in bad] == ["worse", "worse"]
    assert late.next_stage(0, 0.5).level == 1e-4


def test_a_lifetime_is_plain_data() -> None:
    life = Lifetime().with_candidate(ALPHA)[0].with_promotion()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(life), type=Lifetime) == life
    with pytest.raises(ValueError, match="cannot follow"):
        level_of_candidate(ALPHA, 1, 1)
    with pytest.raises(ValueError, match="level"):
        Trial.begin(alpha=ALPHA, level=0.0, bounds=(0.0, 1.0))
