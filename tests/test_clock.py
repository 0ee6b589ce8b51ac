"""Instants and spans: reading and writing are inverse, and what is unclear is refused."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.clock import DAY, HOUR, MINUTE, SECOND, format_instant, format_span, parse_instant, parse_span
from mainspring.errors import DeclarationError, Origin

SPANS = st.one_of(st.integers(0, 10**7), st.integers(0, 10**13), st.integers(0, 10**26))
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001


@given(SPANS)
def test_a_span_is_read_as_it_was_written(span: int) -> None:
    assert parse_span(format_span(span)) == span


@given(SPANS)
def test_a_negative_span_is_written_with_its_sign_and_not_read(span: int) -> None:
    if span:
        assert format_span(-span) == "-" + format_span(span)
        with pytest.raises(DeclarationError):
            parse_span(format_span(-span))


@given(st.timedeltas(timedelta(), timedelta(days=10**6)))
def test_a_timedelta_is_the_same_span(span: timedelta) -> None:
    assert timedelta(microseconds=parse_span(span)) == span


@given(MOMENTS)
def test_an_instant_is_read_as_it_was_written(moment: datetime) -> None:
    instant = parse_instant(moment)
    assert parse_instant(format_instant(instant)) == instant
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant) == moment


@given(MOMENTS, st.integers(-14 * 60, 14 * 60))
def test_an_instant_does_not_depend_on_the_zone_it_is_told_in(moment: datetime, minutes: int) -> None:
    try:
        elsewhere = moment.astimezone(timezone(timedelta(minutes=minutes)))
    except OverflowError:
        return
    assert parse_instant(elsewhere) == parse_instant(elsewhere.isoformat()) == parse_instant(moment)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("0s", 0), ("90s", 90 * SECOND), ("15m", 15 * MINUTE), ("2h", 2 * HOUR), ("7d", 7 * DAY), ("2w", 14 * DAY),
        ("1d12h", 36 * HOUR), ("1.5h", 90 * MINUTE), ("0.000001s", 1), ("1d 2h", 26 * HOUR),
    ],
)  # fmt: skip
def test_spans(text: str, span: int) -> None:
    assert parse_span(text) == span


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (0, "0s"),
        (1, "0.000001s"),
        (90 * SECOND, "1m30s"),
        (7 * DAY, "7d"),
        (-2 * HOUR, "-2h"),
        (DAY + 500_000, "1d0.5s"),
    ],
)
def test_written_spans(span: int, text: str) -> None:
    assert format_span(span) == text


@pytest.mark.parametrize("text", ["", "h", "2", "2 hours", "-2h", "2h!", "1y", None, 3, 2.5, timedelta(-1), "2h3"])
def test_what_is_no_span(text) -> None:
    with pytest.raises(DeclarationError, match="DECLARE_SPAN") as caught:
        parse_span(text, origin=Origin("a.py", 7))
    assert str(caught.value).startswith("a.py:7: ")


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("1970-01-02", DAY), (date(1970, 1, 2), DAY), ("1970-01-01T01:00:00+01:00", 0), ("1969-12-31T23:59:59Z", -SECOND),
        (datetime(1970, 1, 1, 0, 0, 0, 5, tzinfo=UTC), 5),
    ],
)  # fmt: skip
def test_instants(value, instant: int) -> None:
    assert parse_instant(value) == instant


@pytest.mark.parametrize("value", ["", "yesterday", "2013-10-01T06:00:00", datetime(2013, 1, 1), 5, None, "2013-13-01"])  # noqa: DTZ001
def test_what_is_no_instant(value) -> None:
    with pytest.raises(DeclarationError, match="DECLARE_SPAN"):
        parse_instant(value)


def test_written_instants() -> None:
    assert format_instant(0) == "1970-01-01T00:00:00Z"
    assert format_instant(-1) == "1969-12-31T23:59:59.999999Z"
