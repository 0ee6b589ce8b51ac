"""What the report must know about a run besides what was found: its declaration, its data, how long it took."""

from __future__ import annotations

from msgspec import Struct, field

__all__ = ["FeatureFacts", "RunContext", "TableFacts"]


class TableFacts(Struct, frozen=True, kw_only=True):
    """One table as the run read it: pinned to a snapshot, and what its contract turned away."""

    name: str
    rows: int
    snapshot: str
    quarantined: int = 0


class FeatureFacts(Struct, frozen=True, kw_only=True):
    """One feature as it was declared, and the share of decisions for which it is missing."""

    name: str
    group: str
    kind: str  # "number", "category", ...
    expression: str  # in words
    missing: float  # share in [0, 1]


class RunContext(Struct, frozen=True, kw_only=True):
    """The run behind an evaluation. Texts are shown as they are given; `generated` is the instant the caller vouches for.

    Every field but the first three may be empty: the page then says that it was not recorded.
    """

    run: str
    generated: str  # ISO 8601
    version: str  # of Mainspring
    purpose: str = ""  # the docstring of the system: what it is for
    declaration: list[str] = field(default_factory=list)  # a summary, one line a fact
    decisions: dict[str, int] = field(default_factory=dict)  # counts by stage: made, with a label known, ...
    seconds: dict[str, float] = field(default_factory=dict)  # by stage, in order
    tables: list[TableFacts] = field(default_factory=list)
    features: list[FeatureFacts] = field(default_factory=list)
    fingerprints: dict[str, str] = field(default_factory=dict)  # of the declaration, the data set, the model
    brief: list[tuple[str, str]] = field(default_factory=list)  # the design questions and their answers
