"""Laws of expressions: they print as themselves, are equal by content, never change and know their line."""

import inspect
from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mainspring as ms
from mainspring.declare import FUNCTIONS, Call, Expression, Kind, Literal, UnknownColumn, walk
from mainspring.errors import DeclarationError
from tests.declare.generated import FEATURES, NAMESPACE, Rental, Station, Trip


@settings(deadline=None)
@given(FEATURES)
def test_printing_an_expression_gives_text_that_means_the_same(expression: Expression) -> None:
    again = eval(repr(expression), dict(NAMESPACE))
    assert repr(again) == repr(expression)
    assert again.fingerprint == expression.fingerprint
    assert again.kind == expression.kind is not None


@settings(deadline=None)
@given(FEATURES, FEATURES)
def test_equality_hash_and_fingerprint_agree(one: Expression, other: Expression) -> None:
    same = one.fingerprint == other.fingerprint
    assert bool(one == other) is same
    assert bool(one != other) is not same
    assert (hash(one) == hash(other)) is same
    assert ({one: "found"}.get(other) == "found") is same


@settings(deadline=None)
@given(FEATURES)
def test_an_expression_cannot_be_changed(expression: Expression) -> None:
    for name in vars(expression):
        with pytest.raises(FrozenInstanceError):
            setattr(expression, name, None)


@settings(deadline=None)
@given(FEATURES)
def test_every_node_knows_where_it_was_written(expression: Expression) -> None:
    here = {str(Path(__file__).parent / "generated.py"), "decided_at"}
    assert {node.origin.file for node in walk(expression) if node.origin} <= here


def test_the_origin_is_the_line_of_the_user() -> None:
    line = inspect.currentframe().f_lineno  # type: ignore[union-attr]
    feature = Rental.minutes.mean(by="station", over="1h")
    other = Trip.distance + 1
    assert feature.origin is not None
    assert (feature.origin.file, feature.origin.line) == (__file__, line + 1)
    assert other.origin is not None
    assert other.origin.line == line + 2
    assert other.arguments[1].origin.line == line + 2  # type: ignore[union-attr]


def test_the_origin_takes_no_part_in_equality() -> None:
    one = Trip.distance * 2
    other = Trip.distance * 2
    assert one.origin != other.origin
    assert one.fingerprint == other.fingerprint


REACHED = {
    **dict.fromkeys(FUNCTIONS, None),
    "add": Trip.distance + 1, "subtract": Trip.distance - 1, "multiply": 2 * Trip.distance, "divide": Trip.distance / 2,
    "floor_divide": Trip.distance // 2, "modulo": Trip.distance % 2, "negate": -Trip.distance,
    "absolute": abs(Trip.distance), "equal": Trip.distance == 1, "not_equal": Trip.distance != 1,
    "less": Trip.distance < 1, "less_equal": Trip.distance <= 1, "greater": Trip.distance > 1,
    "greater_equal": Trip.distance >= 1, "and": Trip.member & Trip.member, "or": Trip.member | Trip.member,
    "not": ~Trip.member, "where": ms.where(Trip.member, 1, 2), "square_root": Trip.distance.sqrt(),
    "sine": Trip.distance.sin(), "cosine": Trip.distance.cos(),
}  # fmt: skip
ARGUMENTS = {"clip": (0, 1), "is_in": (1, 2), "fill_missing": (0,)}
RECEIVERS = {
    "length": Trip.station,
    **dict.fromkeys(("seconds", "minutes", "hours", "days"), Trip.planned - Trip.booked),
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_is_reached_from_an_expression_and_has_a_kind(function: str) -> None:
    receiver = RECEIVERS.get(function, Trip.planned if FUNCTIONS[function].takes == "a time" else Trip.distance)
    call = REACHED[function]
    call = getattr(receiver, function)(*ARGUMENTS.get(function, ())) if call is None else call
    assert call.function == function
    assert call.kind is not None


@pytest.mark.parametrize(
    "use", [bool, lambda e: e and 1, lambda e: not e, lambda e: 1 < e < 3], ids=["bool", "and", "not", "chain"]
)
def test_a_condition_has_no_truth(use) -> None:
    with pytest.raises(DeclarationError, match="DECLARE_TRUTH"):
        use(Trip.distance > 1)


def test_comparison_with_a_value_has_no_truth_but_two_declarations_are_the_same_or_not() -> None:
    with pytest.raises(DeclarationError, match="DECLARE_TRUTH"):
        bool(Trip.distance == 1)
    assert Trip.distance in [Trip.riders, Trip.distance]
    assert Literal(1, Kind.INT) in [Literal(1, Kind.INT)]
    assert Literal(1, Kind.INT) not in [Literal(True, Kind.BOOL)]


@pytest.mark.parametrize(
    ("value", "kind", "written"),
    [
        (True, Kind.BOOL, "True"), (1, Kind.INT, "1"), (0.5, Kind.FLOAT, "0.5"), ("AA", Kind.CATEGORY, "'AA'"),
        (timedelta(hours=-2), Kind.SPAN, "'-2h'"), (date(2024, 2, 29), Kind.TIME, "'2024-02-29T00:00:00Z'"),
        (datetime(2024, 2, 29, 12, tzinfo=UTC), Kind.TIME, "'2024-02-29T12:00:00Z'"),
    ],
)  # fmt: skip
def test_plain_values_become_literals(value, kind: Kind, written: str) -> None:
    literal = ms.where(Trip.member, value).arguments[1]
    assert literal.kind is kind
    assert repr(literal) == written


def test_text_next_to_a_time_is_an_instant_and_next_to_a_sum_a_span() -> None:
    assert (Trip.planned > "2024-05-01").arguments[1].kind is Kind.TIME
    assert (Trip.planned + "-2h").arguments[1].microseconds == -7_200_000_000
    assert ("2h" + Trip.planned).kind is Kind.TIME


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1], None, object()])
def test_values_that_no_column_can_hold_are_refused(value) -> None:
    with pytest.raises(DeclarationError, match="DECLARE_EXPRESSION") as caught:
        Trip.distance + value
    assert caught.value.origin is not None
    assert caught.value.origin.file == __file__


