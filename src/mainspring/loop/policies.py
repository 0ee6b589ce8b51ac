"""The policies that a replay compares, by name."""

from __future__ import annotations

from collections.abc import Callable

from mainspring.declare import Degraded, Drifted, EstimatedDegraded, Every, Retrain, System
from mainspring.errors import DeclarationError
from mainspring.monitoring.realised import figures_of, judged_by

__all__ = ["LAST_LABEL", "NEVER_RETRAIN", "POLICY_NAMES", "described", "retrain_named"]

NEVER_RETRAIN, LAST_LABEL = "never", "last-label"
"""Always compared: to train once, and to repeat the last label."""

_BY = 0.02
_NAMED: dict[str, tuple[str, Callable[[str], Retrain]]] = {
    "daily": ("a new model every day", lambda metric: Retrain(when=Every("1d"))),
    "weekly": ("a new model every 7 days", lambda metric: Retrain(when=Every("7d"))),
    "monthly": ("a new model every 30 days", lambda metric: Retrain(when=Every("30d"))),
    "drift": ("a new model when features have moved", lambda metric: Retrain(when=Drifted())),
    "degraded": ("a new model when its quality has fallen", lambda metric: Retrain(when=Degraded(metric, by=_BY))),
    "estimated": (
        "a new model when its quality is expected to have fallen",
        lambda metric: Retrain(when=EstimatedDegraded(metric, by=_BY)),
    ),
    "daily-continue": (
        "the same trees, their leaves moved every day",
        lambda metric: Retrain(when=Every("1d"), how="continue"),
    ),
}
POLICY_NAMES = ("declared", NEVER_RETRAIN, LAST_LABEL, *_NAMED)


def retrain_named(name: str, system: System) -> Retrain | None:
    """Return when a policy retrains; None: never. "declared" is the system's own.

    Raises DeclarationError (DECLARE_OPTION) for a name that no policy has.
    """
    if name == "declared":
        return system.retrain
    if name in (NEVER_RETRAIN, LAST_LABEL):
        return None
    if name not in _NAMED:
        raise DeclarationError(
            "DECLARE_OPTION",
            f"There is no policy {name!r}.",
            exists=f"There are {', '.join(POLICY_NAMES)}.",
            fix="Name some of these after --compare, divided by commas.",
        )
    figures = figures_of(system.label.task, system.objective)
    return _NAMED[name][1](judged_by(figures, system.label.task, system.objective).name)


def described(name: str) -> str:
    """Return a policy in a few words."""
    if name == NEVER_RETRAIN:
        return "train once, and never again"
    return _NAMED[name][0] if name in _NAMED else "as the system declares it"
