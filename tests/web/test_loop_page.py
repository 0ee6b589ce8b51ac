"""Loop: each thing it did once, in its place, with what it rested on in words; and how long a rollout needs to see an effect."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mainspring.answers import Arm
from mainspring.clock import HOUR, MINUTE
from mainspring.declare import AB, Rollout, Shadow
from mainspring.ledger import LoopEvent
from mainspring.loop.deployed_when import Period
from mainspring.loop.live_state import LiveState
from mainspring.loop.stage_forecast import _two_points, forecast_stage
from mainspring.loop.state import Policy
from mainspring.page.wording import number
from mainspring.web.pages.loop import page
from mainspring.web.pages.loop_chart import model_chart, spells_of
from mainspring.web.pages.loop_events import events_of, life_of
from mainspring.web.pages.loop_evidence import evidence_table
from mainspring.web.source import Source
from tests.loop.lived import TRYING, lived
from tests.web.looked_at import HOSTILE, NOW, asked, did, empty, only, seen, written

POLICY = Policy.of(TRYING, TRYING.retrain, TRYING.rollout)
WHATS = ["train", "passed over", "shadow", "canary", "promoted", "rolled back", "begun", "alert opened", "alert ended"]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return Source(TRYING, lived(tmp_path_factory.getbasetemp())[0], Path("deliveries.py"))


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> list[LiveState]:
    return lived(tmp_path_factory.getbasetemp())[1]


def told_in(text: str) -> list[str]:
    return re.findall(r'<span class="told">(.*?)</span>', text)


# -- what it did ---------------------------------------------------------------------------------------------------------


def test_all_that_it_did_is_told_the_newest_first_under_its_day(life: Source) -> None:
    events = life.ledger.loops.events(TRYING.name)
    text = written(page(life, asked("loop")))
    assert [each.replace("&#x27;", "'") for each in told_in(text)] == [each.told for each in events]
    days = re.findall(r"<h3>(\d{4}-\d\d-\d\d)</h3>", text)
    assert days == sorted(set(days), reverse=True)
    for event in events:
        for value in event.evidence.values():
            if isinstance(value, float) and abs(value) > 1e-9:  # less is no evidence
                assert number(value) in text


def test_each_event_is_on_one_page_and_of_one_kind(tmp_path: Path) -> None:
    source = empty(tmp_path)
    did(source, [only(WHATS[place % 9], f"m{place % 4}", NOW + place * HOUR, told=f"t{place}") for place in range(270)])
    expected = [f"t{place}" for place in reversed(range(270))]
    pages = [told_in(written(page(source, asked("loop", page=str(each))))) for each in range(1, 7)]
    assert [told for some in pages for told in some] == expected
    assert [len(some) for some in pages] == [50, 50, 50, 50, 50, 20]
    kinds: list[str] = []
    for kind, pages_of_kind in (("trainings", 2), ("rollouts", 3), ("alerts", 2)):
        for each in range(1, pages_of_kind + 1):
            kinds += told_in(written(page(source, asked("loop", what=kind, page=str(each)))))
    assert sorted(kinds) == sorted(expected)
    of_model = told_in(written(page(source, asked("loop", what="trainings", model="m1"))))
    assert of_model == [t for t in expected if int(t[1:]) % 4 == 1 and int(t[1:]) % 9 < 2]


def test_filters_stay_in_the_links_to_other_pages_and_nonsense_shows_everything(tmp_path: Path) -> None:
    source = empty(tmp_path)
    did(source, [only("alert opened", "m", NOW + place) for place in range(60)])
    assert "/ui/loop?what=alerts&amp;model=m&amp;page=2" in written(
        page(source, asked("loop", what="alerts", model="m"))
    )
    assert len(told_in(written(page(source, asked("loop", what=HOSTILE, page="x"))))) == 50
    assert "Nothing of this kind was done" in seen(page(source, asked("loop", model=HOSTILE)))
    assert "<script>" not in written(page(source, asked("loop", model=HOSTILE)))


def test_what_came_since_is_read_and_nothing_twice(tmp_path: Path) -> None:
    source = empty(tmp_path)
    assert events_of(source) == []
    for count in (1, 3, 200, 1):
        did(source, [only("train", "m", NOW, told=f"{count}") for _ in range(count)])
        assert events_of(source) == source.ledger.loops.events(source.system.name)


def test_ten_thousand_alerts_show_fifty(tmp_path: Path) -> None:
    source = empty(tmp_path)
    did(
        source,
        [only("alert opened", "m", NOW + place * MINUTE, told=f"t{place}", abouts=[]) for place in range(10_000)],
    )
    text = written(page(source, asked("loop")))
    assert len(told_in(text)) == 50
    assert "Alerts 10,000" in seen(page(source, asked("loop")))
    assert len(text) < 100_000


def test_a_system_without_a_loop_says_when_one_begins(tmp_path: Path) -> None:
    shown = page(empty(tmp_path), asked("loop"))
    assert "No loop has begun yet" in str(shown.lead)
    assert "mainspring serve" in seen(shown)


def test_what_it_is_at_is_what_status_says(life: Source) -> None:
    assert "training deliveries-m4 since 2024-02-04 12:00" in str(page(life, asked("loop")).lead)
    assert "A step at" in seen(page(life, asked("loop")))


# -- evidence ------------------------------------------------------------------------------------------------------------

PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = st.recursive(
    PLAIN, lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=8), inside, max_size=4)
)
KEYS = st.text(max_size=8) | st.sampled_from(
    ["monitor", "abouts", "value", "limit", "metric", "candidate", "champion", "now", "at_promotion", "estimate", "low", "better"]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYS, JSON, max_size=8))
def test_whatever_it_rests_on_can_be_shown_and_is_no_markup(evidence: dict[str, Any]) -> None:
    inside = evidence_table({**evidence, HOSTILE: HOSTILE})
    assert "<script>" not in inside
    assert inside.count("<table>") == 1


def test_figures_stand_beside_what_they_are_held_against() -> None:
    gate = evidence_table({"metric": "log_loss", "candidate": 0.4083, "champion": 0.4089, "rows": 2843, "broken": []})
    assert "log loss of the model" in gate
    assert "the champion 0.4089: −0.00060" in gate
    assert "2,843" in gate
    alert = {"monitor": "drift", "id": "drift@1/2", "value": 7.27, "limit": 0.2, "abouts": ["a", "b"], "opened_at": NOW}
    shown = evidence_table(alert)
    assert 'href="/ui/alerts/drift%401%2F2"' in shown
    assert "limit 0.2" in shown
    assert "a, b" in shown
    assert "2024-02-01 00:00 UTC" in shown
    worse = evidence_table({"metric": "log_loss", "at_promotion": 0.4, "now": 0.5, "labels": 10})
    assert "when it was last judged 0.4000: +0.1000" in worse
    tried = evidence_table({"estimate": 0.02, "low": None, "high": 0.1, "better": 1.5, "worse": -1e-16})
    assert "not bounded yet to +0.1000" in tried
    nested = evidence_table({"windows": {"6d": 0.5, "all history": 0.6}, "rows of it": [{"x": 1}, {"x": 2}]})
    assert "by window: 6d" in nested
    assert "{" not in nested


# -- the chart -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(1, 50), st.sets(st.sampled_from("abc"), max_size=2)), min_size=1, max_size=8))
def test_at_each_instant_the_spells_are_the_arms(changes: list[tuple[int, set[str]]]) -> None:
    begins = np.cumsum([span for span, _ in changes]).tolist()
    periods = [
        Period(
            number=place, begin=begin, end=None if place + 1 == len(begins) else begins[place + 1], set_at=begin, by="", reason="",
            arms=tuple(Arm(name=m, role="shadow", model=m, share=0.0) for m in sorted(models)),
        )
        for place, (begin, (_, models)) in enumerate(zip(begins, changes, strict=True))
    ]  # fmt: skip
    spells = spells_of(periods)
    for period in periods:
        for at in {period.begin, (period.end or period.begin + 1) - 1}:
            held = sorted(each.model for each in spells if each.begin <= at and (each.end is None or at < each.end))
            assert held == [arm.model for arm in period.arms]
    for model in "abc":
        mine = [each for each in spells if each.model == model]
        assert all(a.end is not None and a.end < b.begin for a, b in pairwise(mine)), "no spell is cut"


@given(st.lists(st.integers(0, 5), max_size=12))
def test_a_life_goes_forward_in_time_and_is_the_newest(instants: list[int]) -> None:
    events = [only("train", "m", at) for at in reversed(instants)]
    found = life_of(events)
    assert found == events[: len(found)]
    assert [each.at for each in found] == sorted((each.at for each in found), reverse=True)
    assert len(found) == len(events) or events[len(found)].at > found[-1].at


def test_the_chart_says_who_is_champion_and_its_table_what_became_of_each(life: Source) -> None:
    text = written(page(life, asked("loop")))
    assert (
        "deliveries-m3 is champion since 2024-02-04 12:00. 4 trainings asked for, 2 promoted, 0 rolled back, 1 passed over"
        in text
    )
    (behind,) = re.findall(r"<caption>The newest models</caption>.*?</table>", text)
    assert "2024-01-29 00:00 to 2024-02-04 12:00" in behind
    assert "passed over 2024-01-31 12:00" in behind
    assert model_chart([], [], NOW) is None


# -- what a rollout can see ----------------------------------------------------------------------------------------------


def tried(states: list[LiveState], shadow: bool) -> LiveState:
    """A step in which a candidate is tried, and what is known of it."""
    for state in states:
        candidate = None if state.loop is None else state.loop.candidate
        if candidate is not None and (candidate.trial.baseline is None) == shadow:
            return state
    raise AssertionError("none is tried")


def with_labels(state: LiveState, improvements: np.ndarray) -> LiveState:
    assert state.loop is not None
    candidate = state.loop.candidate
    assert candidate is not None
    trial = candidate.trial
    held = trial.improvement.matured(np.full(len(improvements), candidate.since + 1), improvements)
    candidate = replace(candidate, trial=replace(trial, improvement=held))
    return replace(state, loop=replace(state.loop, candidate=candidate))


def test_nothing_is_forecast_where_none_is_tried_and_why_where_little_is_known(states: list[LiveState]) -> None:
    still = next(each.loop for each in states if each.loop is not None and each.loop.candidate is None)
    assert forecast_stage(POLICY, still) is None
    state = tried(states, shadow=True)
    assert state.loop is not None
    found = forecast_stage(POLICY, state.loop)
    assert found is not None
    assert (found.model, found.expected) == ("deliveries-m3", [])
    assert "the first 30 labels" in found.unknown


@pytest.mark.parametrize(("stage", "looks_for"), [(Shadow("40d"), "worse"), (AB(0.5, "40d"), "better")])
def test_the_larger_a_difference_the_sooner_and_the_surer_it_is_found(
    states: list[LiveState], stage: Any, looks_for: str
) -> None:
    policy = Policy.of(TRYING, TRYING.retrain, Rollout(stage))
    state = tried(states, shadow=isinstance(stage, Shadow))
    assert state.loop is not None
    assert state.loop.candidate is not None
    spread = np.random.default_rng(3).normal(0, 0.2, 2_000)
    state = with_labels(state, spread)
    assert state.loop is not None
    assert state.loop.candidate is not None
    loop = replace(state.loop, candidate=replace(state.loop.candidate, stage=0))
    found = forecast_stage(policy, loop)
    assert found is not None
    assert (found.unknown, found.looks_for) == ("", looks_for)
    assert 50 < found.per_day < 70, "sixty orders a day"
    shares = [each.share for each in found.expected]
    assert shares == sorted(shares)
    assert shares[-1] > 0.9
    days = [math.inf if each.days is None else each.days for each in found.expected]
    assert days == sorted(days, reverse=True)
    for each in found.expected:
        if each.labels is not None:
            assert each.days is not None
            assert each.labels <= found.per_day * each.days
            assert each.labels_90 is None or each.labels_90 >= each.labels
    assert forecast_stage(policy, loop) == found


@given(st.floats(0.01, 100), st.floats(-3, 3))
def test_two_points_spread_as_they_are_to(spread: float, skewness: float) -> None:
    numbers = _two_points(spread, skewness)
    assert abs(numbers.mean()) < 1e-6 * spread
    assert numbers.std() == pytest.approx(spread, rel=1e-6)
    third = float(((numbers - numbers.mean()) ** 3).mean() / spread**3)
    assert third == pytest.approx(skewness, abs=0.15)


def test_a_forecast_is_told_in_labels_and_days(
    tmp_path: Path, states: list[LiveState], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = with_labels(tried(states, shadow=True), np.random.default_rng(3).normal(0, 0.05, 2_000))
    source = Source(TRYING, empty(tmp_path).workspace, Path("deliveries.py"))
    monkeypatch.setattr(source, "state", lambda: state)
    text = seen(page(source, asked("loop")))
    assert "What this rollout can see" in text
    assert "a model that is" in text
    assert "This stage ends early only where the model is shown to be worse" in text
    monkeypatch.setattr(source, "state", lambda: tried(states, shadow=True))
    again = Source(TRYING, source.workspace, Path("deliveries.py"))
    monkeypatch.setattr(again, "state", lambda: tried(states, shadow=True))
    assert "cannot be told yet" in seen(page(again, asked("loop")))


def test_events_of_every_kind_are_shown(tmp_path: Path) -> None:
    source = empty(tmp_path)
    done: list[LoopEvent] = [only(what, "m", NOW + place) for place, what in enumerate(WHATS)]
    did(source, done, [Arm(name="champion", role="champion", model="m", share=1.0)])
    shown = page(source, asked("loop"))
    assert len(told_in(written(shown))) == len(WHATS)
    assert "another declaration" in str(shown.lead)
