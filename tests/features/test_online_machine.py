"""The law of the online state under any history: whatever came, was forgotten or was restarted, it is the reference."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from mainspring.clock import HOUR, MINUTE
from mainspring.declare import Aggregate, Latest
from mainspring.features import plan
from mainspring.features.online import OnlineState

from .test_online import check_equal, restarted
from .worlds import (
    EPOCH_HOURS,
    Event,
    Shop,
    World,
    aggregates,
    decision_rows,
    event_frame,
    maybe,
    rows,
    shop_frame,
    shop_rows,
)

HALF = HOUR // 2
GRACE = 4  # half hours
SHOPS = [Latest(Shop.kind, by="shop"), Latest(Shop.size, by="shop")]
EVENTS = [
    Latest(Event.note, by="shop"),
    Latest(Event.note, by=("shop", "city"), within="2h"),  # of this key nothing may be left, of a shop its last note is
    Event.amount.sum(by="shop", over="3h"),
    Event.amount.max(by="shop", over="3h"),
    Event.amount.min(by="shop", over="3h"),
]
many = st.sampled_from([16, 32, 33, 48, 70])
spacing = st.sampled_from([0, 5 * MINUTE, -5 * MINUTE])


class OnlineMachine(RuleBasedStateMachine):
    """Facts, decisions, forgetting and restarts in any order; times in half hours, so that many are equal."""

    state: OnlineState
    world: World
    now = EPOCH_HOURS * HOUR

    @initialize(chosen=st.lists(aggregates(), max_size=2), row=rows, shop=st.sampled_from("ab"), n=many, every=spacing)
    def begin(self, chosen: list[Aggregate], row: dict[str, Any], shop: str, n: int, every: int) -> None:
        features = {f"f{i}": expression for i, expression in enumerate([*chosen, *SHOPS, *EVENTS])}
        self.state = OnlineState(plan(features), grace=GRACE * HALF)
        self.world = World([], [], [])
        self.many_facts_come_of_one_key(row, shop, n, every)

    def take(self, facts: list[dict[str, Any]], one_by_one: bool) -> None:
        given = [{**row, "_seq": len(self.world.events) + i} for i, row in enumerate(facts)]
        self.world.events += given
        for piece in [[row] for row in given] if one_by_one else [given]:
            self.state.add("event", event_frame(piece))

    @rule(
        facts=st.lists(st.tuples(rows, maybe(st.integers(0, GRACE))), min_size=1, max_size=8), one_by_one=st.booleans()
    )
    def facts_come(self, facts: list[tuple[dict[str, Any], int | None]], one_by_one: bool) -> None:
        """Of now, by the grace too late, or of any time: long past, or not visible for long."""
        at = [row["_visible_at"] if late is None else self.now - late * HALF for row, late in facts]
        self.take([{**row, "seen": t, "_visible_at": t} for (row, _), t in zip(facts, at, strict=True)], one_by_one)

    @rule(row=rows, shop=st.sampled_from("ab"), n=many, every=spacing)
    def many_facts_come_of_one_key(self, row: dict[str, Any], shop: str, n: int, every: int) -> None:
        """At least a block, so that regions grow, and shrink when they are forgotten; each amount is an extreme for a while."""
        amount, at = row["amount"] or 1.0, [self.now + i * every for i in range(n)]
        facts = [{**row, "shop": shop, "amount": amount * (n - i)} for i in range(n)]
        self.take([{**row, "seen": t, "_visible_at": t} for row, t in zip(facts, at, strict=True)], False)

    @rule(facts=st.lists(shop_rows, min_size=1, max_size=30))
    def shops_come(self, facts: list[dict[str, Any]]) -> None:
        given = [{**row, "_visible_at": None, "_seq": len(self.world.shops) + i} for i, row in enumerate(facts)]
        self.world.shops += given
        self.state.add("shop", shop_frame(given))

    @rule(decision=decision_rows, late=st.integers(0, GRACE))
    def a_decision_is_made(self, decision: dict[str, Any], late: int) -> None:
        check_equal(self.state, {**decision, "_at": self.now - late * HALF}, self.world)

    @rule(by=st.sampled_from([1, 2, 3, 5, 8, 40]), came=st.sampled_from([None, 0, 1, 2, 5, 1000]))
    def time_passes_and_the_state_forgets(self, by: int, came: int | None) -> None:
        """Everything, nothing, or in pieces."""
        self.now += by * HALF
        self.state.advance(self.now)
        self.state.forget(came)
        self.all_is_right()

    @rule()
    def the_server_restarts(self) -> None:
        self.state = restarted(self.state)
        self.all_is_right()

    def all_is_right(self) -> None:
        some = dict.fromkeys(("amount", "quantity", "urgent", "note", "due"))
        for shop, city, late in (("a", "x", 0), ("a", "y", GRACE), ("b", "x", GRACE), ("c", "y", 0)):
            decision = {**some, "shop": shop, "city": city, "_at": self.now - late * HALF}
            check_equal(self.state, decision, self.world)


OnlineMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
test_any_history = OnlineMachine.TestCase
