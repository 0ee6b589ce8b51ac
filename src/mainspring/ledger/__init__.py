"""The ledger: what ran, on which facts, what came of it, how good it was, what was amiss, and who may ask.

One small relational database (SQLite in the workspace, PostgreSQL by address) that only ever holds records: it runs
nothing, opens no file of a run, and never asks what time it is. Paths in records are text as given by the caller, by
convention relative to the workspace, so that a workspace can be moved.
"""

from mainspring.ledger.alerts import AlertLog, put_alerts
from mainspring.ledger.comparison import Change, Comparison, MetricChange, compare
from mainspring.ledger.deployments import Deployments, check_arms
from mainspring.ledger.keys import Keys
from mainspring.ledger.ledger import Ledger
from mainspring.ledger.loops import Loops
from mainspring.ledger.mirror import mirror_run
from mainspring.ledger.records import (
    RETRAIN,
    Alert,
    ApiKey,
    Artifact,
    Dataset,
    Deployment,
    Fate,
    KeptAlert,
    KeptLoop,
    LoopEvent,
    Metric,
    Model,
    Role,
    Run,
    Silence,
    Stage,
)
from mainspring.ledger.signals import Signal, Signals

__all__ = [
    "RETRAIN",
    "Alert",
    "AlertLog",
    "ApiKey",
    "Artifact",
    "Change",
    "Comparison",
    "Dataset",
    "Deployment",
    "Deployments",
    "Fate",
    "KeptAlert",
    "KeptLoop",
    "Keys",
    "Ledger",
    "LoopEvent",
    "Loops",
    "Metric",
    "MetricChange",
    "Model",
    "Role",
    "Run",
    "Signal",
    "Signals",
    "Silence",
    "Stage",
    "check_arms",
    "compare",
    "mirror_run",
    "put_alerts",
]
