"""The quick reading of a decision's row and the contract's agree: on every value, or on refusing it."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.clock import format_instant
from mainspring.errors import MainspringError, ServingError
from mainspring.lake.contract import ROW, conform
from mainspring.serving.decision_rows import DecisionRows
from mainspring.serving.given_rows import frame_of_values

from .shop import BEGIN, Order, order

ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-3, 120),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        ["", "a", "1", "2.5", "true", "2015-08-19T16:00:00Z", "2015-08-19T16:00:00", "2015-08-19", "x" * 50]
    ),
)
READER = DecisionRows(Order)


@given(st.fixed_dictionaries(dict.fromkeys(("shop", "items", "weight", "gift", "due", "placed"), ANYTHING)))
@settings(max_examples=400, deadline=None)
def test_a_row_is_read_as_the_contract_reads_it(values: dict[str, Any]) -> None:
    values = {"order_id": "n1", **values}
    known = {**values, "placed": format_instant(BEGIN) if values["placed"] is None else values["placed"]}
    try:
        conformed = conform(Order, frame_of_values([known]))
        rejected = conformed.rejected.height > 0
    except MainspringError:
        rejected = True
    if rejected:
        with pytest.raises(ServingError) as told:
            READER.read(values, BEGIN)
        assert told.value.code == "SERVE_ROW"
    else:
        expected = conformed.facts.drop(ROW).with_columns(pl.col(pl.Datetime).to_physical()).row(0, named=True)
        found = READER.read(values, BEGIN)
        assert found == expected
        assert {name: type(value) for name, value in found.items()} == {n: type(v) for n, v in expected.items()}


def test_a_row_that_does_not_say_when_it_was_known_is_known_now() -> None:
    assert READER.read(order(), BEGIN)["placed"] == BEGIN


def test_what_is_not_declared_is_passed_over() -> None:
    assert "colour" not in READER.read(order(colour="red"), BEGIN)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"order_id": "n1", "items": 2}, "The row of Order has no shop. It has order_id, items."),
        ({"order_id": "n1", "shop": None}, "The row of Order has no shop and no items. It has order_id, shop."),
        ({}, "The row of Order has no order_id and no shop and no items. It has nothing."),
        ({"Shop": "a"}, "The row of Order has no order_id and no shop and no items. It has nothing."),
    ],
)
def test_a_row_that_lacks_a_column_is_told_so_as_a_row(row: dict[str, Any], told: str) -> None:
    with pytest.raises(ServingError) as refused:
        READER.read(row, BEGIN)
    assert f"{refused.value.problem} {refused.value.exists}" == told
    assert refused.value.code == "SERVE_ROW"
    assert refused.value.fix == "Send every column that is not declared optional."
