"""Rules about what happens after training: rollout, alerts, and the questions that must be answered first."""

from __future__ import annotations

from collections.abc import Iterator

from mainspring.declare.brief import QUESTIONS, Brief
from mainspring.declare.lint.parts import listed
from mainspring.declare.lint.rule import Problem, rule
from mainspring.declare.policy import Full, Shadow
from mainspring.declare.system import System

__all__: list[str] = []


@rule("rollout-order", "error", "The stages of a rollout are in an order that cannot be.")
def rollout_order(system: System) -> Iterator[Problem]:
    stages = system.rollout.stages if system.rollout else ()
    for i, stage in enumerate(stages):
        if isinstance(stage, Full) and i < len(stages) - 1:
            yield Problem(
                "A rollout goes on after ms.Full(), where the candidate already answers everything.",
                "Put ms.Full() last, or leave it out: every rollout ends there.",
                origin=stage.origin,
            )
        if isinstance(stage, Shadow) and i > 0:
            yield Problem(
                f"A shadow stage comes after {type(stages[i - 1]).__name__}, where the candidate answers already.",
                "Put ms.Shadow first.",
                origin=stage.origin,
            )


@rule("no-owner", "warning", "Alerts are sent and nobody is named who answers them.")
def no_owner(system: System) -> Iterator[Problem]:
    if system.alerts is None:
        return
    answered = system.brief is not None and system.brief.owner.strip()
    blank = [signal for signal, owner in system.alerts.owners.items() if not owner.strip()]
    if blank or not (system.alerts.owners or answered):
        yield Problem(
            f"Nobody owns the alerts on {listed(blank)}." if blank else "Nobody owns the alerts.",
            'Name who is called: ms.Alerts(owners={"quality": "team@example.org"}), or answer owner in the brief.',
            origin=system.alerts.origin,
        )


@rule("alert-address", "error", "Alerts are sent to something that is no address.")
def alert_address(system: System) -> Iterator[Problem]:
    for address in system.alerts.to if system.alerts else ():
        if address != "log" and not str(address).startswith(("https://", "http://")):
            yield Problem(
                f"Alerts cannot be sent to {address!r}.",
                'Write "log" or the address of a webhook, "https://...".',
                origin=system.alerts.origin if system.alerts else None,
            )


@rule("open-question", "note", "Design questions of the brief have no answer yet.")
def open_question(system: System) -> Iterator[Problem]:
    if system.brief is None:
        yield Problem(
            f"The system has no brief, so {len(QUESTIONS)} design questions are open.",
            "Answer them with brief=ms.Brief(goal=..., owner=..., ...).",
            origin=system.origin,
        )
        return
    brief: Brief = system.brief
    open_ones = [name for name in QUESTIONS if not getattr(brief, name).strip()]
    if open_ones:
        asked = " ".join(f"{name}: {QUESTIONS[name]}" for name in open_ones)
        yield Problem(
            f"The brief leaves {len(open_ones)} of {len(QUESTIONS)} questions open.",
            f"Answer {listed(open_ones)}.",
            asked,
            brief.origin,
        )
