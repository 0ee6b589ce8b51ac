"""The sections that look for trouble: slices, Simpson's reversals, what the model uses, leakage, checks and guards."""

from __future__ import annotations

from collections import defaultdict

from mainspring.evaluation.report import charts
from mainspring.evaluation.report.judgement import estimate
from mainspring.evaluation.report.verdict import objective_figure, worst_first
from mainspring.evaluation.results import Evaluation, Reversal
from mainspring.page.components import Child, Html, Tone, absent, badge, element, paragraph, section, table
from mainspring.page.wording import (
    capital,
    count,
    mean_label,
    metric_title,
    number,
    percent,
    plain,
    plural,
)

__all__ = ["leakage", "limits", "reversals", "slices", "uses"]

_SEVERITIES: dict[str, Tone] = {"error": "bad", "warning": "warning", "note": "plain"}


def slices(evaluation: Evaluation) -> Html:
    """Return quality on every slice, the surely worst first."""
    title = "Where it is weak"
    if not evaluation.slices:
        return section(
            "slices", title, absent("No slices were declared, so it is unknown whether a group fares badly.")
        )
    metric = capital(metric_title(evaluation.metric))
    with_payoff = any(each.payoff is not None for each in evaluation.slices) and evaluation.metric != "payoff"
    columns = ["Slice", metric, *(["Payoff"] if with_payoff else []), "Predicted", "Observed", "Rows"]
    rows: list[list[Child]] = [
        [
            [f"{each.column} = {each.value}", [" ", badge("few rows")] if each.small else None],
            estimate(objective_figure(evaluation, each)),
            *([estimate(each.payoff)] if with_payoff else []),
            mean_label(evaluation.task, each.predicted_mean),
            mean_label(evaluation.task, each.label_mean),
            count(each.rows),
        ]
        for each in worst_first(evaluation)
    ]
    behind = table("Quality on each slice, worst first", columns, rows, range(1, len(columns)))
    small = sum(each.small for each in evaluation.slices)
    lead = (
        f"{plural(len(evaluation.slices), 'slice')}, ordered by the end of the interval that is kindest to the model."
    )
    if small:
        have = "slice has" if small == 1 else "slices have"
        lead += f" {count(small)} {have} too few rows for a firm statement and {'is' if small == 1 else 'are'} marked."
    drawn = charts.slice_chart(evaluation)
    return section("slices", title, drawn.placed(behind) if drawn else behind, lead=lead)


def _reversal(task: str, found: Reversal) -> Html:
    rows: list[list[Child]] = [
        [
            s.value,
            mean_label(task, s.first_rate),
            count(s.first_rows),
            mean_label(task, s.second_rate),
            count(s.second_rows),
        ]
        for s in found.strata
    ]
    whole: list[Child] = [
        element("strong", "all together"),
        element("strong", mean_label(task, found.first_rate)),
        count(sum(s.first_rows for s in found.strata)),
        element("strong", mean_label(task, found.second_rate)),
        count(sum(s.second_rows for s in found.strata)),
    ]
    columns = [capital(found.by), found.first, "Rows", found.second, "Rows"]
    caption = f"By {found.by} and all together; p = {plain(found.p_value)} for the weakest difference"
    return element(
        "div",
        element("h3", f"{found.column}: {found.first} and {found.second}, by {found.by}"),
        paragraph(found.sentence),
        table(caption, columns, [*rows, whole], range(1, 5)),
        class_="reversal",
    )


def reversals(evaluation: Evaluation) -> Html:
    """Return every Simpson's reversal with its sentence and its strata."""
    title = "Simpson's reversals"
    pairs = "" if evaluation.simpson_pairs is None else f" among {plural(evaluation.simpson_pairs, 'pair')}"
    if not evaluation.simpson:
        return section("simpson", title, absent(f"No Simpson's reversal was found{pairs}."))
    lead = (
        f"{plural(len(evaluation.simpson), 'reversal')} found{pairs}: the comparison of two groups turns round when the rows "
        "are split by another column, so the comparison over all rows misleads."
    )
    return section("simpson", title, [_reversal(evaluation.task, each) for each in evaluation.simpson], lead=lead)


