"""The models of a system as pages know them: which there are, and what each is now. What has ended is read once."""

from __future__ import annotations

from typing import Any, NamedTuple

from mainspring.answers import Arm
from mainspring.errors import BundleError
from mainspring.evaluation.metric import objective_metric
from mainspring.ledger import RETRAIN, Metric, Model, Run
from mainspring.loop.answering import AnswerCounts
from mainspring.model.bundle import Manifest, verify_bundle
from mainspring.page.components import Html, badge
from mainspring.page.wording import percent
from mainspring.web.source import Source

__all__ = [
    "Known",
    "answer_counts",
    "arms_now",
    "judged_metric",
    "known_models",
    "manifest_of",
    "may_answer",
    "metrics_of",
    "role_badge",
]


class Known(NamedTuple):
    """A model on record, with the run that wrote its bundle last."""

    name: str
    run: Run
    record: Model


def known_models(source: Source) -> dict[str, Known]:
    """Return the models of the system by name, the newest first. Raises WorkspaceError."""
    held: dict[str, list[Model]] = source.once("models of runs", None, dict)
    found: dict[str, Known] = {}
    for run in source.ledger.runs(system=source.system.name):
        if run.status != "finished":
            continue
        if run.name not in held:
            held[run.name] = source.ledger.models(run.name)
        for model in held[run.name]:
            if model.bundle is not None:
                name = source.workspace.locate(model.bundle).name
                found.setdefault(name, Known(name, run, model))
    return found


def metrics_of(source: Source, known: Known) -> list[Metric]:
    """Return all figures of the run of a model. Raises WorkspaceError."""
    held: dict[str, list[Metric]] = source.once("metrics of runs", None, dict)
    if known.run.name not in held:
        held[known.run.name] = source.ledger.metrics(known.run.name)
    return held[known.run.name]


def manifest_of(source: Source, known: Known) -> dict[str, Any]:
    """Return what the bundle of a model says of its making; nothing where it cannot be read."""
    held: dict[str, Manifest] = source.once("manifests", None, dict)
    if known.name not in held:
        try:
            held[known.name] = verify_bundle(source.workspace.locate(known.record.bundle or ""))
        except BundleError:  # the page of the model says what is wrong with it
            return {}
    return held[known.name].metadata


def answer_counts(source: Source) -> AnswerCounts:
    """Return what counts answers; it goes on from where it was."""
    return source.once("answers", None, lambda: AnswerCounts(source.lake))


def judged_metric(source: Source) -> str:
    """Return the name of the metric by which models are judged."""
    return objective_metric(source.system.objective, source.system.label.task).name


def arms_now(source: Source, models: dict[str, Known]) -> tuple[Arm, ...]:
    """Return the arms that answer or listen now; where nobody deployed any, the newest model that somebody made answers."""
    current = source.ledger.deployments.current(source.system.name)
    if current is not None:
        return current.arms
    newest = next((each.name for each in models.values() if each.run.kind != RETRAIN), None)
    return () if newest is None else (Arm(name="champion", role="champion", model=newest, share=1.0),)


def role_badge(name: str, arms: tuple[Arm, ...]) -> Html | None:
    """Return what a model is now, None for one that neither answers nor listens."""
    arm = next((each for each in arms if each.model == name), None)
    if arm is None:
        return None
    if arm.role == "champion":
        return badge("answers" if arm.share >= 1 else f"answers {percent(arm.share)}", "good")
    return badge("listens" if arm.role == "shadow" else f"tried on {percent(arm.share)}", "warning")


def may_answer(source: Source, known: Known) -> bool:
    """Return whether a model was made for the declaration that is served: no other can answer."""
    return known.run.declaration == source.once("fingerprint", None, lambda: source.system.fingerprint)
