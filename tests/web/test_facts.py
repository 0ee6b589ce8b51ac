"""The page Facts: what it counts is what the lake holds, however it came; and a question has an answer or a reason."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mainspring as ms
from mainspring.clock import DAY, HOUR
from mainspring.lake import Lake
from mainspring.page.components import html
from mainspring.web.asked import Asked, ServerTold
from mainspring.web.pages import facts
from mainspring.web.pages.facts_known import DAYS, TableDays, days_known, fact_tables, rejected_known
from mainspring.web.shell import Page
from mainspring.web.source import Source
from mainspring.workspace import Workspace
from tests.loop.deliveries import instant
from tests.loop.deliveries import system as deliveries

NOW = instant(100) + 5 * HOUR
NASTY = "<script>alert(1)</script>"


class Order(ms.Table):
    """What somebody has ordered."""

    order_id = ms.Key()
    shop = ms.Category(optional=True)
    size = ms.Float(unit="kg", ge=0, description="as weighed")
    note = ms.Text(optional=True, le=500)
    placed = ms.KnownAt(lag="10m")


class Shop(ms.Table, static=True):
    shop = ms.Key()
    seats = ms.Int()


system = ms.System(
    name="deliveries",
    decision=ms.Decision(Order, at=Order.placed),
    label=ms.Label(Order.size > 1, by="order_id", within="1h", otherwise=False),
    features=dict(size=Order.size, seats=Shop.seats.latest(by="shop")),
    model=ms.LightGBM(),
    objective=deliveries.objective,
)


def opened(folder: Path) -> Source:
    return Source(system, Workspace.open(folder), Path(__file__))


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return opened(tmp_path / "workspace")


def bring(lake: Lake, known: list[int], *, arrived: int | None = None, size: float = 1.0, note: str = "") -> None:
    """Ingest orders that were known at instants."""
    frame = pl.DataFrame(
        {
            "order_id": [f"{each} {arrived}" for each in range(len(known))],
            "size": [size] * len(known),
            "note": [note] * len(known),
            "placed": pl.Series(known, dtype=pl.Int64).cast(pl.Datetime("us", "UTC")),
        }
    )
    if size < 0 and len(known):  # rejected, but not all of them
        frame = pl.concat([frame, frame.head(1).with_columns(order_id=pl.lit(f"good {arrived}"), size=pl.lit(1.0))])
    lake.ingest(Order, frame, arrived_at=arrived)


def show(source: Source, path: str = "facts", now: int = NOW, **query: str) -> Page:
    return facts.page(source, Asked(path=path, query=query, wall=instant(4000), server=ServerTold(now=now)))


def text(page: Page) -> str:
    return html([page.lead, *page.parts])


def order(source: Source) -> Any:
    return next(each for each in fact_tables(source, "order"))


# Laws


def at_once(lake: Lake, now: int) -> TableDays:
    """The days as the definition has them, of all that the lake holds."""
    rows = lake.read(Order, columns=["placed"])
    pairs = zip(rows["_visible_at"].to_physical().to_list(), rows["placed"].to_physical().to_list(), strict=True)
    first = now // DAY - DAYS + 1
    held = [(visible, visible - known) for visible, known in pairs if visible >= first * DAY]
    seen = [(visible, lag) for visible, lag in held if visible <= now]
    days = list(range(first, now // DAY + 1))
    lags = [[lag for visible, lag in seen if visible // DAY == day] for day in days]
    return TableDays(
        days, [len(each) for each in lags], [float(np.median(each)) if each else None for each in lags],
        [float(max(each)) if each else None for each in lags],
        max((visible - lag for visible, lag in seen), default=None), len(held) - len(seen),
    )  # fmt: skip


ages = st.lists(st.integers(-2 * DAY, (DAYS + 3) * DAY), max_size=6)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(st.lists(st.tuples(ages, st.none() | st.integers(0, 3 * DAY), st.integers(0, 9 * DAY)), min_size=1, max_size=4))
def test_however_facts_come_the_days_are_those_of_a_look_at_once(
    tmp_path_factory: pytest.TempPathFactory, commits: list[tuple[list[int], int | None, int]]
) -> None:
    source, now = opened(tmp_path_factory.mktemp("w") / "workspace"), NOW
    for old, arrived, later in commits:
        bring(source.lake, [now - each for each in old], arrived=None if arrived is None else now - arrived)
        found = order(source)
        if found.stored is not None:
            assert days_known(source, found, now) == at_once(source.lake, now)
            assert found.stored.rows == source.lake.read(Order).height
        now += later
    source.lake.close()


def test_what_was_read_is_not_read_again(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    bring(source.lake, [NOW - k * HOUR for k in range(500)])
    read: list[int] = []
    whole = Lake.read

    def counted(self: Lake, *given: Any, **options: Any) -> pl.DataFrame:
        rows = whole(self, *given, **options)
        read.append(rows.height)
        return rows

    monkeypatch.setattr(Lake, "read", counted)
    show(source)
    assert read == [500]
    show(source)
    show(source, "facts/order", now=NOW + HOUR)
    assert read == [500]
    bring(source.lake, [NOW], arrived=NOW)
    show(source)
    assert read == [500, 1]


@pytest.mark.parametrize("parts", [[7], [3, 0, 4], [1] * 7])
def test_pages_of_rejected_rows_are_all_of_them_the_newest_first(source: Source, parts: list[int]) -> None:
    for number, count in enumerate(parts):
        bring(source.lake, [NOW - k for k in range(count)], arrived=NOW - number, size=-1.0)
        if number == 0:
            rejected_known(source, order(source), None, 0, 2)
    held = source.lake.quarantine(Order)
    pages = [rejected_known(source, order(source), None, offset, 2) for offset in range(0, len(held) + 2, 2)]
    assert [seq for each in pages for seq in each.page["_seq"]] == held["_seq"].to_list()[::-1]
    assert [row for each in pages for row in each.page["row"]] == held["row"].to_list()[::-1]
    counts = Counter(held.select("reason", "sentence").iter_rows())
    assert all(each.counts == counts and each.matching == len(held) for each in pages)


# Cases


def test_an_empty_lake_says_what_will_fill_it(source: Source) -> None:
    page = show(source)
    assert page.status == 200
    assert "No fact is in the lake yet" in text(page)
    assert "It holds no fact yet" in text(show(source, "facts/order"))
    assert "No row was rejected" in text(show(source, "facts/order"))
    assert show(source, "facts/nothing").status == 404


def test_a_table_tells_its_contract_and_its_commits(source: Source) -> None:
    bring(source.lake, [NOW - HOUR, NOW - 2 * HOUR])
    bring(source.lake, [NOW - HOUR], arrived=NOW)
    told = text(show(source, "facts/order"))
    for words in (
        "What somebody has ordered.", "kg", "at least 0", "as weighed", "may be missing", "visible from then plus 10m on",
        "length at most 500", "Lag of order by day", "The newest 2 of 2 snapshots",
    ):  # fmt: skip
        assert words in told
    source.lake.ingest(Shop, pl.DataFrame({"shop": ["a"], "seats": [3]}))
    assert "known always" in text(show(source))
    assert "a static table: its rows have no time" in text(show(source, "facts/shop"))


def test_rejected_rows_are_shown_as_they_came_and_text_is_text(source: Source) -> None:
    bring(source.lake, [NOW - k for k in range(60)], size=-2.0, note=NASTY, arrived=NOW)
    page = show(source, "facts/order")
    told = text(page)
    assert "1 to 50 of 60 rejected rows" in told
    assert "<script>alert" not in told
    assert "&lt;script&gt;" in told
    assert told.count("As it came") == 50
    reason = re.search(r'href="[^"]*\?reason=[^"]*"', told)
    assert reason is not None
    (sentence,) = source.lake.quarantine(Order)["sentence"].unique()
    assert "51 to 60 of 60" in text(show(source, "facts/order", reason=sentence, page="2"))
    assert "No rejected row is here" in text(show(source, "facts/order", reason=NASTY))
    assert "No rejected row is here" in text(show(source, "facts/order", page="99"))


def test_a_question_has_an_answer(source: Source) -> None:
    bring(source.lake, [NOW - k for k in range(1100)], note=NASTY)
    page = show(source, query='SELECT note, size, placed, [1, 2] AS list FROM "order" ORDER BY _seq')
    told = text(page)
    assert page.lead == "The answer has more than 1,000 rows."
    assert "The first 1,000 rows" in told
    assert told.count("<tr>") == 1001
    assert "<script>alert" not in told
    assert "[1, 2]" in told
    assert "data-live" not in told  # it is not asked again by itself
    assert '<td class="number">1</td>' in told
    assert "No row is like that" in text(show(source, query="SELECT 1 WHERE false"))


@pytest.mark.parametrize(
    ("query", "words"),
    [("SELECT * FROM orders", "There is no table orders"), ("DROP TABLE x", "changes nothing"), (NASTY, "DATA_SQL")],
)
def test_a_question_without_an_answer_says_why_and_keeps_its_text(source: Source, query: str, words: str) -> None:
    bring(source.lake, [NOW])
    page = show(source, query=query)
    assert page.status == 400
    assert words in text(page)
    assert f"{html(query)}</textarea>" in text(page)
    assert "<script>alert" not in text(page)
