"""The ledger: write down what a run did as it does it, and find it again."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from msgspec.structs import asdict, replace
from sqlalchemy import ColumnElement, Connection, Row, Table, exc, func, insert, select, update

from mainspring.errors import LedgerError
from mainspring.ledger import tables
from mainspring.ledger.alerts import AlertLog
from mainspring.ledger.comparison import Comparison, compare
from mainspring.ledger.database import Database, as_record
from mainspring.ledger.deployments import Deployments
from mainspring.ledger.keys import Keys
from mainspring.ledger.loops import Loops
from mainspring.ledger.records import Artifact, Dataset, Metric, Model, Run, Stage, Status
from mainspring.ledger.signals import Signals

__all__ = ["Ledger"]

_Record = TypeVar("_Record", Run, Dataset, Model, Metric, Artifact, Stage)
_NAMES_SHOWN = 5
_MOST_WRITERS = 20
_NEWEST_FIRST = (tables.runs.c.started_at.desc(), tables.runs.c.number.desc(), tables.runs.c.name)


class Ledger:
    """The record of runs, datasets, models, metrics, artifacts and reusable stages, at the address of a database.

    `keys` are the API keys, `deployments` what answers, `alerts` what was amiss, `loops` what the loop
    knows and did and `signals` what it knew of each day, in the same database.

    Guarantees: making one opens nothing; it holds no connection between calls, so threads may share it; each call is
    one transaction, kept whole or not at all; recording the same thing twice is recording it once.

    `owner` names the workspace whose runs this ledger starts. One process at a time runs in a workspace (its writer's
    lock); `writer_alive` says whether one does, and is asked only when a run of the owner is found unfinished: with no
    writer alive it is shown as interrupted. Starting a run marks every unfinished run of the owner as interrupted.

    Every call may raise WorkspaceError (WORKSPACE_NEWER, WORKSPACE_BROKEN, WORKSPACE_READ_ONLY, WORKSPACE_DISK_FULL,
    WORKSPACE_BUSY).
    """

    def __init__(self, url: str, *, owner: str = "", writer_alive: Callable[[], bool] = lambda: True) -> None:
        self._database = Database(url)
        self.keys = Keys(self._database)
        self.deployments = Deployments(self._database)
        self.alerts = AlertLog(self._database)
        self.loops = Loops(self._database)
        self.signals = Signals(self._database)
        self._owner = owner
        self._writer_alive = writer_alive

    def __repr__(self) -> str:
        return f"Ledger({self._database.place!r})"

    def mark(self, system: str) -> tuple[int | None, ...]:
        """Return what is another one after anything has changed that is kept of a system: cheap to ask for, and to compare."""
        count, most, total, t = func.count, func.max, func.sum, tables
        alerts = t.alerts.c
        asked = (
            (t.loops, (most(t.loops.c.step), most(t.loops.c.written_at))),
            (t.deployments, (most(t.deployments.c.number),)),
            (t.runs, (count(), most(t.runs.c.ended_at))),
            (
                t.alerts,
                (
                    count(),
                    total(alerts.sends),
                    *map(count, (alerts.ended_at, alerts.acknowledged_at, alerts.delivered_at)),
                ),
            ),
            (t.silences, (count(), total(t.silences.c.until))),
        )
        with self._database.reading() as connection:
            return tuple(
                value
                for table, values in asked
                for value in connection.execute(
                    select(*values).select_from(table).where(table.c.system == system)
                ).one()
            )

    # Runs

    def start_run(
        self,
        system: str,
        *,
        started_at: int,
        declaration: str,
        version: str,
        kind: str = "run",
        as_of: int | None = None,
    ) -> Run:
        """Write down that a run begins and give it the next name of its system: "flight-delays-3" after two others.

        Call it while holding the workspace's writer's lock. `declaration` is the system's fingerprint, `version` that of
        the code, `as_of` the instant after which nothing is known to the run.
        """
        run = Run(
            name="",
            system=system,
            number=0,
            kind=kind,
            status="running",
            owner=self._owner,
            started_at=started_at,
            declaration=declaration,
            version=version,
            as_of=as_of,
        )
        for others_ahead in range(_MOST_WRITERS):
            try:
                with self._database.writing() as connection:
                    return _start(run, connection)
            except exc.IntegrityError:  # PostgreSQL lets two writers count at once: the other one took the number
                if others_ahead == _MOST_WRITERS - 1:
                    raise
        raise AssertionError("unreachable")

    def finish_run(self, name: str, *, ended_at: int, seconds: Mapping[str, float], reused: Iterable[str] = ()) -> Run:
        """Write down that a run ended well; `seconds` by stage in their order, `reused` the stages it did not repeat.

        Raises LedgerError (LEDGER_UNKNOWN_RUN, LEDGER_NO_RUNS).
        """
        return self._end(name, "finished", ended_at=ended_at, seconds=dict(seconds), reused=list(reused))

    def fail_run(
        self,
        name: str,
        *,
        ended_at: int,
        code: str,
        message: str,
        seconds: Mapping[str, float] | None = None,
        reused: Iterable[str] = (),
    ) -> Run:
        """Write down that a run ended with an error, whose `code` is one of mainspring.errors or a class name.

        Raises LedgerError (LEDGER_UNKNOWN_RUN, LEDGER_NO_RUNS).
        """
        return self._end(
            name,
            "failed",
            ended_at=ended_at,
            seconds=dict(seconds or {}),
            reused=list(reused),
            error_code=code,
            error_message=message,
        )

    def interrupt_run(self, name: str, *, ended_at: int, seconds: Mapping[str, float] | None = None) -> Run:
        """Write down that a person stopped a run.

        Raises LedgerError (LEDGER_UNKNOWN_RUN, LEDGER_NO_RUNS).
        """
        return self._end(name, "interrupted", ended_at=ended_at, seconds=dict(seconds or {}))

    def runs(self, limit: int | None = None, *, system: str | None = None) -> list[Run]:
        """Return the runs, newest first, of one system or of all."""
        query = select(tables.runs).order_by(*_NEWEST_FIRST).limit(limit)
        if system is not None:
            query = query.where(tables.runs.c.system == system)
        with self._database.reading() as connection:
            found = connection.execute(query).all()
        return self._as_runs(found)

    def run(self, name: str = "latest") -> Run:
        """Return the run of this name, of the only name that begins so, or the newest one for "latest".

        Raises LedgerError (LEDGER_UNKNOWN_RUN, LEDGER_NO_RUNS).
        """
        with self._database.reading() as connection:
            full_name = _resolve(name, connection)
            found = connection.execute(select(tables.runs).where(tables.runs.c.name == full_name)).all()
        return self._as_runs(found)[0]

    def compare(self, first: str, second: str) -> Comparison:
        """Set two runs side by side; each is named as for `run`, differences are second minus first.

        Raises LedgerError (LEDGER_UNKNOWN_RUN, LEDGER_NO_RUNS).
        """
        sides = []
        for run in (self.run(first), self.run(second)):
            sides.append((run, self.datasets(run.name), self.models(run.name), self.metrics(run.name)))
        return compare(*sides)

    # What a run made

    def record_dataset(self, dataset: Dataset) -> None:
        """Write down the dataset of a run; one with the same run and fingerprint takes its place."""
        with self._database.writing() as connection:
            _put(connection, tables.datasets, dataset)

    def record_model(self, model: Model) -> None:
        """Write down a model of a run, after its dataset; one with the same run and id takes its place."""
        with self._database.writing() as connection:
            _put(connection, tables.models, model)

    def record_metrics(self, metrics: Iterable[Metric]) -> None:
        """Write down figures, after their model, all or none; NaN and infinities are kept as "could not be computed"."""
        metrics = list(metrics)
        last = select(func.max(tables.metrics.c.position)).where(tables.metrics.c.run.in_({m.run for m in metrics}))
        with self._database.writing() as connection:
            before = connection.execute(last).scalar() or 0
            for position, metric in enumerate(metrics, start=before + 1):
                figures = {name: _finite(getattr(metric, name)) for name in ("value", "low", "high")}
                _put(connection, tables.metrics, metric, **figures, position=position)

    def record_artifact(self, artifact: Artifact) -> None:
        """Write down a file that a run left; one with the same run, kind and path takes its place."""
        with self._database.writing() as connection:
            _put(connection, tables.artifacts, artifact)

    def datasets(self, run: str) -> list[Dataset]:
        """Return the datasets of the run of exactly this name."""
        return self._of_run(Dataset, tables.datasets, run, tables.datasets.c.fingerprint)

    def models(self, run: str) -> list[Model]:
        """Return the models of the run of exactly this name."""
        return self._of_run(Model, tables.models, run, tables.models.c.id)

    def metrics(self, run: str, *, scope: str | None = None) -> list[Metric]:
        """Return the figures of the run of exactly this name, in the order of their recording."""
        found = self._of_run(Metric, tables.metrics, run, tables.metrics.c.position)
        return [metric for metric in found if scope in (None, metric.scope)]

    def artifacts(self, run: str) -> list[Artifact]:
        """Return the artifacts of the run of exactly this name."""
        return self._of_run(Artifact, tables.artifacts, run, tables.artifacts.c.kind)

    # Stages

    def record_stage(self, stage: Stage) -> None:
        """Keep the result of a stage for later runs; one with the same stage and key takes its place.

        Call it once the output is safely on disk: whoever finds the record trusts it.
        """
        with self._database.writing() as connection:
            _put(connection, tables.stages, stage)

    def lookup(self, stage: str, key: str) -> Stage | None:
        """Return the result of a stage whose inputs had this fingerprint, None when there was none.

        Whether a file it names still exists is for the caller to see.
        """
        query = select(tables.stages).where(tables.stages.c.stage == stage, tables.stages.c.key == key)
        with self._database.reading() as connection:
            found = connection.execute(query).one_or_none()
        return None if found is None else as_record(Stage, found)

    # How

    def _end(self, name: str, status: Status, **values: Any) -> Run:
        with self._database.writing() as connection:
            changed = connection.execute(
                update(tables.runs).where(tables.runs.c.name == name).values(status=status, **values)
            )
            if changed.rowcount == 0:
                raise _unknown(name, _names(connection))
            return as_record(Run, connection.execute(select(tables.runs).where(tables.runs.c.name == name)).one())

    def _as_runs(self, rows: Iterable[Row[Any]]) -> list[Run]:
        found = [as_record(Run, row) for row in rows]
        if any(_unfinished(run, self._owner) for run in found) and not self._writer_alive():
            return [replace(run, status="interrupted") if _unfinished(run, self._owner) else run for run in found]
        return found

    def _of_run(self, kind: type[_Record], table: Table, run: str, order: ColumnElement) -> list[_Record]:
        query = select(table).where(table.c.run == run).order_by(order)
        with self._database.reading() as connection:
            return [as_record(kind, row) for row in connection.execute(query)]


def _start(run: Run, connection: Connection) -> Run:
    """Number, name and insert a run; runs of its owner that never ended are interrupted from now on."""
    running = (tables.runs.c.status == "running") & (tables.runs.c.owner == run.owner)
    connection.execute(update(tables.runs).where(running).values(status="interrupted"))
    newest = select(func.max(tables.runs.c.number)).where(tables.runs.c.system == run.system)
    number = (connection.execute(newest).scalar() or 0) + 1
    started = replace(run, name=f"{run.system}-{number}", number=number)
    connection.execute(insert(tables.runs).values(asdict(started)))
    return started


def _put(connection: Connection, table: Table, record: _Record, **values: Any) -> None:
    """Insert a record, or overwrite the one with the same primary key: each database has another word for this."""
    values = asdict(record) | values
    same = [column == values[column.name] for column in table.primary_key]
    if connection.execute(update(table).where(*same).values(values)).rowcount == 0:
        connection.execute(insert(table).values(values))


def _unfinished(run: Run, owner: str) -> bool:
    return run.status == "running" and run.owner == owner


def _finite(figure: float | None) -> float | None:
    return figure if figure is not None and math.isfinite(figure) else None


def _names(connection: Connection) -> list[str]:
    return list(connection.execute(select(tables.runs.c.name).order_by(*_NEWEST_FIRST)).scalars())


def _resolve(name: str, connection: Connection) -> str:
    """Return the one full name that `name` stands for.

    Raises LedgerError (LEDGER_UNKNOWN_RUN, LEDGER_NO_RUNS).
    """
    names = _names(connection)
    if name in names:
        return name
    if name == "latest" and names:
        return names[0]
    beginning = [full for full in names if full.startswith(name)] if name else []
    if len(beginning) == 1:
        return beginning[0]
    raise _unknown(name, names, beginning)


def _unknown(name: str, names: list[str], beginning: Iterable[str] = ()) -> LedgerError:
    if not names:
        return LedgerError("LEDGER_NO_RUNS", "The ledger has no runs yet.", fix="Make one: mainspring run FILE")
    likely = list(beginning) or difflib.get_close_matches(name, names, _NAMES_SHOWN) or names
    shown = ", ".join(likely[:_NAMES_SHOWN]) + (", …" if len(likely) > _NAMES_SHOWN else "")
    return LedgerError(
        "LEDGER_UNKNOWN_RUN",
        f"{name!r} begins the names of several runs." if beginning else f"No run is called {name!r}.",
        exists=f"There are for example: {shown}." if not beginning else f"They are: {shown}.",
        fix='Write enough of a name to mean one run, or "latest"; mainspring runs lists all.',
    )
