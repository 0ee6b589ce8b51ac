"""The lint: what is wrong with a declaration, found before anything runs. One rule is one small function.

`lint` reads the declaration alone, `lint_history` compares it with facts about its tables that the caller has gathered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mainspring.declare.lint import history, kinds, labels, names, objectives, policies, proxies, reading, retraining
from mainspring.declare.lint.rule import HISTORY_RULES, SYSTEM_RULES, Finding, Severity, TableFacts
from mainspring.declare.system import System

__all__ = ["Finding", "Severity", "TableFacts", "finding_codes", "lint", "lint_history"]

# Loading them enters their rules.
_RULE_BOOKS = (history, kinds, labels, names, objectives, policies, proxies, reading, retraining)


def lint(system: System) -> list[Finding]:
    """Return what is wrong with a declaration, in the order of the user's lines. Reads nothing but the declaration.

    >>> import mainspring as ms
    >>> class Trip(ms.Table):
    ...     trip_id = ms.Key()
    ...     start = ms.KnownAt()
    >>> class Payment(ms.Table):
    ...     trip_id = ms.Key()
    ...     tip = ms.Float()
    ...     paid_at = ms.KnownAt()
    >>> system = ms.System(name="tips", decision=ms.Decision(Trip, at=Trip.start), features={"hour": Trip.strt.hour()},
    ...                    label=ms.Label(Payment.tip, by="trip_id", within="1d"))
    >>> [finding.code for finding in lint(system) if finding.severity == "error"]
    ['unknown-column']
    """
    return _sorted(finding for rule in SYSTEM_RULES for finding in rule.findings(system))


def lint_history(system: System, facts: Mapping[str, TableFacts]) -> list[Finding]:
    """Return where a declaration does not fit its history; `facts` holds what is known of each table by its snake_case name."""
    return _sorted(finding for rule in HISTORY_RULES for finding in rule.findings(system, facts))


def finding_codes() -> dict[str, str]:
    """Return the code of every rule with its one-sentence meaning."""
    return {rule.code: rule.meaning for rule in (*SYSTEM_RULES, *HISTORY_RULES)}


def _sorted(findings: Iterable[Finding]) -> list[Finding]:
    def place(finding: Finding) -> tuple[str, int, str]:
        return (finding.origin.file, finding.origin.line, finding.code) if finding.origin else ("", 0, finding.code)

    return sorted(dict.fromkeys(findings), key=place)
