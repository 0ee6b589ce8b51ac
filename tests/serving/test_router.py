"""The router: each arm gets its share of the keys, and a key stays where it is for as long as its arm's share lets it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from mainspring.answers import Arm
from mainspring.errors import LedgerError
from mainspring.serving.router import LoadedArm, Router, only

GOLDEN = "nbnnbbabnnaannnnbaannnnnannanbnannnannaa"
KEYS = [{"order_id": f"o{n}", "shop": "a"} for n in range(4000)]


def router(
    shares: dict[str, float], shadows: tuple[str, ...] = (), *, reverse: bool = False, system: str = "s"
) -> Router:
    """A champion and challengers of these shares; models are told apart by the arm they were loaded for."""
    arms = [Arm(name="champion", role="champion", model="m", share=0.0)]
    arms += [Arm(name=name, role="challenger", model="m", share=share) for name, share in shares.items()]
    arms += [Arm(name=name, role="shadow", model="m", share=0.0) for name in shadows]
    model: Any = object()
    return Router(system, ["order_id"], [LoadedArm(arm, model) for arm in (arms[::-1] if reverse else arms)])


def picked(of: Router, keys: list[dict[str, str]] = KEYS) -> list[str]:
    return [of.pick(key).arm.name for key in keys]


parts = st.integers(1, 8)


@st.composite
def splits(draw: st.DrawFn, count: int = 3) -> dict[str, float]:
    """The shares of challengers, which leave something to the champion."""
    weights = [draw(parts) for _ in range(count + 1)]
    return {f"c{n}": weight / sum(weights) for n, weight in enumerate(weights[1:])}


@given(splits())
@settings(max_examples=12, deadline=None, derandomize=True)
def test_over_many_keys_each_arm_gets_its_share(shares: dict[str, float]) -> None:
    of = router(shares)
    names = picked(of)
    expected = {arm.name: arm.share * len(KEYS) for arm in of.arms}
    statistic = sum((names.count(name) - count) ** 2 / count for name, count in expected.items())
    assert chi2.sf(statistic, len(expected) - 1) > 1e-6


@given(splits())
@settings(max_examples=6, deadline=None)
def test_a_key_keeps_its_arm_whoever_asks_and_in_whatever_order_the_arms_are_named(shares: dict[str, float]) -> None:
    assert picked(router(shares), KEYS[:500]) == picked(router(shares, reverse=True), KEYS[:500])


def test_it_is_the_same_on_every_machine_and_after_years() -> None:
    """These names were written down once: if they change, every running experiment is mixed up."""
    assert "".join(name[-1] for name in picked(router({"a": 0.3, "b": 0.2}), KEYS[:40])) == GOLDEN


@given(splits(), splits())
@settings(max_examples=20, deadline=None)
def test_a_key_moves_only_to_an_arm_that_grew_or_from_one_that_shrank(
    before: dict[str, float], after: dict[str, float]
) -> None:
    old, new = router(before), router(after)
    was = {arm.name: arm.share for arm in old.arms}
    grew = {arm.name for arm in new.arms if arm.share > was[arm.name] + 1e-12}
    shrank = {arm.name for arm in new.arms if arm.share < was[arm.name] - 1e-12}
    moves = {(a, b) for a, b in zip(picked(old, KEYS[:600]), picked(new, KEYS[:600]), strict=True) if a != b}
    assert all(a in shrank or b in grew for a, b in moves)


def test_a_canary_that_grows_takes_keys_and_gives_none_back() -> None:
    steps = [picked(router({"canary": share})) for share in (0.01, 0.05, 0.2, 0.5, 0.99)]
    for smaller, larger in pairwise(steps):
        assert all(b == "canary" for a, b in zip(smaller, larger, strict=True) if a == "canary")
    assert picked(router({})) == ["champion"] * len(KEYS)


def test_two_systems_draw_apart() -> None:
    here, there = (np.array(picked(router({"a": 0.5}, system=name))) == "a" for name in "st")
    assert abs((here & there).mean() - 0.25) < 0.03


@given(splits(count=2))
@settings(max_examples=8, deadline=None)
def test_shadows_are_never_picked_and_take_no_share(shares: dict[str, float]) -> None:
    names = picked(router(shares, ("s1", "s2")), KEYS[:500])
    assert names == picked(router(shares), KEYS[:500])
    assert set(router(shares, ("s1", "s2")).shadows) == {"s1", "s2"}


def test_one_model_answers_everything() -> None:
    model: Any = object()
    of = only("s", ["order_id"], model, "m1")
    assert of.pick({}).model is model  # not even the key is looked at
    assert of.arms == (Arm(name="champion", role="champion", model="m1", share=1.0),)


def test_a_key_of_several_columns_is_one_key() -> None:
    model: Any = object()
    arms = [Arm(name=n, role=r, model="m", share=s) for n, r, s in (("a", "champion", 0.0), ("b", "challenger", 0.5))]
    of = Router("s", ["x", "y"], [LoadedArm(arm, model) for arm in arms])  # type: ignore[arg-type]
    names = {(x, y): of.pick({"x": x, "y": y}).arm.name for x in "abcdefgh" for y in "abcdefgh"}
    assert any(names[x, y] != names[y, x] for x, y in names)
    assert len({names["a", y] for y in "abcdefgh"}) == 2


def test_arms_that_cannot_be_are_refused() -> None:
    for shares in ({"a": 1.0}, {"a": 0.6, "b": 0.4}, {"a": -0.1}, {"a": float("nan")}, {"champion": 0.1}):
        with pytest.raises(LedgerError, match="LEDGER_ARMS"):
            router(shares)
