"""From the log into the lake: facts, predictions, and what came true of them.

At least once: the log's groups are committed after the lake has the rows, and a row that the lake has already changes
nothing. So a sink may be stopped anywhere.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from mainspring.clock import parse_span
from mainspring.declare import Category, Column, Float, Key, KnownAt, System, Table, Text, Time, make_table, walk
from mainspring.errors import ContractError, WorkspaceError
from mainspring.features import INSTANT
from mainspring.labels import mature
from mainspring.lake import Lake
from mainspring.lake.parsing import DTYPES, read_column
from mainspring.serving.given_rows import read_rows
from mainspring.serving.intake import known_by
from mainspring.serving.limits import Limits
from mainspring.serving.records import (
    FACTS,
    OUTCOMES,
    PREDICTIONS,
    FactsSent,
    PredictionMade,
    read_facts,
    read_outcomes,
    read_prediction,
)
from mainspring.serving.shadows import Shadows
from mainspring.storage import storage_errors, write_atomically
from mainspring.stream import Broker, Record

__all__ = ["LAKE_GROUP", "OUTCOMES_TABLE", "PREDICTIONS_TABLE", "Drained", "Sink", "predicted_decisions"]

LAKE_GROUP = "lake"
"""The group of the log that has read what is in the lake: the log keeps everything after its position."""

PREDICTIONS_TABLE = make_table(
    "Predictions",
    {
        "prediction_id": Key(),
        "decided_at": Time(),
        "answered_at": KnownAt(),
        "model": Category(),
        "arm": Category(),
        "prediction": Float(optional=True, description="the probability, or the number"),
        "classes": Text(optional=True, description="JSON: the probability of each class"),
        "low": Float(optional=True, description="of the interval around a number"),
        "high": Float(optional=True),
        "decision": Text(optional=True),
        "row": Text(description="JSON: the decision's row, instants in microseconds"),
        "features": Text(description="JSON: every feature as the model saw it"),
    },
    description="What was answered, and all that it was made from.",
)
OUTCOMES_TABLE = make_table(
    "Outcomes",
    {
        "prediction_id": Key(),
        "label": Float(optional=True, description="0 or 1, or the number"),
        "label_class": Text(optional=True),
        "source": Category(optional=True, description="facts: the label as declared; feedback: what somebody said"),
        "known_at": KnownAt(),
    },
    description="What came true of a prediction, once that was known; of several outcomes the newest counts.",
)
_PAGE = 10_000
_TURNS_KEPT, _SNAPSHOTS_KEPT = 50, 10
_STORED: dict[str, Any] = {
    "prediction": pl.Float64,
    "classes": pl.String,
    "decision": pl.String,
    "low": pl.Float64,
    "high": pl.Float64,
}
_TIMES = {"arrived_at": pl.Int64(), "until": pl.Int64()}
_log = logging.getLogger("mainspring.serving")


@dataclass(frozen=True)
class Drained:
    """What one turn of the sink brought into the lake: requests with facts, predictions, labels, requests with feedback."""

    facts: int
    predictions: int
    outcomes: int
    feedback: int


class Sink:
    """Moves what a service has logged into the lake. For one thread; the workspace's writer lock is its caller's to hold."""

    def __init__(
        self,
        system: System,
        lake: Lake,
        broker: Broker,
        limits: Limits | None = None,
        set_aside: Path | None = None,
        shadows: Shadows | None = None,
    ) -> None:
        """`set_aside` is the folder for requests that the lake cannot take; without it such a request stops the sink.

        A lake that can take nothing, for its disk is full or its catalog is away, is no fault of a request.
        """
        self.system, self.lake, self._set_aside, self._shadows = system, lake, set_aside, shadows
        self._limits = limits or Limits()
        self._tables = {table.__schema__.name: table for table in system.tables}
        self._facts = broker.consumer(FACTS, LAKE_GROUP)
        self._predictions = broker.consumer(PREDICTIONS, LAKE_GROUP)
        self._outcomes = broker.consumer(OUTCOMES, LAKE_GROUP)
        self._pending: pl.DataFrame | None = None
        self._turns = _TURNS_KEPT  # with predictions since snapshots were let go
        self._changes = 0  # requests and predictions that came in
        self._joined_at = (-1, -1)  # when labels were last joined: the time, and the changes by then
        # That what is polled next is not in the lake: a sink that was killed may have left some there.
        self._sure = False

    def drain(self, now: int) -> Drained:
        """Bring everything into the lake that is in the log, and the outcomes that are known by `now` (microseconds).

        What comes meanwhile waits for the next turn: under load, to follow it would be a commit for a handful of rows,
        without end, and take a processor of its own.

        Raises WorkspaceError; then what was not committed comes again with the next call.
        """
        facts = self._drain(self._facts, self._ingest_facts)
        try:
            predictions = self._drain(self._predictions, self._ingest_predictions)
        except BaseException:
            self._sure = False
            raise
        self._changes += facts + predictions
        feedback = self._drain(self._outcomes, self._ingest_feedback)
        self._tidy(predictions)
        outcomes, as_of = 0, (now, self._changes)
        if as_of != self._joined_at:  # else time stands still and nothing came
            outcomes = self._join_outcomes(now)
            self._joined_at = as_of
        return Drained(facts, predictions, outcomes, feedback)

    def _tidy(self, predictions: int) -> None:
        """Nobody pins a snapshot of the server's own tables; a commit takes longer with each that is kept."""
        self._turns += bool(predictions)
        if self._turns >= _TURNS_KEPT:
            self._turns = 0
            for table in (PREDICTIONS_TABLE, OUTCOMES_TABLE):
                self.lake.expire(table, keep=_SNAPSHOTS_KEPT)

    def close(self) -> None:
        """Let go of the log."""
        self._facts.close()
        self._predictions.close()
        self._outcomes.close()

    @staticmethod
    def _drain(consumer: Any, ingest: Callable[[list[Record]], None]) -> int:
        begin, moved = consumer.position, 0
        lag = consumer.lag()
        until = math.inf if lag is None else begin + lag
        try:
            while consumer.position < until and (records := consumer.poll(_PAGE)):
                ingest(records)
                consumer.commit()
                begin, moved = consumer.position, moved + len(records)
        except BaseException:
            consumer.seek(begin)
            raise
        return moved

    # -- facts ---------------------------------------------------------------------------------------------------------

    def _ingest_facts(self, records: list[Record]) -> None:
        try:
            self._ingest_sent([read_facts(record.value) for record in records])
        except Exception as error:  # of whatever kind: one request must not keep all that come after it out of the lake
            if _is_of_the_lake(error):
                raise
            for record in records:
                self._ingest_alone(record)

    def _ingest_alone(self, record: Record) -> None:
        """Bring in one request; where the lake cannot take it, set it aside as it was sent, and go on."""
        try:
            self._ingest_sent([read_facts(record.value)])
        except Exception as error:
            if self._set_aside is None or _is_of_the_lake(error):
                raise
            _log.exception("request %s cannot be brought into the lake and is set aside", record.id)
            with storage_errors(self._set_aside):
                self._set_aside.mkdir(parents=True, exist_ok=True)
            write_atomically(self._set_aside / f"{record.offset}.msgpack", record.value)

    def _ingest_sent(self, sent: list[FactsSent]) -> None:
        for name, frame, times in _batches(sent, self._limits):
            table = self._tables[name]
            taken = _taken(table, frame, times["until"])
            self._ingest(table, frame.filter(taken), arrived_at=times["arrived_at"].filter(taken))

    def _ingest(self, table: type[Table], frame: pl.DataFrame, **options: Any) -> None:
        """Bring rows into the lake; those that break the contract are in quarantine, where they belong, even all of them."""
        if not frame.height:
            return
        try:
            self.lake.ingest(table, frame, **options)
        except ContractError as error:
            if error.code != "CONTRACT_ALL_REJECTED":
                raise

    # -- predictions ---------------------------------------------------------------------------------------------------

    def _ingest_predictions(self, records: list[Record]) -> None:
        made = [read_prediction(record.value) for record in records]
        if self._shadows is not None:
            made += self._shadows.predictions(made)
        stored = _stored(made)
        self._ingest(PREDICTIONS_TABLE, stored, none_stored=self._sure)
        if not self._sure:
            self._pending = None  # they are read again: also those that a killed sink had brought in
        elif self._pending is not None:
            new = stored.with_columns(pl.col("decided_at").str.to_datetime("%+", time_unit="us", time_zone="UTC"))
            self._pending = pl.concat([self._pending, predicted_decisions(self.system, new)])
        self._sure = True

    def _ingest_feedback(self, records: list[Record]) -> None:
        told = [
            (prediction_id, label, each.arrived_at)
            for each in (read_outcomes(record.value) for record in records)
            for prediction_id, label in each.labels.items()
        ]
        self._ingest(
            OUTCOMES_TABLE,
            pl.DataFrame(
                {
                    "prediction_id": [name for name, _, _ in told],
                    "label": [None if isinstance(label, str) else label for _, label, _ in told],
                    "label_class": [label if isinstance(label, str) else None for _, label, _ in told],
                    "source": ["feedback"] * len(told),
                    "known_at": pl.Series([arrived_at for _, _, arrived_at in told]).cast(INSTANT),
                },
                schema_overrides={"label": pl.Float64, "label_class": pl.String},
            ),
        )

    def _join_outcomes(self, now: int) -> int:
        """Store the labels that have matured; return how many."""
        pending = self._pending if self._pending is not None else self._unjoined()
        self._pending = pending
        label = self.system.label
        if not pending.height or now <= pending["_at"].to_physical().min():  # type: ignore[operator]
            return 0
        facts = {name: self._label_facts(table, pending, now) for name, table in self._label_tables().items()}
        found = mature(label, self.system.decision, pending, facts, as_of=now).frame
        known = found["label_known_at"].is_not_null()
        over = pending["_at"].to_physical() + parse_span(label.within) <= now
        joined = pending.select("prediction_id").with_columns(found).filter(known)
        if joined.height:
            named = joined["label"].dtype == pl.String
            self.lake.ingest(
                OUTCOMES_TABLE,
                joined.select(
                    "prediction_id",
                    label=pl.lit(None, pl.Float64) if named else pl.col("label"),
                    label_class=pl.col("label") if named else pl.lit(None, pl.String),
                    source=pl.lit("facts"),
                    known_at="label_known_at",
                ),
            )
        self._pending = pending.filter(~(known | over))
        return joined.height

    def _label_facts(self, table: type[Table], pending: pl.DataFrame, now: int) -> pl.DataFrame:
        """What labels read: of a label by key only the rows of keys that wait, for nearly all of a history's do not."""
        label = self.system.label
        if label.is_window or not label.by:
            return self.lake.read(table, known_before=now + 1)
        theirs, ours = zip(*label.by, strict=True)
        read = {node.name for node in walk(label.outcome) if isinstance(node, Column)}
        facts = self.lake.read(table, columns=[*read, *theirs], known_before=now + 1)
        return facts.join(
            pending.select(ours).unique(), left_on=theirs, right_on=ours, how="semi", maintain_order="left"
        )

    def _label_tables(self) -> dict[str, Any]:
        nodes = walk(self.system.label.outcome)
        names = {node.table.__schema__.name for node in nodes if getattr(node, "table", None) is not None}  # type: ignore[attr-defined]
        return {name: table for name, table in self._tables.items() if name in names}

    def _unjoined(self) -> pl.DataFrame:
        """The predictions in the lake that have no outcome, as decisions."""
        made = self.lake.read(PREDICTIONS_TABLE, columns=["prediction_id", "decided_at", "row"])
        done = self.lake.read(OUTCOMES_TABLE, columns=["prediction_id", "source"])
        done = done.filter(pl.col("source").fill_null("facts") == "facts")
        left = made.join(done, on="prediction_id", how="anti", maintain_order="left")
        return predicted_decisions(self.system, left)


