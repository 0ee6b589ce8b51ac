"""What the report and the card say of a run besides what was found."""

from __future__ import annotations

from collections.abc import Mapping

import mainspring
from mainspring.declare import System
from mainspring.evaluation.report import FeatureFacts, RunContext, TableFacts
from mainspring.loop.facts import Facts
from mainspring.training.dataset import Dataset

__all__ = ["run_context"]


def run_context(
    system: System,
    facts: Facts,
    data: Dataset,
    *,
    run: str,
    generated: str,
    seconds: Mapping[str, float],
    fingerprints: Mapping[str, str],
) -> RunContext:
    """Gather a run's context; `generated` is ISO 8601, `seconds` those of the stages so far."""
    rows = max(data.decisions.height, 1)
    decision = system.decision
    when = f"at {decision.time!r}" if decision.every is None else f"every {decision.every}"
    otherwise = f", otherwise {system.label.otherwise!r}" if system.label.otherwise is not None else ""
    return RunContext(
        run=run,
        generated=generated,
        version=mainspring.__version__,
        purpose=system.description,
        declaration=[
            f"decide for each {decision.table.__name__} {when}",
            f"label: {system.label.outcome!r} within {system.label.within}{otherwise}",
            f"model: {system.model!r}",
            f"training: {system.training!r}",
        ],
        decisions={"made": data.decisions.height, "with a known label": data.labelled},
        seconds=dict(seconds),
        tables=[
            TableFacts(
                name=name, rows=frame.height, snapshot=str(facts.snapshots[name]), quarantined=facts.quarantined[name]
            )
            for name, frame in facts.frames.items()
        ],
        features=[
            FeatureFacts(
                name=name,
                group=system.group_of(name),
                kind=str(expression.kind),
                expression=repr(expression),
                missing=data.features[name].null_count() / rows,
            )
            for name, expression in system.features.items()
        ],
        fingerprints=dict(fingerprints),
        brief=list(system.brief.answers().items()) if system.brief is not None else [],
    )
