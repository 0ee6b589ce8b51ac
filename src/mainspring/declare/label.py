"""The label: what came true, and when that is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mainspring.clock import format_span, parse_span
from mainspring.declare.expression import Aggregate, Expression, key_pairs, walk
from mainspring.declare.kind import NUMBERS, Kind
from mainspring.declare.value import Declared
from mainspring.errors import DeclarationError

__all__ = ["Label", "format_horizon"]


@dataclass(frozen=True, eq=False, repr=False)
class Label(Declared):
    """What came true after a decision.

    Of a row: `Label(Arrival.arr_delay >= 15, by="flight_id", within="36h", otherwise=True)`. The first row with the
    decision's key that becomes known in (t, t + within] and has a value decides, and the label is known at its known_at.
    When none came the label is `otherwise`, known at t + within; without `otherwise` it stays unknown.

    Of a window: `Label(Rental.count(by="station", over="1h") >= 10, within="1h")` is read, and known, at t + within.

    A condition is a yes/no label (binary), a number a regression, a category a multiclass label.
    """

    outcome: Expression
    by: Any = field(default=(), kw_only=True)
    within: str = field(kw_only=True)
    otherwise: Any = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.outcome, Expression):
            raise DeclarationError(
                "DECLARE_SYSTEM",
                f"{type(self).__name__}({self.outcome!r}) is not read from a table.",
                fix=f'Write for example {type(self).__name__}(Arrival.arr_delay >= 15, by="flight_id", within="36h").',
                origin=self.origin,
            )
        self._set("by", key_pairs(self.by, self.origin))
        self._set("within", format_horizon(self))

    @property
    def task(self) -> str:
        """ "binary", "regression" or "multiclass", by the kind of the outcome."""
        if self.outcome.kind is Kind.BOOL:
            return "binary"
        return "regression" if self.outcome.kind in NUMBERS | {Kind.SPAN} else "multiclass"

    @property
    def is_window(self) -> bool:
        """Whether the label is read from a window at t + within, rather than from one deciding row."""
        return any(isinstance(node, Aggregate) for node in walk(self.outcome))


def format_horizon(declared: Any) -> str:
    """Return the `within` of what matures after a decision as spans are stored; DeclarationError where nothing could come in it."""
    within = parse_span(declared.within, origin=declared.origin)
    if within <= 0:
        raise DeclarationError(
            "DECLARE_WINDOW",
            f"within={declared.within!r} holds no time in which the {type(declared).__name__.lower()} could come true.",
            fix='Write for example within="36h".',
            origin=declared.origin,
        )
    return format_span(within)
