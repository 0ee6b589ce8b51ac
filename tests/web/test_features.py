"""The page Features: what moved is at the top and said, distributions are whole, and nothing that is unknown is a number."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mainspring.clock import DAY
from mainspring.ledger import Signal
from mainspring.loop.kept_signals import FEATURES, FeaturesDay
from mainspring.monitoring.sketch import Sketch
from mainspring.monitoring.spread import Spread
from mainspring.page.components import html
from mainspring.page.wording import capital
from mainspring.web.asked import Asked, ServerTold
from mainspring.web.pages.features import page
from mainspring.web.pages.features_days import SIGNALS, FeatureDays, feature_days
from mainspring.web.pages.features_spread import TwoSpreads, spreads_of
from mainspring.web.source import Source
from mainspring.workspace import Workspace

from ..loop.daily import KINDS, START, WATCHED, first, lived_in

DAYS = 20
HERE = Path(__file__)
EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    workspace = Workspace.open(tmp_path_factory.mktemp("features"))
    lived_in(workspace, DAYS)
    return Source(WATCHED, workspace, HERE)


def shown(source: Source, told: ServerTold | None = None, **query: str) -> str:
    asked = Asked(path="features", query=query, wall=0, server=told or ServerTold(now=(START + DAYS) * DAY))
    made = page(source, asked)
    return str(html([made.title, made.lead, *made.parts]))


def specs(document: str) -> list[dict[str, Any]]:
    return [json.loads(each) for each in re.findall(r'<script type="application/json">(.*?)</script>', document)]


def days(values: dict[str, list[float]], *, limit: float = 0.2) -> FeatureDays:
    """Days on which the drift of features was this."""
    table = np.array([*values.values()], np.float32).T
    signals = np.full((5, *table.shape), np.nan, np.float32)
    signals[FeaturesDay.SIGNALS.index("drift")] = table
    count = len(table)
    return FeatureDays(
        days=tuple(range(START, START + count)),
        models=("m1",) * count,
        rows=(100,) * count,
        names=tuple(values),
        values=signals,
        limits=np.full((5, len(values)), limit, np.float32),
    )


def test_what_moved_is_at_the_top_and_said_in_words(source: Source) -> None:
    document = shown(source)
    assert "1 of 2 features have moved from what the champion learned from: size." in document
    found = feature_days(source)
    assert found is not None
    looked = found.looked("drift", weeks=False)
    assert [looked.names[k] for k in looked.order] == ["size", "shop"]
    above = int(np.sum(looked.values[:, 0] >= 0.2))
    assert above > 5
    assert f"{above} days above 0.2." in document
    rows = specs(document)[0]["datasets"]["features"]
    assert [each["feature"] for each in rows] == ["size", "shop"]
    given = [np.nan if each is None else each for each in rows[0]["value"]]
    assert given == pytest.approx(looked.values[:, 0].tolist(), abs=1e-3, nan_ok=True)
    assert rows[0]["value"][:6] == [None] * 6, "of a week that is not over nothing is drawn"


@given(
    table=st.lists(
        st.lists(st.floats(0, 5, width=32) | st.just(float("nan")), min_size=3, max_size=3), min_size=1, max_size=30
    )
)
@settings(max_examples=40, deadline=None)
def test_a_week_is_as_far_as_its_farthest_day(table: list[list[float]]) -> None:
    given_days = days({name: [row[k] for row in table] for k, name in enumerate("abc")})
    weeks = given_days.looked("drift", weeks=True)
    for place, begin in enumerate(weeks.begins):
        assert begin % 7 == 4, "weeks begin on Mondays"
        mine = [k for k, day in enumerate(given_days.days) if begin <= day < begin + 7]
        for k in range(3):
            known = [table[row][k] for row in mine if table[row][k] == table[row][k]]
            told = float(weeks.values[place, k])
            assert told == max(known) if known else np.isnan(told)
    order = given_days.looked("drift", weeks=False)
    newest = [-1.0 if each != each else each for each in (float(order.newest[k]) for k in order.order)]
    assert newest == sorted(newest, reverse=True)


numbers = st.lists(st.none() | st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0]), min_size=1, max_size=60)


@example(before=[0.0, 5e-324, 1e-323], lately=[0.0, 1e-323])
@given(before=numbers, lately=numbers)
@settings(max_examples=60, deadline=None)
def test_a_distribution_is_whole_and_lies_where_its_values_do(
    before: list[float | None], lately: list[float | None]
) -> None:
    found = two_spreads(before, lately)
    assert (found.rows_before, found.rows_lately) == (len(before), len(lately))
    assert found.missing_lately == pytest.approx(sum(each is None for each in lately) / len(lately))
    known = [each for each in (*before, *lately) if each is not None]
    if not any(each is not None for each in before):
        return
    assert len(found.bins) <= 32
    assert all(each.low < each.high for each in found.bins)
    assert found.bins[0].low <= min(known)
    assert found.bins[-1].high >= max(known)
    assert sum(each.before for each in found.bins) == pytest.approx(1.0)
    some = any(each is not None for each in lately)
    assert sum(each.lately for each in found.bins) == pytest.approx(1.0 if some else 0.0)
    assert min(min(each.before, each.lately) for each in found.bins) >= 0.0


def two_spreads(before: list[float | None], lately: list[float | None]) -> TwoSpreads:
    frames = [
        pl.DataFrame({"size": pl.Series(each, dtype=pl.Float64), "shop": ["a"] * len(each)})
        for each in (before, lately)
    ]
    reference = Sketch.over(frames[0], KINDS)
    state = first()
    leading = replace(state.leading, reference=Spread.of(reference))
    newest = Spread.of(Sketch.empty(reference.layout).add(frames[1]))
    found = spreads_of(
        replace(
            state, now=(START + 1) * DAY, layout=reference.layout, models={"m1": leading}, days={START: newest}
        ),
        "size",
    )  # fmt: skip
    assert isinstance(found, TwoSpreads)
    return found


def test_values_of_a_category_are_whole_and_new_ones_stand_apart() -> None:
    state = first()
    layout = state.layout
    assert layout is not None
    shops = ["a", "a", "b", "new", None]
    newest = Spread.of(Sketch.empty(layout).add(pl.DataFrame({"size": [0.0] * 5, "shop": shops})))
    found = spreads_of(replace(state, now=(START + 1) * DAY, days={START: newest}), "shop")
    assert isinstance(found, TwoSpreads)
    lately = {each.value: each.lately for each in found.bars}
    assert lately == pytest.approx({"a": 0.4, "b": 0.2, "(new values)": 0.2, "(missing)": 0.2})
    assert sum(each.before for each in found.bars) == pytest.approx(1.0)


def test_the_chosen_feature_is_shown_with_its_declaration(source: Source) -> None:
    document = shown(source, feature="shop")
    assert "Feature shop" in document
    assert "<code>Order.shop</code>" in document
    assert "How shop is spread" in document
    assert '<option value="shop" selected>' in document
    assert "Feature size" in shown(source, feature="nobody"), "what does not exist is not looked at"
    assert shown(source, signal="'", feature="<b>", all="?") == shown(source)


@pytest.mark.parametrize("signal", ["drift", "psi", "missing", "new", "outside"])
def test_each_signal_is_shown_or_it_is_said_why_not(source: Source, signal: str) -> None:
    document = shown(source, signal=signal)
    assert 'aria-current="true"' in document
    drawn = f"{capital(SIGNALS[signal])}</h3>" in document
    assert drawn or "50 decisions" in document
    assert drawn or signal != "drift"
    assert ">nan" not in document
    assert "NaN" not in document


def test_what_batch_does_not_confirm_comes_first(source: Source) -> None:
    told = ServerTold(now=0, skew_predictions=200, skew_different={"size": 3, EVIL: 50})
    document = shown(source, told)
    assert "2 features served otherwise than batch computes" in document
    assert document.index("alert(1)") < document.index('>size</a></th><td class="number">3<')
    assert EVIL not in document
    assert "25.0%" in document
    fine = shown(source, ServerTold(now=0, skew_predictions=200))
    assert "200 decisions were computed again in batch: every feature" in fine
    assert "since the server began" in shown(source)


def test_of_many_features_forty_are_shown_and_the_others_a_link_away(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    lived_in(workspace, 2)
    kept = workspace.ledger.loops.kept(WATCHED.name)
    assert kept is not None
    names = (EVIL, *(f"f{k}" for k in range(59)))
    values = np.tile(np.linspace(1, 0, 60, dtype=np.float32), (5, 1))
    day = FeaturesDay(names=names, rows=99, values=values.tobytes())
    said = Signal(
        system=WATCHED.name, kind=FEATURES, about="m1", day=START + 1, at=kept.at, document=msgspec.msgpack.encode(day)
    )
    workspace.ledger.loops.commit(replace(kept, step=kept.step + 1), signals=[said])
    source = Source(WATCHED, workspace, HERE)
    document = shown(source)
    assert len(specs(document)[0]["datasets"]["features"]) == 40
    assert "All 60 features" in document
    assert len(specs(shown(source, all="yes"))[0]["datasets"]["features"]) == 60
    for each in (document, shown(source, feature=EVIL), shown(source, signal="missing", all="yes")):
        assert EVIL not in each
        assert "no longer declared" in each


def test_before_a_day_has_ended_the_page_says_what_will_fill_it(tmp_path: Path) -> None:
    document = shown(Source(WATCHED, Workspace.open(tmp_path), HERE))
    assert "No day has ended since the loop began" in document
    assert "No table has been watched yet" in document
