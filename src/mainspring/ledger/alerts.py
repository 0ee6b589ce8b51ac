"""What was amiss, whom it was told, and whose alerts are silenced for now."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, case, func, insert, null, select, update

from mainspring.errors import LedgerError
from mainspring.ledger.database import Database, as_record
from mainspring.ledger.records import Alert, KeptAlert, Silence
from mainspring.ledger.tables import alerts as kept
from mainspring.ledger.tables import silences

__all__ = ["AlertLog", "AlertSpan", "AlertState", "put_alerts"]

AlertState = Literal["open", "ended", "all"]

_COLUMNS = ("id", "opened_at", "ended_at", "monitor", "kind", "severity", "owner", "told", "fate")
_SHOWN = 5


class AlertSpan(NamedTuple):
    """When an alert was open, and what it said; microseconds."""

    id: str
    monitor: str
    severity: str
    opened_at: int
    ended_at: int | None
    told: str
    sends: int


class AlertLog:
    """The alerts of systems and what has become of each, and the silences.

    Guarantees: each call is one transaction; threads may share one object; an alert once recorded is never lost, and what
    was delivered or acknowledged stays so. Every call may raise WorkspaceError, as those of the ledger do.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, system: str, alerts: Iterable[Alert]) -> None:
        """Write down alerts as they are now, all or none; one with the same id takes its place."""
        with self._database.writing() as connection:
            put_alerts(connection, system, alerts)

    def history(self, system: str, *, limit: int | None = None) -> list[KeptAlert]:
        """Return the alerts of a system, the newest first."""
        return self._found(system, limit=limit)

    def open(self, system: str) -> list[KeptAlert]:
        """Return the alerts that have not ended, the newest first."""
        return self._found(system, kept.c.ended_at.is_(None))

    def count(self, system: str, *, state: AlertState = "all", monitor: str | None = None) -> int:
        """Return how many alerts there are, of one monitor or of all."""
        query = select(func.count()).where(kept.c.system == system, *_chosen(state, monitor))
        with self._database.reading() as connection:
            return connection.execute(query).scalar() or 0

    def page(
        self,
        system: str,
        *,
        state: AlertState = "all",
        monitor: str | None = None,
        opened_before: int | None = None,
        limit: int,
        offset: int = 0,
    ) -> list[KeptAlert]:
        """Return some of the alerts, the newest first: `limit` of them after `offset` others. No other is read."""
        before = [] if opened_before is None else [kept.c.opened_at < opened_before]
        return self._found(system, *_chosen(state, monitor), *before, limit=limit, offset=offset)

    def find(self, system: str, id: str) -> KeptAlert | None:
        """Return the alert with exactly this id, None where there is none."""
        return next(iter(self._found(system, kept.c.id == id)), None)

    def monitors(self, system: str) -> dict[str, int]:
        """Return how many alerts each monitor had, by name."""
        query = select(kept.c.monitor, func.count()).where(kept.c.system == system)
        with self._database.reading() as connection:
            rows = connection.execute(query.group_by(kept.c.monitor).order_by(kept.c.monitor))
            return {row[0]: row[1] for row in rows}

    def spans(self, system: str, begin: int, end: int, *, limit: int) -> list[AlertSpan]:
        """Return the newest alerts that were open at some time from `begin` to `end` (microseconds), the newest first."""
        ended_later = kept.c.ended_at.is_(None) | (kept.c.ended_at >= begin)
        query = select(*(kept.c[name] for name in AlertSpan._fields))
        query = query.where(kept.c.system == system, kept.c.opened_at <= end, ended_later)
        query = query.order_by(kept.c.opened_at.desc(), kept.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            return [AlertSpan(*row) for row in connection.execute(query)]

    def undelivered(self, system: str) -> list[Alert]:
        """Return the alerts that somebody is to be told of and was not yet, the oldest first."""
        found = self._found(system, (kept.c.fate == "sent") & kept.c.delivered_at.is_(None))
        return [each.alert for each in reversed(found)]

    def sends(self, system: str) -> int:
        """Return how often anybody was to be told of an alert, since the ledger began."""
        with self._database.reading() as connection:
            return connection.execute(select(func.sum(kept.c.sends)).where(kept.c.system == system)).scalar() or 0

    def mark_delivered(self, system: str, alert: Alert, *, at: int) -> None:
        """Write down that somebody was told of an alert as it is here; one that has grown worse since stays undelivered."""
        same = (kept.c.id == alert.id) & (kept.c.sends == len(alert.sent)) & kept.c.delivered_at.is_(None)
        with self._database.writing() as connection:
            connection.execute(update(kept).where(kept.c.system == system, same).values(delivered_at=at))

    def acknowledge(self, system: str, id: str, *, by: str, at: int) -> KeptAlert:
        """Write down who looks after an alert; who did so first stays. `id` may be the only beginning of an id.

        Raises LedgerError (LEDGER_UNKNOWN_ALERT).
        """
        with self._database.writing() as connection:
            full = _resolve(connection, system, id)
            same = (kept.c.system == system) & (kept.c.id == full)
            new = update(kept).where(same, kept.c.acknowledged_at.is_(None))
            connection.execute(new.values(acknowledged_by=by, acknowledged_at=at))
            return _as_kept(connection.execute(select(kept).where(same)).one())

    def silence(self, system: str, monitor: str, *, at: int, until: int, by: str = "", reason: str = "") -> Silence:
        """Tell nobody of a monitor's alerts, or of any for "*", from `at` until before `until` (microseconds).

        Raises LedgerError (LEDGER_SILENCE) for one that ends before it begins, or is of no monitor.
        """
        if until <= at or not monitor:
            raise LedgerError(
                "LEDGER_SILENCE",
                f"A silence of {monitor!r} ends before it begins." if monitor else "A silence names no monitor.",
                fix='Name a monitor, or "*" for all, and until when: a later instant.',
            )
        with self._database.writing() as connection:
            last = connection.execute(select(func.max(silences.c.number)).where(silences.c.system == system)).scalar()
            made = Silence(
                system=system, number=(last or 0) + 1, monitor=monitor, at=at, until=until, by=by, reason=reason
            )
            connection.execute(insert(silences).values(msgspec.structs.asdict(made)))
        return made

    def silences(self, system: str, now: int) -> list[Silence]:
        """Return the silences that hold at an instant, the newest first."""
        with self._database.reading() as connection:
            return _held(connection, system, now)

    def unsilence(self, system: str, monitor: str, *, at: int) -> list[Silence]:
        """End the silences of exactly this name, "*" being one, and return them as they were.

        Raises LedgerError (LEDGER_SILENCE) when there are none.
        """
        with self._database.writing() as connection:
            held = _held(connection, system, at)
            ended = [each for each in held if each.monitor == monitor]
            if not ended:
                names = ", ".join(sorted({each.monitor for each in held}))
                raise LedgerError(
                    "LEDGER_SILENCE",
                    f"{monitor!r} is not silenced.",
                    exists=f"Silenced are: {names}." if names else "Nothing is.",
                    fix="mainspring alerts silences FILE lists what is silenced.",
                )
            same = (silences.c.system == system) & silences.c.number.in_([each.number for each in ended])
            connection.execute(update(silences).where(same).values(until=at))
        return ended

    def _found(
        self, system: str, *which: ColumnElement[bool], limit: int | None = None, offset: int | None = None
    ) -> list[KeptAlert]:
        query = select(kept).where(kept.c.system == system, *which)
        newest_first = kept.c.opened_at.desc(), kept.c.id.desc()
        if limit is not None:  # else whole alerts are put in order, to drop most of them
            ids = select(kept.c.id).where(kept.c.system == system, *which).order_by(*newest_first)
            query = select(kept).where(kept.c.system == system, kept.c.id.in_(ids.limit(limit).offset(offset)))
        query = query.order_by(*newest_first)
        with self._database.reading() as connection:
            return [_as_kept(row) for row in connection.execute(query)]


def _chosen(state: AlertState, monitor: str | None) -> list[ColumnElement[bool]]:
    which: list[ColumnElement[bool]] = [] if monitor is None else [kept.c.monitor == monitor]
    if state != "all":
        which.append(kept.c.ended_at.is_(None) if state == "open" else kept.c.ended_at.is_not(None))
    return which


def put_alerts(connection: Connection, system: str, alerts: Iterable[Alert]) -> None:
    """Write down alerts as they are now, in somebody's transaction; the same again changes nothing.

    One that is to be told once more is undelivered again.
    """
    for alert in alerts:
        sends = len(alert.sent)
        values = {name: getattr(alert, name) for name in _COLUMNS}
        values |= {"system": system, "sends": sends, "alert": msgspec.to_builtins(alert)}
        again = case((kept.c.sends < sends, null()), else_=kept.c.delivered_at)
        same = (kept.c.system == system) & (kept.c.id == alert.id)
        if connection.execute(update(kept).where(same).values(**values, delivered_at=again)).rowcount == 0:
            connection.execute(insert(kept).values(values))


def _as_kept(row: Row) -> KeptAlert:
    after = {name: getattr(row, name) for name in ("delivered_at", "acknowledged_by", "acknowledged_at")}
    return KeptAlert(alert=msgspec.convert(row.alert, Alert), **after)


def _held(connection: Connection, system: str, now: int) -> list[Silence]:
    query = select(silences).where(silences.c.system == system, silences.c.at <= now, silences.c.until > now)
    return [as_record(Silence, row) for row in connection.execute(query.order_by(silences.c.number.desc()))]


def _resolve(connection: Connection, system: str, id: str) -> str:
    """Return the one full id that `id` stands for.

    Raises LedgerError (LEDGER_UNKNOWN_ALERT).
    """
    query = select(kept.c.id).where(kept.c.system == system).order_by(kept.c.opened_at.desc())
    ids = list(connection.execute(query).scalars())
    beginning = [full for full in ids if full.startswith(id)] if id else []
    if id in ids or len(beginning) == 1:
        return id if id in ids else beginning[0]
    likely = beginning or difflib.get_close_matches(id, ids, _SHOWN) or ids
    raise LedgerError(
        "LEDGER_UNKNOWN_ALERT",
        f"{id!r} begins the ids of several alerts." if beginning else f"No alert of {system} has the id {id!r}.",
        exists=f"There are for example: {', '.join(likely[:_SHOWN])}." if ids else "There are none yet.",
        fix="mainspring alerts list FILE tells the id of every alert.",
    )
