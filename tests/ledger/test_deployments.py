"""Deployments: one record for each change, arms that fit together, and what answered when."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.answers import Arm
from mainspring.errors import LedgerError
from mainspring.ledger import Ledger, check_arms


def arm(role: str, name: str | None = None, share: float = 0.0, model: str = "m") -> Arm:
    return Arm(name=name or role, role=role, model=model, share=share)  # type: ignore[arg-type]


@given(st.lists(st.floats(0.001, 0.3), max_size=3), st.integers(0, 2), st.floats(0, 1))
def test_shares_add_up_whatever_the_champion_was_said_to_have(shares: list[float], shadows: int, said: float) -> None:
    arms = [arm("shadow", f"s{i}") for i in range(shadows)]
    arms += [arm("challenger", f"c{i}", share) for i, share in enumerate(shares)]
    kept = check_arms([*arms, arm("champion", share=said)])
    assert kept[0].role == "champion"
    assert math.isclose(sum(each.share for each in kept), 1.0)
    assert kept[0].share > 0
    assert check_arms(kept) == kept


@pytest.mark.parametrize(
    "arms",
    [
        [],
        [arm("challenger", share=0.1)],
        [arm("champion"), arm("champion", "other")],
        [arm("champion"), arm("challenger", "champion", 0.1)],
        [arm("champion"), arm("challenger", share=0.0)],
        [arm("champion"), arm("challenger", share=math.nan)],
        [arm("champion"), arm("challenger", "a", 0.5), arm("challenger", "b", 0.5)],
        [arm("champion"), arm("shadow", share=0.1)],
        [arm("champion", "a\nb")],
    ],
)
def test_arms_that_do_not_fit_together_are_refused_and_nothing_is_deployed(ledger: Ledger, arms: list[Arm]) -> None:
    with pytest.raises(LedgerError) as refused:
        ledger.deployments.deploy("flights", arms, at=1)
    assert refused.value.code == "LEDGER_ARMS"
    assert ledger.deployments.current("flights") is None


def test_the_newest_deployment_is_what_is_deployed_and_the_others_stay(ledger: Ledger) -> None:
    assert ledger.deployments.current("flights") is None
    first = ledger.deployments.deploy("flights", [arm("champion")], at=5, by="ann", reason="first")
    second = ledger.deployments.deploy("flights", [arm("champion"), arm("shadow", model="n")], at=4, reason="look at n")
    other = ledger.deployments.deploy("ships", [arm("champion")], at=9)
    assert (first.number, second.number, other.number) == (1, 2, 1)
    assert ledger.deployments.current("flights") == second
    assert ledger.deployments.history("flights") == [second, first]


def test_two_who_deploy_at_once_get_different_numbers(ledger: Ledger) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda at: ledger.deployments.deploy("flights", [arm("champion")], at=at), range(8)))
    assert sorted(each.number for each in made) == list(range(1, 9))