def predicted_decisions(system: System, predictions: pl.DataFrame) -> pl.DataFrame:
    """Return the decisions of stored predictions: `prediction_id`, `_at`, and the columns of the decision's table."""
    rows = [msgspec.json.decode(row) for row in predictions["row"]]
    columns = {}
    for column in system.decision.table.__schema__.columns:
        dtype = DTYPES[column.of]
        plain = pl.Int64 if dtype == INSTANT else dtype
        columns[column.name] = pl.Series([row.get(column.name) for row in rows], dtype=plain).cast(dtype)
    return pl.DataFrame({"prediction_id": predictions["prediction_id"], "_at": predictions["decided_at"], **columns})


def _is_of_the_lake(error: Exception) -> bool:
    """Whether an error says that the lake can take nothing for now, rather than something about a request."""
    from pyiceberg.exceptions import RESTError
    from sqlalchemy.exc import SQLAlchemyError

    return isinstance(error, (WorkspaceError, OSError, MemoryError, RESTError, SQLAlchemyError))


def _stored(made: Sequence[PredictionMade]) -> pl.DataFrame:
    """Return predictions as the lake keeps them."""
    answers = [each.prediction for each in made]
    numbers = [each.probability if each.probability is not None else each.value for each in answers]
    intervals = [each.interval or (None, None) for each in answers]
    return pl.DataFrame(
        {
            "prediction_id": [each.prediction_id for each in answers],
            "decided_at": [each.decided_at for each in answers],
            "answered_at": pl.Series([each.answered_at for each in made], dtype=pl.Int64).cast(INSTANT),
            "model": [each.model for each in answers],
            "arm": [each.arm for each in answers],
            "prediction": numbers,
            "classes": [None if each.classes is None else _json(each.classes) for each in answers],
            "low": [low for low, _ in intervals],
            "high": [high for _, high in intervals],
            "decision": [None if each.decision is None else str(each.decision) for each in answers],
            "row": [_json(each.row) for each in made],
            "features": [_json(each.features) for each in made],
        },
        schema_overrides=_STORED,
    )


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _taken(table: type[Table], frame: pl.DataFrame, until: pl.Series) -> pl.Series:
    """Which rows the server may have taken: all but those of which it said that their time is too far ahead."""
    known_at = table.__schema__.known_at
    source = "" if known_at is None else known_at.source or known_at.name
    reading = None if known_at is None or source not in frame.columns else read_column(known_at, frame[source])
    if reading is None:
        return pl.repeat(True, frame.height, eager=True)
    return known_by(reading.values, until)


def _batches(sent: Sequence[FactsSent], limits: Limits) -> Iterator[tuple[str, pl.DataFrame, pl.DataFrame]]:
    """Put requests of one table together while their shape is the same, each row with its times, in order.

    Times are when a row arrived, and until when it may say that it will be known.
    """
    open_batches: dict[str, tuple[list[pl.DataFrame], list[tuple[int, int]]]] = {}
    for each in sent:
        frame = read_rows(each.body, each.content_type, limits)
        parts, times = open_batches.setdefault(each.table, ([], []))
        if parts and parts[0].schema != frame.schema:
            yield each.table, pl.concat(parts), pl.DataFrame(times, _TIMES, orient="row")
            parts, times = open_batches[each.table] = ([], [])
        parts.append(frame)
        times.extend([(each.arrived_at, each.until)] * frame.height)
    for table, (parts, times) in open_batches.items():
        yield table, pl.concat(parts), pl.DataFrame(times, _TIMES, orient="row")
