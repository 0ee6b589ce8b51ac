from __future__ import annotations

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.clock import DAY, HOUR
from mainspring.monitoring.layout import Layout
from mainspring.monitoring.sketch import Sketch
from mainspring.monitoring.weekdays import Weekdays

LAYOUT = Layout.over(pl.DataFrame({"x": [float(k) for k in range(100)]}), {"x": "float"})
facts = st.lists(st.tuples(st.integers(0, 60 * DAY), st.floats(0, 99)), max_size=40)
few_examples = settings(max_examples=50, deadline=None, database=None)


def sketch(*values: float) -> Sketch:
    return Sketch.empty(LAYOUT).add(pl.DataFrame({"x": values}, schema={"x": pl.Float64}))


def told(rows: list[tuple[int, float]], **options: int) -> Weekdays:
    history = Weekdays(LAYOUT, **options)
    for at, value in rows:
        history = history.add(at, sketch(value))
    return history


# Laws


@few_examples
@given(
    rows=facts, asked=st.integers(0, 60), weeks=st.integers(1, 4), at_least=st.integers(1, 3), hour=st.integers(0, 23)
)
def test_a_reference_holds_the_rows_of_the_same_weekday_and_no_others(
    rows: list[tuple[int, float]], asked: int, weeks: int, at_least: int, hour: int
) -> None:
    rows = [*rows, (asked * DAY + hour * HOUR, 1.0)]
    rows = [(at, value) for at, value in rows if (at - hour * HOUR) // DAY <= asked]
    history = told(rows, weeks=weeks, at_least=at_least, begins=hour * HOUR)
    wanted = {asked - 7 * week for week in range(1, weeks + 1)}
    same = [(at, value) for at, value in rows if (at - hour * HOUR) // DAY in wanted]
    found = history.reference(asked * DAY + hour * HOUR + 5)
    if len({(at - hour * HOUR) // DAY for at, _ in same}) < at_least:
        assert found is None
    else:
        assert found == sketch(*(value for _, value in same))
    assert len(history.days) <= 7 * weeks + 1


@few_examples
@given(rows=facts, data=st.data())
def test_the_order_of_adding_does_not_matter(rows: list[tuple[int, float]], data: st.DataObject) -> None:
    assert told(rows) == told(data.draw(st.permutations(rows)))


@few_examples
@given(rows=facts, later=st.lists(st.floats(0, 99), min_size=1, max_size=9), asked=st.integers(0, 60))
def test_the_day_itself_changes_no_reference_of_it(
    rows: list[tuple[int, float]], later: list[float], asked: int
) -> None:
    rows = [(at, value) for at, value in rows if at // DAY < asked]
    today = [(asked * DAY + k * HOUR, value) for k, value in enumerate(later)]
    assert told(rows).reference(asked * DAY) == told([*rows, *today]).reference(asked * DAY + 23 * HOUR)


# Cases


def test_a_day_takes_part_in_no_reference_of_itself() -> None:
    history = told([(21 * DAY, 3.0)], at_least=1)
    assert history.reference(21 * DAY + 5 * HOUR) is None
    assert history.reference(28 * DAY) == sketch(3.0)
    assert history.reference(29 * DAY) is None


def test_no_more_days_are_held_than_a_reference_may_need() -> None:
    history = told([(day * DAY, float(day % 7)) for day in range(100)], weeks=3)
    assert list(history.days) == list(range(78, 100))
    assert history.reference(99 * DAY) == sketch(1.0, 1.0, 1.0)


def test_a_history_is_written_and_read_back() -> None:
    history = told([(21 * DAY, 3.0), (14 * DAY, 4.0)])
    assert msgspec.json.decode(msgspec.json.encode(history), type=Weekdays) == history
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(history), type=Weekdays) == history


def test_a_sketch_of_another_layout_is_refused() -> None:
    other = Sketch.over(pl.DataFrame({"x": [1.0]}), {"x": "float"})
    with pytest.raises(ValueError, match="different layouts"):
        Weekdays(LAYOUT).add(0, other)
