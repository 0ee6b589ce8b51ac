"""The loop live: what a replay says a system would do is what it does, and no kill makes it do anything twice."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

import mainspring as ms
from mainspring.adaptation.triggers import Why
from mainspring.answers import Arm
from mainspring.clock import DAY, HOUR
from mainspring.errors import LedgerError
from mainspring.ledger import loops
from mainspring.loop.kept_signals import CHECKS, FEATURES, QUALITY, QualityDay
from mainspring.loop.live import Live
from mainspring.loop.live_state import Asked, read_live
from mainspring.loop.replay import Replay, _Life
from mainspring.loop.state import LoopState, Policy, Train
from mainspring.loop.step import step
from mainspring.loop.teaching import teach
from mainspring.loop.training_process import TrainingProcess, _is_training
from mainspring.workspace import Workspace

from .deliveries import history, past
from .living import BEGIN, DAYS, END, STEP, TURNING, AtOnce, Ticking, live_through, made


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return made(tmp_path_factory.mktemp("live"), TURNING, DAYS)


def replayed(of: ms.System, every: int) -> tuple[LoopState, _Life]:
    replay = Replay(past(DAYS, of), BEGIN, every, history(DAYS))
    life = _Life(replay, Policy.of(of, of.retrain, of.rollout))
    state = life.begin()
    for now in range(BEGIN + every, END + 1, every):
        state, effects = step(life.policy, state, life.tick(now))
        for effect in effects:
            life.perform(effect, now)
    return state, life


def test_a_live_loop_killed_after_each_step_does_what_a_replay_says_to_the_last_bit(workspace: Workspace) -> None:
    def killed(live: Live) -> Live:
        return Live(TURNING, workspace, AtOnce(TURNING, workspace), STEP)

    live = live_through(TURNING, workspace, BEGIN, END, STEP, before_each=killed)
    expected, life = replayed(TURNING, STEP)
    alerts = [e for e in life.alerts if e.what != "alert went on"]
    events = sorted(alerts + life.events, key=lambda e: e.at)
    told = [*reversed(workspace.ledger.loops.events(TURNING.name))]
    assert [(e.what, e.model) for e in told[:2]] == [("train", "deliveries-m1"), ("promoted", "deliveries-m1")]
    assert [(e.at, e.what, e.model.removeprefix("deliveries-"), e.told, e.evidence) for e in told[2:]] == [
        (e.at, e.what, e.model, e.told, msgspec.json.decode(msgspec.json.encode(e.evidence))) for e in events
    ]
    assert {"train", "shadow", "canary", "promoted", "passed over", "alert opened"} <= {e.what for e in events}
    assert live.state is not None
    found = msgspec.json.encode(live.state.loop).replace(b"deliveries-m", b"m")
    assert found.replace(b'"prefix":"deliveries-"', b'"prefix":""') == msgspec.json.encode(expected)
    assert live.state.loop is not None
    for model, followed in live.state.loop.models.items():
        said = workspace.ledger.signals.read(TURNING.name, QUALITY, about=model)
        days = {each.day: msgspec.msgpack.decode(each.document, type=QualityDay).realised for each in said}
        assert {day: days.get(day) for day in followed.cohorts.held} == followed.cohorts.held


def quiet(workspace: Workspace, until: int, every: int = STEP) -> list[tuple[int, str, str]]:
    """Let the loop step to an instant without anybody asking for predictions; return what it did."""
    live = Live(TURNING, workspace, AtOnce(TURNING, workspace), every)
    begin = BEGIN if live.state is None else live.state.now
    for at in range(begin, until + 1, every):
        live.advance(at, 0)
    return [(each.at, each.what, each.model) for each in reversed(workspace.ledger.loops.events(TURNING.name))]


@pytest.fixture
def fresh(workspace: Workspace, tmp_path: Path) -> Workspace:
    """The same facts and model in a workspace whose loop has not begun."""
    source = {path for path in workspace.root.iterdir() if path.name not in ("log", "training")}
    for path in source:
        (shutil.copytree if path.is_dir() else shutil.copy)(path, tmp_path / path.name)
    copied = Workspace.open(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger, ledger:
        for table in ("loops", "loop_events", "deployments", "signals"):
            ledger.execute(f"DELETE FROM {table}")
        ledger.execute("DELETE FROM models WHERE run IN (SELECT name FROM runs WHERE kind = 'retrain')")
        ledger.execute("DELETE FROM runs WHERE kind = 'retrain'")
    return copied


def test_a_step_that_is_cut_short_anywhere_leaves_nothing_and_is_taken_again(
    fresh: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    calls = {"left": 0}

    def failing(of: Any) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            done = of(*given, **named)
            if calls["left"]:
                calls["left"] -= 1
                raise KeyboardInterrupt
            return done

        return call

    for name in ("put_deployment", "put_alerts", "put_signals", "_go_on"):
        monkeypatch.setattr(loops, name, failing(getattr(loops, name)))
    cut = 0
    for day in range(13):
        calls["left"] = 3
        while calls["left"]:
            with contextlib.suppress(KeyboardInterrupt):
                quiet(fresh, BEGIN + day * DAY)
                break
            cut += 1
    calls["left"] = 0
    done = quiet(fresh, BEGIN + 13 * DAY)
    assert cut > 20
    assert len(done) == len(set(done)), "nothing was done twice"
    numbers = [each.number for each in fresh.ledger.deployments.history(TURNING.name)]
    assert len(numbers) == sum(what not in ("train", "begun") for _, what, _ in done)
    whole = uninterrupted(tmp_path_factory.mktemp("whole"), 13)
    assert done == [(e.at, e.what, e.model) for e in reversed(whole.ledger.loops.events(TURNING.name))]
    for kind in (CHECKS, FEATURES):
        assert fresh.ledger.signals.read(TURNING.name, kind) == whole.ledger.signals.read(TURNING.name, kind) != []


def uninterrupted(folder: Path, days: int) -> Workspace:
    """A workspace with the same facts in which nobody interrupts the loop."""
    whole = made(folder, TURNING, DAYS)
    quiet(whole, BEGIN + days * DAY)
    return whole


def test_who_sets_arms_overrules_the_loop_and_it_begins_again_with_them(fresh: Workspace) -> None:
    done = quiet(fresh, BEGIN + 4 * DAY)
    assert (BEGIN + 3 * DAY, "train", "deliveries-m2") in done
    fresh.ledger.deployments.deploy(
        TURNING.name,
        [Arm(name="champion", role="champion", model="deliveries-m1", share=1.0)],
        at=1,
        by="Ada",
        reason="m1 was enough",
    )
    after = quiet(fresh, BEGIN + 4 * DAY)
    assert after[len(done)][1:] == ("begun", "deliveries-m1")
    begun = [*reversed(fresh.ledger.loops.events(TURNING.name))][len(done)]
    assert begun.told == "Ada set the arms: m1 was enough"
    kept = fresh.ledger.loops.kept(TURNING.name)
    assert kept is not None
    state = read_live(kept, TURNING.fingerprint)
    assert state is not None
    assert state.loop is not None
    assert (state.loop.champion, state.loop.candidate) == ("deliveries-m1", None)
    named = [model for _, what, model in quiet(fresh, BEGIN + 9 * DAY) if what == "train"]
    assert len(named) == len(set(named)) > 3, "no name is used again"


def test_where_time_goes_back_the_loop_begins_again(fresh: Workspace) -> None:
    done = quiet(fresh, BEGIN + 4 * DAY)
    assert [each.day for each in fresh.ledger.signals.read(TURNING.name, FEATURES)] == [
        BEGIN // DAY + k for k in range(4)
    ]
    live = Live(TURNING, fresh, AtOnce(TURNING, fresh), STEP)
    live.advance(BEGIN - 2 * DAY, 0)
    assert fresh.ledger.signals.read(TURNING.name, FEATURES) == [], "the old future is not shown"
    told = [*reversed(fresh.ledger.loops.events(TURNING.name))][len(done) :]
    assert [each.what for each in told] == ["train", "promoted"]
    assert "time went back to 2024-01-19" in told[0].told
    assert "facts of" in told[0].told


def test_of_two_processes_the_slower_one_is_refused_and_goes_on_from_the_other(fresh: Workspace) -> None:
    one, other = (Live(TURNING, fresh, AtOnce(TURNING, fresh), STEP) for _ in range(2))
    one.advance(BEGIN, 0)
    with pytest.raises(LedgerError, match="LEDGER_LOOP"):
        other.advance(BEGIN, 0)
    other.advance(BEGIN + STEP, 0)
    assert other.state is not None
    assert other.state.now == BEGIN + STEP


def test_what_another_version_kept_is_not_read_and_the_loop_begins_again(fresh: Workspace) -> None:
    quiet(fresh, BEGIN)
    kept = fresh.ledger.loops.kept(TURNING.name)
    assert kept is not None
    fresh.ledger.loops.commit(replace(kept, step=kept.step + 1, state=msgspec.msgpack.encode({"of": "another"})))
    assert quiet(fresh, BEGIN)[-1] == (BEGIN, "begun", "deliveries-m1")


def test_a_loop_far_behind_takes_one_step(fresh: Workspace) -> None:
    quiet(fresh, BEGIN)
    before = fresh.ledger.loops.kept(TURNING.name)
    Live(TURNING, fresh, AtOnce(TURNING, fresh), HOUR).advance(BEGIN, 0)
    live = Live(TURNING, fresh, AtOnce(TURNING, fresh), HOUR)
    live.advance(BEGIN + 15 * DAY + 90 * 60_000_000, 0)
    after = fresh.ledger.loops.kept(TURNING.name)
    assert before is not None
    assert after is not None
    assert after.at == BEGIN + 15 * DAY + HOUR
    assert after.step < before.step + 6


FILE = "from tests.loop.living import TURNING as system\n"


def test_a_training_that_is_killed_is_done_again_and_by_one_process_only(fresh: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "deliveries.py"
    file.write_text(FILE)
    asked = Asked(Train("deliveries-m1", BEGIN, "", "fresh", None, Why("because")), BEGIN)

    def trainer() -> TrainingProcess:
        return TrainingProcess(file, fresh, TURNING.name, TURNING.fingerprint)

    first = trainer()
    assert first.poll(asked, 5) is None
    assert first._child is not None
    first._child.kill()
    first._child.wait()
    second, third = trainer(), trainer()
    deadline, taught = time.monotonic() + 60, None
    while taught is None and time.monotonic() < deadline:
        time.sleep(0.05)
        taught = second.poll(asked, 5)
        if second._child is not None and _is_training(fresh.training(TURNING.name)):
            third.poll(asked, 5)
    assert taught is not None
    assert second._child is not None
    second._child.wait()
    assert third._child is None
    assert taught.trained.passed
    made_by = [run for run in fresh.ledger.runs() if run.kind == "retrain"]
    assert [(run.status, run.as_of) for run in made_by] == [("finished", BEGIN)]
    again = teach(TURNING, fresh, asked, Ticking())
    assert msgspec.json.encode(again) == msgspec.json.encode(taught)
    assert trainer().poll(asked, 9) == taught, "what was trained is not trained again"


def test_a_training_that_always_dies_is_given_up_and_told(fresh: Workspace, tmp_path: Path) -> None:
    asked = Asked(Train("deliveries-m1", BEGIN, "", "fresh", None, Why("because")), BEGIN)
    trainer = TrainingProcess(tmp_path / "gone.py", fresh, TURNING.name, TURNING.fingerprint)
    deadline, taught = time.monotonic() + 60, None
    while taught is None and time.monotonic() < deadline:
        taught = trainer.poll(asked, 0)
        time.sleep(0.05)
    assert taught is not None
    assert not taught.trained.passed
    assert "ended 3 times" in taught.trained.why.told


STEPPING = """
import sys
from pathlib import Path
from mainspring.workspace import Workspace
from mainspring.loop.kept_signals import CHECKS, FEATURES, QUALITY, QualityDay
from mainspring.loop.live import Live
from tests.loop.living import BEGIN, STEP, TURNING, AtOnce
workspace = Workspace.open(Path(sys.argv[1]))
live = Live(TURNING, workspace, AtOnce(TURNING, workspace), STEP)
begin = BEGIN if live.state is None else live.state.now
for at in range(begin, int(sys.argv[2]) + 1, STEP):
    print(at, flush=True)
    live.advance(at, 0)
