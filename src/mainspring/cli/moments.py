"""Instants and spans as commands write them."""

from __future__ import annotations

__all__ = ["ago", "moment"]


def moment(at: int) -> str:
    """Write an instant to the minute, in UTC."""
    from mainspring.clock import format_instant

    return format_instant(at)[:16].replace("T", " ")


def ago(span: int) -> str:
    """Write how long ago something was in one unit: "12 s", "5 min", "3 h", "9 days"."""
    from mainspring.clock import DAY, HOUR, MINUTE, SECOND

    for unit, name in ((DAY, "days"), (HOUR, "h"), (MINUTE, "min")):
        if span >= 2 * unit:
            return f"{span // unit:,} {name}"
    return f"{max(span, 0) // SECOND} s"
