"""The records of the ledger as plain frozen values, each one row of the table of the same name.

Instants are int64 microseconds since the epoch, UTC; None means unknown or not yet.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from mainspring.answers import Arm

__all__ = [
    "RETRAIN", "Alert", "ApiKey", "Artifact", "Dataset", "Deployment", "Fate", "KeptAlert", "KeptLoop", "LoopEvent", "Metric", "Model",
    "Role", "Run", "Silence", "Stage", "Status",
]  # fmt: skip

Status = Literal["running", "finished", "failed", "interrupted"]
Role = Literal["read", "write", "admin"]  # each may do what those before it may
Fate = Literal["sent", "silenced", "over budget", "kept"]  # whether anybody is to be told; a note is only kept


RETRAIN = "retrain"
"""The kind of a run by which a loop made a model."""


class Run(Struct, frozen=True, kw_only=True):
    """One execution of a system's stages, from facts to a judged model."""

    name: str  # short and readable: the system and its number, "flight-delays-3"
    system: str
    number: int  # counts the runs of this system from 1
    kind: str  # "run", "demo", "retrain", …
    status: Status
    owner: str  # the workspace that runs it
    started_at: int
    ended_at: int | None = None  # None as well for a run whose process died
    declaration: str  # fingerprint
    version: str  # of the code
    as_of: int | None = None  # facts known later took no part
    seconds: dict[str, float] = field(default_factory=dict)  # by stage, in the order in which they ran
    reused: list[str] = field(default_factory=list)  # stages taken from an earlier run
    error_code: str | None = None
    error_message: str | None = None


class Dataset(Struct, frozen=True, kw_only=True):
    """Decisions with features and labels, pinned to table snapshots."""

    run: str
    fingerprint: str
    snapshots: dict[str, int]  # Iceberg snapshot id by table
    decisions: int
    labelled: int
    features: dict[str, str]  # name -> definition, in words or as a fingerprint
    path: str | None = None


class Model(Struct, frozen=True, kw_only=True):
    """A fitted model: what it was made with and where its bundle lies."""

    run: str
    id: str
    dataset: str  # fingerprint
    estimator: dict[str, Any]  # description: class and parameters
    calibration: str = "none"
    threshold: float | None = None
    bundle: str | None = None


class Metric(Struct, frozen=True, kw_only=True):
    """A figure of quality; `low` and `high` bound its 95% interval where there is one."""

    run: str
    model: str
    scope: str  # "test", "baseline:<name>" or "slice:<column>=<value>"
    name: str
    value: float | None  # None: could not be computed
    low: float | None = None
    high: float | None = None


class Artifact(Struct, frozen=True, kw_only=True):
    """A file or folder that a run left behind."""

    run: str
    kind: str  # "report", "json", "card", "bundle", …
    path: str
    sha256: str


class Stage(Struct, frozen=True, kw_only=True):
    """The result of one stage, to be used again by every run whose inputs have the same fingerprint."""

    stage: str
    key: str  # fingerprint of the content of all inputs, code version included
    system: str  # whose run made it
    output: dict[str, Any]
    path: str | None = None
    created_at: int


class ApiKey(Struct, frozen=True, kw_only=True):
    """What is kept of an API key: enough to recognise it, too little to use it."""

    id: str  # the public part of its text
    name: str  # what it is for, in the words of whoever made it; may be empty, need not be unique
    role: Role
    salt: str  # hexadecimal
    digest: str  # hexadecimal; of salt and secret
    created_at: int
    revoked_at: int | None = None  # None: it is valid


class Deployment(Struct, frozen=True, kw_only=True):
    """Which models of a system answer from an instant on, until the next deployment."""

    system: str
    number: int  # counts the deployments of this system from 1
    at: int
    by: str  # who: a person, a key, a policy
    reason: str
    arms: tuple[Arm, ...]


class Alert(Struct, frozen=True, kw_only=True):
    """What one monitor had to say from when it fired until it was well again, for whoever is responsible.

    `severity` is the worst so far. `sent` are the severities with which it was to be told to somebody, in that order: once,
    and again when it grew worse. `fate` is what was decided last.
    """

    id: str  # the monitor and when it opened; unique in a system
    monitor: str
    kind: str  # as of the monitor's readings
    severity: str
    owner: str  # "" where nobody is named
    abouts: tuple[str, ...]  # all that it has been about, sorted
    opened_at: int
    ended_at: int | None = None  # None: it is open
    told: str  # a sentence for a person; this and the two figures are those of the worst reading
    value: float | None = None
    limit: float | None = None
    fate: Fate
    sent: tuple[str, ...] = ()


class KeptAlert(Struct, frozen=True, kw_only=True):
    """An alert with what has become of it since."""

    alert: Alert
    delivered_at: int | None = None  # None: not yet, or not since it grew worse
    acknowledged_by: str | None = None
    acknowledged_at: int | None = None


class Silence(Struct, frozen=True, kw_only=True):
    """Nobody is told of a monitor's alerts for a while."""

    system: str
    number: int  # counts the silences of this system from 1
    monitor: str  # its name, or "*" for all
    at: int
    until: int
    by: str
    reason: str


class KeptLoop(Struct, frozen=True, kw_only=True):
    """All that the loop of a system knows after a step. `at` is the system's own time, `written_at` real time."""

    system: str
    declaration: str  # fingerprint
    step: int  # counts the steps of this system from 1
    at: int
    written_at: int
    state: bytes  # as the loop writes it


class LoopEvent(Struct, frozen=True, kw_only=True):
    """Something that the loop of a system did, and why. `at` is the system's own time, `written_at` real time."""

    system: str
    number: int  # counts the events of this system from 1
    step: int
    at: int
    written_at: int
    what: str
    model: str
    told: str
    evidence: dict[str, Any]
