"""What is known sooner than the label: facts that hint at it, and what users do after an answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mainspring.declare.expression import Expression, key_pairs
from mainspring.declare.kind import Kind
from mainspring.declare.label import Label, format_horizon
from mainspring.declare.value import Declared
from mainspring.errors import DeclarationError

__all__ = ["Friction", "Proxy"]


@dataclass(frozen=True, eq=False, repr=False)
class Proxy(Label):
    """A yes/no fact that hints at a yes/no label and is known sooner; it matures exactly as a label does.

    `Proxy(Departure.dep_delay >= 15, by="flight_id", within="2h15m", otherwise=True)`: decided two hours before departure,
    whoever has not left a quarter of an hour after schedule left late. How well it tells the label is learned, never assumed.
    """


@dataclass(frozen=True, eq=False, repr=False)
class Friction(Declared):
    """Something that users do after an answer that did not help them: they ask again, undo, abandon.

    `Friction(Cancellation, by="order_id", within="1d")`: a row of the table with the decision's key became known in
    (t, t + within]. A condition in place of the table is read from the first such row that has a value. Without a row: no.

    `Friction.asks_again(within="10m")`: a decision with the same key was made in (t, t + within].

    Yes is known when it happens, no at t + within.
    """

    outcome: Any = None
    by: Any = field(default=(), kw_only=True)
    within: str = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if hasattr(self.outcome, "__schema__"):
            schema = self.outcome.__schema__
            column = schema.columns[0] if schema.known_at is None else schema.known_at
            self._set("outcome", ~column.is_missing())
        if self.outcome is None and self.by:
            raise DeclarationError(
                "DECLARE_SYSTEM",
                f"Friction(by={self.by!r}) names no table.",
                fix='Write Friction(Cancellation, by="order_id", within="1d"), or Friction.asks_again(within="10m").',
                origin=self.origin,
            )
        known = self.outcome is None or (
            isinstance(self.outcome, Expression) and self.outcome.kind in {Kind.BOOL, None}
        )
        if not known:
            raise DeclarationError(
                "DECLARE_SYSTEM",
                f"Friction({self.outcome!r}) is neither a table nor a condition.",
                fix='Write for example Friction(Cancellation, by="order_id", within="1d"), or a condition in place of the table.',
                origin=self.origin,
            )
        self._set("by", () if self.outcome is None else key_pairs(self.by, self.origin))
        self._set("within", format_horizon(self))

    @classmethod
    def asks_again(cls, *, within: str) -> Friction:
        """The same key is decided again within a time."""
        return cls(within=within)

    @property
    def told_by(self) -> Proxy | None:
        """The facts that tell it, matured as a label is; None where the decisions themselves do."""
        if self.outcome is None:
            return None
        return Proxy(self.outcome, by=self.by, within=self.within, otherwise=False, origin=self.origin)
