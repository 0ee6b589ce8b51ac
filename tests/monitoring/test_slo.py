"""Error budgets: no count is lost that a window asks for, an outage pages within minutes, and chance as good as never does."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mainspring as ms
from mainspring.clock import DAY, HOUR, MINUTE, SECOND, parse_span
from mainspring.monitoring.counted import FINE, Bucket, Counted
from mainspring.monitoring.readings import Reading
from mainspring.monitoring.slo import PAIRS, Pair, budget_left, burns, counts_told, slo_reading, slo_readings

BEGIN = 400_000 * HOUR
WINDOWS = sorted({each for pair in PAIRS for each in (pair.long, pair.short)} | {30 * DAY})
three_nines = ms.SLO("availability", target=0.999)

few_examples = settings(max_examples=40, deadline=None)
tellings = st.lists(
    st.tuples(st.integers(1, 60 * SECOND), st.integers(0, 3 * HOUR), st.integers(0, 9), st.integers(0, 9)),
    min_size=1, max_size=60,
)  # fmt: skip


def minute_by_minute(*spans: tuple[int, int, int], counted: Counted | None = None, begin: int = BEGIN) -> Counted:
    """Counts told every minute: for each of some spans so many minutes, good and bad in each."""
    counted, now = counted or Counted(), begin
    for minutes, good, bad in spans:
        for _ in range(minutes):
            counted, now = counted.told(now, now + MINUTE, good, bad), now + MINUTE
    return counted


def end_of(counted: Counted) -> int:
    return counted.buckets[-1].end


def said(counted: Counted, slo: ms.SLO = three_nines) -> Reading:
    return slo_reading(slo, counted, end_of(counted))


def pages(counted: Counted, slo: ms.SLO = three_nines) -> bool:
    reading = said(counted, slo)
    return reading.state == "firing" and reading.severity == "page"


# Laws


@few_examples
@given(tellings, st.integers(0, 59 * SECOND))
def test_merging_buckets_loses_nothing_that_a_window_asks_for(
    told: list[tuple[int, int, int, int]], later: int
) -> None:
    counted, events, at = Counted(), [], BEGIN
    for span, pause, good, bad in told:
        counted = counted.told(at, at + span, good, bad)
        events.append((-(-(at + span) // MINUTE) * MINUTE, good, bad))
        at += span + pause
        now = max(events[-1][0] - MINUTE + later, events[-1][0] - MINUTE + 1)
        for window in WINDOWS:
            begin = (now - window) // (MINUTE if window <= FINE else HOUR) * (MINUTE if window <= FINE else HOUR)
            inside = [(g, b) for end, g, b in events if end > begin]
            assert counted.over(window, now) == Bucket(begin, now, sum(g for g, _ in inside), sum(b for _, b in inside))


def test_every_minute_of_a_day_is_asked_exactly_while_hours_are_merged() -> None:
    rng, minutes = np.random.default_rng(5), 30 * 60
    good, bad = rng.integers(0, 9, minutes), rng.integers(0, 3, minutes)
    counted = Counted()
    for k in range(minutes):
        counted, now = (
            counted.told(BEGIN + k * MINUTE, BEGIN + (k + 1) * MINUTE, int(good[k]), int(bad[k])),
            BEGIN + k * MINUTE,
        )
        for window in (5 * MINUTE, 2 * HOUR, FINE, DAY) if k > 24 * 60 else ():
            for at in (now + 1, now + MINUTE):
                grain = MINUTE if window <= FINE else HOUR
                first = max(0, ((at - window) // grain * grain - BEGIN) // MINUTE)
                found = counted.over(window, at)
                assert found is not None
                assert (found.good, found.bad) == (good[first : k + 1].sum(), bad[first : k + 1].sum())


@few_examples
@given(st.lists(st.tuples(st.integers(-HOUR, 3 * HOUR), st.integers(1, 9 * HOUR)), min_size=1, max_size=40))
def test_buckets_never_overlap_and_none_is_lost(told: list[tuple[int, int]]) -> None:
    counted, at = Counted(keep=90 * DAY), BEGIN
    for pause, span in told:
        counted = counted.told(at + pause, at + pause + span, 2, 1)
        at += pause + span
    assert all(a.end <= b.begin for a, b in itertools.pairwise(counted.buckets))
    assert all(each.begin < each.end for each in counted.buckets)
    assert sum(each.good for each in counted.buckets) == 2 * len(told)
    assert sum(each.bad for each in counted.buckets) == len(told)


def test_memory_is_bounded() -> None:
    counted = minute_by_minute((40 * 24 * 60, 1, 0))
    assert len(counted.buckets) <= 421 + 30 * 24 + 1
    found = counted.over(30 * DAY, end_of(counted))
    assert found is not None
    assert 30 * 24 * 60 <= found.good <= 30 * 24 * 60 + 60


@few_examples
@given(st.lists(st.integers(0, 50), min_size=1, max_size=200), st.sampled_from([0.9, 0.95, 0.99]))
def test_an_error_rate_exactly_at_the_target_never_pages(thousands: list[int], target: float) -> None:
    slo, counted, now = ms.SLO("availability", target=target), Counted(), BEGIN
    for each in thousands:
        bad = round(1000 * each * (1 - target))
        counted, now = counted.told(now, now + 5 * MINUTE, 1000 * each - bad, bad), now + 5 * MINUTE
        assert said(counted, slo).state != "firing"
    left = budget_left(slo, counted, now)
    assert left is None if not sum(thousands) else left == pytest.approx(0)


@pytest.mark.parametrize(("target", "minutes"), [(0.99999, 1), (0.999, 1), (0.99, 10), (0.95, 46)])
@pytest.mark.parametrize("a_minute", [10, 1000])
def test_a_total_outage_pages_within_minutes(target: float, minutes: int, a_minute: int) -> None:
    slo = ms.SLO("availability", target=target)
    healthy = minute_by_minute((6 * 60, a_minute, 0))
    assert not pages(healthy, slo)
    assert pages(minute_by_minute((minutes, 0, a_minute), counted=healthy, begin=end_of(healthy)), slo)


def test_with_a_request_a_minute_an_outage_pages_after_its_fifth_failure() -> None:
    healthy = minute_by_minute((6 * 60, 1, 0))
    paged = [pages(minute_by_minute((k, 0, 1), counted=healthy, begin=end_of(healthy))) for k in range(1, 8)]
    assert paged == [False] * 4 + [True] * 3


@pytest.mark.parametrize("outage", [2, 20, 300])
def test_once_it_is_over_it_stops_paging_within_the_short_window(outage: int) -> None:
    counted = minute_by_minute((300, 100, 0), (outage, 0, 100))
    assert pages(counted)
    assert any(burn.fires for burn in burns(three_nines, counted, end_of(counted)) if burn.pair is PAIRS[0])
    counted = minute_by_minute((6, 100, 0), counted=counted, begin=end_of(counted))
    assert not burns(three_nines, counted, end_of(counted))[0].fires
    counted = minute_by_minute((25, 100, 0), counted=counted, begin=end_of(counted))
    assert not pages(counted)


RATES = [(1, 0.999), (20, 0.99), (0.2, 0.99), (300, 0.999)]


@pytest.mark.parametrize(("a_minute", "target"), RATES, ids=[f"{r} a minute, {t}" for r, t in RATES])
def test_failures_as_frequent_as_allowed_page_in_fewer_than_one_of_twenty_months(
    a_minute: float, target: float
) -> None:
    """1,000 runs of three days, looked at every minute: a twentieth a month is 5 of them. Without the law of chance it is hundreds."""
    runs, minutes, slo = 1000, 3 * 24 * 60, ms.SLO("availability", target=target)
    rng = np.random.default_rng(7)
    bad = rng.poisson(a_minute * (1 - target), (runs, minutes))
    good = rng.poisson(a_minute * target, (runs, minutes))
    suspicious, several = np.zeros((runs, minutes), bool), np.zeros((runs, minutes), bool)
    for pair in PAIRS[:2]:
        long, short = (_burning(good, bad, w // MINUTE, pair, slo) for w in (pair.long, pair.short))
        suspicious |= long & short
        several |= long & short & (_newest(bad, pair.long // MINUTE) >= 3)
    paged = sum(
        any(pages(_minutes(good[run], bad[run], minute), slo) for minute in np.flatnonzero(several[run]).tolist())
        for run in np.flatnonzero(several.any(axis=1))
    )
    assert paged <= 5
    if a_minute <= 1:
        assert suspicious.any(axis=1).sum() > 300, "without it"


def _burning(good: np.ndarray, bad: np.ndarray, minutes: int, pair: Pair, slo: ms.SLO) -> np.ndarray:
    """Where the last minutes burn at the rate of a pair."""

    failed = _newest(bad, minutes)
    return (failed >= pair.burn * (1 - (slo.target or 0)) * (failed + _newest(good, minutes))) & (failed > 0)


def _newest(counts: np.ndarray, minutes: int) -> np.ndarray:
    """The sum of the newest minutes, as of each one."""
    total = np.cumsum(counts, axis=1)
    return total - np.pad(total, ((0, 0), (minutes, 0)))[:, : counts.shape[1]]


def _minutes(good: np.ndarray, bad: np.ndarray, last: int) -> Counted:
    """What is kept after a minute: of the time before the longest window of a page nothing is asked."""
    first = max(0, last - 360)
    buckets = (
        Bucket(BEGIN + m * MINUTE, BEGIN + (m + 1) * MINUTE, int(good[m]), int(bad[m])) for m in range(first, last + 1)
    )
    return Counted(buckets=tuple(buckets))


@few_examples
@given(tellings)
def test_what_is_kept_is_plain_data(told: list[tuple[int, int, int, int]]) -> None:
    kept, at = {}, BEGIN
    for span, pause, good, bad in told:
        kept = counts_told(kept, [three_nines], at, at + span, {three_nines.name: (good, bad), "other": (1, 1)})
        at += span + pause
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(kept), type=dict[str, Counted])
    assert again == kept
    assert list(again) == ["availability"]
    assert slo_readings([three_nines], again, at) == slo_readings([three_nines], kept, at)


# Cases


def test_the_pairs_are_those_of_the_workbook() -> None:
    assert [(str(pair), pair.burn, pair.severity) for pair in PAIRS] == [
        ("1h/5m", 14.4, "page"), ("6h/30m", 6.0, "page"), ("1d/2h", 3.0, "ticket"), ("3d/6h", 1.0, "ticket"),
    ]  # fmt: skip
    for pair, share in zip(PAIRS, (0.02, 0.05, 0.10, 0.10), strict=True):
        assert pair.burn * pair.long / (30 * DAY) == pytest.approx(share), "of the budget is gone when it fires"
        assert pair.short * 12 == pair.long


def test_a_page_says_how_fast_it_burns_and_what_is_left() -> None:
    counted = minute_by_minute((2 * 24 * 60, 100, 0), (6, 50, 50))
    assert said(counted).told == (
        "availability burns its budget 50 times as fast as it may over 1h, and 500 times over 5m: from 14.4 it is a page. "
        "The budget of 30d is overspent by 4%."
    )


def test_a_slow_burn_is_a_ticket() -> None:
    counted = minute_by_minute((24 * 60, 9_960, 40))
    reading = said(counted)
    assert (reading.state, reading.severity, reading.limit) == ("firing", "ticket", 3.0)
    assert reading.value == pytest.approx(4)


def daily(*days: tuple[int, int]) -> Counted:
    counted = Counted()
    for k, (good, bad) in enumerate(days):
        counted = counted.told(BEGIN // DAY * DAY + k * DAY, BEGIN // DAY * DAY + (k + 1) * DAY, good, bad)
    return counted


def test_with_one_look_a_day_short_windows_are_unknown_and_said_to_be() -> None:
    calm = said(daily(*[(100_000, 10)] * 10))
    assert calm.state == "ok"
    assert calm.told.endswith("Over 1h/5m, 6h/30m it is unknown: counts are told too seldom.")
    found = burns(three_nines, daily(*[(100_000, 0)] * 10, (99_500, 500)), end_of(daily(*[(1, 1)] * 11)))
    assert [burn.fires for burn in found] == [None, None, None, None]
    assert [burn.long for burn in found] == [None, None, pytest.approx(5), pytest.approx(5 / 3, rel=1e-3)]
    assert [burn.short for burn in found] == [None] * 4
    burning = said(daily(*[(100_000, 0)] * 10, (99_500, 500)))
    assert burning.state == "unknown"
    assert "Over 1h/5m, 6h/30m, 1d/2h, 3d/6h it is unknown" in burning.told


def test_a_spent_budget_is_seen_however_seldom_one_looks() -> None:
    reading = said(daily(*[(100_000, 0)] * 10, (0, 100_000)))
    assert (reading.state, reading.severity) == ("firing", "ticket")
    assert reading.told.startswith("availability has spent its budget.")


def test_with_a_look_an_hour_the_pairs_of_hours_are_known() -> None:
    counted = Counted()
    for k in range(100):
        counted = counted.told(BEGIN + k * HOUR, BEGIN + (k + 1) * HOUR, 1000, 0 if k < 98 else 100)
    fires = [burn.fires for burn in burns(three_nines, counted, end_of(counted))]
    assert fires == [None, None, True, True]


def test_nothing_is_said_of_what_was_never_counted_and_silence_is_no_success() -> None:
    assert slo_reading(three_nines, Counted(), BEGIN).state == "unknown"
    counted = minute_by_minute((60, 100, 0))
    assert slo_reading(three_nines, counted, end_of(counted) + 6 * MINUTE).state == "ok"
    silent = slo_reading(three_nines, counted, end_of(counted) + 7 * MINUTE)
    assert (silent.state, silent.severity) == ("unknown", "page")
    hourly = Counted().told(BEGIN, BEGIN + HOUR, 100, 0)
    assert slo_reading(three_nines, hourly, end_of(hourly) + HOUR).state == "ok"


def test_no_requests_burn_nothing() -> None:
    counted = minute_by_minute((120, 0, 0))
    assert budget_left(three_nines, counted, end_of(counted)) is None
    assert said(counted).told.startswith(
        "availability burns at no rate that asks for anything. Nothing was counted in 30d."
    )


def test_what_comes_late_is_counted_and_order_is_kept() -> None:
    counted = minute_by_minute((3, 1, 0)).told(BEGIN, BEGIN + SECOND, 0, 7)
    assert [each.bad for each in counted.buckets] == [0, 0, 7]
    assert all(a.end <= b.begin for a, b in itertools.pairwise(counted.buckets))


def test_the_window_is_the_declared_one() -> None:
    week = ms.SLO("availability", target=0.999, window="7d")
    kept = counts_told({}, [week], BEGIN, BEGIN + MINUTE, {"availability": (0, 1)})
    for k in range(9 * 24):
        at = BEGIN + MINUTE + k * HOUR
        kept = counts_told(kept, [week], at, at + HOUR, {"availability": (1000, 0)})
    assert kept["availability"].keep == parse_span("7d")
    assert budget_left(week, kept["availability"], end_of(kept["availability"])) == 1
