"""The tables of the ledger, in SQL that SQLite and PostgreSQL both speak, and the steps from older versions to this one."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)

__all__ = [
    "MIGRATIONS",
    "SCHEMA_VERSION",
    "alerts",
    "api_keys",
    "artifacts",
    "datasets",
    "deployments",
    "loop_events",
    "loops",
    "metadata",
    "metrics",
    "models",
    "runs",
    "signals",
    "silences",
    "stages",
]

SCHEMA_VERSION = 5


def _add_api_keys(connection: Connection) -> None:
    connection.execute(
        text(
            "CREATE TABLE api_keys (id VARCHAR NOT NULL, name VARCHAR NOT NULL, role VARCHAR NOT NULL, "
            "salt VARCHAR NOT NULL, digest VARCHAR NOT NULL, created_at BIGINT NOT NULL, revoked_at BIGINT, "
            "PRIMARY KEY (id))"
        )
    )


def _add_deployments(connection: Connection) -> None:
    connection.execute(
        text(
            "CREATE TABLE deployments (system VARCHAR NOT NULL, number INTEGER NOT NULL, at BIGINT NOT NULL, "
            '"by" VARCHAR NOT NULL, reason VARCHAR NOT NULL, arms JSON NOT NULL, PRIMARY KEY (system, number))'
        )
    )


def _add_alerts(connection: Connection) -> None:
    connection.execute(
        text(
            "CREATE TABLE alerts (system VARCHAR NOT NULL, id VARCHAR NOT NULL, opened_at BIGINT NOT NULL, "
            "ended_at BIGINT, monitor VARCHAR NOT NULL, kind VARCHAR NOT NULL, severity VARCHAR NOT NULL, "
            "owner VARCHAR NOT NULL, told VARCHAR NOT NULL, fate VARCHAR NOT NULL, sends INTEGER NOT NULL, "
            "alert JSON NOT NULL, delivered_at BIGINT, acknowledged_by VARCHAR, acknowledged_at BIGINT, "
            "PRIMARY KEY (system, id))"
        )
    )
    connection.execute(
        text(
            "CREATE TABLE silences (system VARCHAR NOT NULL, number INTEGER NOT NULL, monitor VARCHAR NOT NULL, "
            'at BIGINT NOT NULL, until BIGINT NOT NULL, "by" VARCHAR NOT NULL, reason VARCHAR NOT NULL, '
            "PRIMARY KEY (system, number))"
        )
    )


def _binary(connection: Connection) -> str:
    return "BYTEA" if connection.dialect.name == "postgresql" else "BLOB"


def _add_loops(connection: Connection) -> None:
    connection.execute(
        text(
            "CREATE TABLE loops (system VARCHAR NOT NULL, declaration VARCHAR NOT NULL, step INTEGER NOT NULL, "
            f"at BIGINT NOT NULL, written_at BIGINT NOT NULL, state {_binary(connection)} NOT NULL, PRIMARY KEY (system))"
        )
    )
    connection.execute(
        text(
            "CREATE TABLE loop_events (system VARCHAR NOT NULL, number INTEGER NOT NULL, step INTEGER NOT NULL, "
            "at BIGINT NOT NULL, written_at BIGINT NOT NULL, what VARCHAR NOT NULL, model VARCHAR NOT NULL, "
            "told VARCHAR NOT NULL, evidence JSON NOT NULL, PRIMARY KEY (system, number))"
        )
    )


def _add_alerts_and_loops(connection: Connection) -> None:
    _add_alerts(connection)
    _add_loops(connection)


def _add_signals(connection: Connection) -> None:
    connection.execute(
        text(
            "CREATE TABLE signals (system VARCHAR NOT NULL, kind VARCHAR NOT NULL, about VARCHAR NOT NULL, "
            f"day INTEGER NOT NULL, at BIGINT NOT NULL, document {_binary(connection)} NOT NULL, "
            "PRIMARY KEY (system, kind, about, day))"
        )
    )


# From each older version, what turns it into the next. Each runs in the transaction that also
# raises the version, and speaks plain SQL of its time rather than the tables below, which go on changing.
MIGRATIONS: dict[int, Callable[[Connection], None]] = {
    1: _add_api_keys,
    2: _add_deployments,
    3: _add_alerts_and_loops,
    4: _add_signals,
}

metadata = MetaData()

schema_version = Table("schema_version", metadata, Column("version", Integer, nullable=False))

runs = Table(
    "runs",
    metadata,
    Column("name", String, primary_key=True),
    Column("system", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", String, nullable=False),
    Column("status", String, nullable=False, index=True),
    Column("owner", String, nullable=False),
    Column("started_at", BigInteger, nullable=False, index=True),
    Column("ended_at", BigInteger),
    Column("declaration", String, nullable=False),
    Column("version", String, nullable=False),
    Column("as_of", BigInteger),
    Column("seconds", JSON, nullable=False),
    Column("reused", JSON, nullable=False),
    Column("error_code", String),
    Column("error_message", String),
    UniqueConstraint("system", "number"),
)

datasets = Table(
    "datasets",
    metadata,
    Column("run", ForeignKey("runs.name"), primary_key=True),
    Column("fingerprint", String, primary_key=True),
    Column("snapshots", JSON, nullable=False),
    Column("decisions", BigInteger, nullable=False),
    Column("labelled", BigInteger, nullable=False),
    Column("features", JSON, nullable=False),
    Column("path", String),
)

models = Table(
    "models",
    metadata,
    Column("run", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("dataset", String, nullable=False),
    Column("estimator", JSON, nullable=False),
    Column("calibration", String, nullable=False),
    Column("threshold", Double),
    Column("bundle", String),
    ForeignKeyConstraint(["run", "dataset"], ["datasets.run", "datasets.fingerprint"]),
)

metrics = Table(
    "metrics",
    metadata,
    Column("run", String, primary_key=True),
    Column("model", String, primary_key=True),
    Column("scope", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("position", Integer, nullable=False),  # the order in which the evaluation gave them
    Column("value", Double),
    Column("low", Double),
    Column("high", Double),
    ForeignKeyConstraint(["run", "model"], ["models.run", "models.id"]),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("run", ForeignKey("runs.name"), primary_key=True),
    Column("kind", String, primary_key=True),
    Column("path", String, primary_key=True),
    Column("sha256", String, nullable=False),
)

stages = Table(
    "stages",
    metadata,
    Column("stage", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("system", String, nullable=False),
    Column("output", JSON, nullable=False),
    Column("path", String),
    Column("created_at", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("salt", String, nullable=False),  # hexadecimal, as the digest
    Column("digest", String, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

deployments = Table(
    "deployments",
    metadata,
    Column("system", String, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("by", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("arms", JSON, nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    Column("system", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("opened_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("monitor", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("told", String, nullable=False),
    Column("fate", String, nullable=False),
    Column("sends", Integer, nullable=False),  # how often it was to be sent: once, and again when it grew worse
    Column("alert", JSON, nullable=False),  # all of it
    Column("delivered_at", BigInteger),  # when the newest of its sends was
    Column("acknowledged_by", String),
    Column("acknowledged_at", BigInteger),
)

silences = Table(
    "silences",
    metadata,
    Column("system", String, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("monitor", String, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("by", String, nullable=False),
    Column("reason", String, nullable=False),
)

loops = Table(
    "loops",
    metadata,
    Column("system", String, primary_key=True),
    Column("declaration", String, nullable=False),
    Column("step", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("written_at", BigInteger, nullable=False),
    Column("state", LargeBinary, nullable=False),
)

loop_events = Table(
    "loop_events",
    metadata,
    Column("system", String, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("step", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("written_at", BigInteger, nullable=False),
    Column("what", String, nullable=False),
    Column("model", String, nullable=False),
    Column("told", String, nullable=False),
    Column("evidence", JSON, nullable=False),
)

signals = Table(
    "signals",
    metadata,
    Column("system", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("about", String, primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("document", LargeBinary, nullable=False),
)
