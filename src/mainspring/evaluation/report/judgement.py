"""The sections that judge the model: verdict, headline figures, baselines, worth, honesty, and quality over time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mainspring.evaluation.report import charts
from mainspring.evaluation.report.verdict import advantage, objective_figure, rivals, verdict
from mainspring.evaluation.results import Baseline, Evaluation, Interval, PartSummary
from mainspring.page.components import (
    Child,
    Html,
    Tone,
    absent,
    badge,
    bullets,
    callout,
    element,
    figure,
    figures,
    paragraph,
    section,
    table,
)
from mainspring.page.wording import (
    UNKNOWN,
    capital,
    count,
    instant,
    interval,
    mean_label,
    metric_title,
    number,
    percent,
    plain,
    plural,
    signed,
)

__all__ = ["estimate", "honesty", "judged_part", "over_time", "summary", "versus_baselines", "worth"]


def estimate(figure: Interval | None) -> Child:
    """Return an estimate with its interval in a quieter voice, for the cell of a table."""
    if figure is None:
        return UNKNOWN
    return [number(figure.value), " ", element("span", interval(figure), class_="range")]


def judged_part(evaluation: Evaluation) -> PartSummary | None:
    """Return the part of the split the figures come from: the one called test, else the last."""
    named = [part for part in evaluation.parts if part.name == "test"] or evaluation.parts
    return named[-1] if named else None


def other_metrics(evaluation: Evaluation) -> list[str]:
    """Return the names of the metrics besides the objective's and the payoff."""
    return [name for name in evaluation.metrics if name not in (evaluation.metric, "payoff")]


def _headline(label: str, judged: Interval | None) -> Html:
    return figure(label, UNKNOWN) if judged is None else figure(label, number(judged.value), interval(judged))


def summary(evaluation: Evaluation) -> Html:
    """Return the verdict and the headline figures."""
    found = verdict(evaluation)
    shown = [_headline(f"Objective: {metric_title(evaluation.metric)}", objective_figure(evaluation))]
    if evaluation.payoff is not None and evaluation.metric != "payoff":
        shown.append(_headline(f"Payoff ({evaluation.payoff_unit or 'units'})", evaluation.payoff))
    shown += [_headline(capital(metric_title(name)), evaluation.metrics[name]) for name in other_metrics(evaluation)]
    part = judged_part(evaluation)
    where = (
        f"Judged on {plural(part.rows, 'decision')} from {instant(part.first)} to {instant(part.last)}, after everything the "
        "model learnt from. Ranges are 95% intervals from resampling whole days."
        if part
        else "Which part of the history the figures come from was not recorded."
    )
    box = callout(found.sentence, bullets(found.details) if found.details else None, tone=found.tone)
    return section("verdict", "Verdict", box, figures(shown), paragraph(where, class_="aside"))


def _gain(judged: Interval | None, competes: bool) -> Child:
    if judged is None:
        return UNKNOWN
    tone: Tone = "good" if judged.low > 0 else "warning" if judged.value > 0 else "bad" if competes else "plain"
    return [badge(signed(judged.value), tone), " ", element("span", interval(judged), class_="range")]


def versus_baselines(evaluation: Evaluation) -> Html:
    """Return the model against every baseline."""
    title = "Against the baselines"
    if not evaluation.baselines:
        return section("baselines", title, absent("No baseline was judged beside the model."))
    metric = metric_title(evaluation.metric)
    others = other_metrics(evaluation)
    names = [
        capital(metric),
        *(["Payoff"] if evaluation.payoff else []),
        *(capital(metric_title(name)) for name in others),
    ]
    columns = ["Competitor", "The model is better by", *names, "What it is"]
    competing = {baseline.name for baseline in rivals(evaluation)}

    def judged(of: Evaluation | Baseline) -> list[Child]:
        own = objective_figure(evaluation, of if isinstance(of, Baseline) else None)
        worth = [estimate(of.payoff)] if evaluation.payoff else []
        return [estimate(own), *worth, *(estimate(of.metrics.get(name)) for name in others)]

    rows: list[list[Child]] = [[element("strong", "the model"), "", *judged(evaluation), "what this report is about"]]
    rows += [
        [
            [b.name, None if b.name in competing else [" ", badge("with less")]],
            _gain(advantage(evaluation, b), b.name in competing),
            *judged(b),
            b.description,
        ]
        for b in evaluation.baselines
    ]
    behind = table("The model and its baselines on the same rows", columns, rows, range(1, len(columns) - 1))
    lead = (
        "Every baseline was judged on exactly the rows of the model. “With less” is the model itself, made again without some "
        f"of its features: what it loses is what they are worth in {metric}."
    )
    drawn = charts.baseline_chart(evaluation)
    return section("baselines", title, drawn.placed(behind) if drawn else behind, lead=lead)


