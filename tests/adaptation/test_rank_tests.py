"""Guards on a ranking: one that is kept is found broken in 5 of 100 streams at most, one that is broken is found."""

from statistics import NormalDist

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.adaptation.guard_tests import GuardTest
from mainspring.adaptation.rank_tests import RankTest
from mainspring.adaptation.sequential import MeanTest, evidence_along
from mainspring.evaluation.metric import METRICS
from tests.adaptation.streams import NEEDED, Floats, ever

STREAMS, LABELS, BATCH = 1000, 900, 150


def blank(limit: float, metric: str = "auc", side: str = "at_least") -> RankTest:
    return RankTest(test=MeanTest(at=limit, low=0.0, high=1.0), side=side, metric=metric)  # type: ignore[arg-type]


def ranked(random: np.random.Generator, positive: float, auc: float, labels: int = LABELS) -> tuple[Floats, Floats]:
    """Labels, and scores of two normal distributions that are apart by as much as makes this AUC."""
    apart = NormalDist().inv_cdf(auc) * 2**0.5
    y = (random.random(labels) < positive).astype(float)
    return y, random.normal(size=labels) + apart * y


def found(test: RankTest, positive: float, auc: float, streams: int, seed: int) -> float:
    """In which share of streams the limit is ever found broken, looked at after every batch."""
    broken = 0
    for stream in range(streams):
        y, score = ranked(np.random.default_rng([seed, stream]), positive, auc)
        now = test
        for begin in range(0, LABELS, BATCH):
            now = now.after(y[begin : begin + BATCH], score[begin : begin + BATCH])
            if now.log_broken >= NEEDED:
                broken += 1
                break
    return broken / streams


@pytest.mark.parametrize(("side", "positive"), [("at_least", 0.5), ("at_least", 0.15), ("at_most", 0.3)])
def test_an_auc_at_its_limit_is_not_found_broken(side: str, positive: float) -> None:
    assert found(blank(0.75, side=side), positive, 0.75, STREAMS, seed=1) <= 0.05


@pytest.mark.parametrize(("positive", "auc", "share"), [(0.5, 0.68, 0.75), (0.2, 0.65, 0.85), (0.5, 0.7, 0.4)])
def test_one_below_its_limit_is_found(positive: float, auc: float, share: float) -> None:
    assert found(blank(0.75), positive, auc, 150, seed=2) > share


def precision_of(positive: float, auc: float) -> float:
    """The average precision of `ranked` decisions, from very many."""
    y, score = ranked(np.random.default_rng(3), positive, auc, 1_000_000)
    return METRICS["pr_auc"].value_or_nan(y, score)


def test_an_average_precision_is_tested_on_the_safe_side() -> None:
    """At its limit it is not found broken, because a block can be expected to be above; far below it is."""
    limit = precision_of(0.25, 0.75)
    test = blank(limit, "pr_auc")
    assert found(test, 0.25, 0.75, STREAMS, seed=4) <= 0.05
    assert found(test, 0.25, 0.55, 150, seed=5) > 0.6
    y, score = ranked(np.random.default_rng(6), 0.25, 0.75, 100_000)
    mean = test.after(y, score).test.mean
    assert mean is not None
    assert limit < mean < limit + 0.1


def test_rows_that_are_used_again_are_no_new_evidence() -> None:
    """Why each row is in one block: a positive beside all negatives so far repeats what those few negatives happen to be."""
    wrong, looks = 0, np.arange(10, 200)
    for stream in range(200):
        random = np.random.default_rng([7, stream])
        few = np.sort(random.normal(size=10))
        below = np.searchsorted(few, random.normal(NormalDist().inv_cdf(0.75) * 2**0.5, 1, (1, 200))) / 10
        wrong += ever(evidence_along(MeanTest(at=0.75, low=0.0, high=1.0), below, looks)[1]) > 0
    assert wrong / 200 > 0.2


def test_ties_count_half() -> None:
    test = blank(0.5).after(np.tile([0.0, 1.0], 400), np.full(800, 0.3))
    assert (test.test.mean, test.test.count) == (0.5, 100)


def test_little_is_kept_of_a_frequent_class() -> None:
    """The newest are kept, whatever their scores."""
    test = blank(0.75).after(np.zeros(10_000), np.arange(10_000.0)[::-1])
    assert test.negatives == tuple(range(63, -1, -1))
    assert test.after(np.ones(4), np.full(4, 32.0)).test.mean == pytest.approx(32.5 / 64)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=120),
    st.sampled_from(["auc", "pr_auc"]),
    st.lists(st.integers(0, 120), max_size=4),
)
@settings(deadline=None)
def test_the_same_bits_however_the_stream_is_cut(drawn: list[tuple[bool, int]], metric: str, cuts: list[int]) -> None:
    y, score = np.array([y for y, _ in drawn], float), np.array([score for _, score in drawn], float)
    by_parts = blank(0.6, metric)
    for some, of_them in zip(np.split(y, sorted(cuts)), np.split(score, sorted(cuts)), strict=True):
        by_parts = by_parts.after(some, of_them)
    assert by_parts == blank(0.6, metric).after(y, score)
    assert msgspec.json.decode(msgspec.json.encode(by_parts), type=GuardTest) == by_parts
