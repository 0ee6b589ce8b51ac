"""Deployments: which models of a system answer, by which shares, since when, and why."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, func, insert, select

from mainspring.answers import Arm
from mainspring.errors import LedgerError
from mainspring.ledger.database import Database, as_record
from mainspring.ledger.records import Deployment
from mainspring.ledger.tables import deployments

__all__ = ["Deployments", "check_arms", "put_deployment"]

_WHOLE, _ROUNDING = 1.0, 1e-9
_NAME_LENGTH = 40


class Deployments:
    """What was deployed, one record for each change; the newest of a system is what is deployed.

    Guarantees: each call is one transaction; records are never changed; two changes of a system have different numbers.
    Every call may raise WorkspaceError, as those of the ledger do.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def deploy(self, system: str, arms: Sequence[Arm], *, at: int, by: str = "", reason: str = "") -> Deployment:
        """Write down that from `at` (microseconds) on these arms answer. The champion's share is what the others leave.

        Raises LedgerError (LEDGER_ARMS).
        """
        with self._database.writing() as connection:
            return put_deployment(connection, system, arms, at=at, by=by, reason=reason)

    def current(self, system: str) -> Deployment | None:
        """Return what is deployed; None where nobody has deployed anything."""
        return next(iter(self.history(system, limit=1)), None)

    def history(self, system: str, *, limit: int | None = None) -> list[Deployment]:
        """Return the deployments of a system, newest first."""
        query = select(deployments).where(deployments.c.system == system).order_by(deployments.c.number.desc())
        with self._database.reading() as connection:
            return [as_record(Deployment, row) for row in connection.execute(query.limit(limit))]


def put_deployment(
    connection: Connection, system: str, arms: Sequence[Arm], *, at: int, by: str, reason: str
) -> Deployment:
    """Write down arms in somebody's transaction. Raises LedgerError (LEDGER_ARMS)."""
    kept = check_arms(arms)
    latest = connection.execute(select(func.max(deployments.c.number)).where(deployments.c.system == system)).scalar()
    deployment = Deployment(system=system, number=(latest or 0) + 1, at=at, by=by, reason=reason, arms=kept)
    connection.execute(insert(deployments).values(msgspec.to_builtins(deployment)))
    return deployment


def check_arms(arms: Sequence[Arm]) -> tuple[Arm, ...]:
    """Return the arms with the champion first and its share set to what the others leave.

    Raises LedgerError (LEDGER_ARMS) unless there is one champion, every name is there once, shadows have no share, and the
    shares of challengers are positive and leave something to the champion.
    """
    champions = [arm for arm in arms if arm.role == "champion"]
    challengers = [arm for arm in arms if arm.role == "challenger"]
    left = _WHOLE - sum(arm.share for arm in challengers)
    names = [arm.name for arm in arms]
    problem = None
    if len(champions) != 1:
        problem = f"There are {len(champions)} champions; there must be one."
    elif len(set(names)) < len(names):
        problem = f"Two arms have the same name: {', '.join(sorted(names))}."
    elif bad := [name for name in names if not (0 < len(name) <= _NAME_LENGTH and name.isprintable())]:
        problem = f"{bad[0]!r} is no name of an arm: give 1 to {_NAME_LENGTH} printable characters."
    elif any(not 0 < arm.share < _WHOLE for arm in challengers):  # not a number is refused as well
        problem = "The share of a challenger lies between 0 and 1."
    elif any(arm.share for arm in arms if arm.role == "shadow"):
        problem = "A shadow answers nobody: its share is 0."
    elif left <= _ROUNDING:
        problem = "The challengers leave nothing to the champion."
    if problem is not None:
        raise LedgerError(
            "LEDGER_ARMS",
            problem,
            exists="; ".join(f"{arm.name}: {arm.role}, share {arm.share:g}" for arm in arms),
            fix="Name one champion, challengers with shares that add up to less than 1, and shadows without a share.",
        )
    champion = msgspec.structs.replace(champions[0], share=left)
    return (champion, *challengers, *(arm for arm in arms if arm.role == "shadow"))
