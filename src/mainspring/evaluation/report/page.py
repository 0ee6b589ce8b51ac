"""The report as one HTML document: every section in the order a reader asks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mainspring.evaluation.report import judgement, provenance, weakness
from mainspring.evaluation.report.context import RunContext
from mainspring.evaluation.results import Evaluation
from mainspring.page.document import Section, page_of
from mainspring.page.wording import instant
from mainspring.storage import write_atomically

__all__ = ["report_page", "write_report"]


def report_page(evaluation: Evaluation, context: RunContext, more: Sequence[Section] = ()) -> str:
    """Return the report as one HTML document of about 1 MB that works offline; `more` sections stand after its quality over time."""
    sections = [
        Section("verdict", "Verdict", judgement.summary(evaluation)),
        Section("baselines", "Against the baselines", judgement.versus_baselines(evaluation)),
        Section("worth", "What it is worth", judgement.worth(evaluation)),
        Section("honesty", "Is it honest", judgement.honesty(evaluation)),
        Section("time", "Over time", judgement.over_time(evaluation)),
        *more,
        Section("slices", "Where it is weak", weakness.slices(evaluation)),
        Section("simpson", "Simpson's reversals", weakness.reversals(evaluation)),
        Section("importance", "What it uses", weakness.uses(evaluation)),
        Section("leakage", "Leakage audit", weakness.leakage(evaluation)),
        Section("checks", "Guards and checks", weakness.limits(evaluation)),
        Section("data", "The data", provenance.data(evaluation, context)),
        Section("made", "How it was made", provenance.made(evaluation, context)),
        Section("brief", "What it is for", provenance.brief(context)),
        Section("notes", "Notes", provenance.notes(evaluation)),
    ]
    return page_of(
        sections,
        kicker="Evaluation report",
        title=evaluation.system,
        head=f"{evaluation.system}: evaluation of {context.run}",
        purpose=context.purpose,
        made=f"Run {context.run}, {instant(context.generated)}",
        version=context.version,
    )


def write_report(evaluation: Evaluation, context: RunContext, path: Path, more: Sequence[Section] = ()) -> None:
    """Write the report to `path`; a reader sees the old file or the whole new one. The folder must exist.

    Raises WorkspaceError (WORKSPACE_DISK_FULL, WORKSPACE_READ_ONLY).
    """
    write_atomically(path, report_page(evaluation, context, more).encode("utf-8", "replace"))
