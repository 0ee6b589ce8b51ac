"""What the loop of a system knows and has done: a step is one transaction, kept whole or not at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from msgspec.structs import asdict
from sqlalchemy import Connection, func, insert, select, update

from mainspring.answers import Arm
from mainspring.clock import DAY
from mainspring.errors import LedgerError
from mainspring.ledger.alerts import put_alerts
from mainspring.ledger.database import Database, as_record
from mainspring.ledger.deployments import put_deployment
from mainspring.ledger.records import Alert, KeptLoop, LoopEvent
from mainspring.ledger.signals import Signal, forget_signals, put_signals
from mainspring.ledger.tables import loop_events as events
from mainspring.ledger.tables import loops

__all__ = ["Loops"]


class Loops:
    """The state of the loop of each system after its newest step, and all that its loop did.

    Guarantees: a step is written with its events, alerts, signals and the arms that it sets in one transaction, so that after a
    kill all of it was done, once, or nothing; of two processes that go on from the same step one is refused.
    Every call may raise WorkspaceError, as those of the ledger do.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def kept(self, system: str) -> KeptLoop | None:
        """Return what the loop of a system knows after its newest step; None before its first."""
        with self._database.reading() as connection:
            found = connection.execute(select(loops).where(loops.c.system == system)).one_or_none()
        return None if found is None else as_record(KeptLoop, found)

    def newest_step(self, system: str) -> int:
        """Return the number of the newest step of the loop of a system; 0 before its first. What is kept holds until the next."""
        with self._database.reading() as connection:
            return connection.execute(select(loops.c.step).where(loops.c.system == system)).scalar() or 0

    def commit(
        self,
        kept: KeptLoop,
        *,
        done: Sequence[LoopEvent] = (),
        alerts: Iterable[Alert] = (),
        signals: Iterable[Signal] = (),
        anew: bool = False,
        arms: Sequence[Arm] | None = None,
        reason: str = "",
    ) -> int | None:
        """Write down a step; return the number of its deployment where it sets arms. Events are numbered here.

        `anew` is a loop that begins, maybe in the past: what was said of its day and of later ones after its instant goes.

        Raises LedgerError: LEDGER_LOOP when the newest step is not the one before this, LEDGER_ARMS.
        """
        with self._database.writing() as connection:
            _go_on(connection, kept)
            newest = connection.execute(select(func.max(events.c.number)).where(events.c.system == kept.system))
            first = (newest.scalar() or 0) + 1
            for number, event in enumerate(done, first):
                connection.execute(insert(events).values(asdict(event) | {"number": number, "step": kept.step}))
            put_alerts(connection, kept.system, alerts)
            if anew:
                forget_signals(connection, kept.system, day=kept.at // DAY, at=kept.at)
            put_signals(connection, signals)
            if arms is None:
                return None
            return put_deployment(connection, kept.system, arms, at=kept.written_at, by="loop", reason=reason).number

    def events(
        self, system: str, *, model: str | None = None, what: Collection[str] | None = None, limit: int | None = None
    ) -> list[LoopEvent]:
        """Return what the loop of a system did, the newest first; with `model` only what it did about that one, with `what`
        only what is told by these words.
        """
        query = select(events).where(events.c.system == system).order_by(events.c.number.desc()).limit(limit)
        if model is not None:
            query = query.where(events.c.model == model)
        if what is not None:
            query = query.where(events.c.what.in_(what))
        with self._database.reading() as connection:
            return [as_record(LoopEvent, row) for row in connection.execute(query)]


def _go_on(connection: Connection, kept: KeptLoop) -> None:
    """Put a state in the place of the one before it."""
    same = loops.c.system == kept.system
    if kept.step > 1:
        before = update(loops).where(same, loops.c.step == kept.step - 1)
        done = connection.execute(before.values(asdict(kept))).rowcount
    else:
        done = connection.execute(select(func.count()).select_from(loops).where(same)).scalar() == 0
        if done:
            connection.execute(insert(loops).values(asdict(kept)))
    if not done:
        raise LedgerError(
            "LEDGER_LOOP",
            f"Another process has gone on with the loop of {kept.system} from step {kept.step - 1}.",
            fix="Serve a system once in a workspace; this process goes on from where the other one is.",
        )
