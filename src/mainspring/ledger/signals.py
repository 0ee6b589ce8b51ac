"""What was known of each day, kept after the loop that knew it has forgotten: quality of models, drift of features."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from sqlalchemy import Connection, bindparam, delete, insert, select

from mainspring.ledger.database import Database, as_record
from mainspring.ledger.tables import signals as kept

__all__ = ["Signal", "Signals", "forget_signals", "put_signals"]


class Signal(Struct, frozen=True, kw_only=True):
    """What is known of one day, by its number since the epoch. `at` is the system's own time at which it was known.

    `kind` says what of, `about` of whom: a model. The document is as whoever keeps signals writes it.
    """

    system: str
    kind: str
    about: str
    day: int
    at: int
    document: bytes


class Signals:
    """What is known of each day of systems, the newest that was said of each day. Written by `Loops.commit` alone.

    Every call may raise WorkspaceError, as those of the ledger do.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(
        self, system: str, kind: str, *, about: str | None = None, since: int | None = None, after: int | None = None
    ) -> list[Signal]:
        """Return what is known of days, the oldest first and then by whom it is about.

        `since` is the first day (its number) that is asked for; with `after` (microseconds) only what was said later than
        that by the system's own time, which goes back where a history is played again.
        """
        query = select(kept).where(kept.c.system == system, kept.c.kind == kind).order_by(kept.c.day, kept.c.about)
        if about is not None:
            query = query.where(kept.c.about == about)
        if since is not None:
            query = query.where(kept.c.day >= since)
        if after is not None:
            query = query.where(kept.c.at > after)
        with self._database.reading() as connection:
            return [as_record(Signal, row) for row in connection.execute(query)]


def put_signals(connection: Connection, signals: Iterable[Signal]) -> None:
    """Write down signals within a transaction; each takes the place of the one before it of the same day."""
    rows = [{name: getattr(each, name) for name in Signal.__struct_fields__} for each in signals]
    if not rows:
        return
    same = [kept.c[name] == bindparam(f"the_{name}") for name in ("system", "kind", "about", "day")]
    keys = [{f"the_{name}": row[name] for name in ("system", "kind", "about", "day")} for row in rows]
    connection.execute(delete(kept).where(*same), keys)
    connection.execute(insert(kept), rows)


def forget_signals(connection: Connection, system: str, *, day: int, at: int) -> None:
    """Drop within a transaction what was said later than an instant of a day, or of later ones: it is yet to come again."""
    connection.execute(delete(kept).where(kept.c.system == system, kept.c.day >= day, kept.c.at > at))
