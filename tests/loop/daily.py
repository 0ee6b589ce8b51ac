"""A loop that is told of each day what came, without a lake or a server: decisions, labels within six hours, a proxy, slices."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import msgspec
import numpy as np
import polars as pl

import mainspring as ms
from mainspring.answers import Arm
from mainspring.clock import DAY, HOUR
from mainspring.ledger import KeptLoop, LoopEvent
from mainspring.loop.kept_signals import signals_of
from mainspring.loop.live_state import Heard, LiveState
from mainspring.loop.state import Alerted, Answered, LoopState, Matured, Policy, Tick
from mainspring.loop.step import begin, step
from mainspring.monitoring.sketch import Sketch
from mainspring.monitoring.spread import Spread
from mainspring.workspace import Workspace

from .deliveries import Delivery, Order, system

START, LENGTH, A_DAY = 19_000, 24, 40
WATCHED = dataclasses.replace(
    system,
    objective=dataclasses.replace(system.objective, slices=[Order.shop]),
    proxies={"slow": ms.Proxy(Delivery.minutes > 30, by="order_id", within="1h", otherwise=True)},
    retrain=None,
)
KINDS = {"size": "float", "shop": "category"}
POLICY = Policy.of(WATCHED, None, None)


@cache
def stream() -> dict[str, Any]:
    """Decisions of some days, what two models say of them, and labels that come within six hours."""
    rng = np.random.default_rng(3)
    count = LENGTH * A_DAY
    decided_at = START * DAY + np.sort(rng.integers(0, LENGTH * DAY, count))
    p = rng.uniform(0.05, 0.95, count)
    shop = rng.choice(["a", "b"], count)
    frame = pl.DataFrame({"size": rng.normal(size=count), "shop": shop})
    late = frame["size"] + np.where(decided_at >= (START + 12) * DAY, 5.0, 0.0)
    return {
        "decided_at": decided_at,
        "p": p,
        "y": (rng.uniform(size=count) < p).astype(np.float64),
        "known_at": decided_at + rng.integers(1, 6 * HOUR, count),
        "features": frame.with_columns(size=late),
        "reference": Sketch.over(
            pl.DataFrame({"size": rng.normal(size=2000), "shop": rng.choice(["a", "b"], 2000)}), KINDS
        ),
    }


def first() -> LoopState:
    return begin(POLICY, "m1", START * DAY, {"log_loss": 0.6}, stream()["reference"], slice_values={"shop": ("a", "b")})


def tick(before: int, now: int) -> Tick:
    of = stream()
    decided_at, p, y = of["decided_at"], of["p"], of["y"]

    def within(at: Any) -> Any:
        rows = np.flatnonzero((at > before) & (at <= now))
        return rows[np.argsort(at[rows], kind="stable")]

    def matured(rows: Any, **more: Any) -> Matured:
        return Matured(decided_at[rows], y[rows], {"m1": p[rows]}, **more)

    made, settled = within(decided_at), within(decided_at + 6 * HOUR)
    ended = now // DAY > before // DAY
    since = np.flatnonzero((decided_at > before // DAY * DAY) & (decided_at <= now))
    spread = Spread.of(Sketch.empty(of["reference"].layout).add(of["features"][since])) if ended else None
    slices, told = of["features"].select("shop")[settled], {"slow": y[settled]}
    return Tick(
        now,
        Answered(decided_at[made], {"m1": p[made]}, spread),
        matured(within(of["known_at"])),
        matured(settled, slices=slices, proxies=told),
        proxies={"slow": matured(within(decided_at + HOUR))},
    )


def lived(instants: list[int]) -> tuple[LoopState, dict[tuple[str, str, int], bytes], list[list[Any]]]:
    """Live through steps at instants; return the last state, the newest that was said of each day, and all that was said."""
    state, kept, said = first(), {}, []
    for now in instants:
        before = state
        state, _ = step(POLICY, before, tick(before.now, now))
        said.append(signals_of(POLICY, before, state))
        assert said[-1] == signals_of(POLICY, before, state)
        kept |= {(each.kind, each.about, each.day): each.document for each in said[-1]}
    return state, kept, said


def lived_in(workspace: Workspace, days: int) -> None:
    """Write what a loop leaves after each of some days, as a live one does: "m1" answers."""
    name, state = WATCHED.name, first()
    arms = [Arm(name="champion", role="champion", model="m1", share=1.0)]
    begun = LoopEvent(
        system=name,
        number=0,
        step=1,
        at=state.now,
        written_at=1,
        what="begun",
        model="m1",
        told="it begins",
        evidence={},
    )
    workspace.ledger.loops.commit(_kept(1, state), done=[begun], arms=arms, reason="begun: it begins", anew=True)
    for number in range(1, days + 1):
        before = state
        state, effects = step(POLICY, before, tick(before.now, (START + number) * DAY))
        alerts = [each.change.alert for each in effects if isinstance(each, Alerted)]
        workspace.ledger.loops.commit(
            _kept(number + 1, state), alerts=alerts, signals=signals_of(POLICY, before, state)
        )


def _kept(number: int, state: LoopState) -> KeptLoop:
    live = LiveState(began_at=START * DAY, every=DAY, run_model="m1", deployment=1, heard=Heard(0, 0), loop=state)
    return KeptLoop(
        system=WATCHED.name, declaration=WATCHED.fingerprint, step=number, at=state.now, written_at=number,
        state=msgspec.msgpack.encode(live),
    )  # fmt: skip
