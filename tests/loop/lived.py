"""A workspace whose loop has lived: models trained, tried, let in and passed over. Made once, for all who only read it."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

from mainspring.clock import HOUR
from mainspring.declare import Canary, Every, Retrain, Rollout, Shadow
from mainspring.loop.live import Live, LiveState
from mainspring.workspace import Workspace

from .deliveries import instant, system
from .living import live_through, made

__all__ = ["BEGIN", "END", "FILE", "STEP", "TRYING", "lived"]

BEGIN, END, STEP = instant(28), instant(34.5), 12 * HOUR
TRYING = dataclasses.replace(
    system,
    retrain=Retrain(when=Every("2d"), window="6d", delay="2h"),
    rollout=Rollout(Shadow("12h"), Canary(0.3, "12h")),
)
FILE = """
import dataclasses
import mainspring as ms
from tests.loop.deliveries import system as plain
system = dataclasses.replace(
    plain,
    retrain=ms.Retrain(when=ms.Every("2d"), window="6d", delay="2h"),
    rollout=ms.Rollout(ms.Shadow("12h"), ms.Canary(0.3, "12h")),
)
"""
"""The same system, as a file."""


@cache
def lived(session: Path) -> tuple[Workspace, list[LiveState]]:
    """Return the workspace, not to be written to, and what the loop knew after each step.

    `session` is the folder of a session of tests, in which it is made.
    """
    (folder := session / "lived").mkdir()
    states: list[LiveState] = []
    workspace = made(folder, TRYING, 36)

    def heard(live: Live) -> Live:
        if live.state is not None:
            states.append(live.state)
        return live

    live = live_through(TRYING, workspace, BEGIN, END, STEP, before_each=heard)
    assert live.state is not None
    return workspace, [*states, live.state]
