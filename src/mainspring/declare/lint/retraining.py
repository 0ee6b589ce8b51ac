"""Rules about retraining: what a new model learns from, and whether it can be made as declared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mainspring.clock import parse_span
from mainspring.declare.estimator import LightGBM
from mainspring.declare.lint.parts import listed
from mainspring.declare.lint.rule import Problem, rule
from mainspring.declare.policy import MEASURED, AnyOf, Every, Trigger
from mainspring.declare.system import System
from mainspring.declare.value import StoredObject

__all__: list[str] = []


@rule("continue-estimator", "error", "A model is to go on learning, and its estimator cannot.")
def continue_estimator(system: System) -> Iterator[Problem]:
    if system.retrain is None or system.retrain.how != "continue" or isinstance(system.model, LightGBM):
        return
    estimator = system.model.estimator
    why = _cannot_continue(estimator)
    if why is not None:
        name = type(estimator).__name__
        yield Problem(
            f'Retrain(how="continue") lets {name} go on learning, and {name} {why}.',
            'Say how="fresh", or choose such an estimator.',
            "LightGBM can, and estimators of scikit-learn with partial_fit, such as SGDClassifier and BernoulliNB.",
            system.retrain.origin,
        )


def _cannot_continue(estimator: Any) -> str | None:
    """Why scikit-learn would refuse to go on, or a bundle to hold what went on; None where nothing speaks against it."""
    if isinstance(estimator, StoredObject):
        return None  # it names an estimator that was looked at when it was declared, and cannot be asked
    if not hasattr(estimator, "partial_fit"):
        return "has no partial_fit"
    if not type(estimator).__module__.startswith("sklearn."):
        return "is not scikit-learn's own, so that no bundle can hold it to go on from"
    if getattr(estimator, "early_stopping", False):
        return "cannot stop early in partial_fit (early_stopping=True)"
    if getattr(estimator, "class_weight", None) == "balanced":
        return 'cannot balance classes in partial_fit; Training(class_weight="balanced") can'
    return None


@rule("continue-window", "warning", "A window is given to a model that goes on learning, which takes what is new.")
def continue_window(system: System) -> Iterator[Problem]:
    retrain = system.retrain
    if retrain is not None and retrain.how == "continue" and retrain.window is not None:
        given = repr(list(retrain.window) if isinstance(retrain.window, tuple) else retrain.window)
        yield Problem(
            f'Retrain(how="continue", window={given}) goes on with the rows that are new, whatever the window.',
            'Leave the window out, or say how="fresh".',
            origin=retrain.origin,
        )


@rule("slow-retraining", "warning", "A new model is asked for more often than one can be made.")
def slow_retraining(system: System) -> Iterator[Problem]:
    retrain = system.retrain
    if retrain is None or retrain.delay == MEASURED:
        return
    often = [every.span for every in _on_their_own(retrain.when) if parse_span(every.span) < parse_span(retrain.delay)]
    if often:
        yield Problem(
            f"A new model is asked for every {listed(often)}, and takes {retrain.delay} (delay) before it can answer.",
            "Ask less often, or correct the delay; nothing is asked for while a model is on its way.",
            origin=retrain.origin,
        )


def _on_their_own(triggers: Sequence[Trigger]) -> Iterator[Every]:
    """The spans of which each asks for a model by itself; one of `AllOf` waits for the others."""
    for trigger in triggers:
        if isinstance(trigger, Every):
            yield trigger
        elif isinstance(trigger, AnyOf):
            yield from _on_their_own(trigger.triggers)
