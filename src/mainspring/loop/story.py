"""The story of a model version: made when, why and on what, judged how, what was done with it since, and what it answered."""

from __future__ import annotations

import difflib
from typing import Any

from msgspec import Struct

from mainspring.errors import BundleError, ServingError
from mainspring.ledger import RETRAIN, Ledger, LoopEvent, Model, Run
from mainspring.loop.answering import Answers, answers_of
from mainspring.loop.deployed_when import Period, is_about_arms, periods_of
from mainspring.model.bundle import Manifest, verify_bundle
from mainspring.workspace import Workspace

__all__ = ["Deed", "Gate", "Judged", "Made", "Story", "story_of", "told_story"]

_SHOWN = 8


class Made(Struct, frozen=True, kw_only=True):
    """How a model came to be. `as_of` is the system's own time, `started_at` real time, microseconds.

    `by` is "the loop", or the kind of the run with which somebody made it. `parent` is the model that it goes on from, or that
    was the champion then. `bundle_problem` says why its bundle cannot be read, if that is so; what only that knows is missing.
    """

    run: str
    by: str
    why: str
    evidence: dict[str, Any]
    started_at: int
    seconds: float
    as_of: int | None
    version: str  # of the code
    declaration: str  # fingerprint
    parent: str = ""
    how: str = "fresh"
    window: Any = None  # None: as the system's training declares
    snapshots: dict[str, int] = {}
    decisions: int = 0
    labelled: int = 0
    estimator: dict[str, Any] = {}
    calibration: str = ""
    threshold: float | None = None
    bundle: str = ""
    bundle_problem: str = ""


class Judged(Struct, frozen=True, kw_only=True):
    """A figure of a model on rows that it had not seen, with its interval where there is one, and the champion's on the same."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    champion: float | None = None


class Gate(Struct, frozen=True, kw_only=True):
    """Whether a model that a loop trained was let in, and why; `at` is the system's own time, microseconds."""

    passed: bool
    at: int
    told: str
    evidence: dict[str, Any]


class Deed(Struct, frozen=True, kw_only=True):
    """Something that was done with a model: by the loop, or by somebody who set arms ("deployed", "replaced").

    `at` is the system's own time, `done_at` real time, microseconds.
    """

    at: int
    done_at: int
    what: str
    by: str
    told: str
    evidence: dict[str, Any] = {}


class Story(Struct, frozen=True, kw_only=True):
    """All that is on record of a model version, the oldest first.

    `made` None: it was asked for, and is not made yet or could not be. `alerts` counts those that opened while it was champion.
    """

    model: str
    system: str
    made: Made | None
    judged: list[Judged]
    gate: Gate | None  # None: it met none, or not yet
    done: list[Deed]
    answers: list[Answers]
    alerts: int


def story_of(workspace: Workspace, name: str) -> Story:
    """Return the story of a model of any system of a workspace; `name` may be the only beginning of its name.

    Raises ServingError (SERVE_MODEL) where there is none, or several begin so; WorkspaceError, ContractError.
    """
    ledger = workspace.ledger
    systems = dict.fromkeys(run.system for run in ledger.runs())
    made = _made_in(workspace, ledger)
    asked = {event.model: system for system in systems for event in ledger.loops.events(system)}
    model = _resolve(name, [*dict.fromkeys([*made, *asked])])
    system = made[model][0].system if model in made else asked[model]
    return told_story(workspace, system, model, made.get(model), answers_of(workspace.lake(system), model))


def told_story(
    workspace: Workspace, system: str, model: str, made: tuple[Run, Model] | None, answers: list[Answers]
) -> Story:
    """Return the story of a model of a system, for whoever knows the run that wrote its bundle last and what it answered.

    Raises WorkspaceError.
    """
    ledger = workspace.ledger
    events = [*reversed(ledger.loops.events(system, model=model))]
    return Story(
        model=model,
        system=system,
        made=None if made is None else _made(workspace, *made, events),
        judged=[] if made is None else _judged(ledger, made[0]),
        gate=_gate(events),
        done=_done(model, events, periods_of(ledger, system)),
        answers=answers,
        alerts=sum(event.what == "alert opened" for event in events),
    )


# -- which ---------------------------------------------------------------------------------------------------------------


def _made_in(workspace: Workspace, ledger: Ledger) -> dict[str, tuple[Run, Model]]:
    """The models of a workspace, newest first, each with the run that wrote its bundle last."""
    found: dict[str, tuple[Run, Model]] = {}
    for run in ledger.runs():
        if run.status == "finished":
            for model in ledger.models(run.name):
                if model.bundle is not None:
                    found.setdefault(workspace.locate(model.bundle).name, (run, model))
    return found


