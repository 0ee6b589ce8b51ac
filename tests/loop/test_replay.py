"""The whole system over history: what is told twice is the same, and nothing later changes anything earlier."""

from __future__ import annotations

import dataclasses
import itertools

import msgspec
import numpy as np
import polars as pl
import pytest

import mainspring as ms
from mainspring.adaptation.retraining import Past, judge_candidate, trained
from mainspring.clock import DAY, HOUR
from mainspring.declare import AB, Canary, Degraded, Drifted, EstimatedDegraded, Every, Retrain, Rollout, Shadow, Volume
from mainspring.errors import DeclarationError
from mainspring.loop.comparing import compare_policies
from mainspring.loop.replay import Replay, Story, _Life
from mainspring.loop.replay_page import replay_page
from mainspring.loop.signals import StateSignals
from mainspring.loop.state import LoopState, Policy
from mainspring.loop.step import step
from mainspring.monitoring.realised import figures_of
from mainspring.training.dataset import assemble

from .deliveries import TURN, Delivery, Order, dataset, history, instant, past, system

START = instant(20)
WEEKLY = Retrain(when=Every("7d"))
ROLLOUT = Rollout(Shadow("1d"), Canary(0.3, "2d"))


def run(retrain: Retrain | None, rollout: Rollout | None = None, *, days: int = 60, every: int = DAY) -> Story:
    return Replay(past(days), START, every).run("any", Policy.of(system, retrain, rollout))


def assert_same(one: Story, other: Story) -> None:
    np.testing.assert_array_equal(one.answers, other.answers)
    np.testing.assert_array_equal(one.answered_by, other.answered_by)
    assert (one.models, one.events) == (other.models, other.events)


@pytest.mark.parametrize(
    ("retrain", "rollout"),
    [
        (WEEKLY, ROLLOUT),
        (Retrain(when=Degraded("log_loss", by=0.05, over="3d")), Rollout(AB(0.5, "7d"))),
        (Retrain(when=Every("1d"), how="continue"), None),
    ],
)
def test_a_replay_repeated_is_the_same_to_the_last_bit(retrain: Retrain, rollout: Rollout | None) -> None:
    assert_same(run(retrain, rollout), run(retrain, rollout))


@pytest.mark.parametrize("cut", [27, 40, 52])
def test_facts_that_come_later_change_nothing_before(cut: int) -> None:
    whole, part = (run(WEEKLY, ROLLOUT, days=days) for days in (60, cut))
    end = instant(cut)
    count = int((past().data.decided_at[whole.first :] <= end - DAY).sum())  # the last step of the part is cut short
    np.testing.assert_array_equal(whole.answers[:count], part.answers[:count])
    before = [event for event in whole.events if event.at <= end - DAY]
    assert [event for event in part.events if event.at <= end - DAY] == before


def test_every_decision_is_answered_once_by_a_model_that_was_there() -> None:
    story = run(WEEKLY, ROLLOUT)
    assert not np.isnan(story.answers).any()
    decided_at = past().data.decided_at[story.first :]
    asked = {event.model: event.at for event in story.events if event.what == "train"}
    for number, model in enumerate(story.models[1:], 1):
        mine = decided_at[story.answered_by == number]
        assert not len(mine) or mine.min() > asked[model] + HOUR  # training and approval take that long


def test_what_turned_is_found_and_learned_again() -> None:
    never, degraded = run(None), run(Retrain(when=Degraded("log_loss", by=0.1, over="3d")))
    assert never.events == ()
    trained = [event for event in degraded.events if event.what == "train"]
    assert instant(TURN) < trained[0].at < instant(TURN + 6)
    assert "log_loss" in trained[0].told
    assert degraded.count("promoted") >= 1


