"""The sections that say where it all came from: data, features, decisions left out, split, time spent, fingerprints."""

from __future__ import annotations

from mainspring.evaluation.report.context import RunContext
from mainspring.evaluation.results import Evaluation
from mainspring.page.components import (
    Child,
    Html,
    absent,
    badge,
    bullets,
    definitions,
    disclosure,
    element,
    section,
    table,
)
from mainspring.page.wording import capital, count, instant, mean_label, percent, plain, plural

__all__ = ["brief", "data", "made", "notes"]


def _code(text: str) -> Html:
    return element("code", text)


def _tables(context: RunContext) -> Child:
    if not context.tables:
        return absent("Which tables were read was not recorded.")
    rows: list[list[Child]] = [
        [
            each.name,
            count(each.rows),
            badge(count(each.quarantined), "warning") if each.quarantined else "0",
            _code(each.snapshot),
        ]
        for each in context.tables
    ]
    return table("Tables as they were read", ["Table", "Rows", "In quarantine", "Snapshot"], rows, (1, 2))


def _decisions(evaluation: Evaluation, context: RunContext) -> Child:
    rows: list[list[Child]] = [[capital(what), count(rows)] for what, rows in context.decisions.items()]
    rows += [[["Left out: ", why], count(rows)] for why, rows in evaluation.left_out.items()]
    if not rows:
        return absent("No decision was left out, and counts of decisions by stage were not recorded.")
    kept = None if evaluation.left_out else absent("No decision was left out.")
    return [table("Decisions", ["Decisions", "Rows"], rows, (1,)), kept]


def _features(context: RunContext) -> Child:
    if not context.features:
        return absent("The features were not recorded.")
    rows: list[list[Child]] = [
        [each.name, each.group, each.kind, percent(each.missing), each.expression] for each in context.features
    ]
    columns = ["Feature", "Group", "Kind", "Missing", "What it is"]
    return disclosure(f"All {plural(len(rows), 'feature')}", table("Features", columns, rows, (3,)))


def data(evaluation: Evaluation, context: RunContext) -> Html:
    """Return the tables, the decisions and the features."""
    lead = f"The label: {evaluation.label}."
    return section("data", "The data", _tables(context), _decisions(evaluation, context), _features(context), lead=lead)


def _parts(evaluation: Evaluation) -> Child:
    if not evaluation.parts:
        return absent("How the history was split was not recorded.")
    mean = {"regression": "Mean label", "multiclass": "Most frequent class"}.get(evaluation.task, "Label true")
    rows: list[list[Child]] = [
        [
            part.name,
            instant(part.first),
            instant(part.last),
            count(part.rows),
            mean_label(evaluation.task, part.label_mean),
        ]
        for part in evaluation.parts
    ]
    return table("The split by time", ["Part", "First decision", "Last decision", "Rows", mean], rows, (3, 4))


def _seconds(context: RunContext) -> Child:
    if not context.seconds:
        return absent("How long the stages took was not recorded.")
    rows: list[list[Child]] = [[stage, f"{seconds:.2f}"] for stage, seconds in context.seconds.items()]
    rows.append([element("strong", "all stages"), element("strong", f"{sum(context.seconds.values()):.2f}")])
    return table("Seconds by stage", ["Stage", "Seconds"], rows, (1,))


def made(evaluation: Evaluation, context: RunContext) -> Html:
    """Return how the model was made: declaration, split, calibration, time, fingerprints."""
    threshold = "none" if evaluation.threshold is None else plain(evaluation.threshold)
    facts: list[tuple[Child, Child]] = [
        ("Run", _code(context.run)),
        ("Task", evaluation.task),
        ("Calibration", evaluation.calibration),
        ("Threshold", threshold),
        *((capital(name), _code(text)) for name, text in context.fingerprints.items()),
        ("Mainspring", context.version),
    ]
    declared = bullets(context.declaration) if context.declaration else absent("The declaration was not summarised.")
    body = (definitions(facts), element("h3", "The declaration"), declared, _parts(evaluation), _seconds(context))
    return section("made", "How it was made", body)


def brief(context: RunContext) -> Html:
    """Return the design questions and their answers."""
    if not context.brief:
        why = "The declaration has no brief, so who the system serves and whom it may harm has not been written down."
        return section("brief", "What it is for", absent(why))
    return section("brief", "What it is for", definitions(context.brief))


def notes(evaluation: Evaluation) -> Html:
    """Return what else a reader must know."""
    body = (
        bullets(evaluation.notes) if evaluation.notes else absent("There are no notes: every figure could be computed.")
    )
    return section("notes", "Notes", body)