def _confusion(evaluation: Evaluation) -> Html:
    cells = evaluation.confusion
    if not cells:
        return absent("No confusion table: there are no classes to confuse, or it was not computed.")
    rows = {(cell.actual, cell.predicted): cell.rows for cell in cells}
    answers = list(dict.fromkeys(cell.predicted for cell in cells))
    actual = list(dict.fromkeys(cell.actual for cell in cells))
    totals = {name: sum(rows.get((name, answer), 0) for answer in answers) for name in actual}

    def cell(name: str, answer: str) -> Child:
        found = rows.get((name, answer), 0)
        share = percent(found / totals[name]) if totals[name] else ""
        return [count(found), " ", element("span", share, class_="range")]

    at = "" if evaluation.threshold is None else f" at the threshold {plain(evaluation.threshold)}"
    body = [[name, *(cell(name, answer) for answer in answers), count(totals[name])] for name in actual]
    columns = ["Came true", *(f"answered {answer}" for answer in answers), "All"]
    return table(f"What was answered and what came true{at}", columns, body, range(1, len(columns)))


def worth(evaluation: Evaluation) -> Html:
    """Return payoff against threshold and the confusion at the threshold."""
    if evaluation.payoff is None:
        lead = "No payoff was declared, so what a right or a wrong answer is worth is unknown."
    else:
        unit = evaluation.payoff_unit or "units"
        lead = (
            f"A decision is worth {number(evaluation.payoff.value)} {unit} on average ({interval(evaluation.payoff)})."
        )
    drawn = charts.payoff_chart(evaluation)
    curve: Child = absent("No payoff by threshold: without a payoff or a probability there is no threshold to choose.")
    if drawn:
        points = evaluation.payoff_curve
        rows = [[plain(each.threshold), number(each.payoff), percent(each.share)] for each in points]
        curve = drawn.placed(
            table("Payoff by threshold", ["Threshold", "Payoff per decision", "Acted on"], rows, (0, 1, 2))
        )
    return section("worth", "What it is worth", curve, _confusion(evaluation), lead=lead)


def _range(low: float, high: float) -> str:
    return f"{number(low)} to {number(high)}"


def _shares(of: Interval) -> str:
    return f"{percent(of.low)} to {percent(of.high)}"


def honesty(evaluation: Evaluation) -> Html:
    """Return whether predicted probabilities mean what they say, before and after calibration."""
    drawn = charts.reliability_chart(evaluation)
    spread = charts.histogram_chart(evaluation)
    body: list[Child] = []
    if drawn:
        stages = [("as served", evaluation.reliability), ("before calibration", evaluation.reliability_before)]
        rows = [
            [
                stage,
                f"{plain(b.low)} to {plain(b.high)}",
                count(b.rows),
                percent(b.predicted),
                percent(b.observed.value),
                _shares(b.observed),
            ]
            for stage, bins in stages
            for b in bins
        ]
        columns = ["Model", "Predictions", "Rows", "Predicted", "Came true", "95% interval"]
        body.append(drawn.placed(table("Predicted and observed by bin", columns, rows, range(1, 6))))
    else:
        body.append(absent("No reliability diagram: it is drawn for a binary label with enough judged rows."))
    if spread:
        bars = [[plain(low), plain(high), count(rows)] for low, high, rows in evaluation.histogram]
        body.append(spread.placed(table("Predictions by bin", ["From", "To", "Rows"], bars, (0, 1, 2))))
    else:
        body.append(absent("How the predictions are spread was not recorded."))
    lead = {
        "none": "The model's figures are served as they are, without calibration.",
    }.get(
        evaluation.calibration, f"Predictions are calibrated ({evaluation.calibration}), fitted on a part of its own."
    )
    return section("honesty", "Is it honest", body, lead=lead)


def over_time(evaluation: Evaluation) -> Html:
    """Return quality, and predicted against observed, over the periods of the test part."""
    periods = evaluation.periods
    metric, labels = charts.period_metric_chart(evaluation), charts.period_label_chart(evaluation)
    if not metric or not labels:
        why = "Quality over time was not computed: the judged part is too short for it."
        return section("time", "Over time", absent(why))
    rows: Sequence[Sequence[Child]] = [
        [
            instant(p.start)[:10],
            count(p.rows),
            number(p.metric),
            mean_label(evaluation.task, p.predicted_mean),
            mean_label(evaluation.task, p.label_mean),
        ]
        for p in periods
    ]
    columns = ["From", "Rows", capital(metric_title(evaluation.metric)), "Predicted", "Observed"]
    behind = table("Quality by period", columns, rows, range(1, 5))
    values = [p.metric for p in periods if math.isfinite(p.metric)]
    ranged = f"{metric_title(evaluation.metric)} ranged from {_range(min(values), max(values))}"
    lead = f"Over {plural(len(periods), 'period')} the {ranged}."
    return section("time", "Over time", metric.placed(behind), labels.placed(behind), lead=lead)