def test_a_canary_answers_its_share_and_a_shadow_nothing() -> None:
    story = run(Retrain(when=Volume(300), cooldown="1d"), Rollout(Shadow("2d"), Canary(0.3, "3d")))
    decided_at = past().data.decided_at[story.first :]
    stages = [event for event in story.events if event.what in ("shadow", "canary", "promoted", "rolled back")]
    canaries = 0
    for event, after in itertools.pairwise(stages):
        here = (decided_at > event.at) & (decided_at <= after.at)
        share = (story.answered_by[here] == story.models.index(event.model)).mean()
        if event.what == "shadow":
            assert share == 0
        elif event.what == "canary":
            canaries += 1
            assert 0.15 < share < 0.45
    assert canaries


def test_hourly_steps_see_the_same_history() -> None:
    daily, finer = run(None), run(None, every=6 * HOUR)
    np.testing.assert_array_equal(daily.answers, finer.answers)


def test_policies_are_compared_and_one_is_recommended() -> None:
    found = compare_policies(past(), ["declared", "weekly"], start=START)
    by_name = {each.name: each for each in found.policies}
    assert set(by_name) == {"never", "last-label", "declared", "weekly"}
    assert by_name["never"].retrainings == 0 < by_name["weekly"].retrainings < by_name["declared"].retrainings
    assert by_name["weekly"].figures["log_loss"] < by_name["never"].figures["log_loss"]
    assert found.recommendation.policy == "declared"  # it forgets what was before the turn
    for each in found.policies:
        assert each.worth == pytest.approx(each.figures["payoff"] * each.labels)
        assert sum(week.labels for week in each.weeks) == each.labels


def test_where_retraining_tells_nothing_more_it_is_not_recommended() -> None:
    found = compare_policies(past(28), ["daily"], start=START)  # nothing has turned yet
    assert found.recommendation.policy == "never"
    assert "cannot be told apart" in found.recommendation.reason or "best" in found.recommendation.reason


def test_an_unknown_policy_is_told_with_those_that_there_are() -> None:
    with pytest.raises(DeclarationError, match="no policy 'yearly'"):
        compare_policies(past(), ["yearly"], start=START)


def test_a_model_that_cannot_go_on_learning_says_so() -> None:
    from sklearn.linear_model import LogisticRegression

    of = dataclasses.replace(system, model=LogisticRegression(), features={"size": system.features["size"]})
    replay = Replay(past(of=of), START)
    with pytest.raises(ms.errors.TrainingError, match="cannot go on learning"):
        replay.run("any", Policy.of(of, Retrain(when=Every("1d"), how="continue"), None))


STILL = dataclasses.replace(
    system,
    features={name: system.features[name] for name in ("size", "shop")},
    model=ms.LightGBM(rounds=100, learning_rate=0.1, num_leaves=7, min_data_in_leaf=20),
    training=ms.Training(calibration="platt"),
)
"""The system without the feature that follows what comes true, and calibrated."""


def still(days: int, moved_from: float | None = None) -> Past:
    data = dataset(days)
    later = pl.Series(data.decided_at >= (instant(moved_from) if moved_from is not None else np.inf))
    features = data.features.select(
        pl.when(later).then(pl.col("size") + 2.0).otherwise(pl.col("size")).alias("size"), "shop"
    )
    return Past(STILL, dataclasses.replace(data, features=features), START)


def test_features_that_moved_ask_for_a_model() -> None:
    policy = Policy.of(STILL, Retrain(when=Drifted(0.5, over="3d")), None)
    story = Replay(still(60, moved_from=40), START).run("any", policy)
    trained = [event for event in story.events if event.what == "train"]
    assert instant(40) < trained[0].at <= instant(42)
    assert "size" in trained[0].told
    assert Replay(still(60), START).run("any", policy).events == ()


def test_an_estimate_does_not_see_that_labels_have_turned_and_sees_features_that_moved() -> None:
    policy = Policy.of(STILL, Retrain(when=EstimatedDegraded("log_loss", by=0.05, over="3d")), None)
    assert Replay(still(60), START).run("any", policy).events == ()
    moved = Replay(still(28, moved_from=24), START).run("any", policy)
    assert all(event.at > instant(24) for event in moved.events)


