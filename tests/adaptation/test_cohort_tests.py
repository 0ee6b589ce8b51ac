"""Late labels: what counts does not depend on the order in which they come, nor on which kind comes first."""

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.adaptation.cohort_tests import CohortTests
from mainspring.adaptation.sequential import MeanTest
from mainspring.clock import DAY, HOUR
from tests.adaptation.streams import NEEDED, allowed

BLANK = MeanTest(at=0.0, low=-1.0, high=1.0)
events = st.lists(st.tuples(st.integers(0, 4 * DAY), st.floats(-1, 1), st.integers(0, 3 * DAY)), max_size=40)


def columns(drawn: list[tuple[int, float, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """When decided, what is tested, when the label came; in the order in which labels came."""
    decided_at = np.array([at for at, _, _ in drawn], np.int64)
    matured_at = decided_at + np.array([delay for _, _, delay in drawn], np.int64)
    order = np.argsort(matured_at, kind="stable")
    return decided_at[order], np.array([x for _, x, _ in drawn], np.float64)[order], matured_at[order]


@given(events, st.sampled_from([0.0, 0.5, 1.0]), st.data())
@settings(deadline=None)
def test_the_same_bits_however_the_stream_is_cut(drawn: list, complete: float, data: st.DataObject) -> None:
    decided_at, numbers, _ = columns(drawn)
    whole = CohortTests(blank=BLANK, complete=complete).predicted(decided_at).matured(decided_at, numbers)
    parts = CohortTests(blank=BLANK, complete=complete)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(numbers)), max_size=5)))
    for at in np.split(decided_at, cuts):
        parts = parts.predicted(at)
    for at, some in zip(np.split(decided_at, cuts), np.split(numbers, cuts), strict=True):
        parts = parts.matured(at, some)
    assert parts == whole
    assert msgspec.json.decode(msgspec.json.encode(parts), type=CohortTests) == parts


def test_which_cohort_is_heard_of_first_changes_no_bit() -> None:
    random = np.random.default_rng(2)
    decided_at, numbers = random.integers(0, 9 * DAY, 300), random.uniform(-1, 1, 300)
    newest_first = np.argsort(-(decided_at // DAY), kind="stable")  # each cohort in its own order
    parts = CohortTests(blank=BLANK)
    for row in newest_first:
        parts = parts.matured(decided_at[[row]], numbers[[row]])
    assert parts.counted(0) == CohortTests(blank=BLANK).matured(decided_at, numbers).counted(0)


@given(events, st.integers(0, 8 * DAY))
@settings(deadline=None)
def test_only_cohorts_that_are_over_and_complete_count(drawn: list, now: int) -> None:
    decided_at, numbers, matured_at = columns(drawn)
    came = matured_at <= now
    tests = CohortTests(blank=BLANK, complete=0.75).predicted(decided_at).matured(decided_at[came], numbers[came])
    counts = [
        came[cohort].sum()
        for day in range(5)
        if (cohort := decided_at // DAY == day).any() and (day + 1) * DAY <= now and came[cohort].mean() >= 0.75
    ]
    assert tests.counted(now).count == sum(counts)
    all_at_once = CohortTests(blank=BLANK).matured(decided_at[came], numbers[came])
    assert all_at_once.counted(now).count == came.sum()


def test_quick_labels_of_another_kind_deceive_a_test_that_counts_each_and_not_one_of_whole_cohorts() -> None:
    """The candidate is better by 0.05 where the label comes within three hours and worse by as much where it takes a day and a
    half: no better in all."""
    random, days, per_day = np.random.default_rng(1), 4, 150
    looks = [(day + 1) * DAY + 36 * HOUR for day in range(days)]
    rates = {}
    for complete, streams in ((0.0, 200), (1.0, 1000)):
        found = 0
        for _ in range(streams):
            decided_at = np.sort(random.integers(0, days * DAY, days * per_day))
            slow = random.random(len(decided_at)) < 0.5
            matured_at = decided_at + np.where(slow, 36, 3) * HOUR
            numbers = np.where(slow, -0.05, 0.05) + random.normal(0, 0.15, len(decided_at)).clip(-0.9, 0.9)
            order = np.argsort(matured_at, kind="stable")
            decided_at, matured_at, numbers = decided_at[order], matured_at[order], numbers[order]
            tests, before = CohortTests(blank=BLANK, complete=complete).predicted(decided_at), -1
            for now in looks:
                came = (before < matured_at) & (matured_at <= now)
                tests, before = tests.matured(decided_at[came], numbers[came]), now
                if tests.counted(now).log_above() >= NEEDED:
                    found += 1
                    break
        rates[complete] = found / streams
    assert rates[1.0] <= allowed(0.05, 1000)
    assert rates[0.0] > 0.15