def uses(evaluation: Evaluation) -> Html:
    """Return what the model uses: importance of features and of their groups."""
    title = "What it uses"
    drawn = charts.importance_chart(evaluation)
    if not evaluation.importance or drawn is None:
        return section("importance", title, absent("Importance was not computed for this estimator."))
    shuffled: defaultdict[str, float] = defaultdict(float)
    gained: defaultdict[str, float] = defaultdict(float)
    members: defaultdict[str, int] = defaultdict(int)
    for each in evaluation.importance:
        members[each.group] += 1
        shuffled[each.group] += each.permutation.value if each.permutation else 0.0
        gained[each.group] += each.gain or 0.0
    by_group: list[list[Child]] = [
        [group, count(members[group]), percent(gained[group]), number(shuffled[group])]
        for group in sorted(members, key=lambda name: (-shuffled[name], -gained[name], name))
    ]
    ranked = sorted(
        evaluation.importance,
        key=lambda i: (-(i.permutation.value if i.permutation else 0.0), -(i.gain or 0.0), i.feature),
    )
    by_feature: list[list[Child]] = [[i.feature, i.group, estimate(i.permutation), percent(i.gain)] for i in ranked]
    lost = f"{capital(metric_title(evaluation.metric))} lost"
    features = table(
        "Importance of each feature", ["Feature", "Group", f"{lost} when shuffled", "Split gain"], by_feature, (2, 3)
    )
    groups = table(
        "Importance of each group, summed", ["Group", "Features", "Split gain", f"{lost}, summed"], by_group, (1, 2, 3)
    )
    lead = (
        "Shuffling a feature's values shows what the model loses without it; features that say the same share their worth. "
        "Importance says what the model uses, not what causes the label."
    )
    return section("importance", title, drawn.placed(features), groups, lead=lead)


def leakage(evaluation: Evaluation) -> Html:
    """Return what the leakage audit found."""
    title = "Leakage audit"
    if not evaluation.leakage:
        why = (
            "The audit found no feature that is too good alone or known suspiciously close to the label, and no rows or groups "
            "shared by the parts in a way that flatters the model."
        )
        return section("leakage", title, absent(why))
    order = list(_SEVERITIES)
    found = sorted(evaluation.leakage, key=lambda f: order.index(f.severity) if f.severity in order else len(order))
    rows: list[list[Child]] = [
        [
            f.subject,
            badge(f.severity, _SEVERITIES.get(f.severity, "plain")),
            f.kind.replace("_", " "),
            plain(f.figure),
            f.message,
        ]
        for f in found
    ]
    columns = ["Subject", "Severity", "Finding", "Figure", "What it means"]
    lead = "Signs that a feature knows the label, or that judged rows were seen in training."
    return section("leakage", title, table("What the leakage audit found", columns, rows, (3,)), lead=lead)


def limits(evaluation: Evaluation) -> Html:
    """Return the declared guards and checks and whether they hold."""

    def state(passed: bool, held: str, failed: str) -> Html:
        return badge(held, "good") if passed else badge(failed, "bad")

    guards: Child = absent("No guards were declared.")
    if evaluation.guards:
        kept: list[list[Child]] = [
            [metric_title(each.metric), state(each.passed, "kept", "broken"), plain(each.figure), each.limit]
            for each in evaluation.guards
        ]
        guards = table("Guards", ["Metric", "State", "Figure", "Declared"], kept, (2,))
    checks: Child = absent("No invariance, direction or noise checks were declared.")
    if evaluation.checks:
        held: list[list[Child]] = [
            [
                c.name,
                state(c.passed, "held", "failed"),
                c.kind,
                plain(c.figure),
                plain(c.limit),
                count(c.rows),
                c.message,
            ]
            for c in sorted(evaluation.checks, key=lambda check: check.passed)
        ]
        columns = ["Check", "State", "Kind", "Figure", "Limit", "Rows", "What happened"]
        checks = table("Declared checks", columns, held, (3, 4, 5))
    return section("checks", "Guards and checks", guards, checks)
