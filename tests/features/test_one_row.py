"""Functions written in place mean what the reference says, for every kind of value they take."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.features.online.one_row import _IN_PLACE
from mainspring.features.reference import MEANING

finite = st.floats(allow_nan=False, allow_infinity=False)
values = {
    "not": [st.booleans()],
    "negate": [finite, st.integers(-(2**62), 2**62)],
    "add": [finite, st.integers(-(2**62), 2**62)],
    "subtract": [finite, st.integers(-(2**62), 2**62)],
    "multiply": [finite, st.integers(-(2**62), 2**62)],
}


@pytest.mark.parametrize("function", sorted(_IN_PLACE))
@given(data=st.data())
@settings(max_examples=60)
def test_what_is_written_in_place_is_the_meaning(function: str, data: st.DataObject) -> None:
    kinds: list[Any] = values.get(function, [finite, st.integers(), st.text(), st.booleans()])
    kind = data.draw(st.sampled_from(kinds))
    several = data.draw(
        st.lists(kind, min_size=_IN_PLACE[function].count("{}"), max_size=_IN_PLACE[function].count("{}"))
    )
    named = dict(zip("ab", several, strict=False))
    found = eval(_IN_PLACE[function].format("a", "b"), dict(named))
    expected = MEANING[function](*several)
    assert type(found) is type(expected)
    assert found == expected or (math.isnan(found) and math.isnan(expected))