def _resolve(name: str, names: list[str]) -> str:
    beginning = [each for each in names if each.startswith(name)] if name else []
    if name in names or len(beginning) == 1:
        return name if name in names else beginning[0]
    likely = beginning or difflib.get_close_matches(name, names, _SHOWN, 0.3) or names
    raise ServingError(
        "SERVE_MODEL",
        f"{name!r} begins the names of several models." if beginning else f"There is no model {name!r}.",
        exists=f"There are for example: {', '.join(likely[:_SHOWN])}." if names else "There is none yet.",
        fix="Name one of them; or ask which answered on a day: mainspring why FILE --on 2013-03-05",
    )


# -- what is told of it --------------------------------------------------------------------------------------------------


def _made(workspace: Workspace, run: Run, model: Model, events: list[LoopEvent]) -> Made:
    manifest, problem = _manifest(workspace, model)
    metadata = {} if manifest is None else manifest.metadata
    first = _run_of(workspace.ledger, run, metadata)
    asked = next((event for event in reversed(events) if event.what == "train"), None)
    dataset = next(iter(workspace.ledger.datasets(first.name)), None)
    by_loop = run.kind == RETRAIN
    return Made(
        run=first.name,
        by="the loop" if by_loop else f"mainspring {run.kind}",
        why=asked.told if by_loop and asked is not None else str(metadata.get("why", "")),
        evidence=asked.evidence if by_loop and asked is not None else {},
        started_at=first.started_at,
        seconds=sum(first.seconds.values()),
        as_of=first.as_of if first.as_of is not None else metadata.get("as_of"),
        version=first.version,
        declaration=first.declaration,
        parent=str(metadata.get("parent", "")),
        how=str(model.estimator.get("how", "fresh")) if by_loop else "fresh",
        window=model.estimator.get("window") if by_loop else None,
        snapshots={} if dataset is None else dataset.snapshots,
        decisions=0 if dataset is None else dataset.decisions,
        labelled=0 if dataset is None else dataset.labelled,
        estimator=model.estimator,
        calibration=model.calibration,
        threshold=model.threshold,
        bundle="" if model.bundle is None else model.bundle,
        bundle_problem=problem,
    )


def _manifest(workspace: Workspace, model: Model) -> tuple[Manifest | None, str]:
    try:
        return verify_bundle(workspace.locate(model.bundle or "")), ""
    except BundleError as error:  # the rest of the story is in the ledger
        return None, error.problem


def _run_of(ledger: Ledger, run: Run, metadata: dict[str, Any]) -> Run:
    """The run that wrote a bundle: one that came to the same content later left it as it was."""
    named = metadata.get("run")
    return next((each for each in ledger.runs(system=run.system) if each.name == named), run)


def _judged(ledger: Ledger, run: Run) -> list[Judged]:
    beside = {each.name: each.value for each in ledger.metrics(run.name, scope="baseline:champion")}
    return [
        Judged(name=each.name, value=each.value, low=each.low, high=each.high, champion=beside.get(each.name))
        for each in ledger.metrics(run.name, scope="test")
    ]


def _gate(events: list[LoopEvent]) -> Gate | None:
    """What was said when a training was heard of: by the first thing that was done with its model then."""
    trained = [place for place, each in enumerate(events) if each.what == "train"]
    after = events[trained[-1] :] if trained else []
    first = next((each for each in after if is_about_arms(each)), None)
    if first is None:
        return None
    return Gate(passed=first.what != "passed over", at=first.at, told=first.told, evidence=first.evidence)


def _done(model: str, events: list[LoopEvent], periods: list[Period]) -> list[Deed]:
    """What the loop did with a model, and what others' arms did: that it was deployed by hand, or replaced."""
    found = [
        Deed(at=each.at, done_at=each.written_at, what=each.what, by="the loop", told=each.told, evidence=each.evidence)
        for each in events
        if each.what == "train" or is_about_arms(each)
    ]
    told = {(each.done_at, f"{each.what}: {each.told}") for each in found}
    was_in = False
    for period in periods:
        mine = [arm for arm in period.arms if arm.model == model]
        by_loop = period.by == "loop"
        what = ""
        if mine and not by_loop:
            what = "deployed as " + ", ".join(
                f"{arm.name} ({arm.share:.0%})" if arm.share else arm.name for arm in mine
            )
        elif was_in and not mine and (period.set_at, period.reason) not in told:
            what = "replaced by " + ", ".join(arm.model for arm in period.arms)
        if what:
            by = "the loop" if by_loop else period.by or "somebody"
            found.append(Deed(at=period.begin, done_at=period.set_at, what=what, by=by, told=period.reason))
        was_in = bool(mine)
    return sorted(found, key=lambda each: each.done_at)
