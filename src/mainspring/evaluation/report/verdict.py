"""What the evaluation comes to, in sentences: is the model better than simple competitors, and are its limits kept?

The page, the model card and the command line say the same because they all ask here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from mainspring.evaluation.results import Baseline, Evaluation, Interval, SliceResult
from mainspring.page.components import Tone
from mainspring.page.wording import interval, metric_title, number, percent, plural, signed

__all__ = [
    "Verdict",
    "ablations",
    "advantage",
    "objective_figure",
    "payoff_advantage",
    "rivals",
    "verdict",
    "worst_first",
]

_ABLATIONS = frozenset({"without", "reduced"})  # the model itself with less to go by: no competitors


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One sentence that decides, how it is to be taken, and the sentences that bear it out."""

    sentence: str
    tone: Tone
    details: tuple[str, ...]


def rivals(evaluation: Evaluation) -> list[Baseline]:
    """Return the baselines a useful model must beat: all but the model with features left out."""
    return [baseline for baseline in evaluation.baselines if baseline.kind not in _ABLATIONS]


def ablations(evaluation: Evaluation) -> list[Baseline]:
    """Return the model with features left out: what each group of features is worth."""
    return [baseline for baseline in evaluation.baselines if baseline.kind in _ABLATIONS]


def higher_is_better(evaluation: Evaluation) -> bool:
    """Return whether more of the objective's metric is better."""
    from mainspring.evaluation.metric import metric_named  # compiles kernels: pages that only read must not wait for it

    return evaluation.metric == "payoff" or metric_named(evaluation.metric, evaluation.task).greater_is_better


def objective_figure(evaluation: Evaluation, of: Baseline | SliceResult | None = None) -> Interval | None:
    """Return the objective's metric of the model, a baseline or a slice; None when it was not computed."""
    judged = evaluation if of is None else of
    return _finite(judged.payoff if evaluation.metric == "payoff" else judged.metrics.get(evaluation.metric))


def _finite(figure: Interval | None) -> Interval | None:
    """Return the estimate, or None when it is no number: what is unknown beats nothing and loses to nothing."""
    return figure if figure is not None and math.isfinite(figure.value) else None


def _less(first: Interval | None, second: Interval | None) -> Interval | None:
    """Return first minus second with the widest interval their own intervals allow."""
    if first is None or second is None:
        return None
    return Interval(first.value - second.value, first.low - second.high, first.high - second.low)


def advantage(evaluation: Evaluation, baseline: Baseline) -> Interval | None:
    """Return by how much the model is better than a baseline in the objective's metric: above zero is better.

    The paired difference decides when it was computed; otherwise the two intervals do, which is stricter.
    """
    difference = _finite(baseline.difference)
    if difference is None:
        difference = _less(objective_figure(evaluation), objective_figure(evaluation, baseline))
    if difference is None or higher_is_better(evaluation):
        return difference
    return Interval(-difference.value, -difference.high, -difference.low)


def payoff_advantage(evaluation: Evaluation, baseline: Baseline) -> Interval | None:
    """Return by how much more the model is worth per decision than a baseline."""
    return _finite(baseline.payoff_difference) or _less(_finite(evaluation.payoff), _finite(baseline.payoff))


def worst_first(evaluation: Evaluation) -> list[SliceResult]:
    """Return the slices, the surely worst first.

    They are ordered by the end of the interval that is kindest to the model, so that a handful of unlucky rows does not
    outrank a weakness that is certain. Slices without the figure come last.
    """
    sign = 1 if higher_is_better(evaluation) else -1

    def kindest(result: SliceResult) -> float:
        figure = objective_figure(evaluation, result)
        if figure is None:
            return float("inf")
        end = figure.high if sign > 0 else figure.low
        return sign * (end if math.isfinite(end) else figure.value)

    return sorted(evaluation.slices, key=kindest)


