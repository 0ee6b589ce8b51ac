"""The ledger: what ran, on which facts, what came of it, how good it was, and who may ask.

One small relational database (SQLite in the workspace, PostgreSQL by address) that only ever holds records: it runs
nothing, opens no file of a run, and never asks what time it is. Paths in records are text as given by the caller, by
convention relative to the workspace, so that a workspace can be moved.
"""

from mainspring.ledger.comparison import Change, Comparison, MetricChange, compare
from mainspring.ledger.deployments import Deployments, check_arms
from mainspring.ledger.keys import Keys
from mainspring.ledger.ledger import Ledger
from mainspring.ledger.mirror import mirror_run
from mainspring.ledger.records import ApiKey, Artifact, Dataset, Deployment, Metric, Model, Role, Run, Stage

__all__ = [
    "ApiKey",
    "Artifact",
    "Change",
    "Comparison",
    "Dataset",
    "Deployment",
    "Deployments",
    "Keys",
    "Ledger",
    "Metric",
    "MetricChange",
    "Model",
    "Role",
    "Run",
    "Stage",
    "check_arms",
    "compare",
    "mirror_run",
]
