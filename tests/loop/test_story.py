"""What is told of a loop is what it did: at each step what it is doing, and of each model all that came of it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from msgspec.structs import replace

from mainspring.answers import Arm
from mainspring.clock import DAY, HOUR, format_instant
from mainspring.declare import AllOf, AnyOf, Degraded, Every, Retrain
from mainspring.errors import DeclarationError, ServingError
from mainspring.ledger import KeptLoop, Ledger, LoopEvent
from mainspring.loop.answering import answered_on
from mainspring.loop.champion_quality import quality_of
from mainspring.loop.deployed_when import arm_since, periods_of
from mainspring.loop.doing import doing_of, next_of
from mainspring.loop.live_state import LiveState
from mainspring.loop.state import Policy
from mainspring.loop.status import status_of
from mainspring.loop.story import story_of
from mainspring.serving.sink import PREDICTIONS_TABLE
from mainspring.workspace import Workspace

from .lived import BEGIN, END, STEP, TRYING, lived

NAME = TRYING.name
POLICY = Policy.of(TRYING, TRYING.retrain, TRYING.rollout)
Life = tuple[Workspace, list[LiveState]]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    return lived(tmp_path_factory.getbasetemp())


def done(workspace: Workspace, until: int = END) -> list[LoopEvent]:
    """What the loop did by an instant, the newest first, without what it said of alerts."""
    events = workspace.ledger.loops.events(NAME)
    return [each for each in events if each.at <= until and not each.what.startswith("alert")]


# -- status --------------------------------------------------------------------------------------------------------------


def test_at_each_step_it_is_doing_what_it_did_last(life: Life) -> None:
    workspace, states = life
    seen = set()
    for state in states:
        newest = done(workspace, state.now)[0]
        doing = doing_of(POLICY, state, done(workspace, state.now))
        seen.add(doing.what)
        expected = {"train": "training", "shadow": "shadow", "canary": "canary"}.get(newest.what, "nothing")
        assert doing.what == expected
        if expected != "nothing":
            assert (doing.model, doing.since, doing.why, doing.evidence) == (
                newest.model, newest.at, newest.told, newest.evidence,
            )  # fmt: skip
    assert seen >= {"training", "shadow", "canary", "nothing"}


def test_a_model_that_is_made_waits_until_it_may_answer_and_a_loop_without_one_for_its_first(life: Life) -> None:
    state = next(each for each in life[1] if each.asked is not None and each.loop is not None)
    assert state.loop is not None
    assert state.loop.pending is not None
    waiting = doing_of(POLICY, replace(state, asked=None), done(life[0], state.now))
    assert (waiting.what, waiting.since) == ("waiting", state.now)
    assert waiting.ends_at == state.now + 2 * HOUR == state.loop.pending.ready_at
    assert waiting.why == doing_of(POLICY, state, []).why != ""
    first = replace(state, loop=None)
    assert doing_of(POLICY, first, []).what == "training"
    assert next_of(POLICY, first).trigger_at is None


def test_a_stage_has_ended_when_it_is_said_to_and_tells_the_labels_it_is_judged_by(life: Life) -> None:
    workspace, states = life
    tried = [(state, doing_of(POLICY, state, [])) for state in states]
    for state, doing in tried:
        if doing.what in ("shadow", "canary"):
            assert doing.ends_at is not None
            assert doing.ends_at > state.now
            after = [each for each in done(workspace) if each.model == doing.model and each.at > state.now]
            assert min(each.at for each in after) <= doing.ends_at
    labels = [doing.labels for _, doing in tried if doing.what == "shadow"]
    assert labels == sorted(labels)
    assert max(labels) > 0


def test_a_model_that_is_due_is_asked_for_then_where_no_other_is_on_its_way(life: Life) -> None:
    workspace, states = life
    trains = [each.at for each in done(workspace) if each.what == "train" and each.at > BEGIN]
    told = 0
    for state in states:
        following = next_of(POLICY, state)
        assert following.step_at == state.now + STEP
        if state.loop is None or following.told or following.trigger_at is None:
            continue
        told += 1
        if following.trigger_at <= END:
            assert min(at for at in trains if at > state.now) == following.trigger_at
    assert told > 2


@pytest.mark.parametrize(
    ("when", "due"),
    [
        ([Every("7d"), Every("3d")], 3 * DAY),
        (AnyOf(Degraded("log_loss", by=0.1), Every("5d")), 5 * DAY),
        (AllOf(Degraded("log_loss", by=0.1), Every("5d")), None),
        (Degraded("log_loss", by=0.1), None),
        (Every("1h"), 2 * DAY),  # its cool-down is longer
    ],
)
def test_time_alone_asks_only_where_nothing_else_must(life: Life, when: object, due: int | None) -> None:
    state = next(each for each in life[1] if doing_of(POLICY, each, []).what == "nothing")
    assert state.loop is not None
    policy = Policy.of(TRYING, Retrain(when=when, cooldown="2d"), TRYING.rollout)
    following = next_of(policy, state)
    assert following.trigger_at == (None if due is None else max(state.loop.trained_as_of + due, state.now + STEP))
    assert next_of(Policy.of(TRYING, None, TRYING.rollout), state).told == "no retraining is declared"


def test_quality_is_that_of_the_days_it_names(life: Life) -> None:
    workspace, states = life
    state = next(each.loop for each in reversed(states) if each.loop is not None and each.loop.champion.endswith("m1"))
    found = quality_of(POLICY, state)
    assert found.promoted == state.leading.quality["log_loss"]
    realised = found.realised
    assert realised.begin is not None
    assert realised.end is not None
    assert realised.end == (state.now - POLICY.horizon) // DAY * DAY
    assert realised.known == realised.predicted
    told = workspace.lake(NAME).read(PREDICTIONS_TABLE)
    made = pl.col("decided_at").to_physical()
    mine = told.filter(pl.col("model") == found.model, made >= max(realised.begin, BEGIN), made < realised.end)
    assert realised.known == mine.height
    assert found.estimated.value is None
    assert found.estimated.unknown, "a world that turned leaves no probability that holds"


def test_a_status_tells_who_answers_since_when_and_what_was_done_last(life: Life) -> None:
    workspace, states = life
    status = status_of(TRYING, workspace)
    assert status.loop is not None
    assert (status.loop.at, status.loop.step) == (states[-1].now, workspace.ledger.loops.kept(NAME).step)  # type: ignore[union-attr]
    promoted = next(each for each in done(workspace) if each.what == "promoted")
    (arm,) = status.arms
    assert (arm.model, arm.share, arm.since, arm.set_at) == (promoted.model, 1.0, promoted.at, promoted.written_at)
    assert promoted.told in arm.why
    assert status.events == workspace.ledger.loops.events(NAME, limit=10)
    assert status.alerts == workspace.ledger.alerts.open(NAME)
    assert status.loop.quality is not None
    assert status.loop.quality.model == arm.model


# -- story ---------------------------------------------------------------------------------------------------------------


def test_the_story_of_a_model_that_was_let_in(life: Life) -> None:
    workspace, _ = life
    story = story_of(workspace, "deliveries-m3")
    assert [each.what for each in story.done] == ["train", "shadow", "canary", "promoted"]
    assert [each.at for each in story.done] == [
        each.at for each in reversed(done(workspace)) if each.model == story.model
    ]
    made = story.made
    assert made is not None
    assert (made.by, made.parent, made.how, made.window) == ("the loop", "deliveries-m1", "fresh", "6d")
    assert (made.as_of, made.why) == (story.done[0].at, story.done[0].told)
    assert made.evidence == {"days": 2.0}
    assert set(made.snapshots) == {"order", "delivery"}
    assert made.decisions >= made.labelled > 0
    (log_loss,) = [each for each in story.judged if each.name == "log_loss"]
    assert log_loss.value is not None
    assert log_loss.champion is not None
    assert log_loss.value < log_loss.champion
    assert story.gate is not None
    assert story.gate.passed
    assert story.gate.told == story.done[1].told


def test_the_story_of_a_model_that_was_passed_over(life: Life) -> None:
    story = story_of(life[0], "deliveries-m2")
    assert story.gate is not None
    assert not story.gate.passed
    assert [each.what for each in story.done] == ["train", "passed over"]
    assert story.answers == []


def test_the_story_of_a_model_that_is_not_made_yet(life: Life) -> None:
    story = story_of(life[0], "deliveries-m4")
    assert (story.made, story.judged, story.gate) == (None, [], None)
    assert [each.what for each in story.done] == ["train"]


def test_the_story_of_a_run_and_of_a_champion_that_was_replaced(life: Life) -> None:
    workspace, _ = life
    by_hand = next(run for run in workspace.ledger.runs() if run.kind == "run")
    (model,) = workspace.ledger.models(by_hand.name)
    name = workspace.locate(model.bundle or "").name
    story = story_of(workspace, name)
    assert story.made is not None
    assert (story.made.by, story.made.run) == ("mainspring run", by_hand.name)
    assert all(each.low is not None for each in story.judged if each.name == "log_loss")
    replaced = story_of(workspace, "deliveries-m1")
    assert [each.what for each in replaced.done] == ["train", "promoted", "replaced by deliveries-m3"]
    assert replaced.alerts == sum(each.what == "alert opened" for each in workspace.ledger.loops.events(NAME))


def test_each_answer_is_in_the_story_of_its_model_once_and_on_its_day(life: Life) -> None:
    workspace, _ = life
    told = workspace.lake(NAME).read(PREDICTIONS_TABLE)
    answers = [each for model in ("m1", "m3") for each in story_of(workspace, f"deliveries-{model}").answers]
    assert sum(each.decisions for each in answers) == told.height
    assert all(sum(day.decisions for day in each.days) == each.decisions for each in answers)
    asked = told.filter(~pl.col("prediction_id").str.ends_with(".candidate"))
    assert sum(each.decisions for each in answers if not each.shadow) == asked.height
    assert {(each.arm, each.shadow) for each in answers} == {
        ("champion", False), ("candidate", False), ("candidate", True),
    }  # fmt: skip
    days = {format_instant(at)[:10] for at in range(BEGIN, END + 1, DAY)}
    on = {day: answered_on(TRYING, workspace, day).answers for day in days}
    assert sum(each.decisions for found in on.values() for each in found) == told.height
    assert {day.day for each in answers for day in each.days} <= days


def test_an_instant_stands_for_its_hour_and_what_was_deployed_holds_between_two_deployments(life: Life) -> None:
    workspace, _ = life
    canary = next(each for each in done(workspace) if each.what == "canary")
    found = answered_on(TRYING, workspace, format_instant(canary.at + 90 * 60_000_000))
    assert (found.begin, found.end) == (canary.at + HOUR, canary.at + 2 * HOUR)
    (period,) = found.deployed
    assert (period.begin, period.reason) == (canary.at, f"canary: {canary.told}")
    assert {arm.model for arm in period.arms} == {"deliveries-m1", "deliveries-m3"}
    assert {each.model for each in found.answers} <= {arm.model for arm in period.arms}
    before = answered_on(TRYING, workspace, "2023-01-01")
    assert (before.answers, before.deployed) == ([], [])
    with pytest.raises(DeclarationError, match="DECLARE_SPAN"):
        answered_on(TRYING, workspace, "yesterday")


@pytest.mark.parametrize(("name", "told"), [("deliveries-m", "begins the names of several"), ("nothing", "no model")])
def test_a_name_that_is_not_one_lists_what_exists(life: Life, name: str, told: str) -> None:
    with pytest.raises(ServingError, match=told) as refused:
        story_of(life[0], name)
    assert refused.value.code == "SERVE_MODEL"
    assert "deliveries-m1" in (refused.value.exists or "")


# -- arms that somebody set, and time that goes back ---------------------------------------------------------------------


def champion(model: str) -> Arm:
    return Arm(name="champion", role="champion", model=model, share=1.0)


def stepped(ledger: Ledger, step: int, at: int, wall: int, what: str, model: str, arms: list[Arm] | None) -> None:
    """Let a loop do one thing in a step."""
    kept = KeptLoop(system="s", declaration="d", step=step, at=at, written_at=wall, state=b"")
    event = LoopEvent(
        system="s", number=0, step=step, at=at, written_at=wall, what=what, model=model, told="why", evidence={}
    )
    ledger.loops.commit(kept, done=[event], arms=arms, reason=f"{what}: why")


def test_without_a_loop_arms_hold_from_when_they_were_set(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.deployments.deploy("s", [champion("a")], at=1000, by="Ada", reason="a try")
    challenger = Arm(name="x", role="challenger", model="b", share=0.2)
    ledger.deployments.deploy("s", [champion("a"), challenger], at=2000, by="Ada")
    found = periods_of(ledger, "s")
    assert [(each.begin, each.end) for each in found] == [(1000, 2000), (2000, None)]
    assert arm_since(found, champion("a")).number == 1, "another share is no other arm"
    assert arm_since(found, challenger).number == 2


def test_arms_that_somebody_set_hold_from_the_step_that_found_them_and_time_may_go_back(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    stepped(ledger, 1, 100, 5000, "promoted", "a", [champion("a")])
    ledger.deployments.deploy("s", [champion("b")], at=6000, by="Ada")
    stepped(ledger, 2, 150, 7000, "begun", "b", None)
    stepped(ledger, 3, 50, 8000, "promoted", "c", [champion("c")])
    found = periods_of(ledger, "s")
    assert [(each.arms[0].model, each.begin, each.end) for each in found] == [
        ("a", 100, 150), ("b", 150, None), ("c", 50, None),
    ]  # fmt: skip
