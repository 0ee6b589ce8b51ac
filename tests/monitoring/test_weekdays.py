"""The same weekday of the last weeks is a reference of a day, and nothing else is."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.monitoring.layout import Layout
from mainspring.monitoring.sketch import Sketch
from mainspring.monitoring.spread import Spread
from mainspring.monitoring.weekdays import same_weekdays, weekday_reference

LAYOUT = Layout.over(pl.DataFrame({"x": [float(k) for k in range(100)]}), {"x": "float"})
by_day = st.dictionaries(st.integers(0, 60), st.lists(st.floats(0, 99), max_size=4), max_size=40)
few_examples = settings(max_examples=50, deadline=None, database=None)


def spread(values: list[float]) -> Spread:
    return Spread.of(Sketch.empty(LAYOUT).add(pl.DataFrame({"x": values}, schema={"x": pl.Float64})))


def spreads(days: dict[int, list[float]]) -> dict[int, Spread]:
    return {number: spread(values) for number, values in days.items()}


@few_examples
@given(days=by_day, asked=st.integers(0, 70), weeks=st.integers(1, 4), at_least=st.integers(1, 3))
def test_a_reference_holds_the_rows_of_the_same_weekday_and_no_others(
    days: dict[int, list[float]], asked: int, weeks: int, at_least: int
) -> None:
    wanted = [days[n] for week in range(1, weeks + 1) if (n := asked - 7 * week) in days and days[n]]
    found = weekday_reference(spreads(days), asked, weeks=weeks, at_least=at_least)
    if len(wanted) < at_least:
        assert found is None
    else:
        assert found == spread([value for values in wanted for value in values])


@few_examples
@given(days=by_day, asked=st.integers(0, 60), today=st.lists(st.floats(0, 99), max_size=4))
def test_the_day_itself_and_later_ones_change_no_reference_of_it(
    days: dict[int, list[float]], asked: int, today: list[float]
) -> None:
    earlier = {number: values for number, values in days.items() if number < asked}
    expected = weekday_reference(spreads(earlier), asked)
    assert weekday_reference(spreads(days | {asked: today}), asked) == expected


def test_days_without_rows_are_none() -> None:
    days = spreads({7: [1.0], 14: [], 21: [3.0], 28: [4.0]})
    assert same_weekdays(days, 28) == [7, 21]
