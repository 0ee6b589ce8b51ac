"""Instants, spans and the clock: the only place where time is turned from text or objects into numbers.

Inside Mainspring an instant is an int of microseconds since 1970-01-01T00:00Z and a span an int of microseconds. Nothing
outside the live loop and the HTTP edge asks what time it is: it is given a `Clock`.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from mainspring.errors import DeclarationError, Origin

__all__ = [
    "DAY",
    "HOUR",
    "MINUTE",
    "SECOND",
    "Clock",
    "format_instant",
    "format_span",
    "microseconds",
    "parse_instant",
    "parse_span",
]

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Says what time it is. Guarantee: `now` never goes back."""

    def now(self) -> int:
        """Return the present instant in microseconds since the epoch."""
        ...


def microseconds(span: timedelta) -> int:
    """Return a span in microseconds, exactly."""
    return (span.days * 86_400 + span.seconds) * SECOND + span.microseconds


def parse_span(span: str | timedelta, *, origin: Origin | None = None) -> int:
    """Read a span such as "90s", "15m", "2h", "7d" or "1d12h" as microseconds.

    Raises DeclarationError (DECLARE_SPAN) for anything else, for a negative span and for zero-length text.

    >>> parse_span("2h") == 2 * HOUR
    True
    """
    if isinstance(span, timedelta) and span >= timedelta():
        return microseconds(span)
    text = span.replace(" ", "") if isinstance(span, str) else ""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise DeclarationError(
            "DECLARE_SPAN",
            f"{span!r} is not a duration.",
            exists="Units are s, m (minutes), h, d and w.",
            fix='Write for example "90s", "15m", "2h", "7d" or "1d12h".',
            origin=origin,
        )
    return sum(_times(number, _UNITS[unit]) for number, unit in parts)


def _times(number: str, unit: int) -> int:
    """Whole numbers stay exact however large they are."""
    return int(number) * unit if number.isdigit() else round(float(number) * unit)


def format_span(span: int) -> str:
    """Write a span in days, hours, minutes and seconds, the inverse of `parse_span`.

    >>> format_span(5400 * SECOND)
    '1h30m'
    """
    if span == 0:
        return "0s"
    sign, rest, text = ("-" if span < 0 else ""), abs(span), ""
    for unit in ("d", "h", "m"):
        count, rest = divmod(rest, _UNITS[unit])
        text += f"{count}{unit}" if count else ""
    return sign + text + (f"{rest / SECOND:.6f}".rstrip("0").rstrip(".") + "s" if rest else "")


def parse_instant(value: str | datetime | date, *, origin: Origin | None = None) -> int:
    """Read an instant as microseconds since the epoch; a bare date is its first moment in UTC.

    Raises DeclarationError (DECLARE_SPAN) for a naive datetime or unreadable text.

    >>> parse_instant("1970-01-02") == DAY
    True
    """
    try:
        moment: date | None = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if isinstance(value, str) and moment is not None and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        moment = date(moment.year, moment.month, moment.day)
    if isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise DeclarationError(
            "DECLARE_SPAN",
            f"{value!r} is not an instant with a time zone.",
            fix='Write for example "2013-10-01" (UTC midnight) or "2013-10-01T06:00:00+00:00".',
            origin=origin,
        )
    return microseconds(moment - _EPOCH)


def format_instant(instant: int) -> str:
    """Write an instant as ISO 8601 in UTC, without a fraction where there is none."""
    return (_EPOCH + timedelta(microseconds=instant)).isoformat().replace("+00:00", "Z")