@pytest.mark.parametrize(
    ("declare", "code"),
    [
        (lambda: Rental.minutes.mean(by="station", over="0s"), "DECLARE_WINDOW"),
        (lambda: Rental.minutes.latest(by="station", within="0s"), "DECLARE_WINDOW"),
        (lambda: Rental.minutes.mean(by=3, over="1h"), "DECLARE_WINDOW"),
        (lambda: Rental.minutes.mean(by="station", over="one hour"), "DECLARE_SPAN"),
        (lambda: Rental.minutes.mean(by="station", over=timedelta(-1)), "DECLARE_SPAN"),
        (lambda: Rental.minutes.mean(by="station", over="1h", where=True), "DECLARE_EXPRESSION"),
        (lambda: (Trip.distance + 1).otherwise(3), "DECLARE_EXPRESSION"),
        (lambda: Trip.planned > "yesterday", "DECLARE_SPAN"),
    ],
)
def test_what_cannot_mean_anything_is_refused_where_it_is_written(declare, code: str) -> None:
    with pytest.raises(DeclarationError, match=code) as caught:
        declare()
    assert caught.value.origin is not None
    assert caught.value.origin.file == __file__


def test_by_has_many_forms_and_one_meaning() -> None:
    pairs = (("station", "station"),)
    for by in (
        "station",
        ["station"],
        ("station",),
        Trip.station,
        {"station": Trip.station},
        (("station", "station"),),
    ):
        assert Rental.count(by=by, over="1h").by == pairs
    assert Rental.count(over="1h").by == ()


@given(st.sampled_from(["sum", "mean", "min", "max", "std", "first", "count", "distinct"]))
def test_units_follow_the_statistic(how: str) -> None:
    window = getattr(Rental.minutes, how)(by="station", over="1h")
    assert window.unit == (None if how in {"count", "distinct"} else "min")


def test_units_of_calls() -> None:
    assert (Trip.distance / Rental.minutes.mean(over="1h")).unit == "km/min"
    assert (Trip.distance * 1.6).unit is None
    assert (Trip.planned - Trip.booked).hours().unit == "h"
    assert ms.where(Trip.member, Trip.distance).otherwise(0).unit == "km"


def test_a_misspelt_column_waits_for_the_lint() -> None:
    wrong = Trip.distnace
    assert isinstance(wrong, UnknownColumn)
    assert wrong.kind is None
    assert isinstance(wrong + 1, Call)
    assert (wrong + 1).kind is None


def test_counting_rows_prints_as_the_table() -> None:
    assert repr(Rental.count(by="station", over="1h")) == "Rental.count(by='station', over='1h')"
    assert repr(Station.docks.latest(by="station")) == "Station.docks.latest(by='station')"
    assert repr((-Trip.distance).abs()) == "(-(Trip.distance)).abs()"
