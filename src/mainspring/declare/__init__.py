"""What a user writes: frozen values without I/O, checked by the lint."""

from mainspring.declare.brief import QUESTIONS, Brief
from mainspring.declare.check import Check
from mainspring.declare.column import Bool, Category, Column, Float, Int, Key, KnownAt, Text, Time, UnknownColumn
from mainspring.declare.decision import Decision
from mainspring.declare.decode import decode_system
from mainspring.declare.estimator import LightGBM, Sklearn, Training
from mainspring.declare.expression import (
    Aggregate,
    Call,
    DecidedAt,
    Expression,
    Latest,
    Literal,
    Window,
    decided_at,
    walk,
    where,
)
from mainspring.declare.kind import FUNCTIONS, Kind
from mainspring.declare.label import Label
from mainspring.declare.objective import METRIC_NAMES, ErrorCost, Guard, Objective, Payoff
from mainspring.declare.policy import (
    AB,
    Alerts,
    AllOf,
    AnyOf,
    Canary,
    Degraded,
    Drifted,
    EstimatedDegraded,
    Every,
    Full,
    Retrain,
    Rollout,
    Shadow,
    Volume,
)
from mainspring.declare.proxy import Friction, Proxy
from mainspring.declare.slo import OPERATIONAL, ROUTES, SLO
from mainspring.declare.source import CsvFiles, ParquetFiles, csv, parquet
from mainspring.declare.system import System
from mainspring.declare.table import Table, TableSchema, make_table
from mainspring.declare.value import Declared, StoredObject, encode, fingerprint

__all__ = [
    "AB", "FUNCTIONS", "METRIC_NAMES", "OPERATIONAL", "QUESTIONS", "ROUTES", "SLO", "Aggregate", "Alerts",
    "AllOf", "AnyOf", "Bool", "Brief", "Call",
    "Canary", "Category", "Check", "Column", "CsvFiles", "DecidedAt", "Decision", "Declared", "Degraded", "Drifted",
    "ErrorCost", "EstimatedDegraded", "Every", "Expression", "Float", "Friction", "Full", "Guard", "Int", "Key", "Kind",
    "KnownAt", "Label", "Latest", "LightGBM", "Literal", "Objective", "ParquetFiles", "Payoff", "Proxy", "Retrain", "Rollout",
    "Shadow", "Sklearn", "StoredObject", "System", "Table", "TableSchema", "Text", "Time", "Training",
    "UnknownColumn", "Volume", "Window", "csv", "decided_at", "decode_system", "encode", "fingerprint", "make_table",
    "parquet", "walk", "where",
]  # fmt: skip
