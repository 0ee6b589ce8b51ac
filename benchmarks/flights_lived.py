"""A workspace in which the flights of 2013 have been lived through: ten months of the loop's steps, events, alerts and signals in the
ledger, and a prediction of every flight with its outcome in the lake. It is what a server would have left that had run that year.

The loop's steps are those of a replay by days (a model every four weeks), written down as the live loop writes them; answers are
the rate of the label, for pages only count them and add them up. Nothing is deployed, for a replay's models are not kept.

    python benchmarks/flights_lived.py FOLDER
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import polars as pl

from mainspring.adaptation.retraining import Past
from mainspring.clock import DAY
from mainspring.declare import Every, Retrain, System
from mainspring.ledger import KeptLoop, LoopEvent
from mainspring.loop import load_system
from mainspring.loop.example import find_system_file
from mainspring.loop.kept_signals import signals_of
from mainspring.loop.live_state import Heard, LiveState
from mainspring.loop.replay import Replay, _Life
from mainspring.loop.state import Alerted, Effect, Event, LoopState, Policy
from mainspring.loop.step import step
from mainspring.serving.deployed import newest_model
from mainspring.serving.sink import OUTCOMES_TABLE, PREDICTIONS_TABLE
from mainspring.training import NEVER
from mainspring.training import dataset as datasets
from mainspring.workspace import Workspace
from replay import WARM_UP, history_of

__all__ = ["flights_lived"]

_COMMITS = 60


def flights_lived(folder: Path) -> Workspace:
    """Make the workspace in a folder, in about four minutes; one that is there is taken as it is."""
    if (folder / "lived").exists():
        return Workspace.open(folder, create=False)
    data, frames = history_of(folder)
    workspace = Workspace.open(folder, create=False)
    system = load_system(find_system_file("flights")).system
    _live(system, workspace, data, frames)
    _answer(system, workspace, data)
    (folder / "lived").touch()
    return workspace


def _live(system: System, workspace: Workspace, data: datasets.Dataset, frames: Mapping[str, pl.DataFrame]) -> None:
    """Let the loop live from March to December, and write each of its steps down."""
    begin = (int(data.decided_at[0]) + WARM_UP) // DAY * DAY
    replay = Replay(Past(system, data, begin), begin, DAY, frames)
    policy = Policy.of(system, Retrain(when=Every("28d"), window="90d"), system.rollout)
    life = _Life(replay, policy)
    state = life.begin()
    _write(system, workspace, 1, begin, begin, state, [], state)
    for number, now in enumerate(range(begin + DAY, replay.end + 1, DAY), 2):
        before = state
        state, effects = step(policy, before, life.tick(now))
        for effect in effects:
            life.perform(effect, now)
        _write(system, workspace, number, begin, now, state, effects, before)


def _write(
    system: System, workspace: Workspace, number: int, begin: int, now: int, state: LoopState, effects: list[Effect], before: LoopState
) -> None:  # fmt: skip
    wall = time.time_ns() // 1000
    policy = Policy.of(system, system.retrain, system.rollout)
    live = LiveState(
        began_at=begin,
        every=DAY,
        run_model=newest_model(system, workspace),
        deployment=0,
        heard=Heard(0, 0),
        loop=state,
    )
    done = [Event.of(each, now) for each in effects if not isinstance(each, Alerted) or each.change.what != "went on"]
    workspace.ledger.loops.commit(
        KeptLoop(
            system=system.name, declaration=system.fingerprint, step=number, at=now, written_at=wall,
            state=msgspec.msgpack.encode(live),
        ),
        done=[
            LoopEvent(
                system=system.name, number=0, step=number, at=now, written_at=wall, what=each.what, model=each.model,
                told=each.told, evidence=each.evidence,
            )
            for each in done
        ],
        alerts=[each.change.alert for each in effects if isinstance(each, Alerted)],
        signals=signals_of(policy, before, state) if before is not state else [],
    )  # fmt: skip


def _answer(system: System, workspace: Workspace, data: datasets.Dataset) -> None:
    """Bring a prediction of every decision into the lake, and the outcomes of those that have one."""
    lake, model = workspace.lake(system.name), newest_model(system, workspace)
    features = data.features.cast({pl.Categorical: pl.String, pl.Enum: pl.String})
    count = features.height
    names = [f"lived-{k}" for k in range(count)]
    size = -(-count // _COMMITS)
    for first in range(0, count, size):
        part = slice(first, min(first + size, count))
        at = pl.Series(data.decided_at[part]).cast(pl.Datetime("us", "UTC"))
        rows = [msgspec.json.encode(row).decode() for row in features[part].to_dicts()]
        lake.ingest(
            PREDICTIONS_TABLE,
            pl.DataFrame(
                {
                    "prediction_id": names[part], "decided_at": at, "answered_at": at, "model": model, "arm": "champion",
                    "prediction": 0.24, "classes": None, "low": None, "high": None, "decision": "false", "row": "{}",
                    "features": rows,
                },
                schema_overrides={"classes": pl.String, "low": pl.Float64, "high": pl.Float64},
            ),
        )  # fmt: skip
        known = data.label_known_at[part] < NEVER
        labels = data.labels["label"][part].cast(pl.Float64).filter(pl.Series(known))
        lake.ingest(
            OUTCOMES_TABLE,
            pl.DataFrame(
                {
                    "prediction_id": pl.Series(names[part]).filter(pl.Series(known)), "label": labels, "label_class": None,
                    "source": "facts",
                    "known_at": pl.Series(data.label_known_at[part][known]).cast(pl.Datetime("us", "UTC")),
                },
                schema_overrides={"label_class": pl.String},
            ),
        )  # fmt: skip


if __name__ == "__main__":
    flights_lived(Path(sys.argv[1]))
