"""Tables: their columns, what they inherit, and what they may not be."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mainspring as ms
from mainspring.declare import Kind, make_table
from mainspring.declare.table import class_name
from mainspring.errors import DeclarationError


class Event(ms.Table):
    """Something   happened
    somewhere."""

    event_id = ms.Key()
    place = ms.Category(description="where")
    seen = ms.KnownAt(lag="60m")


class Sale(Event):
    place = ms.Text()
    price = ms.Float(unit="EUR")


def test_a_table_has_its_columns_in_order_with_its_own_name() -> None:
    schema = Event.__schema__
    assert (schema.name, schema.static, schema.keys) == ("event", False, ("event_id",))
    assert schema.description == "Something happened somewhere."
    assert [column.name for column in schema.columns] == ["event_id", "place", "seen"]
    assert schema.known_at is Event.seen
    assert Event.seen.lag == "1h"
    assert schema.column("nothing") is None
    assert repr(Event.place) == "Event.place"


def test_a_subclass_inherits_columns_and_may_replace_them() -> None:
    assert [column.name for column in Sale.__schema__.columns] == ["event_id", "place", "seen", "price"]
    assert all(column.table is Sale for column in Sale.__schema__.columns)
    assert Sale.place.kind is Kind.TEXT
    assert Event.place.kind is Kind.CATEGORY
    assert Event.__schema__.column("price") is None
    assert Sale.__schema__.description == ""
    assert Sale.seen.origin == Event.seen.origin


def test_names_become_snake_case() -> None:
    names = ["Trip", "TripLeg", "HTTPLog", "A1B", "Trip2"]
    tables = [make_table(name, {"seen": ms.KnownAt()}) for name in names]
    assert [table.__schema__.name for table in tables] == ["trip", "trip_leg", "http_log", "a1_b", "trip2"]


@settings(deadline=None, max_examples=50)
@given(st.text("ABab1_", min_size=1, max_size=8).filter(str.isidentifier))
@example("A_B")
def test_a_stored_name_leads_back_to_itself(name: str) -> None:
    stored = make_table(name, {"seen": ms.KnownAt()}).__schema__.name
    assert make_table(class_name(stored), {"seen": ms.KnownAt()}).__schema__.name == stored


@pytest.mark.parametrize(
    ("columns", "static", "says"),
    [
        ({}, False, "no columns"),
        ({"a": ms.Key()}, False, "0 KnownAt"),
        ({"a": ms.KnownAt(), "b": ms.KnownAt()}, False, "2 KnownAt"),
        ({"a": ms.Key(), "b": ms.KnownAt()}, True, "is static but"),
        ({"a": ms.Float()}, True, "no ms.Key"),
        ({"_a": ms.Float(), "b": ms.KnownAt()}, False, "'_a'"),
    ],
)
def test_what_is_no_table(columns, static: bool, says: str) -> None:
    with pytest.raises(DeclarationError, match=says) as caught:
        make_table("Wrong", columns, static=static)
    assert caught.value.code == "DECLARE_TABLE"
    assert caught.value.origin is not None
    assert caught.value.origin.file == __file__


@pytest.mark.parametrize("declare", [lambda: ms.Float(ge=2, le=1), lambda: ms.KnownAt(optional=True)])
def test_what_is_no_column(declare) -> None:
    with pytest.raises(DeclarationError, match="DECLARE_COLUMN"):
        declare()
