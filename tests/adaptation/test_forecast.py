"""A forecast of a comparison: what labels drawn one by one would show."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.adaptation.comparison import SplitBaseline, improvement_bounds
from mainspring.adaptation.forecast import forecast, matured_by
from mainspring.adaptation.sequential import MeanTest, evidence_along
from mainspring.clock import DAY, HOUR
from tests.adaptation.streams import NEEDED, allowed, brier_improvements, ever

HISTORY = brier_improvements(np.random.default_rng(1), (1, 5000), 0.6, 0.45)[0]
DELAYS = np.array([2 * HOUR, 5 * HOUR, 30 * HOUR])
UNIT = (0.0, 1.0)


@pytest.mark.parametrize("bounds", [UNIT, (0.0, None)])
def test_it_agrees_with_labels_drawn_one_by_one(bounds: tuple[float, float | None]) -> None:
    effect, per_day, days, rollouts = 0.006, 600, 7, 600
    found = forecast(
        HISTORY,
        effect=effect,
        alpha=0.05,
        per_day=per_day,
        span=days * DAY,
        delays=DELAYS * 0,
        bounds=bounds,
        rollouts=800,
    )
    drawn = np.random.default_rng(2).choice(HISTORY - HISTORY.mean() + effect, (rollouts, per_day * days))
    low, high = improvement_bounds(bounds)
    looks = np.arange(25, per_day * days + 1, 25)
    decided = evidence_along(MeanTest(at=0.0, low=low, high=high), drawn.clip(low, high), looks)[0] >= NEEDED
    assert found.power == pytest.approx(decided.any(axis=1).mean(), abs=0.07)
    assert 0.4 < found.power < 0.9
    median = float(looks[np.sort(np.where(decided.any(axis=1), decided.argmax(axis=1), len(looks) - 1))[rollouts // 2]])
    assert found.labels_median == pytest.approx(median, rel=0.2)
    assert found.days_median == pytest.approx(median / per_day, rel=0.2)
    assert found.false_promotion <= allowed(0.05, 2000)
    assert found.worse <= 0.01


def test_two_arms_need_what_labels_drawn_one_by_one_need() -> None:
    random, share, rollouts, labels = np.random.default_rng(3), 0.2, 300, 3000
    level = random.beta(2, 5, 5000)
    found = forecast(
        level,
        effect=0.02,
        alpha=0.05,
        per_day=3000,
        span=DAY,
        delays=DELAYS * 0,
        bounds=UNIT,
        share=share,
        rollouts=500,
    )
    by_candidate = random.random((rollouts, labels)) < share
    figures = (random.choice(level, (rollouts, labels)) - 0.02 * by_candidate).clip(0, 1)
    better = np.stack([SplitBaseline(share=share).after(*each)[1] for each in zip(figures, by_candidate, strict=True)])
    low, high = improvement_bounds(UNIT, share)
    power = ever(evidence_along(MeanTest(at=0.0, low=low, high=high), better, np.arange(125, labels + 1, 125))[0])
    assert found.power == pytest.approx(power, abs=0.12)
    assert 0.3 < power < 0.95


def test_equal_arguments_give_equal_bits_and_another_seed_others() -> None:
    plan = dict(effect=0.006, alpha=0.05, per_day=600, span=7 * DAY, delays=DELAYS, every=6 * HOUR, rollouts=100)
    assert forecast(HISTORY, **plan) == forecast(HISTORY, **plan)
    assert forecast(HISTORY, **plan) != forecast(HISTORY, **plan, seed=1)


def test_more_of_what_helps_helps() -> None:
    plan = dict(effect=0.006, alpha=0.05, per_day=600, span=7 * DAY, delays=DELAYS, every=6 * HOUR, rollouts=500)
    usual = forecast(HISTORY, **plan)
    assert forecast(HISTORY, **plan | dict(effect=0.012)).power > usual.power
    assert forecast(HISTORY, **plan | dict(per_day=1200)).power > usual.power
    assert forecast(HISTORY, **plan | dict(alpha=0.2)).power > usual.power
    assert forecast(HISTORY, **plan, margin=0.005).power > usual.power
    worse = forecast(HISTORY, **plan | dict(effect=-0.012))
    assert worse.worse > 0.9
    assert worse.power < 0.01
    late = forecast(HISTORY, **plan | dict(delays=DELAYS + 3 * DAY))
    assert late.power == pytest.approx(usual.power, abs=0.05)  # the same labels, later
    assert late.days_median is not None
    assert usual.days_median is not None
    assert late.days_median > usual.days_median + 2


@pytest.mark.parametrize("effect", [0.0, 0.0001])
def test_what_is_not_reached_is_not_known(effect: float) -> None:
    found = forecast(
        HISTORY, effect=effect, alpha=0.05, per_day=100, span=DAY, delays=DELAYS, bounds=UNIT, rollouts=300
    )
    assert (found.labels_median, found.labels_90, found.days_median, found.days_90) == (None, None, None, None)
    assert found.labels == 100
    with pytest.raises(ValueError, match="no spread"):
        forecast(np.zeros(50), effect=effect, alpha=0.05, per_day=100, span=DAY, delays=DELAYS)


@given(
    st.lists(st.integers(0, 5 * DAY), min_size=1, max_size=20),
    st.sampled_from([0.0, 0.6, 1.0]),
    st.integers(1, 4 * DAY),
)
@settings(max_examples=60, deadline=None)
def test_labels_mature_once_and_all_of_them(delays: list[int], complete: float, span: int) -> None:
    at = np.array([*range(0, 12 * DAY, DAY // 2)], np.int64)
    counts = matured_by(at, per_day=240, span=span, delays=np.array(delays), complete=complete)
    assert (np.diff(counts) >= -1e-9).all()
    assert counts[0] == 0.0
    assert counts[-1] == pytest.approx(240 * span / DAY)


def test_matured_labels_are_those_counted_one_by_one() -> None:
    at, random = np.array([0, 6, 20, 30, 70]) * HOUR, np.random.default_rng(4)
    decided_at = np.linspace(0, 2 * DAY, 200_001)[:-1]
    matured_at = decided_at + random.choice(DELAYS, len(decided_at))
    counts = matured_by(at, per_day=100_000, span=2 * DAY, delays=DELAYS)
    assert counts == pytest.approx([(matured_at <= now).sum() for now in at], abs=600)
    whole = matured_by(at, per_day=100_000, span=2 * DAY, delays=DELAYS, complete=1.0)
    assert whole == pytest.approx([0, 0, 0, 0, 100_000])
