"""The law of the split: no part is fitted or judged by a label before it is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mainspring.clock import DAY, HOUR, parse_instant
from mainspring.errors import DataError, TrainingError
from mainspring.training.split import NEVER, Split, rolling_origin, split_by_time


def draw(seed: int, rows: int, hours: int, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return unsorted decisions over some hours, many at the same instant, and when their labels are known, if ever."""
    random = np.random.default_rng(seed)
    decided = random.integers(0, hours, rows) * HOUR
    known = decided + random.integers(1, longest + 1, rows) * HOUR
    return decided, np.where(random.random(rows) < 0.1, NEVER, known)


HISTORY = st.builds(
    draw, st.integers(0, 10**6), rows=st.integers(40, 150), hours=st.integers(100, 400), longest=st.integers(1, 60)
)
SHARES = st.sampled_from([0.05, 0.15, 0.25, 0.5])


def split(decided: np.ndarray, known: np.ndarray, **options: object) -> Split:
    """Split, or give the example up when it leaves a part empty."""
    try:
        return split_by_time(decided, known, **{"test": 0.25, "calibrate": 0.15, "as_of": 10_000 * HOUR, **options})
    except (DataError, TrainingError):
        assume(False)
        raise


@settings(max_examples=200, deadline=None)
@given(
    history=HISTORY,
    test=st.one_of(SHARES, st.integers(80, 200).map(lambda hour: hour * HOUR)),
    calibrate=SHARES,
    as_of=st.integers(150, 500),
)
def test_no_part_uses_a_label_before_it_is_known(
    history: tuple, test: float | int, calibrate: float, as_of: int
) -> None:
    decided, known = history
    parts = split(decided, known, test=test, calibrate=calibrate, as_of=as_of * HOUR)
    assert (decided[parts.train] < parts.calibrate_from).all()
    assert (known[parts.train] <= parts.calibrate_from).all()
    assert (decided[parts.refit] < parts.test_from).all()
    assert (known[parts.refit] <= parts.test_from).all()
    assert (decided[parts.calibrate] >= parts.calibrate_from).all()
    assert set(parts.calibrate) <= set(parts.refit)
    assert (decided[parts.test] >= parts.test_from).all()
    assert (known[parts.test] <= as_of * HOUR).all()
    assert min(map(len, (parts.train, parts.calibrate, parts.refit, parts.test))) > 0


@settings(max_examples=100, deadline=None)
@given(history=HISTORY, window=st.sampled_from([None, "4d", "10d"]))
def test_every_decision_is_in_a_part_or_counted_with_its_reason(history: tuple, window: str | None) -> None:
    decided, known = history
    parts = split(decided, known, window=window)
    taken = set(parts.train) | set(parts.refit) | set(parts.test)
    assert len(taken) + sum(parts.left_out.values()) == len(decided)
    assert parts.embargoed == len(set(parts.refit) - set(parts.train) - set(parts.calibrate))


@settings(max_examples=100, deadline=None)
@given(history=HISTORY)
def test_decisions_at_one_instant_stay_together(history: tuple) -> None:
    decided, known = history
    parts = split(decided, known)
    for first, second in ((parts.train, parts.calibrate), (parts.calibrate, parts.test), (parts.refit, parts.test)):
        assert not set(decided[first]) & set(decided[second])


@settings(max_examples=60, deadline=None)
@given(history=HISTORY, later=HISTORY)
def test_later_facts_change_nothing_that_was_trained(history: tuple, later: tuple) -> None:
    decided, known = history
    boundary = int(np.quantile(decided, 0.8))
    before = split(decided, known, test=boundary)
    added = later[0] + boundary
    after = split(np.append(decided, added), np.append(known, np.maximum(later[1], added)), test=boundary)
    for part in ("train", "calibrate", "refit"):
        assert getattr(before, part).tolist() == getattr(after, part).tolist()


@settings(max_examples=100, deadline=None)
@given(history=HISTORY, folds=st.integers(1, 4))
def test_a_rolling_origin_never_looks_past_its_folds(history: tuple, folds: int) -> None:
    decided, known = history
    try:
        found = rolling_origin(decided, known, before=int(decided.max()), folds=folds)
    except (DataError, TrainingError):
        assume(False)
        raise
    assert len(found) == folds
    assert [fold.end for fold in found] == [*(fold.start for fold in found[1:]), decided.max()]
    for fold in found:
        assert (known[fold.train] <= fold.start).all()
        assert (decided[fold.train] < fold.start).all()
        assert ((decided[fold.judge] >= fold.start) & (decided[fold.judge] < fold.end)).all()
        assert (known[fold.judge] <= decided.max()).all()


def test_the_shares_are_those_of_decisions_with_known_labels() -> None:
    decided = np.arange(1000, dtype=np.int64) * HOUR
    parts = split_by_time(decided, decided + HOUR, test=0.25, calibrate=0.2, as_of=int(decided[-1]) + HOUR)
    assert (len(parts.train), len(parts.calibrate), len(parts.test)) == (600, 150, 250)
    assert parts.left_out == {}
    assert parts.embargoed == 0
    late = split_by_time(decided, decided + 10 * HOUR, test=0.25, calibrate=0.2, as_of=int(decided[-1]))
    assert late.left_out == {"label not known": 10, "label came after the test part began": 9}
    assert late.embargoed == 9


def test_a_window_trains_on_the_newest_span_of_each_boundary() -> None:
    decided = np.arange(100, dtype=np.int64) * DAY
    parts = split_by_time(decided, decided, test=80 * DAY, calibrate=0.25, window="20d", as_of=100 * DAY)
    assert (decided[parts.refit] // DAY).tolist() == list(range(61, 80))
    assert parts.calibrate_from == 75 * DAY
    assert (decided[parts.train] // DAY).tolist() == list(range(56, 75))
    assert parts.left_out == {"older than the window": 56}


def test_labels_can_be_withheld_and_a_date_be_the_boundary() -> None:
    start = parse_instant("2013-01-01")
    decided = start + np.arange(100, dtype=np.int64) * DAY
    labelled = np.arange(100) % 2 == 0
    parts = split_by_time(
        decided, decided, test="2013-03-01", calibrate=0.2, labelled=labelled, as_of=start + 100 * DAY
    )
    assert parts.test_from == parse_instant("2013-03-01")
    assert parts.left_out == {"label not known": 50}
    assert all(number % 2 == 0 for number in parts.refit)


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [
        ({"as_of": -1}, "DATA_NO_LABELS", "None of 100 decisions"),
        ({"as_of": 5 * DAY}, "DATA_TOO_FEW", "5 of 100 decisions"),
        ({"test": 500 * DAY}, "TRAIN_SPLIT", "to train on and 0 to judge"),
        ({"test": 0}, "TRAIN_SPLIT", "0 decisions to train on"),
        ({"test": 1 * DAY, "calibrate": 0.5}, "TRAIN_SPLIT", "where the calibrate part begins"),
    ],
)
def test_what_cannot_be_split_is_refused_with_numbers(options: dict, code: str, word: str) -> None:
    decided = np.arange(100, dtype=np.int64) * DAY
    with pytest.raises((DataError, TrainingError), match=word) as caught:
        split_by_time(decided, decided + DAY, **{"test": 0.25, "calibrate": 0.15, "as_of": 200 * DAY, **options})
    assert caught.value.code == code
