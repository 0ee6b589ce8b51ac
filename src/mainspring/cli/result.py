"""What a run made, as a document for programs and as a few lines for people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.cli.replayed import policy_summary, replay_figures
from mainspring.cli.tables import grid

if TYPE_CHECKING:
    from rich.console import RenderableType

    from mainspring.evaluation.results import Evaluation
    from mainspring.loop.build import Built

__all__ = ["document", "summary"]


def document(built: Built) -> dict[str, Any]:
    """Return everything a run found, the objective's metric first."""
    found = built.evaluation
    return {
        "system": built.system.name,
        "run": built.run.name,
        "decisions": built.decisions,
        "labelled": built.labelled,
        "features": list(built.system.features),
        "metric": found.metric,
        "metrics": {name: found.metrics[name] for name in _metric_names(found)},
        "baselines": {
            baseline.name: {name: figure.value for name, figure in baseline.metrics.items()}
            | ({"payoff": baseline.payoff.value} if baseline.payoff is not None else {})
            for baseline in found.baselines
        },
        "payoff": found.payoff,
        "slices": found.slices,
        "simpson": found.simpson,
        "leakage": found.leakage,
        "guards": found.guards,
        "checks": found.checks,
        "left_out": found.left_out,
        "replay": None if built.compared is None else replay_figures(built.compared),
        "notes": [*built.notes, *found.notes],
        "seconds": built.run.seconds,
        "reused": built.run.reused,
        "bundle": str(built.bundle),
        "report": str(built.report),
        "report_json": str(built.report_json),
    }


def summary(built: Built) -> Iterator[RenderableType]:
    """Yield the result for people: a table of the model and every baseline, what it comes to, times and places."""
    from mainspring.evaluation.report.verdict import verdict

    found = built.evaluation
    decided = verdict(found)
    yield f"\n{built.run.name}: {built.decisions:,} decisions, {built.labelled:,} with a known label\n"
    yield _figures(found)
    yield f"\n{decided.sentence}"
    yield from (f"  {detail}" for detail in decided.details)
    if built.compared is not None:
        lived = built.compared
        yield f"\nReplayed: {lived.decisions:,} decisions from {lived.begin[:10]} to {lived.end[:10]}\n"
        yield from policy_summary(lived)
    seconds = built.run.seconds
    stages = ", ".join(f"{name} {spent:.1f}" for name, spent in seconds.items())
    yield f"\n{sum(seconds.values()):.1f} s: {stages}"
    if built.run.reused:
        yield f"reused  {', '.join(built.run.reused)}"
    yield f"bundle  {_shown(built.bundle)}"
    yield f"report  {_shown(built.report)}"


def _metric_names(found: Evaluation) -> list[str]:
    """The metrics, the objective's first."""
    return sorted(found.metrics, key=lambda name: name != found.metric)


def _figures(found: Evaluation) -> RenderableType:
    from mainspring.page.wording import metric_title, number

    names = _metric_names(found)
    columns = ["", *map(metric_title, names)]
    if found.payoff is not None:
        columns.append(f"payoff, {found.payoff_unit}" if found.payoff_unit else "payoff")

    def row(name: str, judged: Any) -> list[str]:
        figures = [judged.metrics.get(metric) for metric in names]
        figures += [judged.payoff] if found.payoff is not None else []
        return [name, *(number(figure.value if figure is not None else None) for figure in figures)]

    rows = [row("the model", found), *(row(each.name, each) for each in found.baselines)]
    return grid(columns, rows, numeric=[False] + [True] * (len(columns) - 1))


def _shown(path: Path) -> str:
    """A path as short as it can be written here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
