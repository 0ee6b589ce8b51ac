"""mainspring verify on a small system: the proof holds, and would tell if it did not."""

from __future__ import annotations

import polars as pl
import pytest

from mainspring.features import compute, plan
from mainspring.features.online import OnlineState
from mainspring.features.online import verify as verifying
from mainspring.features.online.verify import verify_online
from tests.features.test_online import LONG, long_world


def history(seed: int = 5) -> tuple[pl.DataFrame, pl.DataFrame]:
    facts, decisions = long_world(seed)
    return facts.sort("_visible_at", "_seq"), decisions


def test_a_whole_history_is_the_same_online() -> None:
    facts, decisions = history()
    shuffled = decisions.sample(fraction=1.0, shuffle=True, seed=1)
    told: list[tuple[int, int]] = []
    work = plan(LONG)
    found = verify_online(
        work,
        shuffled,
        compute(work, shuffled, {"event": facts}),
        {"event": facts},
        lambda done, of: told.append((done, of)),
    )
    assert (found.decisions, found.features, found.different) == (300, len(LONG), 0)
    assert found.max_relative_error < 1e-9
    assert set(found.inexact) <= {name for name in LONG if name.startswith("std")}, "all else has the same bits"
    assert told == [(300, 300)]


def test_the_size_is_that_of_a_state_after_the_same_history() -> None:
    facts, decisions = history()
    work = plan(LONG)
    found = verify_online(work, decisions, compute(work, decisions, {"event": facts}), {"event": facts})
    last = decisions["_at"].max()
    state = OnlineState(work)
    state.add("event", facts.filter(pl.col("_visible_at") <= last))
    state.advance(decisions["_at"].to_physical().max())  # type: ignore[arg-type]
    state.forget()
    size = state.size()
    assert (found.size.keys, found.size.facts) == (size.keys, size.facts)
    assert sum(size.keys.values()) == 7
    assert found.size.bytes > 8 * size.n_facts


@pytest.mark.parametrize(("name", "wrong"), [("count_3h", 1), ("newest_urgent", "no such note"), ("sum_40h", None)])
def test_a_feature_that_differs_is_named(name: str, wrong: object) -> None:
    facts, decisions = history()
    work = plan(LONG)
    expected = compute(work, decisions, {"event": facts})
    row = expected[name].is_not_null().arg_max()
    assert row is not None
    value = expected[name][row] + wrong if isinstance(wrong, int) else wrong
    broken = expected[name].to_list()
    broken[row] = value
    changed = expected.with_columns(pl.Series(name, broken, dtype=expected[name].dtype))
    found = verify_online(work, decisions, changed, {"event": facts})
    assert found.different == 1
    assert found.wrong == {name: row}


def test_a_state_that_let_go_too_much_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless(verifying.OnlineState):
        def advance(self, now: int) -> None:
            super().advance(now)
            self._layout.lanes[:, 2] //= 2  # half the retention

    facts, decisions = history()
    work = plan({"sum": LONG["sum_300h"]})
    monkeypatch.setattr(verifying, "OnlineState", Careless)
    assert verify_online(work, decisions, compute(work, decisions, {"event": facts}), {"event": facts}).different
