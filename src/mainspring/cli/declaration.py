"""A system as it declares itself: a document for programs, a page for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mainspring.cli.tables import grid

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mainspring.declare import System, Table

__all__ = ["declaration", "document"]

_POLICIES = ("model", "training", "objective", "heuristic", "retrain", "rollout", "alerts")


def document(system: System) -> dict[str, Any]:
    """Return what the system declares, expressions as they are written."""
    return {
        "system": system.name,
        "description": system.description,
        "fingerprint": system.fingerprint,
        "tables": {table.__name__: _columns(table) for table in system.tables},
        "decision": repr(system.decision),
        "label": {"label": repr(system.label), "task": system.label.task},
        "features": [
            {
                "name": name,
                "expression": repr(expression),
                "kind": None if expression.kind is None else str(expression.kind),
                "unit": expression.unit,
                "group": system.group_of(name),
            }
            for name, expression in system.features.items()
        ],
        "checks": [repr(check) for check in system.checks],
        **{name: repr(value) for name in _POLICIES if (value := getattr(system, name)) is not None},
        "brief": system.brief.answers() if system.brief is not None else {},
    }


def declaration(system: System) -> Iterator[RenderableType]:
    """Yield what the system declares, for people."""
    told = document(system)
    yield f"{system.name}: {' '.join(system.description.partition(chr(10) * 2)[0].split())}".rstrip(": ")
    yield f"fingerprint  {told['fingerprint']}\n"
    rows = [
        [table.__name__, "static" if table.__schema__.static else "facts", ", ".join(_columns(table))]
        for table in system.tables
    ]
    yield grid(["table", "", "columns"], rows)
    yield f"\ndecision  {told['decision']}"
    yield f"label     {told['label']['label']} ({told['label']['task']})\n"
    rows = [[f["name"], f["kind"] or "?", f["unit"] or "", f["group"], f["expression"]] for f in told["features"]]
    yield grid(["feature", "kind", "unit", "group", "expression"], rows)
    yield ""
    yield grid(["policy", ""], [[name, told[name]] for name in _POLICIES if name in told])
    if told["checks"]:
        yield ""
        yield grid(["check"], [[check] for check in told["checks"]])
    open_questions = [question for question, answer in told["brief"].items() if not answer]
    if open_questions or not told["brief"]:
        yield f"\nopen questions of the brief: {len(open_questions) if told['brief'] else 'all'}"


def _columns(table: type[Table]) -> dict[str, str]:
    """The columns of a table with their types."""
    return {column.name: type(column).__name__ for column in table.__schema__.columns}