print("done", flush=True)
"""


def test_a_loop_that_is_killed_9_again_and_again_does_what_it_would_have_done_once(
    fresh: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    until, rng, kills, ended = BEGIN + 10 * DAY, random.Random(3), 0, False
    while not ended:
        with subprocess.Popen(
            [sys.executable, "-c", STEPPING, str(fresh.root), str(until)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            patience = rng.randint(4, 9)
            for line in process.stdout:
                patience -= 1
                ended = line.strip() == "done"
                if not patience and not ended:
                    time.sleep(rng.uniform(0, 0.1))  # somewhere within a step
                    process.kill()
                    kills += 1
                    break
    assert kills >= 2
    done = [(e.at, e.what, e.model, e.told) for e in reversed(fresh.ledger.loops.events(TURNING.name))]
    whole = uninterrupted(tmp_path_factory.mktemp("whole"), 10)
    once = [(e.at, e.what, e.model, e.told) for e in reversed(whole.ledger.loops.events(TURNING.name))]
    assert [each[:3] for each in done] == [each[:3] for each in once]
    assert done[1:] == once[1:]  # the first one names the model of the workspace
    runs = [run.as_of for run in fresh.ledger.runs() if run.kind == "retrain" and run.status == "finished"]
    assert len(set(runs)) == len([what for _, what, _, _ in done if what == "train"])
