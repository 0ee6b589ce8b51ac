"""Laws of a test of the mean: what it says depends on the numbers alone, and its parts say the same."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.adaptation.sequential import FEWEST, MeanTest, evidence_along

KINDS = [
    MeanTest(at=0.0, low=-1.0, high=1.0),
    MeanTest(at=-0.01, low=-1.0, high=1.0),
    MeanTest(at=0.3, low=-1.0),
    MeanTest(at=0.0),
]
bounded = st.floats(-1, 1, allow_subnormal=False)
streams = st.lists(bounded, max_size=60).map(lambda few: np.array(few * 8, np.float64))


@given(st.sampled_from(KINDS), streams, st.data())
@settings(deadline=None)
def test_the_same_bits_however_the_stream_is_cut(test: MeanTest, numbers: np.ndarray, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(numbers)), max_size=5)))
    by_parts = test
    for part in np.split(numbers, cuts):
        by_parts = by_parts.after(part)
    assert by_parts == test.after(numbers)


@given(st.sampled_from(KINDS), streams, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_and_joining_change_rounding_alone(test: MeanTest, numbers: np.ndarray, random) -> None:
    whole, order = test.after(numbers), random.sample(range(len(numbers)), len(numbers))
    half = len(numbers) // 2
    for other in (
        test.after(numbers[order]),
        test.after(numbers[:half]).joined(test.after(numbers[half:])),
        test.after(numbers[half:]).joined(test.after(numbers[:half])),
    ):
        assert other.count == whole.count
        assert np.allclose(other.sums, whole.sums, rtol=1e-9, atol=1e-9)


@given(st.sampled_from(KINDS), streams, st.sampled_from([0.5, 0.1, 0.05, 1e-6]))
@settings(deadline=None)
def test_an_interval_ends_where_the_evidence_begins_to_suffice(
    test: MeanTest, numbers: np.ndarray, alpha: float
) -> None:
    after, needed = test.after(numbers), math.log(1 / alpha)
    lower, upper = after.lower(alpha), after.upper(alpha)
    if lower is not None and lower != test.low:
        assert after.log_above(lower) == pytest.approx(needed, abs=1e-6)
        assert after.log_above(lower + 1e-3) < needed < after.log_above(lower - 1e-3)
    if upper is not None and upper != test.high:
        assert after.log_below(upper) == pytest.approx(needed, abs=1e-6)
        assert after.log_below(upper - 1e-3) < needed < after.log_below(upper + 1e-3)
    if after.mean is not None and alpha <= 0.5:
        assert lower is None or lower <= after.mean + 1e-9
        assert upper is None or after.mean - 1e-9 <= upper


@given(streams)
@settings(deadline=None)
def test_above_and_below_are_mirrored(numbers: np.ndarray) -> None:
    for test, mirrored in (
        (MeanTest(at=0.1, low=-1.0, high=1.5), MeanTest(at=-0.1, low=-1.5, high=1.0)),
        (MeanTest(at=0.1), MeanTest(at=-0.1)),
    ):
        here, there = test.after(numbers), mirrored.after(-numbers)
        assert here.log_above(0.2) == pytest.approx(there.log_below(-0.2), abs=1e-9)
        assert here.log_below(0.2) == pytest.approx(there.log_above(-0.2), abs=1e-9)
        assert here.log_apart() == pytest.approx(there.log_apart(), abs=1e-9)


@given(st.sampled_from(KINDS), streams)
@settings(max_examples=30, deadline=None)
def test_it_is_plain_data(test: MeanTest, numbers: np.ndarray) -> None:
    after = test.after(numbers)
    assert msgspec.json.decode(msgspec.json.encode(after), type=MeanTest) == after
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(after), type=MeanTest) == after


@pytest.mark.parametrize("test", KINDS)
def test_many_streams_at_once_say_what_each_says(test: MeanTest) -> None:
    random = np.random.default_rng(0)
    many, looks = np.clip(random.normal(0.05, 0.3, (4, 1200)), -1, 1), np.array([1, 150, 450, 1200])
    above, below = evidence_along(test, many, looks, np.array([0.0, 0.1, -0.1, 0.03]))
    for stream, up, down in zip(many, above, below, strict=True):
        for look, value, one, other in zip(looks, (0.0, 0.1, -0.1, 0.03), up, down, strict=True):
            after = test.after(stream[:look])
            assert (one, other) == pytest.approx((after.log_above(value), after.log_below(value)), abs=1e-9)


# Cases


def test_the_wealth_of_a_bettor_can_be_followed_by_hand() -> None:
    """One number, 1, against "the mean is at most 0" on [-1, 1]: who stakes s of it has 1 + s times as much."""
    after = MeanTest(at=0.0, low=-1.0, high=1.0).after(np.array([1.0]))
    stakes = np.array([0.8, 0.4, 0.2, 0.1, 0.05, 0.025, 0.0125, 0.00625])
    staked = float(stakes @ np.sqrt(stakes) / np.sqrt(stakes).sum())
    assert math.exp(after.log_above()) == pytest.approx(1 + staked)
    assert math.exp(after.log_below()) == pytest.approx(1 - staked)


@pytest.mark.parametrize("test", KINDS)
def test_nothing_is_known_of_no_numbers(test: MeanTest) -> None:
    assert test.mean is None
    assert (test.log_above(), test.log_below(), test.log_apart()) == pytest.approx((0.0, 0.0, 0.0))
    assert (test.lower(0.05), test.upper(0.05)) == (test.low, test.high)


def test_an_asymptotic_test_is_silent_on_few_numbers_and_on_rare_ones() -> None:
    few = MeanTest(at=0.0).after(np.full(FEWEST - 1, 1.0))
    assert few.log_above() == pytest.approx(0.0)
    assert (few.lower(0.05), few.upper(0.05)) == (None, None)
    assert few.after(np.ones(1)).log_above() > 10
    rare = few.after(
        np.array([-40.0])
    )  # skewness about -12 to the side that the claim of "above" has not seen enough of
    assert rare.log_above() == pytest.approx(0.0)
    assert rare.lower(0.05) is None
    assert rare.upper(0.05) is not None


def test_equal_predictions_are_no_evidence() -> None:
    for test in (KINDS[0], KINDS[3]):
        assert test.after(np.zeros(1000)).log_apart() == pytest.approx(0.0)


def test_numbers_that_the_test_is_not_made_for_are_refused() -> None:
    test = MeanTest(at=0.0, low=-1.0, high=1.0)
    for wrong in ([1.1], [-1.1], [math.nan], [math.inf], [[0.5]]):
        with pytest.raises(ValueError, match="numbers"):
            test.after(np.array(wrong))
    assert test.after(np.array([1.0 + 1e-12])).count == 1  # a difference of rounded figures
    with pytest.raises(ValueError, match="does not lie between"):
        MeanTest(at=1.0, low=0.0, high=1.0)
    with pytest.raises(ValueError, match="joined"):
        test.joined(MeanTest(at=0.1, low=-1.0, high=1.0))
    with pytest.raises(ValueError, match="between 0 and 1"):
        test.lower(0.0)
