"""Features: what they mean (reference), how they are computed for all decisions at once (batch), from one plan."""

from mainspring.features.batch import compute, newest_facts
from mainspring.features.decisions import Decisions, find_decisions
from mainspring.features.plan import Plan, Scan, plan
from mainspring.features.rows import INSTANT

__all__ = ["INSTANT", "Decisions", "Plan", "Scan", "compute", "find_decisions", "newest_facts", "plan"]
