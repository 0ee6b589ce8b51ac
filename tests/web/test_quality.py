"""The page Quality: what it draws is what labels say, what is not known is not drawn, and nobody writes into it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from mainspring.clock import DAY, HOUR
from mainspring.ledger import KeptLoop, Signal
from mainspring.loop.kept_signals import CHECKS, QUALITY, ChecksDay, ProxyTold, QualityDay, SliceTold
from mainspring.monitoring.realised import Cohort
from mainspring.page.components import html
from mainspring.web.asked import Asked, ServerTold
from mainspring.web.pages.quality import page
from mainspring.web.pages.quality_days import Known, known_of, points_of, slice_points, slices_now
from mainspring.web.shell import Page
from mainspring.web.source import Source
from mainspring.workspace import Workspace

from ..loop.daily import POLICY, START, WATCHED, lived_in, stream

DAYS = 20
LOSS = POLICY.judged


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    workspace = Workspace.open(tmp_path_factory.mktemp("quality"))
    lived_in(workspace, DAYS)
    return Source(WATCHED, workspace, Path(__file__))


def shown(source: Source, **query: str) -> str:
    asked = Asked(path="quality", query=query, wall=0, server=ServerTold(now=(START + DAYS) * DAY))
    return text(page(source, asked))


def text(made: Page) -> str:
    return str(html([made.title, made.lead, *made.parts]))


def spec(document: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json">(.*?)</script>', document)
    assert found is not None
    return json.loads(found[1])


def by_labels(rows: Any) -> tuple[int, float]:
    """How many of some decisions have a label by the end, and the figure over those."""
    of = stream()
    known = rows & (of["known_at"] <= (START + DAYS) * DAY)
    return int(known.sum()), LOSS.mean(of["y"][known], of["p"][known])


@pytest.mark.parametrize(("by", "length"), [("day", 1), ("week", 7)])
def test_a_point_is_the_figure_over_its_decisions(source: Source, by: str, length: int) -> None:
    decided_at = stream()["decided_at"]
    points = points_of(known_of(source), LOSS, by=by)
    assert sum(each.predicted for each in points) == np.sum(decided_at <= (START + DAYS) * DAY)
    for each in points:
        mine = (decided_at >= each.day * DAY) & (decided_at < min(each.day + length, START + DAYS) * DAY)
        known, mean = by_labels(mine)
        assert (each.known, each.days) == (known, length)
        assert each.realised is not None
        assert each.realised.value == pytest.approx(mean)
        assert each.realised.low < mean < each.realised.high
    assert all(each.day % 7 == 4 for each in points if by == "week"), "weeks begin on Mondays"


def test_a_day_whose_labels_are_to_come_says_so_and_is_paler(source: Source) -> None:
    last = points_of(known_of(source), LOSS, by="day")[-1]
    assert 0.5 < last.complete < 0.98
    document = shown(source, by="day")
    data = spec(document)["datasets"]
    told = f"{100 * last.complete:.1f}% of {last.predicted:,} known"
    newest = [each for each in data["points"] if each["day"] == last.day * DAY // 1000 and each["how"] == "by labels"]
    assert [each["labels"] for each in newest] == [told]
    assert newest[0]["complete"] < 0.8
    assert {each["complete"] for each in data["points"]} > {1.0}
    assert [each["day"] for each in data["waiting"]] == [last.day * DAY // 1000]
    assert "Grey: labels are still to come." in document


def test_what_could_not_be_expected_is_no_number(source: Source) -> None:
    points = points_of(known_of(source), LOSS, by="day")
    refused = [each for each in points if each.estimated is None]
    assert {each.day for each in refused} == set(range(START, START + 9))
    document = shown(source, by="day")
    drawn = [each for each in spec(document)["datasets"]["points"] if each["how"] == "expected"]
    assert len(drawn) == len(points) - 9
    assert "10 are needed" in document
    week = points_of(known_of(source), LOSS, by="week")[0]
    assert week.estimated is None, "of a week of which one day is not known nothing is"


def test_what_a_proxy_told_stands_at_the_day_that_it_told_of() -> None:
    nothing = Cohort(9, 0, (0.0,), (0.0,))
    quality = {("m1", day): QualityDay(figures=("log_loss",), realised=nothing) for day in range(5)}
    told = ProxyTold(day=2, value=0.5, low=0.4, high=0.6)
    known = Known(
        quality, {("m1", 4): ChecksDay(proxies={"left late": told})}, {("m1", 2): {"left late": told}}, [(0, "m1")]
    )
    assert [each.proxies for each in points_of(known, LOSS, by="day", proxies=True)] == [
        {},
        {},
        {"left late": told},
        {},
        {},
    ]


def test_a_proxy_tells_of_the_compared_figure_alone(source: Source) -> None:
    ways = {
        name: {each["how"] for each in spec(shown(source, figure=name, by="day"))["datasets"]["points"]}
        for name in (LOSS.name, "brier")
    }
    assert "by a proxy" in ways[LOSS.name]
    assert "by a proxy" not in ways["brier"]


def test_slices_are_told_by_their_settled_decisions(source: Source) -> None:
    of, known = stream(), known_of(source)
    settled = of["decided_at"] + 6 * HOUR <= (START + DAYS) * DAY
    found = slices_now(known, LOSS, "m1", over=100, fewest=1)
    assert sorted(each.value for each in found) == ["a", "b"]
    assert found[0].beyond is not None
    assert found[1].beyond is not None
    assert found[0].beyond > found[1].beyond
    for each in found:
        mine = settled & (of["features"]["shop"] == each.value).to_numpy()
        assert each.rows == mine.sum()
        assert each.figure == pytest.approx(LOSS.mean(of["y"][mine], of["p"][mine]))
        points = slice_points(known, LOSS, "shop", each.value, by="week")
        assert sum(point.known for point in points) == mine.sum()
    document = shown(source, slice=f"shop={found[0].value}")
    assert f"Log loss by day on shop = {found[0].value}" in document
    assert f"slice=shop%3D{found[1].value}" in document


def test_who_was_champion_is_told_by_day() -> None:
    known = Known({}, {}, {}, [(10 * DAY, "m1"), (12 * DAY + HOUR, "m2")])
    assert [known.role("m1", day) for day in (9, 10, 12, 13)] == ["candidate", "champion", "champion", "candidate"]
    assert [known.role("m2", day) for day in (11, 12, 13, 40)] == ["candidate", "champion", "champion", "champion"]


def test_what_does_not_exist_is_not_looked_at(source: Source) -> None:
    nonsense = {"model": "<script>", "slice": "shop=<b>", "figure": "../x", "by": "'", "span": "-1"}
    assert shown(source, **nonsense) == shown(source)


def test_each_choice_leads_somewhere(source: Source) -> None:
    document = shown(source)
    links = set(re.findall(r'href="/ui/quality\?([^"#]*)"', document))
    assert len(links) > 6
    for link in links:
        query = dict(pair.split("=", 1) for pair in link.replace("&amp;", "&").replace("%3D", "=").split("&"))
        assert "<svg" not in shown(source, **query)
    assert "Brier score by week" in shown(source, figure="brier", by="week")
    assert "m1" in shown(source, model="m1", span="30")


def test_before_anything_is_known_the_page_says_what_will_fill_it(tmp_path: Path) -> None:
    document = shown(Source(WATCHED, Workspace.open(tmp_path), Path(__file__)))
    assert "Nothing is known of any day. No loop has begun yet" in document


def test_names_from_outside_are_shown_as_text(tmp_path: Path) -> None:
    workspace, evil = Workspace.open(tmp_path), "<script>alert(1)</script>"
    lived_in(workspace, 3)
    day = QualityDay(
        figures=tuple(POLICY.figures),
        realised=Cohort(300, 300, (150.0, 60.0, 9.0), (90.0, 30.0, 9.0)),
        slices={"shop": {evil: SliceTold(300, 150.0, 9.0)}},
    )
    kept = workspace.ledger.loops.kept(WATCHED.name)
    assert kept is not None
    step = KeptLoop(**msgspec.structs.asdict(kept) | {"step": kept.step + 1})
    signals = [
        Signal(system=WATCHED.name, kind=kind, about=about, day=START, at=kept.at, document=msgspec.msgpack.encode(document))
        for kind, about, document in (
            (QUALITY, evil, day), (QUALITY, "m1", day), (CHECKS, evil, ChecksDay(refused=evil))
        )
    ]  # fmt: skip
    workspace.ledger.loops.commit(step, signals=signals)
    source = Source(WATCHED, workspace, Path(__file__))
    for query in ({}, {"model": evil}, {"slice": f"shop={evil}"}):
        document = shown(source, **query)
        assert evil not in document
        assert "alert(1)" in document
