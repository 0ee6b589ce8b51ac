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
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)

__all__ = [
    "MIGRATIONS",
    "SCHEMA_VERSION",
    "api_keys",
    "artifacts",
    "datasets",
    "deployments",
    "metadata",
    "metrics",
    "models",
    "runs",
    "stages",
]

SCHEMA_VERSION = 3


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


# From each older version, what turns it into the next. Each runs in the transaction that also
# raises the version, and speaks plain SQL of its time rather than the tables below, which go on changing.
MIGRATIONS: dict[int, Callable[[Connection], None]] = {1: _add_api_keys, 2: _add_deployments}

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
