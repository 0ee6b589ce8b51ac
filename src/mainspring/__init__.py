"""Mainspring: one declaration becomes a machine-learning system that runs, and stays right.

Everything a system file needs is here; importing it does no work and loads nothing heavy.
"""

from typing import TYPE_CHECKING, Any

from mainspring.declare import (
    AB,
    SLO,
    Alerts,
    AllOf,
    AnyOf,
    Bool,
    Brief,
    Canary,
    Category,
    Check,
    Decision,
    Degraded,
    Drifted,
    ErrorCost,
    EstimatedDegraded,
    Every,
    Expression,
    Float,
    Friction,
    Full,
    Guard,
    Int,
    Key,
    KnownAt,
    Label,
    LightGBM,
    Objective,
    Payoff,
    Proxy,
    Retrain,
    Rollout,
    Shadow,
    Sklearn,
    System,
    Table,
    Text,
    Time,
    Training,
    Volume,
    csv,
    decided_at,
    parquet,
    where,
)
from mainspring.errors import MainspringError

if TYPE_CHECKING:
    from mainspring.client import AsyncClient, Client

__version__ = "0.1.0"

__all__ = [
    "AB", "SLO", "Alerts", "AllOf", "AnyOf", "AsyncClient", "Bool", "Brief", "Canary", "Category", "Check", "Client",
    "Decision", "Degraded", "Drifted", "ErrorCost", "EstimatedDegraded", "Every", "Expression", "Float", "Friction", "Full",
    "Guard", "Int", "Key", "KnownAt", "Label", "LightGBM", "MainspringError", "Objective", "Payoff", "Proxy", "Retrain",
    "Rollout", "Shadow", "Sklearn", "System", "Table", "Text", "Time", "Training", "Volume", "csv", "decided_at",
    "parquet", "where",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load the clients when they are asked for: a declaration needs no HTTP."""
    if name not in ("AsyncClient", "Client"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mainspring import client

    return getattr(client, name)
