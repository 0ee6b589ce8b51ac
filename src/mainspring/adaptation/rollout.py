"""Rollout: what a stage lets a candidate do, what is learned of it there, and when it goes on, is promoted or rolled back.

A stage of a span ends when the labels of the decisions made in it are settled: until then nothing more can be learned of
them. A candidate that is shown to be worse, or to break a guard, is rolled back at once. At the end of a shadow or a canary
one that is not passes; at the end of an A/B only one that was shown to be better does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from msgspec.structs import asdict
from numpy.typing import NDArray

from mainspring.adaptation.comparison import bounds_of
from mainspring.adaptation.guard_tests import CalibrationTest, GuardTest, LimitTest, tests_of
from mainspring.adaptation.trial import Trial, Verdict
from mainspring.adaptation.triggers import Why
from mainspring.clock import parse_span
from mainspring.declare import AB, Canary, Objective, Rollout, Shadow
from mainspring.declare.policy import Stage
from mainspring.monitoring.realised import Figure

__all__ = ["Begun", "Decided", "Judged", "begin_stage", "decided", "observed", "of_rows", "said_by"]


class Begun(NamedTuple):
    """A stage that begins: the trial as it goes on, and what the candidate is let do."""

    trial: Trial
    role: Literal["challenger", "shadow"]
    share: float
    what: str


class Judged(NamedTuple):
    """Decisions whose labels are settled, in that order: labels, and what both models said, NaN where one did not.

    Where two arms answer, each key may be there once: its arm was drawn once, however often it decides.

    `selected` says for each condition of a guard (`guard_tests.selections`) which decisions it selects. None: that is not
    known, and guards with a condition learn nothing from these decisions.
    """

    decided_at: NDArray[np.int64]
    labels: NDArray[np.float64]
    champion: NDArray[np.float64]
    candidate: NDArray[np.float64]
    selected: Mapping[str, NDArray[np.bool_]] | None = None


class Decided(NamedTuple):
    """What becomes of a candidate, and why."""

    what: Literal["pass", "roll back", "stay"]
    why: Why


def begin_stage(
    rollout: Rollout,
    stage: Stage,
    before: Trial | None,
    now: int,
    objective: Objective,
    task: str,
    figure: Figure,
    *,
    level: float | None = None,
) -> Begun:
    """Begin a stage in which candidates are compared by a figure; `before` is the trial so far, None at its first stage.

    `level` is the error rate of this candidate among all of its system (`Lifetime`), for the trial that begins.
    """
    share = None if isinstance(stage, Shadow) else float(stage.share)  # type: ignore[attr-defined]
    if before is None:
        trial = Trial.begin(
            alpha=rollout.alpha,
            level=level,
            bounds=bounds_of(figure.name, task, objective),
            share=share,
            margin=0.0,
            greater_is_better=figure.greater_is_better,
            guards=_guards(objective, task),
        )
    else:
        trial = before.next_stage(now, share)
    if share is None:
        return Begun(trial, "shadow", 0.0, "shadow")
    return Begun(trial, "challenger", share, "ab" if isinstance(stage, AB) else "canary")


def observed(trial: Trial, judged: Judged, figure: Figure, figures: Mapping[str, Figure]) -> Trial:
    """Take in decisions of this stage whose labels are settled; `figures` has those that guards limit.

    Raises ValueError where `selected` is given and lacks the condition of a guard.
    """
    by_champion, by_candidate = said_by(judged.champion), said_by(judged.candidate)
    if trial.baseline is None:
        both = by_champion & by_candidate
        y = judged.labels[both]
        said = figure.row(y, judged.champion[both]), figure.row(y, judged.candidate[both])
        trial = trial.pairs(judged.decided_at[both], *said)
    else:
        one = by_champion ^ by_candidate
        answer = of_rows(by_candidate, judged.candidate, judged.champion)[one]
        trial = trial.arms(judged.decided_at[one], figure.row(judged.labels[one], answer), by_candidate[one])
    for name, guard in trial.guards.items():
        rows = by_candidate & _selected(judged, guard)
        y, p = judged.labels[rows], judged.candidate[rows]
        trial = (
            trial.guarded(name, figures[guard.figure].row(y, p))
            if isinstance(guard, LimitTest)
            else trial.labelled(name, y, p)
        )
    return trial


def _selected(judged: Judged, guard: GuardTest) -> NDArray[np.bool_]:
    if guard.where is None or judged.selected is None:
        return np.full(len(judged.labels), guard.where is None)
    if guard.where not in judged.selected:
        raise ValueError(f"nothing says which decisions a guard selects where {guard.where}")
    return judged.selected[guard.where]


def decided(stage: Stage, trial: Trial, since: int, now: int, horizon: int) -> Decided:
    """Say what becomes of a candidate that has been in a stage since an instant; all in microseconds."""
    verdict = trial.verdict(now)
    evidence = asdict(verdict)
    if verdict.what == "worse":
        return Decided("roll back", Why(_told(verdict), evidence))
    if isinstance(stage, AB) and verdict.what == "better":
        return Decided("pass", Why(_told(verdict), evidence))
    if now < since + parse_span(stage.span) + horizon:  # type: ignore[attr-defined]
        return Decided("stay", Why("", {}))
    if isinstance(stage, AB):
        return Decided("roll back", Why(f"not shown to be better in time: {_told(verdict)}", evidence))
    kind = "canary" if isinstance(stage, Canary) else "shadow"
    return Decided("pass", Why(f"not shown to be worse as a {kind}: {_told(verdict)}", evidence))


def _told(verdict: Verdict) -> str:
    if verdict.broken:
        return f"breaks {', '.join(verdict.broken)} after {verdict.labels:,} labels"
    if verdict.estimate is None:
        return "no label is settled"
    ends = [f"{end:+.4f}" if end is not None else "?" for end in (verdict.low, verdict.high)]
    return f"better by {verdict.estimate:+.4f} a decision ({ends[0]} to {ends[1]}) on {verdict.labels:,} labels"


def _guards(objective: Objective, task: str) -> dict[str, GuardTest]:
    """The tests of all limits that can be tested while labels come in, by what they say: "ece at most 0.03"."""
    found = {}
    for guard in objective.guards:
        for test in tests_of(guard, task, objective):
            side, limit = ("at least", guard.at_least) if _is_floor(test) else ("at most", guard.at_most)
            part = "" if guard.where is None else f" where {guard.where!r}"
            found[f"{guard.metric} {side} {limit}{part}"] = test
    return found


def _is_floor(test: GuardTest) -> bool:
    return not isinstance(test, CalibrationTest) and test.side == "at_least"


def said_by(predictions: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which rows of predictions (n,) or (n, classes) were predicted: the others are NaN."""
    return ~np.isnan(predictions if predictions.ndim == 1 else predictions[:, 0])


def of_rows(
    chosen: NDArray[np.bool_], these: NDArray[np.float64], others: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    """Return predictions (n,) or (n, classes): `these` of the chosen rows and `others` of the rest."""
    return np.where(chosen if these.ndim == 1 else chosen[:, None], these, others)
