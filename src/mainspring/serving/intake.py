"""The way in for facts: each row is held to its table's contract, told apart from those known, and given its time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from mainspring.answers import Rejection
from mainspring.clock import DAY
from mainspring.declare import System, Table
from mainspring.errors import ServingError
from mainspring.lake.contract import ROW, Conformed, conform
from mainspring.lake.lake import visible_at
from mainspring.lake.parsing import TIME
from mainspring.serving.known_facts import Hashes, KnownFacts

__all__ = ["Intake", "Newest", "Taken", "known_by", "latest_known"]

_REJECTIONS_TOLD = 100
_DAYS_AHEAD = 366


@dataclass(frozen=True, eq=False)
class Taken:
    """What became of the rows of one request: `accepted + already_there + rejected == given`.

    `facts` are the accepted ones with `_visible_at`; `rejections` tells of the first hundred rejected ones.
    """

    table: str
    given: int
    already_there: int
    rejected: int
    rejections: tuple[Rejection, ...]
    facts: pl.DataFrame

    @property
    def accepted(self) -> int:
        return self.facts.height


class Newest(NamedTuple):
    """When the newest of some facts was known and is visible, and how long all of them took to arrive; microseconds."""

    known_at: int
    visible: int
    lag: int


def latest_known(now: int) -> int:
    """Return until when facts that come now may say that they will be known (microseconds).

    What is later a wrong clock made. None of it may be taken: a clock that follows facts would never come back, nor would
    the end of a history.
    """
    return now + _DAYS_AHEAD * DAY


def known_by(known_at: pl.Series, until: int | pl.Series) -> pl.Series:
    """Say which facts are known by then."""
    return (known_at.to_physical() <= until).fill_null(True)


class Intake:
    """Takes rows of a system's tables; `history` are the facts that the server began with, or their hashes."""

    def __init__(self, system: System, history: Mapping[str, pl.DataFrame | Hashes]) -> None:
        self.tables: dict[str, type[Table]] = {table.__schema__.name: table for table in system.tables}
        self._known = {name: KnownFacts(table.__schema__, history[name]) for name, table in self.tables.items()}

    def known(self) -> dict[str, KnownFacts]:
        """Return what is known of each table by name."""
        return self._known

    def table(self, name: str) -> type[Table]:
        """Return a table by its name.

        Raises ServingError (SERVE_TABLE).
        """
        table = self.tables.get(name)
        if table is None:
            raise ServingError(
                "SERVE_TABLE",
                f"The system has no table {name!r}.",
                exists=f"It has {', '.join(self.tables)}.",
                fix="Name one of them in the path.",
            )
        return table

    def read(self, name: str, frame: pl.DataFrame) -> Conformed:
        """Read a frame as its table declares it; nothing is taken yet.

        Raises ServingError (SERVE_TABLE), and ContractError for a whole column that cannot be read.
        """
        return conform(self.table(name), frame)

    def take(self, name: str, conformed: Conformed, arrived_at: int, until: int) -> Taken:
        """Take rows that arrived at an instant (microseconds): none is visible before it, and none known after `until`.

        Repeated with the same rows in the same order from the same history, it gives the same result: that is how a restart
        finds the state again.
        """
        schema, arrived = self.tables[name].__schema__, pl.lit(arrived_at, pl.Int64).cast(TIME)
        sound, ahead = conformed.facts, list[int]()
        if schema.known_at is not None:
            in_time = known_by(sound[schema.known_at.name], until)
            if not in_time.all():
                sound, ahead = sound.filter(in_time), sound[ROW].filter(~in_time).to_list()
        sieved = self._known[name].sieve(sound)
        facts = sound.filter(pl.Series(sieved.fresh))
        conflicts = sound[ROW].filter(pl.Series(sieved.conflicts)).to_list()
        told = [
            Rejection(row=row, reason=reason, message=sentence)
            for row, reason, sentence in conformed.rejected.head(_REJECTIONS_TOLD).iter_rows()
        ]
        told += [
            Rejection(
                row=row,
                reason="contradiction",
                message="A row with the same key and time and different content was there first.",
            )
            for row in conflicts[:_REJECTIONS_TOLD]
        ]
        told += [
            Rejection(
                row=row,
                reason="too_far_ahead",
                message=f"It says that it will be known more than {_DAYS_AHEAD} days from now.",
            )
            for row in ahead[:_REJECTIONS_TOLD]
        ]
        return Taken(
            table=name,
            given=conformed.facts.height + conformed.rejected.height,
            already_there=sieved.already_there,
            rejected=conformed.rejected.height + len(conflicts) + len(ahead),
            rejections=tuple(sorted(told, key=lambda each: each.row)[:_REJECTIONS_TOLD]),
            facts=facts.drop(ROW).with_columns(visible_at(schema, arrived).alias("_visible_at")),
        )

    def newest(self, taken: Taken, arrived_at: int) -> Newest | None:
        """Return when the newest of the facts accepted was known; None where none has a time."""
        known_at = self.tables[taken.table].__schema__.known_at
        if known_at is None or not taken.accepted:
            return None
        known, visible = taken.facts[known_at.name].to_physical(), taken.facts["_visible_at"].to_physical()
        late = (arrived_at - known).clip(lower_bound=0).sum()
        return Newest(known_at=int(known.max()), visible=int(visible.max()), lag=int(late))  # type: ignore[arg-type]
