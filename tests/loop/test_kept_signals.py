"""What a step leaves of each day: what the cohorts say, however labels are cut into steps; what moved; and little of it."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.clock import DAY, HOUR
from mainspring.loop.kept_signals import (
    CHECKS,
    FEATURES,
    QUALITY,
    ChecksDay,
    FeaturesDay,
    QualityDay,
    SliceTold,
    signals_of,
)
from mainspring.loop.step import step
from mainspring.monitoring.column_counts import Places, counts_of, moved_columns
from mainspring.monitoring.spread import added

from .daily import LENGTH, POLICY, START, lived, tick


def quality(kept: dict[tuple[str, str, int], bytes]) -> dict[int, QualityDay]:
    return {
        day: msgspec.msgpack.decode(document, type=QualityDay)
        for (kind, _, day), document in kept.items()
        if kind == QUALITY
    }


END = (START + LENGTH) * DAY
cuts = st.lists(st.integers(1, 4 * 24), max_size=8, unique=True).map(
    lambda hours: [*(START * DAY + hour * HOUR for hour in sorted(hours)), START * DAY + 5 * DAY]
)


@given(instants=cuts)
@settings(max_examples=15, deadline=None)
def test_however_labels_are_cut_into_steps_the_newest_of_a_day_is_what_the_cohort_says(instants: list[int]) -> None:
    state, kept, _ = lived(instants)
    found, leading = quality(kept), state.leading
    assert set(found) == set(leading.cohorts.held)
    for day, each in found.items():
        assert each.figures == leading.cohorts.figures == tuple(POLICY.figures)
        assert each.realised == leading.cohorts.held[day]
        assert each.expected == leading.expected.held.get(day)
        assert leading.slices is not None
        tally = leading.slices.days.get(day, {}).get("shop")
        told = (
            {}
            if tally is None
            else zip(leading.slices.names("shop"), tally.rows, tally.figures, tally.excess, strict=True)
        )
        assert each.slices.get("shop", {}) == {name: SliceTold(int(rows), *sums) for name, rows, *sums in told if rows}
    whole = quality(lived([START * DAY + 5 * DAY])[1])
    assert {day: (each.realised.predicted, each.realised.known) for day, each in found.items()} == {
        day: (each.realised.predicted, each.realised.known) for day, each in whole.items()
    }


def test_a_step_says_only_what_has_changed() -> None:
    _, _, said = lived([START * DAY + hours * HOUR for hours in range(1, 4 * 24)])
    for number, signals in enumerate(said, 1):
        kinds = {each.kind for each in signals}
        assert (kinds >= {CHECKS, FEATURES}) == (number % 24 == 0)
        assert {each.day for each in signals if each.kind == QUALITY} <= {
            START + number // 24,
            START + (number - 7) // 24,
        }
    state, _, _ = lived([START * DAY + 2 * DAY])
    still, _ = step(POLICY, state, tick(END + DAY, END + DAY + HOUR))
    assert all(each.kind != QUALITY for each in signals_of(POLICY, state, still))


def test_features_are_said_as_the_counts_of_the_last_days_lie_to_what_was_learned_from() -> None:
    state, kept, _ = lived([START * DAY + day * DAY for day in range(1, 20)])
    found = {
        day: msgspec.msgpack.decode(each, type=FeaturesDay) for (kind, _, day), each in kept.items() if kind == FEATURES
    }
    assert sorted(found) == [START + day for day in range(19)]
    assert state.layout is not None
    assert state.leading.reference is not None
    places, learned = Places.of(state.layout), counts_of(state.leading.reference)
    last = [state.days[START + day] for day in range(12, 19)]
    for row, counted in ((0, last[-1]), (1, added(last))):
        expected = moved_columns(places, learned, counts_of(counted)).psi
        # days of fewer than 50 rows are none: they are counted in the week alone
        few = row == 0 and counted.rows < 50
        given = found[START + 18].array()[row]
        assert np.isnan(given).all() if few else given == pytest.approx(expected, rel=1e-6)
    assert found[START + 18].names == ("size", "shop")
    assert found[START + 18].rows == last[-1].rows
    assert found[START + 18].array()[1][0] > 1.0, "the sizes of the last week lie elsewhere"
    assert np.isnan(found[START + 2].array()[1]).all(), "a week that is not over is none"


def test_whether_probabilities_held_and_what_a_proxy_told_is_said_as_of_the_day() -> None:
    _, kept, _ = lived([START * DAY + day * DAY for day in range(1, LENGTH)])
    found = {
        day - START: msgspec.msgpack.decode(each, type=ChecksDay)
        for (kind, _, day), each in kept.items()
        if kind == CHECKS
    }
    assert "10 are needed" in found[3].refused
    assert found[22].refused == "", "labels that come true as often as was said are relied on"
    assert "17 are needed" in found[5].proxies["slow"].unknown
    told = found[22].proxies["slow"]
    assert told.day == START + 21
    assert told.low is not None
    assert told.value is not None
    assert told.high is not None
    assert told.low < told.value < told.high


def test_a_day_takes_little_room() -> None:
    _, kept, _ = lived([START * DAY + day * DAY for day in range(1, 20)])
    assert max(len(each) for each in kept.values()) < 700
