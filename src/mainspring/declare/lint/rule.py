"""What a rule of the lint is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mainspring.declare.system import System
from mainspring.errors import Origin

__all__ = [
    "HISTORY_RULES",
    "SYSTEM_RULES",
    "Finding",
    "Problem",
    "Rule",
    "Severity",
    "TableFacts",
    "history_rule",
    "rule",
]

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Problem:
    """What a rule yields: what was given and why it cannot stand, what to do, what exists instead, and the user's line."""

    message: str
    fix: str
    exists: str = ""
    origin: Origin | None = None


@dataclass(frozen=True)
class Finding:
    """A problem with the code and the severity of the rule that found it. Errors stop a run; warnings and notes do not."""

    code: str
    severity: Severity
    message: str
    exists: str
    fix: str
    origin: Origin | None

    def __str__(self) -> str:
        where = f"{self.origin}: " if self.origin else ""
        return " ".join(
            part for part in (f"{where}{self.severity} [{self.code}]", self.message, self.exists, self.fix) if part
        )


@dataclass(frozen=True)
class TableFacts:
    """What is known of a table's history: its rows, the instants (microseconds) of the first and the last known one, how many
    different values each column has (missing ones left out), and how many rows repeat the key of another."""

    rows: int
    first_known: int | None = None
    last_known: int | None = None
    distinct: Mapping[str, int] = field(default_factory=dict)
    duplicate_keys: int = 0


@dataclass(frozen=True)
class Rule:
    """One thing that can be wrong. `meaning` is its sentence in docs/errors.md."""

    code: str
    severity: Severity
    meaning: str
    check: Callable[..., Iterable[Problem]]

    def findings(self, *given: Any) -> list[Finding]:
        """Return what the rule finds in a system (and its history)."""
        return [
            Finding(self.code, self.severity, p.message[:1].upper() + p.message[1:], p.exists, p.fix, p.origin)
            for p in self.check(*given)
        ]


SystemCheck = Callable[[System], Iterable[Problem]]
HistoryCheck = Callable[[System, Mapping[str, TableFacts]], Iterable[Problem]]
SYSTEM_RULES: list[Rule] = []
HISTORY_RULES: list[Rule] = []


def rule(code: str, severity: Severity, meaning: str) -> Callable[[SystemCheck], SystemCheck]:
    """Enter a function among the rules that read the declaration alone."""

    def enter(check: SystemCheck) -> SystemCheck:
        SYSTEM_RULES.append(Rule(code, severity, meaning, check))
        return check

    return enter


def history_rule(code: str, severity: Severity, meaning: str) -> Callable[[HistoryCheck], HistoryCheck]:
    """Enter a function among the rules that compare the declaration with its history."""

    def enter(check: HistoryCheck) -> HistoryCheck:
        HISTORY_RULES.append(Rule(code, severity, meaning, check))
        return check

    return enter