def test_where_probabilities_do_not_hold_nothing_is_estimated() -> None:
    """Labels have turned round and predictions are as sure as ever: once labels tell, the estimate is refused."""
    replay = Replay(still(60), instant(14))
    policy = Policy.of(STILL, None, None)
    life = _Life(replay, policy)
    state = life.begin()
    told: dict[int, float | None] = {}
    for day in range(15, 60):
        state, _ = step(policy, state, life.tick(instant(day)))
        found = StateSignals(policy.figures, policy.horizon, policy.width, state).estimated("log_loss", 3 * DAY)
        told[day] = None if found is None else found.value
    assert told[28] is not None
    assert told[45] is None


NUMBER = dataclasses.replace(
    system,
    label=ms.Label(Delivery.minutes, by="order_id", within="6h"),
    objective=ms.Objective(metric="rmse", guards=[ms.Guard("mae", at_most=30.0)]),
    rollout=ROLLOUT,
)
CLASSES = dataclasses.replace(
    system,
    label=ms.Label(Delivery.shop, by="order_id", within="6h"),
    objective=ms.Objective(metric="log_loss", slices=[Order.shop]),
    rollout=Rollout(AB(0.5, "4d")),
)


@pytest.mark.parametrize("of", [NUMBER, CLASSES], ids=["a number", "classes"])
def test_labels_of_every_kind_are_replayed(of: ms.System) -> None:
    data = assemble(of, history())
    found = compare_policies(Past(of, data, START), ["declared", "degraded", "estimated"], start=START)
    by_name = {each.name: each for each in found.policies}
    assert set(by_name) == {"never", "last-label", "declared", "degraded", "estimated"}
    assert by_name["declared"].retrainings > 5
    metric = of.objective.metric
    assert metric is not None
    assert all(each.figures[metric] > 0 and each.labels > 2000 for each in found.policies)
    assert found.recommendation.policy in by_name
    page = replay_page(found, "r-1", found.end)
    assert found.recommendation.reason in page.replace("&#x27;", "'")


def test_the_state_is_plain_data_that_can_be_stored_between_two_steps() -> None:
    policy = Policy.of(system, WEEKLY, ROLLOUT)
    stories = []
    for stored in (False, True):
        replay = Replay(past(), START)
        life = _Life(replay, policy)
        state = life.begin()
        effects = []
        for day in range(21, 45):
            state, done = step(policy, state, life.tick(instant(day)))
            for effect in done:
                life.perform(effect, instant(day))
            effects += done
            if stored:
                state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=LoopState)
        stories.append((effects, state))
    assert stories[0] == stories[1]


def test_a_trigger_on_what_is_no_mean_over_decisions_is_told_before_anything_runs() -> None:
    with pytest.raises(DeclarationError, match=r"auc is no mean over decisions\. There are log_loss"):
        Policy.of(system, Retrain(when=Degraded("auc", by=0.02)), None)


@pytest.mark.parametrize(("at_least", "passed"), [(-3.0, True), (1.9, False)])
def test_a_guard_on_the_payoff_holds_at_the_gate(at_least: float, passed: bool) -> None:
    guarded = dataclasses.replace(system.objective, guards=[ms.Guard("payoff", at_least=at_least)])
    history_of = past(of=dataclasses.replace(system, objective=guarded))
    early, late = (trained(history_of, instant(day)) for day in (10, 25))
    figures = figures_of("binary", guarded)
    gate = judge_candidate(history_of, late.model, early.model, late.judged_on, figures)
    assert ("payoff at least" in gate.why.told) == (not passed)


@pytest.mark.parametrize(("measured", "later"), [(5 * HOUR, 6 * HOUR), (13 * HOUR, 18 * HOUR), (None, 6 * HOUR)])
def test_a_delay_as_measured_is_waited_for_and_where_nothing_was_measured_the_next_step_has_the_model(
    measured: int | None, later: int
) -> None:
    policy = Policy.of(system, Retrain(when=Every("7d"), delay="measured"), None, measured_delay=measured)
    story = Replay(past(30), START, 6 * HOUR).run("any", policy)
    asked, became = story.events[:2]
    assert (asked.what, became.at - asked.at) == ("train", later)
