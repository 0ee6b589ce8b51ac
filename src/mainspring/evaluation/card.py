"""The model card: what a model is for, what it was judged on and where it fails, as Markdown that travels with the bundle.

The headings are those of Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from mainspring.evaluation.report.context import RunContext
from mainspring.evaluation.report.verdict import objective_figure, verdict, worst_first
from mainspring.evaluation.results import Evaluation, Interval
from mainspring.page.wording import (
    UNKNOWN,
    capital,
    count,
    instant,
    interval,
    mean_label,
    metric_title,
    number,
    plain,
    plural,
)

__all__ = ["model_card"]

MOST_SLICES = 10  # the report has them all
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~&!])")


def _text(given: str) -> str:
    """Return text of a user on one line, with every character that Markdown would read as markup escaped."""
    return _MARKUP.sub(r"\\\1", " ".join(given.split()))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _bullets(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _estimate(figure: Interval | None) -> list[str]:
    return [UNKNOWN, UNKNOWN] if figure is None else [number(figure.value), interval(figure)]


def _details(evaluation: Evaluation, context: RunContext) -> str:
    threshold = "none" if evaluation.threshold is None else plain(evaluation.threshold)
    facts = [
        f"Run: {_text(context.run)}, {_text(instant(context.generated))}, Mainspring {_text(context.version)}",
        f"Task: {evaluation.task}; calibration: {_text(evaluation.calibration)}; threshold: {threshold}",
        f"Label: {_text(evaluation.label)}",
        *(_text(line) for line in context.declaration),
        *(f"Fingerprint of the {_text(name)}: {_text(digest)}" for name, digest in context.fingerprints.items()),
    ]
    return _bullets(facts)


def _intended_use(context: RunContext) -> str:
    said = _text(context.purpose) if context.purpose else "What the system is for was not written down."
    return f"{said}\n\nAny other use has not been judged."


def _factors(evaluation: Evaluation) -> str:
    columns = sorted({_text(each.column) for each in evaluation.slices})
    if not columns:
        return "No slices were declared: whether a group fares badly is unknown."
    return (
        f"Quality was judged apart for each value of {', '.join(columns)} ({plural(len(evaluation.slices), 'slice')})."
    )


def _metrics(evaluation: Evaluation) -> str:
    rows = [[f"{capital(metric_title(evaluation.metric))} (objective)", *_estimate(objective_figure(evaluation))]]
    if evaluation.payoff is not None and evaluation.metric != "payoff":
        rows.append([f"Payoff per decision, {_text(evaluation.payoff_unit or 'units')}", *_estimate(evaluation.payoff)])
    others = [name for name in evaluation.metrics if name not in (evaluation.metric, "payoff")]
    rows += [[capital(metric_title(name)), *_estimate(evaluation.metrics[name])] for name in others]
    found = verdict(evaluation)
    table = _table(["Metric", "Figure", "95% interval"], rows)
    return f"{_text(found.sentence)}\n\n{_bullets(_text(each) for each in found.details)}\n\n{table}"


def _data(evaluation: Evaluation, context: RunContext) -> str:
    parts = [
        [_text(p.name), instant(p.first), instant(p.last), count(p.rows), mean_label(evaluation.task, p.label_mean)]
        for p in evaluation.parts
    ]
    tables = [[_text(t.name), count(t.rows), count(t.quarantined), _text(t.snapshot)] for t in context.tables]
    left_out = [f"{count(rows)} decisions left out: {_text(why)}" for why, rows in evaluation.left_out.items()]
    said = [
        _table(["Part", "First decision", "Last decision", "Rows", "Mean label"], parts)
        if parts
        else "How the history was split was not recorded.",
        _table(["Table", "Rows", "In quarantine", "Snapshot"], tables)
        if tables
        else "The tables read were not recorded.",
        _bullets(left_out) if left_out else "No decision was left out.",
    ]
    return "\n\n".join(said)


def _analyses(evaluation: Evaluation) -> str:
    metric = capital(metric_title(evaluation.metric))
    baselines = [[_text(b.name), *_estimate(objective_figure(evaluation, b))] for b in evaluation.baselines]
    weakest = [
        [
            _text(f"{each.column} = {each.value}") + (" (few rows)" if each.small else ""),
            *_estimate(objective_figure(evaluation, each)),
            count(each.rows),
        ]
        for each in worst_first(evaluation)[:MOST_SLICES]
    ]
    said = [
        _table(["Baseline", metric, "95% interval"], baselines) if baselines else "No baseline was judged.",
        f"Weakest slices first:\n\n{_table(['Slice', metric, '95% interval', 'Rows'], weakest)}"
        if weakest
        else "No slices were judged.",
    ]
    if evaluation.simpson:
        said.append(f"Simpson's reversals:\n\n{_bullets(_text(each.sentence) for each in evaluation.simpson)}")
    return "\n\n".join(said)


def _ethics(context: RunContext) -> str:
    if not context.brief:
        return "The declaration has no brief: who is affected, and who could be harmed, has not been written down."
    return "\n\n".join(f"**{_text(question)}**\n\n{_text(answer)}" for question, answer in context.brief)


def _caveats(evaluation: Evaluation) -> str:
    said = [f"Leakage audit, {each.severity}: {_text(each.message)}" for each in evaluation.leakage]
    said += [
        f"Failed check, {_text(each.name)}: {_text(each.message)}" for each in evaluation.checks if not each.passed
    ]
    said += [_text(note) for note in evaluation.notes]
    said.append("The figures describe the period they were judged on; what the world does later, monitoring must tell.")
    return _bullets(said)


def model_card(evaluation: Evaluation, context: RunContext) -> str:
    """Return the model card as Markdown. Text of users is escaped; what is unknown is said to be."""
    sections = {
        "Model details": _details(evaluation, context),
        "Intended use": _intended_use(context),
        "Factors": _factors(evaluation),
        "Metrics": _metrics(evaluation),
        "Training and evaluation data": _data(evaluation, context),
        "Quantitative analyses": _analyses(evaluation),
        "Ethical considerations": _ethics(context),
        "Caveats and recommendations": _caveats(evaluation),
    }
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items())
    return f"# Model card: {_text(evaluation.system)}\n\n{body}\n"
