"""The laws of the lake: nothing lost, nothing twice, nothing changed, and every read repeatable."""

from __future__ import annotations

import contextlib
import json
import math
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import mainspring as ms
from mainspring.declare import make_table
from mainspring.errors import ContractError, MainspringError, WorkspaceError
from mainspring.lake import Lake, iceberg
from tests.lake.conftest import properties

START = datetime(2013, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Departure(ms.Table):
    flight_id = ms.Key()
    origin = ms.Category(optional=True)
    dep_delay = ms.Float(ge=-120)
    seats = ms.Int(optional=True)
    late = ms.Bool(optional=True)
    left_at = ms.KnownAt(lag="1h")


class Plane(ms.Table, static=True):
    tailnum = ms.Key()
    seats = ms.Int()


class Click(ms.Table):
    page = ms.Category()
    at = ms.KnownAt()


def departures(*rows: tuple[Any, ...]) -> pl.DataFrame:
    """Rows of (flight_id, dep_delay, hours after the start)."""
    return pl.DataFrame(
        {
            "flight_id": [str(row[0]) for row in rows],
            "origin": ["JFK" for _ in rows],
            "dep_delay": [row[1] for row in rows],
            "seats": [None for _ in rows],
            "late": [True for _ in rows],
            "left_at": [START + row[2] * HOUR for row in rows],
        },
        schema_overrides={"dep_delay": pl.Float64, "left_at": pl.Datetime("us", "UTC")},
    )


def planes(seats: dict[str, int]) -> pl.DataFrame:
    return pl.DataFrame({"tailnum": list(seats), "seats": list(seats.values())})


def counts(done: Any) -> tuple[int, int, int]:
    assert done.accepted + done.already_there + done.rejected == done.given
    assert sum(done.reasons.values()) == done.rejected
    return done.accepted, done.already_there, done.rejected


def test_what_is_read_is_what_was_given_in_order_of_visibility(lake: Lake) -> None:
    given = departures(("b", 1.25, 2), ("a", -0.0, 1), ("c", 1e300, 1))
    assert counts(lake.ingest(Departure, given)) == (3, 0, 0)
    read = lake.read(Departure)
    assert read.columns == [*given.columns, "_visible_at", "_seq"]
    assert read.schema["seats"] == pl.Int64
    assert read["_seq"].to_list() == [1, 2, 0]
    assert read["_visible_at"].to_list() == [START + 2 * HOUR, START + 2 * HOUR, START + 3 * HOUR]
    assert_frame_equal(read.select(given.columns), given[[1, 2, 0]].cast({"seats": pl.Int64}), check_exact=True)


def test_ingesting_twice_is_ingesting_once(lake: Lake) -> None:
    bad = departures(("a", 1.0, 1), ("a", 1.0, 1), ("a", 2.0, 1), ("b", -500.0, 1))
    once = lake.ingest(Departure, bad)
    facts, rejected = lake.read(Departure), lake.quarantine(Departure)
    twice = lake.ingest(Departure, bad)
    assert (counts(once), counts(twice)) == ((1, 1, 2), (0, 2, 2))
    assert once.snapshot_id == twice.snapshot_id
    assert_frame_equal(lake.read(Departure), facts)
    assert_frame_equal(lake.quarantine(Departure), rejected)
    assert (
        once.reasons
        == twice.reasons
        == {
            "A row with the same flight_id and left_at and different content was there first; give a correction a later time.": 1,
            "dep_delay is below -120.": 1,
        }
    )


def test_a_superset_adds_what_is_new_and_a_pinned_snapshot_stays(lake: Lake) -> None:
    lake.ingest(Departure, departures(("a", 1.0, 3)))
    pinned = lake.snapshots([Departure, Plane])
    before = lake.read(Departure, pinned["departure"])
    assert counts(lake.ingest(Departure, departures(("b", 2.0, 1), ("a", 1.0, 3), ("c", 3.0, 2)))) == (2, 1, 0)
    lake.ingest(Plane, planes({"N1": 100}))
    assert lake.read(Departure)["flight_id"].to_list() == ["b", "c", "a"]
    assert_frame_equal(lake.read(Departure, pinned["departure"]), before)
    assert pinned["plane"] == 0
    assert len(lake.read(Plane, 0)) == 0
    assert len(lake.read(Plane)) == 1


@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_any_order_and_any_split_into_batches_keeps_the_same_facts(tmp_path_factory: Any, data: st.DataObject) -> None:
    delays = st.one_of(st.floats(-120, 1e9), st.floats(allow_nan=True), st.just(-121.0))
    rows = [(i, delay, i % 3) for i, delay in enumerate(data.draw(st.lists(delays, min_size=2, max_size=8)))]
    frame, cut = departures(*rows), data.draw(st.integers(1, len(rows) - 1))
    shuffled = departures(*data.draw(st.permutations(rows)))
    sound = [row for row in rows if -120 <= row[1] < math.inf]
    kept = []
    for batches in ([frame], [shuffled], [shuffled[:cut], shuffled]):
        folder = tmp_path_factory.mktemp("lake")
        lake = Lake(properties(folder), "flights")
        for batch in batches:
            with contextlib.suppress(ContractError):  # a batch in which every row is rejected
                counts(lake.ingest(Departure, batch))
        kept.append(lake.read(Departure).drop("_seq").sort("flight_id"))
        assert len(kept[-1]) == len(sound)
        assert len(lake.quarantine(Departure)) == len(rows) - len(sound)
        lake.close()
    assert_frame_equal(kept[0], kept[1], check_exact=True)
    assert_frame_equal(kept[0], kept[2], check_exact=True)


def test_live_rows_are_visible_when_they_have_arrived(lake: Lake) -> None:
    arrived = START + 5 * HOUR
    lake.ingest(Departure, departures(("a", 1.0, 1), ("b", 1.0, 9)), arrived_at=int(arrived.timestamp() * 1e6))
    assert lake.read(Departure)["_visible_at"].to_list() == [arrived, START + 10 * HOUR]
    assert counts(lake.ingest(Departure, departures(("a", 1.0, 1)))) == (0, 1, 0)


def test_only_what_is_visible_before_an_instant(lake: Lake) -> None:
    lake.ingest(Departure, departures(("a", 1.0, 1), ("b", 1.0, 2), ("c", 1.0, 3)))
    before = int((START + 3 * HOUR).timestamp() * 1e6)
    assert lake.read(Departure, known_before=before)["flight_id"].to_list() == ["a"]
    assert lake.read(Departure, known_before=before + 1)["flight_id"].to_list() == ["a", "b"]


def test_only_what_is_visible_after_an_instant(lake: Lake) -> None:
    lake.ingest(Departure, departures(("a", 1.0, 1), ("b", 1.0, 2), ("c", 1.0, 3)))
    arrived = int((START + 9 * HOUR).timestamp() * 1e6)
    lake.ingest(Departure, departures(("late", 1.0, 1)), arrived_at=arrived)
    visible = int((START + 3 * HOUR).timestamp() * 1e6)  # of b: an hour after it was known
    assert lake.read(Departure, known_after=visible)["flight_id"].to_list() == ["c", "late"]
    assert lake.read(Departure, known_after=visible - 1)["flight_id"].to_list() == ["b", "c", "late"]
    assert lake.read(Departure, known_after=visible, known_before=arrived)["flight_id"].to_list() == ["c"]


def test_chosen_columns_come_in_declared_order_with_those_of_the_system(lake: Lake) -> None:
    lake.ingest(Departure, departures(("a", 1.0, 1)))
    assert lake.read(Departure, columns=["late", "origin"]).columns == ["origin", "late", "_visible_at", "_seq"]


def test_rows_without_a_key_are_one_fact_only_when_equal(lake: Lake) -> None:
    frame = pl.DataFrame({"page": ["x", "y", "x"], "at": [START, START, START]})
    assert counts(lake.ingest(Click, frame)) == (2, 1, 0)


def test_a_rejected_row_is_kept_as_it_was_given(lake: Lake) -> None:
    frame = departures(("a", float("nan"), 1), ("b", 1.0, 1)).with_columns(extra=pl.Series([b"\xff", b""]))
    done = lake.ingest(Departure, frame)
    assert done.ignored == ("extra",)
    (row,) = lake.quarantine("departure").iter_rows(named=True)
    assert (row["reason"], row["sentence"]) == ("not_finite", "dep_delay is NaN or infinite; say missing instead.")
    given = json.loads(row["row"])
    assert (given["dep_delay"], given["seats"], given["late"], given["flight_id"]) == ("NaN", None, True, "a")
    assert datetime.fromisoformat(given["left_at"]) == START + HOUR


def test_rows_that_are_all_rejected_are_an_error_and_in_quarantine(lake: Lake) -> None:
    with pytest.raises(ContractError, match=r"dep_delay is below -120 \(2\).*departure_quarantine") as caught:
        lake.ingest(Departure, departures(("a", -500.0, 1), ("b", -500.0, 1)))
    assert caught.value.code == "CONTRACT_ALL_REJECTED"
    assert len(lake.quarantine(Departure)) == 2
    assert lake.tables() == ["departure"]


def test_a_static_table_is_always_visible_and_keeps_what_was_first(lake: Lake) -> None:
    seats = {f"N{i}": i for i in range(200)}
    lake.ingest(Plane, planes(seats))
    assert lake.read(Plane)["_visible_at"].null_count() == 200
    assert counts(lake.ingest(Plane, planes(seats | {"N7": 8}))) == (0, 199, 1)
    with pytest.raises(ContractError, match="KnownAt") as caught:
        lake.ingest(Plane, planes({"N1": 5, "N300": 1}))
    assert caught.value.code == "CONTRACT_STATIC_CHANGES"
    assert lake.read(Plane)["seats"].to_list() == list(range(200))


def table(static: bool = False, **columns: Any) -> type[ms.Table]:
    return make_table("Sale", columns if static else {**columns, "at": ms.KnownAt()}, static=static)


SALES = pl.DataFrame({"id": [1, 2], "price": [1.5, -2.0], "units": [3, 4], "at": [START, START]})


def test_a_column_declared_later_is_filled_in_from_the_same_facts(lake: Lake) -> None:
    lake.ingest(table(id=ms.Key()), SALES)
    pinned = lake.snapshots([table(id=ms.Key())])["sale"]
    wider = table(id=ms.Key(), units=ms.Int(optional=True))
    assert lake.read(wider)["units"].to_list() == [None, None]
    assert counts(lake.ingest(wider, SALES[:1])) == (0, 1, 0)
    assert lake.read(wider)["units"].to_list() == [3, None]
    assert lake.read(wider)["_seq"].to_list() == [0, 1]
    assert lake.read(wider, pinned)["units"].to_list() == [None, None]
    later = SALES[1:].with_columns(at=START + HOUR)
    assert counts(lake.ingest(wider, later)) == (1, 0, 0)
    assert lake.read(wider)["_seq"].to_list() == [0, 1, 2]


def test_a_required_column_declared_later_needs_every_stored_fact(lake: Lake) -> None:
    lake.ingest(table(id=ms.Key()), SALES)
    wider = table(id=ms.Key(), units=ms.Int())
    with pytest.raises(ContractError, match="1 of them") as caught:
        lake.ingest(wider, SALES[:1])
    assert caught.value.code == "CONTRACT_COLUMN_MISSING"
    lake.ingest(wider, SALES)
    assert lake.read(wider)["units"].to_list() == [3, 4]


def test_a_column_no_longer_declared_stays_in_storage(lake: Lake) -> None:
    wide, narrow = table(id=ms.Key(), units=ms.Int()), table(id=ms.Key())
    lake.ingest(wide, SALES)
    assert counts(lake.ingest(narrow, SALES)) == (0, 2, 0)
    assert lake.read(narrow).columns == ["id", "at", "_visible_at", "_seq"]
    assert lake.read(wide)["units"].to_list() == [3, 4]


def test_a_stricter_declaration_withdraws_what_breaks_it(lake: Lake) -> None:
    loose, strict = table(id=ms.Key(), price=ms.Float()), table(id=ms.Key(), price=ms.Float(ge=0))
    pinned = lake.ingest(loose, SALES).snapshot_id
    done = lake.ingest(strict, SALES)
    assert counts(done) == (0, 1, 1)
    assert done.withdrawn == 1
    assert lake.read(strict)["price"].to_list() == [1.5]
    assert lake.read(strict, pinned)["price"].to_list() == [1.5, -2.0]
    assert set(lake.quarantine(strict)["reason"]) == {"too_small"}
    again = lake.ingest(strict, SALES)
    assert (counts(again), again.withdrawn, again.snapshot_id) == ((0, 1, 1), 0, done.snapshot_id)


def test_other_keys_withdraw_the_rows_that_now_contradict_another(lake: Lake) -> None:
    rows = SALES.with_columns(shop=pl.lit("s"))
    lake.ingest(table(id=ms.Key(), shop=ms.Category()), rows)
    by_shop = table(id=ms.Category(), shop=ms.Key())
    done = lake.ingest(by_shop, rows)
    assert (counts(done), done.withdrawn) == ((0, 1, 1), 1)
    assert lake.read(by_shop)["id"].to_list() == ["1"]


def test_a_column_of_another_kind_than_stored_is_refused(lake: Lake) -> None:
    lake.ingest(table(price=ms.Float()), SALES)
    other = table(price=ms.Category())
    for attempt in (lambda: lake.read(other), lambda: lake.ingest(other, SALES.cast({"price": pl.String}))):
        with pytest.raises(ContractError, match="double") as caught:
            attempt()
        assert caught.value.code == "CONTRACT_TYPE"


def test_a_new_description_or_lag_changes_no_snapshot(lake: Lake) -> None:
    first = lake.ingest(table(id=ms.Key()), SALES).snapshot_id
    lagging = make_table("Sale", {"id": ms.Key(description="a number"), "at": ms.KnownAt(lag="2h")})
    assert lake.ingest(lagging, SALES).snapshot_id == first
    assert lake.read(lagging)["_visible_at"].to_list() == [START + 2 * HOUR] * 2


@pytest.mark.parametrize("commits_done", [0, 1])
def test_what_was_broken_off_is_completed_by_doing_it_again(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, commits_done: int
) -> None:
    rows = departures(("a", 1.0, 1), ("a", 2.0, 1), ("b", -500.0, 1))
    real, done = iceberg.commit, 0

    def killed(*args: Any, **kwargs: Any) -> bool:
        nonlocal done
        if done == commits_done:
            raise KeyboardInterrupt
        done += 1
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(iceberg, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            lake.ingest(Departure, rows)
    assert len(lake.read(Departure)) == 0
    assert counts(lake.ingest(Departure, rows)) == (1, 0, 2)
    assert (len(lake.read(Departure)), len(lake.quarantine(Departure))) == (1, 2)


def test_writers_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    batches = [departures(*((f"{i % 6}", 1.0, 1) for i in range(n, n + 4))) for n in range(4)]
    failed: list[BaseException] = []

    def write(batch: pl.DataFrame) -> None:
        lake = Lake(properties(tmp_path), "flights")
        try:
            lake.ingest(Departure, batch)
        except BaseException as error:
            failed.append(error)
        finally:
            lake.close()

    first = Lake(properties(tmp_path), "flights")
    first.ingest(Departure, departures(("x", 1.0, 1)))
    threads = [threading.Thread(target=write, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    read = first.read(Departure)
    first.close()
    assert not failed
    assert sorted(read["flight_id"]) == ["0", "1", "2", "3", "4", "5", "x"]
    assert sorted(read["_seq"]) == list(range(7))


def test_a_lake_of_nothing(lake: Lake) -> None:
    assert lake.tables() == []
    assert lake.snapshots([Departure]) == {"departure": 0}
    assert len(lake.read(Departure)) == 0
    assert len(lake.quarantine(Departure)) == 0
    assert counts(lake.ingest(Departure, departures())) == (0, 0, 0)
    assert lake.tables() == []


@pytest.mark.parametrize("damage", ["delete", "overwrite"])
def test_a_damaged_file_is_told_in_words(lake: Lake, tmp_path: Path, damage: str) -> None:
    lake.ingest(Departure, departures(("a", 1.0, 1)))
    (file,) = (tmp_path / "lake").rglob("*.parquet")
    file.unlink() if damage == "delete" else file.write_bytes(b"rubbish" * 500)
    with pytest.raises(WorkspaceError, match="facts of departure") as caught:
        lake.read(Departure)
    assert caught.value.code == "WORKSPACE_BROKEN"
    with pytest.raises(MainspringError):
        lake.sql("SELECT dep_delay FROM departure")


def test_a_snapshot_that_is_none_is_told_in_words(lake: Lake) -> None:
    lake.ingest(Departure, departures(("a", 1.0, 1)))
    with pytest.raises(WorkspaceError, match="no snapshot 7"):
        lake.read(Departure, 7)


def test_a_batch_seen_before_is_compared_again_after_a_revision(lake: Lake) -> None:
    loose, strict = table(id=ms.Key(), price=ms.Float()), table(id=ms.Key(), price=ms.Float(ge=0))
    lake.ingest(loose, SALES)
    lake.ingest(strict, SALES)
    assert counts(lake.ingest(loose, SALES)) == (1, 1, 0)
    assert counts(lake.ingest(loose, SALES)) == (0, 2, 0)