def _listed(names: Iterable[str]) -> str:
    items = list(names)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _against_rivals(evaluation: Evaluation) -> tuple[str, Tone]:
    metric = metric_title(evaluation.metric)
    judged = [(b, gain) for b in rivals(evaluation) if (gain := advantage(evaluation, b)) is not None]
    if not judged:
        return f"Whether the model is any good is unknown: no baseline was judged beside it in {metric}.", "warning"
    lost = [b.name for b, gain in judged if gain.value <= 0]
    close = [b.name for b, gain in judged if gain.value > 0 and not gain.low > 0]
    if lost:
        return f"The model does not beat {_listed(lost)} in {metric}.", "bad"
    all_of_them = f"all {len(judged)} baselines" if len(judged) > 1 else f"the one baseline, {judged[0][0].name},"
    if close:
        return (
            f"The model is better than {all_of_them} in {metric}, but against {_listed(close)} it may be chance.",
            "warning",
        )
    return f"The model beats {all_of_them} in {metric}.", "good"


def _margin(evaluation: Evaluation) -> str | None:
    own = objective_figure(evaluation)
    judged = [(b, gain) for b in rivals(evaluation) if (gain := advantage(evaluation, b)) is not None]
    if own is None or not judged:
        return None
    best, gain = min(judged, key=lambda pair: pair[1].value)
    figure = objective_figure(evaluation, best)
    if figure is None:
        return None
    more = "" if gain.value == 0 or figure.value == 0 else f", {percent(abs(gain.value / figure.value))} "
    compared = more and more + ("worse" if gain.value > 0 else "better")
    return (
        f"Its {metric_title(evaluation.metric)} is {number(own.value)} ({interval(own)}); "
        f"the best baseline, {best.name}, has {number(figure.value)}{compared}."
    )


def _worth(evaluation: Evaluation) -> str | None:
    if evaluation.payoff is None:
        return None
    unit = f" {evaluation.payoff_unit}" if evaluation.payoff_unit else ""
    judged = [(b, gain) for b in rivals(evaluation) if (gain := payoff_advantage(evaluation, b)) is not None]
    own = f"It is worth {number(evaluation.payoff.value)}{unit} a decision ({interval(evaluation.payoff)})"
    if not judged:
        return f"{own}."
    best, gain = min(judged, key=lambda pair: pair[1].value)
    return f"{own}; {signed(gain.value)} against the most valuable baseline, {best.name} ({interval(gain)})."


def _limits(evaluation: Evaluation) -> list[tuple[str, Tone]]:
    found: list[tuple[str, Tone]] = []
    broken = [guard for guard in evaluation.guards if not guard.passed]
    if broken:
        names = _listed(f"{metric_title(g.metric)} is {number(g.figure)}, declared {g.limit}" for g in broken)
        found.append((f"Broken {'guard' if len(broken) == 1 else 'guards'}: {names}.", "bad"))
    elif evaluation.guards:
        kept = "The guard is kept" if len(evaluation.guards) == 1 else f"All {len(evaluation.guards)} guards are kept"
        found.append((f"{kept}.", "good"))
    failed = [check for check in evaluation.checks if not check.passed]
    if failed:
        names = _listed(check.name for check in failed)
        found.append((f"Failed {'check' if len(failed) == 1 else 'checks'}: {names}.", "warning"))
    errors = [finding for finding in evaluation.leakage if finding.severity == "error"]
    if errors:
        names = _listed(sorted({finding.subject for finding in errors}))
        found.append(
            (f"The leakage audit found {plural(len(errors), 'error')} ({names}): the figures may be too good.", "bad")
        )
    return found


def verdict(evaluation: Evaluation) -> Verdict:
    """Return what the evaluation comes to. It is only good when every baseline is surely beaten and no limit is broken."""
    sentence, tone = _against_rivals(evaluation)
    limits = _limits(evaluation)
    tones = {each for _, each in limits}
    if tone != "bad" and tones - {"good"}:
        sentence = f"{sentence.removesuffix('.')}, yet not every limit is kept."
        tone = "bad" if "bad" in tones else "warning"
    details = [_margin(evaluation), _worth(evaluation), *(text for text, _ in limits)]
    return Verdict(sentence=sentence, tone=tone, details=tuple(text for text in details if text))
