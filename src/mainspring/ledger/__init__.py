"""The ledger: what ran, on which facts, what came of it, and how good it was.

One small relational database (SQLite in the workspace, PostgreSQL by address) that only ever holds records: it runs
nothing, opens no file of a run, and never asks what time it is. Paths in records are text as given by the caller, by
convention relative to the workspace, so that a workspace can be moved.
"""

from mainspring.ledger.comparison import Change, Comparison, MetricChange, compare
from mainspring.ledger.ledger import Ledger
from mainspring.ledger.mirror import mirror_run
from mainspring.ledger.records import Artifact, Dataset, Metric, Model, Run, Stage

__all__ = [
    "Artifact",
    "Change",
    "Comparison",
    "Dataset",
    "Ledger",
    "Metric",
    "MetricChange",
    "Model",
    "Run",
    "Stage",
    "compare",
    "mirror_run",
]
