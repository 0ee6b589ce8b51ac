"""Laws of the alignment: it sees exactly the facts that the time rules allow, and its bounds never go back."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.features.alignment import Alignment, align, encode_keys
from mainspring.features.text_codes import number_text

SPANS = st.sampled_from([None, 1, 2, 3, 5, 100])


@st.composite
def alignments(draw: st.DrawFn) -> tuple[Alignment, list[tuple[int, int]], list[tuple[int, int]]]:
    """Draw facts (key, time) in order of time and decisions in any order, with many ties and some missing keys."""
    n_codes = draw(st.integers(1, 4))
    rows = st.lists(st.tuples(st.integers(-1, n_codes - 1), st.integers(-3, 12)), max_size=25)
    facts, decisions = sorted(draw(rows), key=lambda row: row[1]), draw(rows)
    fact_codes, fact_times = np.array(facts, np.int64).reshape(-1, 2).T
    codes, times = np.array(decisions, np.int64).reshape(-1, 2).T
    order = np.argsort(times, kind="stable") if draw(st.booleans()) else None
    alignment = align(fact_codes, fact_times, codes, times, n_codes, time_order=order)
    return alignment, facts, decisions


def visible(facts: list[tuple[int, int]], decision: tuple[int, int], over: int | None) -> list[int]:
    """Say it plainly: the rows a decision's window holds, in the given order."""
    code, now = decision
    return [
        row
        for row, (fact_code, time) in enumerate(facts)
        if fact_code == code != -1 and time <= now and (over is None or time > now - over)
    ]


@given(alignments(), SPANS)
@settings(deadline=None)
def test_windows_hold_exactly_the_visible_facts_of_their_key(drawn: tuple, over: int | None) -> None:
    alignment, facts, decisions = drawn
    lower = alignment.lower(over)
    assert sorted(alignment.decision_order.tolist()) == list(range(len(decisions)))
    for i, row in enumerate(alignment.decision_order):
        window = alignment.fact_order[lower[i] : alignment.upper[i]].tolist()
        assert window == visible(facts, decisions[row], over)


@given(alignments())
@settings(deadline=None)
def test_answers_return_to_the_order_in_which_decisions_were_given(drawn: tuple) -> None:
    alignment, facts, decisions = drawn
    assert alignment.in_given_order(alignment.decision_times).tolist() == [time for _, time in decisions]
    assert alignment.in_given_order(alignment.decision_order).tolist() == list(range(len(decisions)))
    times = np.array([time for _, time in facts], np.int64)
    assert alignment.of_facts(times).tolist() == alignment.fact_times.tolist()


@given(alignments(), SPANS)
@settings(deadline=None)
def test_bounds_never_go_back(drawn: tuple, over: int | None) -> None:
    alignment, _, _ = drawn
    for bounds in (alignment.floor, alignment.lower(over), alignment.upper):
        assert (np.diff(bounds) >= 0).all()
    assert (alignment.floor <= alignment.lower(over)).all()
    assert (alignment.lower(over) <= alignment.upper).all()


@given(alignments(), SPANS, st.data())
@settings(deadline=None)
def test_compacting_equals_aligning_the_kept_facts_alone(drawn: tuple, over: int | None, data: st.DataObject) -> None:
    alignment, facts, decisions = drawn
    n = len(alignment.fact_order)
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool)
    compact = alignment.compact(keep)
    kept = set(alignment.fact_order[keep].tolist())
    lower = compact.lower(over)
    for i, row in enumerate(compact.decision_order):
        window = compact.fact_order[lower[i] : compact.upper[i]].tolist()
        assert window == [fact for fact in visible(facts, decisions[row], over) if fact in kept]
    for code in range(len(compact.starts) - 1):
        rows = compact.fact_order[compact.starts[code] : compact.starts[code + 1]]
        assert all(facts[row][0] == code for row in rows)


TEXT = st.sampled_from([None, "", "a", "b", "EWR", "é", "a\x00", "twelve bytes", "thirteen byte", "thirteen bytE"])
WHOLE = st.sampled_from([None, 0, -1, 5, 2**62])
TRUTH = st.sampled_from([None, True, False])
KEY_COLUMNS = {pl.String: TEXT, pl.Categorical: TEXT, pl.Int64: WHOLE, pl.Boolean: TRUTH}


@given(st.data(), st.lists(st.sampled_from(list(KEY_COLUMNS)), min_size=1, max_size=3))
@settings(deadline=None)
def test_codes_are_equal_exactly_where_keys_are(data: st.DataObject, dtypes: list) -> None:
    def frame(prefix: str) -> tuple[pl.DataFrame, list[tuple]]:
        rows = data.draw(st.lists(st.tuples(*(KEY_COLUMNS[dtype] for dtype in dtypes)), min_size=1, max_size=8))
        columns = {f"{prefix}{i}": pl.Series([row[i] for row in rows], dtype=t) for i, t in enumerate(dtypes)}
        return pl.DataFrame(columns), rows

    (facts, fact_rows), (decisions, decision_rows) = frame("f"), frame("d")
    fact_codes, decision_codes, n_codes = encode_keys(facts, decisions)
    assert fact_codes.dtype == decision_codes.dtype == np.int32
    rows, codes = fact_rows + decision_rows, [*fact_codes.tolist(), *decision_codes.tolist()]
    for row, code in zip(rows, codes, strict=True):
        assert (code == -1) == (None in row)
        assert code < n_codes
    known = [(row, code) for row, code in zip(rows, codes, strict=True) if code >= 0]
    assert all((a[0] == b[0]) == (a[1] == b[1]) for a in known for b in known)


def test_without_key_columns_all_rows_share_one_key() -> None:
    facts, decisions = pl.DataFrame({"x": [1, 2]}).drop("x"), pl.DataFrame({"x": [1]}).drop("x")
    fact_codes, decision_codes, n_codes = encode_keys(facts, decisions)
    assert (fact_codes.tolist(), decision_codes.tolist(), n_codes) == ([0, 0], [0], 1)


def test_text_meets_categories_and_wide_pairs_stay_few() -> None:
    facts = pl.DataFrame({"a": pl.Series(["x", "y", None], dtype=pl.Categorical), "b": [1, 2, 3]})
    fact_codes, decision_codes, _ = encode_keys(facts, pl.DataFrame({"a": ["y", "z"], "b": [2, 2]}))
    assert fact_codes[1] == decision_codes[0] != decision_codes[1]
    assert fact_codes[2] == -1
    wide = pl.DataFrame({"a": range(2000), "b": [None, *range(1999)]})
    fact_codes, decision_codes, n_codes = encode_keys(wide, wide)
    assert n_codes <= 2000
    assert (fact_codes == decision_codes).all()
    assert fact_codes[0] == -1
    assert len(set(fact_codes.tolist())) == 2000


@pytest.mark.parametrize("longest", [6, 40])
def test_many_texts_keep_codes_of_their_own(longest: int) -> None:
    """More texts than the first table has slots, in views and beyond them, with a slice that begins inside a chunk."""
    texts = [None, *(f"{i}".rjust(longest if i % 100 == 0 else 1, "x") for i in range(30_000))]
    codes, n_codes = number_text(pl.Series([*texts, *texts]).slice(1))
    assert n_codes == 30_000
    assert codes[:30_000].tolist() == list(range(30_000)) == codes[30_001:].tolist()
    assert codes[30_000] == -1
