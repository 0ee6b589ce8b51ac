"""The decision: the moment at which a prediction is needed, for one row of a table or on a schedule for each entity."""

from __future__ import annotations

from dataclasses import dataclass, field

from mainspring.clock import format_span, parse_span
from mainspring.declare.expression import Expression, decided_at
from mainspring.declare.kind import Kind
from mainspring.declare.table import Table
from mainspring.declare.value import Declared
from mainspring.errors import DeclarationError

__all__ = ["Decision"]


def _time_of(table: type[Table]) -> str:
    return next((column.name for column in table.__schema__.columns if column.kind is Kind.TIME), "time")


@dataclass(frozen=True, eq=False, repr=False)
class Decision(Declared):
    """When a prediction is needed.

    Row-driven: `Decision(Flight, at=Flight.sched_dep - "2h")` decides for each row of the table, at the time it says. The
    row must be known by then, and must not have been replaced: when a newer row with the same key is known by then, that one
    decides, at its own time. A row that takes no part is counted.

    On a schedule: `Decision(Station, every="1h", offset="5m")` decides for each key of the table at every instant
    epoch + offset + n * every, from the moment its first row is known to the end of the history, with the values of its
    newest known row.

    `where` is a condition on that row: no decision is made where it is not true, and such are counted.
    """

    table: type[Table]
    at: Expression | None = field(default=None, kw_only=True)
    every: str | None = field(default=None, kw_only=True)
    where: Expression | None = field(default=None, kw_only=True)
    offset: str = field(default="0s", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (isinstance(self.table, type) and hasattr(self.table, "__schema__")):
            raise DeclarationError(
                "DECLARE_SYSTEM",
                f"Decision({self.table!r}) names no table.",
                fix='Give the class of a table first: Decision(Flight, at=Flight.sched_dep - "2h").',
                origin=self.origin,
            )
        if self.at is not None and not isinstance(self.at, Expression):
            raise DeclarationError(
                "DECLARE_SYSTEM",
                f"Decision(at={self.at!r}) is not a time that the table tells.",
                fix=f'Write for example at={self.table.__name__}.{_time_of(self.table)} - "2h".',
                origin=self.origin,
            )
        if (self.at is None) == (self.every is None):
            raise DeclarationError(
                "DECLARE_SYSTEM",
                "A decision is either at a time its row tells or on a schedule.",
                exists=f"at={self.at!r}, every={self.every!r}.",
                fix='Write Decision(Flight, at=Flight.sched_dep - "2h") or Decision(Station, every="1h").',
                origin=self.origin,
            )
        if self.every is not None:
            every = parse_span(self.every, origin=self.origin)
            if every <= 0:
                raise DeclarationError(
                    "DECLARE_SPAN", "every='0s' never ends.", fix='Write for example every="1h".', origin=self.origin
                )
            self._set("every", format_span(every))
        self._set("offset", format_span(parse_span(self.offset, origin=self.origin)))

    @property
    def time(self) -> Expression:
        """The decision time as an expression of the decision's row."""
        return decided_at if self.at is None else self.at
