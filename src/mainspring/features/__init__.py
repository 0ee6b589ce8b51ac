"""Features: what they mean (reference), how they are computed for all decisions at once (batch), from one plan."""

from mainspring.features.batch import compute, compute_with_newest
from mainspring.features.decisions import Decisions, find_decisions
from mainspring.features.plan import Plan, Scan, plan
from mainspring.features.rows import INSTANT

__all__ = ["INSTANT", "Decisions", "Plan", "Scan", "compute", "compute_with_newest", "find_decisions", "plan"]
